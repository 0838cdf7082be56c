"""A SentencePiece ``tokenizer.model``: what stands in it, and the ``tokenizer.json`` that does the same.

The file is a Protocol Buffers message (``src/sentencepiece_model.proto`` of
https://github.com/google/sentencepiece); a few of its fields are read here, by the wire format
(https://protobuf.dev/programming-guides/encoding/), so that no other package is needed for it.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

SPACE = "▁"
SCORE_STEPS = 64
# The library never matches control symbols and bytes in a text; the other one would, were they worth it.
NEVER = -1e5
# Values of ModelProto.SentencePiece.Type.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
UNIGRAM, BPE = 1, 2
KINDS = {UNIGRAM: "unigram", BPE: "bpe", 3: "word", 4: "char"}


@dataclass(frozen=True)
class Piece:
    """An entry: how it is spelled (a space as ``▁``), its score and its type."""

    text: str
    score: float
    type: int

    @property
    def content(self) -> bytes:
        """The bytes that it stands for."""
        if self.type == BYTE:
            return bytes([int(self.text[3:5], 16)])
        return self.text.replace(SPACE, " ").encode()


@dataclass
class SentencePieceModel:
    """What a ``tokenizer.model`` says.

    Attributes:
        pieces: entries by id.
        kind: ``bpe``, ``unigram``, ``word`` or ``char``.
        byte_fallback: whether characters without an entry are spelled in bytes.
        charsmap: compiled normalisation; empty when text stays as it is.
        dummy_prefix: whether a space is put before each text.
        strip_spaces: whether spaces at the ends are dropped and runs of them made one.
        suffix: whether spaces stand at the end of entries.
    """

    pieces: list[Piece] = field(default_factory=list)
    kind: str = "unigram"
    byte_fallback: bool = False
    charsmap: bytes = b""
    dummy_prefix: bool = True
    strip_spaces: bool = True
    suffix: bool = False


def read_model(content: bytes) -> SentencePieceModel:
    """Read a ``tokenizer.model``.

    Raises:
        ValueError: it is none, or damaged.
    """
    model = SentencePieceModel()
    try:
        for number, value in _fields(content):
            if number == 1:
                model.pieces.append(_piece(_message(value)))
            elif number == 2:
                for option, setting in _fields(_message(value)):
                    if option == 3:
                        model.kind = KINDS[_number(setting)]
                    elif option == 24:
                        model.suffix = bool(setting)
                    elif option == 35:
                        model.byte_fallback = bool(setting)
            elif number == 3:
                for option, setting in _fields(_message(value)):
                    if option == 2:
                        model.charsmap = _message(setting)
                    elif option == 3:
                        model.dummy_prefix = bool(setting)
                    elif option == 4:
                        model.strip_spaces = bool(setting)
    except (IndexError, KeyError, struct.error, TypeError, UnicodeDecodeError) as error:
        raise ValueError("it is no SentencePiece model, or it breaks off in the middle") from error
    if len(model.pieces) < 2 or not any(piece.type == UNKNOWN for piece in model.pieces):
        raise ValueError("it is no SentencePiece model: no entry for unknown text")
    return model


def tokenizer_json(content: bytes) -> str:
    """A ``tokenizer.json`` for the tokenizers library, from the content of a ``tokenizer.model``.

    Ids are the same; the ids of a text are, wherever entries decide alone (the library that reads the result
    settles a tie between two equally good ways to cut a text in its own way, which happens in no ordinary
    text of BPE and seldom in that of Unigram).

    Raises:
        ValueError: damaged, or of a kind that has no such form.
    """
    model = read_model(content)
    if model.suffix:
        raise ValueError("spaces at the end of entries have no form in tokenizer.json")
    unknown = next(number for number, piece in enumerate(model.pieces) if piece.type == UNKNOWN)
    if model.kind == "unigram":
        body: dict[str, Any] = {
            "type": "Unigram",
            "unk_id": unknown,
            "vocab": [[piece.text, _score(piece)] for piece in model.pieces],
            "byte_fallback": model.byte_fallback,
        }
    elif model.kind == "bpe":
        body = {
            "type": "BPE",
            "dropout": None,
            "unk_token": model.pieces[unknown].text,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": model.byte_fallback,
            "ignore_merges": False,
            "vocab": {piece.text: number for number, piece in enumerate(model.pieces)},
            "merges": _merges(model.pieces),
        }
    else:
        raise ValueError(f"a SentencePiece model of kind {model.kind} has no form in tokenizer.json")
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            _added(number, piece)
            for number, piece in enumerate(model.pieces)
            if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)
        ],
        "normalizer": {"type": "Sequence", "normalizers": _normalizers(model)},
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": _decoders(model)},
        "model": body,
    }
    return json.dumps(tokenizer, ensure_ascii=False, indent=2)


def round_scores(content: bytes) -> bytes:
    """The same model, its scores rounded to multiples of 1 / :data:`SCORE_STEPS`.

    Unigram compares sums of scores over a whole text, as 32-bit numbers; rounded, equal sums are equal in
    whatever order and precision they are added (up to some 30,000 tokens), and every library cuts alike.
    """
    changed = bytearray(content)
    for number, value, start in _placed(content):
        if number == 1:
            for part, score, place in _placed(_message(value)):
                if part == 2:
                    exact = struct.unpack("<f", _message(score))[0]
                    rounded = round(exact * SCORE_STEPS) / SCORE_STEPS
                    changed[start + place : start + place + 4] = struct.pack("<f", rounded)
    return bytes(changed)


def _normalizers(model: SentencePieceModel) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if model.charsmap:
        found.append(
            {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(model.charsmap).decode()}
        )
    if model.strip_spaces:
        found.append({"type": "Strip", "strip_left": True, "strip_right": True})
        found.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    if model.dummy_prefix:
        found.append({"type": "Prepend", "prepend": SPACE})
    return [*found, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]


def _decoders(model: SentencePieceModel) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}]
    if model.byte_fallback:
        found.append({"type": "ByteFallback"})
    found.append({"type": "Fuse"})
    if model.dummy_prefix:
        found.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return found


def _score(piece: Piece) -> float:
    return piece.score if piece.type in (NORMAL, USER_DEFINED) else NEVER


def _merges(pieces: list[Piece]) -> list[list[str]]:
    """Every way to make an entry of two others, best score first: SentencePiece merges whatever has a score."""
    usable = {
        piece.text: (-piece.score, number)
        for number, piece in enumerate(pieces)
        if piece.type in (NORMAL, USER_DEFINED)
    }
    ways = []
    for text, rank in usable.items():
        for place in range(1, len(text)):
            left, right = text[:place], text[place:]
            if left in usable and right in usable:
                ways.append((rank, usable[left], usable[right], [left, right]))
    ways.sort(key=lambda way: way[:3])
    return [way[3] for way in ways]


def _added(number: int, piece: Piece) -> dict[str, Any]:
    return {
        "id": number,
        "content": piece.text,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": piece.type != USER_DEFINED,
    }


def _piece(data: bytes) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, value in _fields(data):
        if number == 1:
            text = _message(value).decode()
        elif number == 2:
            score = struct.unpack("<f", _message(value))[0]
        elif number == 3:
            kind = _number(value)
    if kind == BYTE and not (len(text) == 6 and text.startswith("<0x")):
        raise KeyError(text)
    return Piece(text, score, kind)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields: integers, or the bytes of everything else."""
    return ((number, value) for number, value, _ in _placed(data))


def _placed(data: bytes) -> Iterator[tuple[int, int | bytes, int]]:
    """The same, and where the bytes of each value begin."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        kind = key & 7
        if kind == 0:
            start = place
            number, place = _varint(data, place)
            yield key >> 3, number, start
            continue
        if kind == 2:
            size, place = _varint(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise KeyError(kind)
        if place + size > len(data):
            raise IndexError(place)
        yield key >> 3, data[place : place + size], place
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        shift += 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise KeyError(shift)


def _message(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(value)
    return value


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise TypeError(value)
    return value
