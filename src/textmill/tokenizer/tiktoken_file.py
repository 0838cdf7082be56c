"""tiktoken's rank file, written and read: one line per token, its bytes in base64 and its rank.

The format (https://github.com/openai/tiktoken, ``tiktoken/load.py``) knows neither merges nor a pattern: two
neighbours are merged when their bytes together have a rank, lowest first, and a piece that has a rank becomes
it at once. A tokenizer fits if its merges do the same: ids in the order of the merges, no token that can be
made of two pairs of which only one is a merge.

Neither pattern nor special tokens stand in the file; those of the published files are known by name.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from textmill.tokenizer.fast.encoder import byte_alphabet
from textmill.tokenizer.patterns import PATTERNS, pattern_of, pre_tokenizer

_ENDOFTEXT = "<|endoftext|>"
_GPT4 = {
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|endofprompt|>": 100276,
}
PUBLISHED: dict[str, tuple[str, dict[str, int]]] = {
    "gpt2": ("gpt2", {_ENDOFTEXT: 50256}),
    "r50k_base": ("gpt2", {_ENDOFTEXT: 50256}),
    "p50k_base": ("gpt2", {_ENDOFTEXT: 50256}),
    "cl100k_base": ("cl100k", {_ENDOFTEXT: 100257, **_GPT4}),
    "o200k_base": ("o200k", {_ENDOFTEXT: 199999, "<|endofprompt|>": 200018}),
}
"""Pattern and special tokens of published rank files (``tiktoken_ext/openai_public.py``), by their names."""

LLAMA3_RANKS = 128_000


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


def merge_by_ranks(piece: bytes, ranks: Mapping[bytes, int], below: int | None = None) -> list[bytes]:
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


def read_ranks(content: bytes) -> dict[bytes, int]:
    """Tokens and ranks of a rank file.

    Raises:
        ValueError: a line is none of the format, a rank stands twice, or a byte has none.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            shown = line[:40].decode("ascii", "backslashreplace")
            raise ValueError(f"line {number} is no token in base64 and its rank: {shown!r}") from None
    missing = sum(bytes([byte]) not in ranks for byte in range(256))
    if missing:
        raise ValueError(f"{missing} of 256 bytes have no rank: it breaks off, or is another file")
    if len(set(ranks.values())) < len(ranks):
        raise ValueError("a rank stands twice")
    return ranks


def published(name: str, ranks: Mapping[bytes, int]) -> tuple[str | None, dict[str, int]]:
    """Pattern and special tokens of the rank file of this name, as far as they are known.

    LLaMA-3's ``tokenizer.model`` is such a file of 128,000 ranks; its 256 special tokens follow
    (``llama3/tokenizer.py`` of https://github.com/meta-llama/llama3).
    """
    pattern, special = PUBLISHED.get(name.partition(".")[0], (None, {}))
    if pattern is None and len(ranks) == LLAMA3_RANKS and name == "tokenizer.model":
        return "cl100k", _llama3_special_tokens()
    if any(number in special.values() for number in ranks.values()):
        return None, {}
    return pattern, dict(special)


def tokenizer_of_ranks(ranks: Mapping[bytes, int], pattern: str, special: Mapping[str, int]) -> str:
    """A ``tokenizer.json`` that gives tiktoken's ids: merges are found by making every token of its bytes.

    Args:
        ranks: of :func:`read_ranks`.
        pattern: a name of :data:`textmill.tokenizer.patterns.PATTERNS`.
        special: special tokens and their ids.
    """
    alphabet = byte_alphabet()

    def spelled(token: bytes) -> str:
        return "".join(alphabet[byte] for byte in token)

    merges = []
    for token, rank in sorted(ranks.items(), key=_rank):
        if len(token) < 2:
            continue
        parts = merge_by_ranks(token, ranks, below=rank)
        if len(parts) == 2:
            merges.append([spelled(part) for part in parts])
            continue
        # No merge of lower rank leads here: only a whole piece becomes this token, or neighbours by chance.
        merges += [
            [spelled(token[:place]), spelled(token[place:])]
            for place in range(1, len(token))
            if token[:place] in ranks and token[place:] in ranks
        ]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": number,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token, number in sorted(special.items(), key=lambda item: item[1])
        ],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer(pattern),
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            # Special tokens stand here too, because their ids need not follow the ranks.
            "vocab": {spelled(token): rank for token, rank in sorted(ranks.items(), key=_rank)}
            | dict(special),
            "merges": merges,
        },
    }
    return json.dumps(tokenizer, ensure_ascii=False, indent=2) + "\n"


def _llama3_special_tokens() -> dict[str, int]:
    reserved = iter(f"<|reserved_special_token_{number}|>" for number in range(251))
    named = {
        0: "<|begin_of_text|>",
        1: "<|end_of_text|>",
        6: "<|start_header_id|>",
        7: "<|end_header_id|>",
        9: "<|eot_id|>",
    }
    # The end token comes first: it is the one that ends a document.
    tokens = {named.get(place) or next(reserved): LLAMA3_RANKS + place for place in range(256)}
    return {"<|end_of_text|>": tokens.pop("<|end_of_text|>"), **tokens}
