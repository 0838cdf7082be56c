"""tiktoken's rank file: one line per token, its bytes in base64 and its rank.

The format (https://github.com/openai/tiktoken, ``tiktoken/load.py``) knows neither merges nor a pattern: two
neighbours are merged when their bytes together have a rank, lowest first, and a piece that has a rank becomes
it at once. A tokenizer fits if its merges do the same: ids in the order of the merges, no token that can be
made of two pairs of which only one is a merge.
"""

from __future__ import annotations

import base64
from typing import Any

from textmill.tokenizer.fast.encoder import byte_alphabet
from textmill.tokenizer.patterns import PATTERNS, pattern_of


class NotExpressibleError(ValueError):
    """tiktoken's file cannot express this tokenizer; the message says why."""


def tiktoken_file(tokenizer: dict[str, Any]) -> bytes:
    """The rank file of a ``tokenizer.json`` (parsed): ids are the ranks.

    Load it with ``tiktoken.Encoding(name, pat_str=PATTERNS[...], mergeable_ranks=tiktoken.load.load_tiktoken_bpe(
    path), special_tokens={...})``.

    Raises:
        NotExpressibleError: see above.
    """
    ranks = tiktoken_ranks(tokenizer)
    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in sorted(ranks.items(), key=_rank)]
    return b"".join(lines)


def tiktoken_ranks(tokenizer: dict[str, Any]) -> dict[bytes, int]:
    """Bytes of each token and its id, special tokens left out.

    Raises:
        NotExpressibleError: the model is no byte-level BPE of a known pattern, or merges in another order.
    """
    model = tokenizer["model"]
    if model.get("type") != "BPE" or pattern_of(tokenizer) is None:
        raise NotExpressibleError(f"only byte-level BPE cut by {', '.join(PATTERNS)} has tiktoken's form")
    for option in (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "byte_fallback",
    ):
        if model.get(option):
            raise NotExpressibleError(f"the model uses {option}")
    byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
    special = {token["content"] for token in tokenizer["added_tokens"]}
    ranks: dict[bytes, int] = {}
    for word, number in model["vocab"].items():
        if word in special:
            continue
        if not all(character in byte_of for character in word):
            raise NotExpressibleError(f"the entry {word!r} is not made of bytes")
        ranks[bytes(byte_of[character] for character in word)] = number
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise NotExpressibleError(f"the vocabulary lacks {len(missing)} bytes")
    _check_merges(model, byte_of, ranks)
    return ranks


def _check_merges(model: dict[str, Any], byte_of: dict[str, int], ranks: dict[bytes, int]) -> None:
    """Replay every token: merging by ranks must end in the pair that the file merges, in the same order."""
    before = -1
    made = set()
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        token = bytes(byte_of[character] for character in left + right)
        if ranks[token] <= before:
            raise NotExpressibleError(f"the id of {left + right!r} does not follow the order of the merges")
        before = ranks[token]
        made.add(token)
        parts = merge_by_ranks(token, ranks, below=before)
        pair = [bytes(byte_of[character] for character in side) for side in (left, right)]
        if parts != pair:
            raise NotExpressibleError(f"{left + right!r} is made of other parts when ids decide the order")
    loose = [token for token in ranks if len(token) > 1 and token not in made]
    if loose:
        raise NotExpressibleError(f"{len(loose)} entries are made by no merge, such as {loose[0]!r}")


def merge_by_ranks(piece: bytes, ranks: dict[bytes, int], below: int | None = None) -> list[bytes]:
    """What tiktoken makes of a piece, by merges of a rank under ``below``: the plainest way to say it."""
    parts = [piece[k : k + 1] for k in range(len(piece))]
    while True:
        best, place = below if below is not None else len(ranks) + max(ranks.values()), -1
        for k in range(len(parts) - 1):
            rank = ranks.get(parts[k] + parts[k + 1])
            if rank is not None and rank < best:
                best, place = rank, k
        if place < 0:
            return parts
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


def _rank(item: tuple[bytes, int]) -> int:
    return item[1]
