"""What a GGUF file says of a tokenizer, read from ``tokenizer.json`` (byte-level BPE) or SentencePiece's model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.tokenizer.folder import SENTENCEPIECE, TOKENIZER
from textmill.tokenizer.patterns import pattern_of
from textmill.tokenizer.sentencepiece_model import read_model

# GGUF's token types; those of SentencePiece's pieces have the same numbers.
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5

# llama.cpp cuts texts by expressions of its own list; these are its names for ours.
_PRE_TOKENIZERS = {"gpt2": "gpt-2", "cl100k": "llama-bpe", "o200k": "gpt-4o"}


@dataclass(frozen=True)
class Vocabulary:
    """The entries of a tokenizer as llama.cpp wants them.

    Attributes:
        model: ``gpt2`` for byte-level BPE, ``llama`` for SentencePiece.
        tokens: spelling by id; ids that the tokenizer lacks are ``[unused…]``.
        types: GGUF's token types by id.
        merges: pairs in order, for BPE.
        scores: by id, for SentencePiece.
        pre: how texts are cut, for BPE; None if llama.cpp has no name for it.
        add_space: whether SentencePiece puts a space before a text.
    """

    model: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    scores: list[float]
    pre: str | None
    add_space: bool = False


def read_vocabulary(folder: Path, vocab_size: int) -> Vocabulary:
    """The vocabulary of a model's folder.

    Args:
        folder: holds ``tokenizer.model``, or ``tokenizer.json``.
        vocab_size: rows of the model's embedding table.

    Raises:
        UserError: no tokenizer, a damaged one, one larger than the model, or neither BPE nor SentencePiece.
    """
    if (folder / SENTENCEPIECE).is_file():
        try:
            return _of_sentencepiece(folder / SENTENCEPIECE, vocab_size)
        except ValueError:
            pass  # LLaMA-3 calls its rank file so; its tokenizer.json says the same
    path = folder / TOKENIZER
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "the model's tokenizer cannot be read",
            where=str(path),
            expected=f"{TOKENIZER} or {SENTENCEPIECE} beside the weights",
            found=str(error),
        ) from None
    if content.get("model", {}).get("type") != "BPE" or content["model"].get("byte_fallback"):
        raise UserError(
            "this tokenizer is no byte-level BPE",
            where=str(path),
            expected=f"a byte-level BPE, or SentencePiece's {SENTENCEPIECE} beside it",
            found=str(content.get("model", {}).get("type")),
        )
    return _of_bpe(content, vocab_size, str(path))


def _of_bpe(content: dict[str, Any], vocab_size: int, where: str) -> Vocabulary:
    added = {one["id"]: one for one in content.get("added_tokens", [])}
    spelling: dict[int, str] = {index: token for token, index in content["model"]["vocab"].items()}
    spelling |= {index: one["content"] for index, one in added.items()}
    _check_size(max(spelling, default=-1) + 1, vocab_size, where)
    types = []
    for index in range(vocab_size):
        if index in added:
            types.append(CONTROL if added[index].get("special", True) else USER_DEFINED)
        else:
            types.append(NORMAL if index in spelling else UNUSED)
    merges = content["model"].get("merges", [])
    pattern = pattern_of(content)
    return Vocabulary(
        model="gpt2",
        tokens=[spelling.get(index, f"[unused{index}]") for index in range(vocab_size)],
        types=types,
        merges=[one if isinstance(one, str) else " ".join(one) for one in merges],
        scores=[],
        pre=_PRE_TOKENIZERS[pattern] if pattern else None,
    )


def _of_sentencepiece(path: Path, vocab_size: int) -> Vocabulary:
    model = read_model(path.read_bytes())
    if not model.pieces:
        raise ValueError("no entries")
    _check_size(len(model.pieces), vocab_size, str(path))
    missing = range(len(model.pieces), vocab_size)
    return Vocabulary(
        model="llama",
        tokens=[piece.text for piece in model.pieces] + [f"[unused{index}]" for index in missing],
        types=[piece.type for piece in model.pieces] + [UNUSED for _ in missing],
        merges=[],
        scores=[piece.score for piece in model.pieces] + [-1e4 for _ in missing],
        pre="default",
        add_space=model.dummy_prefix,
    )


def _check_size(entries: int, vocab_size: int, where: str) -> None:
    if entries > vocab_size:
        raise UserError(
            "the tokenizer has more entries than the model",
            where=where,
            expected=f"at most {vocab_size:,}",
            found=f"{entries:,}",
            hint="take the tokenizer that the model was trained with",
        )
