"""Looking at a tokenizer: what it makes of a text, and how healthy its vocabulary is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import Encoder
from textmill.tokenizer.fast.encoder import byte_alphabet
from textmill.tokenizer.load import FoundTokenizer, find_tokenizer, why_not_compiled
from textmill.tokenizer.patterns import pattern_of
from textmill.tokenizer.sentencepiece_model import CONTROL, SPACE, UNKNOWN, UNUSED, read_model

# An entry of more bytes than any word has: a line of dashes, a licence header, a run of spaces.
OVERLONG_BYTES = 32
# Eleven characters of Chinese or Devanagari are 33 bytes and may be a word all the same.
OVERLONG_CHARACTERS = 12
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
COLOURS = ("#fde2b3", "#cfe8fc", "#d8f5c9", "#f6d0de", "#e3d9fb", "#d3f3ee")


@dataclass(frozen=True)
class Entry:
    """One entry of a vocabulary: its id, its bytes, and whether it is a special token."""

    id: int
    content: bytes
    special: bool

    @property
    def is_text(self) -> bool:
        """Whether the bytes are UTF-8 by themselves, rather than a part of a character."""
        try:
            self.content.decode()
        except UnicodeDecodeError:
            return False
        return True

    def shown(self) -> str:
        """The entry for people: text as it is, what cannot be seen as an escape."""
        text = self.content.decode("utf-8", "backslashreplace")
        visible = {" ": " ", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        return "".join(
            visible.get(c, c if c.isprintable() else c.encode("unicode_escape").decode()) for c in text
        )


@dataclass(frozen=True)
class Health:
    """What a vocabulary is made of.

    Attributes:
        entries: all of them.
        special: special and added tokens.
        merges: merges of the model.
        not_text: entries of several bytes that are no UTF-8 by themselves (half characters).
        overlong: entries of more than :data:`OVERLONG_BYTES` bytes and :data:`OVERLONG_CHARACTERS` characters,
            longest first.
        unused: entries that a sample did not use, special ones and single bytes left out; None without a
            sample.
        unreachable: entries that no text is encoded to; None for kinds of models where that cannot be told.
        missing_bytes: bytes that no entry stands for.
        model: what kind of tokenizer it is.
        slow: why its own library has to encode instead of the compiled kernels; None when they serve it.
    """

    entries: int
    special: int
    merges: int
    not_text: tuple[Entry, ...]
    overlong: tuple[Entry, ...]
    unused: tuple[Entry, ...] | None
    unreachable: tuple[Entry, ...] | None
    missing_bytes: tuple[int, ...]
    model: str
    slow: str | None


def read_vocabulary(path: Path | str, *, pattern: str | None = None) -> list[Entry]:
    """The entries of the tokenizer at ``path``, by id.

    Byte-level vocabularies spell bytes as printable characters, SentencePiece spells a space as ``▁`` and bytes as
    ``<0x0A>``; those are turned back. Others stand for their own UTF-8.

    Raises:
        UserError: there is no tokenizer.
    """
    return _entries(find_tokenizer(path, pattern=pattern))


def health(
    path: Path | str, used: npt.NDArray[np.int64] | None = None, *, pattern: str | None = None
) -> Health:
    """What the vocabulary at ``path`` is made of.

    Args:
        path: the tokenizer's folder or file.
        used: how often a sample used each id (shape (vocab_size,)), to find the ones it did not.
        pattern: how texts are cut, for a tiktoken rank file of an unknown name.

    Raises:
        UserError: there is no tokenizer.
    """
    found = find_tokenizer(path, pattern=pattern)
    parsed = json.loads(found.content)
    entries = _entries(found)
    ordinary = [entry for entry in entries if not entry.special]
    single = {entry.content for entry in ordinary}
    overlong = [
        entry
        for entry in ordinary
        if len(entry.content) > OVERLONG_BYTES
        and len(entry.content.decode("utf-8", "replace")) > OVERLONG_CHARACTERS
    ]
    many = [entry for entry in ordinary if len(entry.content) > 1]
    return Health(
        entries=len(entries),
        special=len(entries) - len(ordinary),
        merges=0 if found.model is not None else len(parsed["model"].get("merges") or ()),
        model=_kind(found, parsed),
        not_text=tuple(entry for entry in ordinary if len(entry.content) > 1 and not entry.is_text),
        overlong=tuple(sorted(overlong, key=lambda entry: (-len(entry.content), entry.id))),
        unused=None if used is None else tuple(entry for entry in many if not used[entry.id]),
        unreachable=_unreachable(parsed, entries),
        missing_bytes=tuple(byte for byte in range(256) if bytes([byte]) not in single),
        slow=why_not_compiled(found),
    )


def _kind(found: FoundTokenizer, parsed: dict[str, Any]) -> str:
    if found.model is not None:
        return f"SentencePiece {read_model(found.model).kind}"
    pattern = pattern_of(parsed)
    kind = str(parsed["model"].get("type"))
    return f"byte-level {kind}, cut as {pattern}" if pattern else kind


def tokens_of(encoder: Encoder, vocabulary: Sequence[Entry], text: str) -> list[Entry]:
    """The entries that a text becomes, in order."""
    entries = {entry.id: entry for entry in vocabulary}
    ids, _ = encoder.encode_batch([text])
    return [entries[int(number)] for number in ids]


def _entries(found: FoundTokenizer) -> list[Entry]:
    parsed = json.loads(found.content)
    added = {token["id"]: token["content"] for token in parsed.get("added_tokens", ())}
    if found.model is not None:
        pieces = read_model(found.model).pieces
        special = (UNKNOWN, CONTROL, UNUSED)
        return [Entry(number, piece.content, piece.type in special) for number, piece in enumerate(pieces)]
    byte_of = {character: byte for byte, character in enumerate(byte_alphabet())}
    byte_level = "ByteLevel" in json.dumps([parsed.get("pre_tokenizer"), parsed.get("decoder")])
    byte_fallback = bool(parsed["model"].get("byte_fallback"))
    entries = {}
    for word, number in _words(parsed["model"]):
        if byte_level and all(character in byte_of for character in word):
            content = bytes(byte_of[character] for character in word)
        elif byte_fallback and _BYTE.fullmatch(word):
            content = bytes([int(word[3:5], 16)])
        else:
            content = (word.replace(SPACE, " ") if byte_fallback else word).encode()
        entries[number] = Entry(number, content, number in added)
    entries |= {number: Entry(number, content.encode(), True) for number, content in added.items()}
    return [entries[number] for number in sorted(entries)]


def _unreachable(parsed: dict[str, Any], entries: Sequence[Entry]) -> tuple[Entry, ...] | None:
    """Entries that the model makes of no text: its rules turn their own spelling into something else."""
    from tokenizers import Tokenizer

    from textmill.tokenizer.encode import HuggingFaceEncoder

    model = parsed["model"]
    if model.get("type") not in ("BPE", "Unigram"):
        return None
    whole_words = bool(model.get("ignore_merges"))
    bare = {"model": model | ({"ignore_merges": False} if whole_words else {}), "added_tokens": []}
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding"):
        bare[part] = None
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", **bare}))
    library = HuggingFaceEncoder(json.dumps(parsed), None)
    word_of = {number: word for word, number in _words(model)}
    byte_fallback = bool(model.get("byte_fallback"))
    ordinary = [
        entry
        for entry in entries
        if not entry.special and not (byte_fallback and _BYTE.fullmatch(word_of[entry.id]))
    ]
    made = tokenizer.encode_batch_fast([word_of[entry.id] for entry in ordinary], add_special_tokens=False)
    found = []
    for entry, encoding in zip(ordinary, made, strict=True):
        if encoding.ids == [entry.id]:
            continue
        # With ignore_merges a piece that is an entry needs no merge; of half characters pieces are not made here.
        one_piece = not entry.is_text or len(library.pieces(entry.content.decode())) == 1
        if not (whole_words and one_piece):
            found.append(entry)
    return tuple(found)


def _words(model: dict[str, Any]) -> Iterable[tuple[str, int]]:
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary.items()
    # Unigram models list pairs of entry and score.
    return ((entry[0], number) for number, entry in enumerate(vocabulary))
