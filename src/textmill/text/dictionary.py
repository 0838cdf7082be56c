"""Words of scripts written without spaces, by the dictionaries of ICU: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

    "人人有权享有生命"  ->  人人 | 有权 | 享有 | 生命        (UAX #29 alone: one token per character)

ICU's word iterator is UAX #29 with dictionaries for these scripts. It is asked only about documents that are mostly
in them; the words of all others stay what they are. The library is `icu4py`, the extra `cjk`.

Memory: 20 times a piece of PIECE bytes, beside the tokens.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.text.classes import CATEGORY_SHIFT, UNSPACED, WHITE_SPACE, class_table, classify
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked
from textmill.text.wide import WIDTH, beyond_ascii_mask, letter_mask, ones
from textmill.text.words import LETTER, NUMBER, SYMBOL, Words

# Bytes handed to ICU at once. Newlines are borders of words, so that cutting behind them changes nothing.
PIECE = 1 << 20
ROOT = "root"  # ICU's dictionaries are the same in every locale
SPAN = np.dtype([("start", np.int32), ("end", np.int32)])


@dataclass(frozen=True)
class DictionaryWords:
    """The tokens of the documents that dictionaries can read.

    Attributes:
        unspaced: bool[documents], those that are mostly in scripts without spaces.
        words: tokens of these; the others own none.
    """

    unspaced: npt.NDArray[np.bool_]
    words: Words

    def instead_of(self, words: Words) -> Words:
        """The tokens of ``words``, with those of documents without spaces replaced."""
        return _merged(words, self.words, self.unspaced) if self.unspaced.any() else words


def has_dictionaries() -> bool:
    """Whether the library is installed."""
    return find_spec("icu4py") is not None


def dictionary_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> DictionaryWords:
    """Segment the documents that are mostly in scripts without spaces.

    Args:
        data: uint8[bytes], valid UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].

    Raises:
        ModuleNotFoundError: there are such documents, and no icu4py.
        ValueError: as `segment_words`; a document that is looked up is no UTF-8.
    """
    data, offsets = checked(data, offsets)
    unspaced = mostly_unspaced(data, offsets)
    index, blocks = class_table()
    found = []
    counts = np.zeros(unspaced.size + 1, np.int64)
    for document in np.flatnonzero(unspaced):
        for start, end in _pieces(data, int(offsets[document]), int(offsets[document + 1])):
            borders, wide = _borders(data[start:end].tobytes().decode())
            tokens = _tokens(data, start, end, borders, wide, index, blocks)
            counts[document + 1] += tokens[0].size
            found.append(tokens)
    columns = list(zip(*found, strict=True)) if found else [(_nothing(kind),) for kind in _KINDS]
    starts, ends, kinds, characters = (np.concatenate(column) for column in columns)
    return DictionaryWords(unspaced, Words(starts, ends, kinds, characters, np.cumsum(counts)))


def warm_up() -> None:
    """Compile the kernels; the library is not needed for it."""
    text = np.frombuffer("中文".encode(), np.uint8)
    mostly_unspaced(text, np.array([0, text.size]))
    data, _ = checked(text, np.array([0, text.size]))
    _tokens(data, 0, text.size, np.array([2], np.int32), 1, *class_table())


_KINDS = (np.int32, np.int32, np.uint8, np.int32)


def _nothing(kind: type[np.generic]) -> npt.NDArray[np.generic]:
    return np.zeros(0, kind)


def mostly_unspaced(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Whether more than half of a document's letters are of scripts without spaces: bool[documents]."""
    data, offsets = checked(data, offsets)
    index, blocks = class_table()
    return _mostly_unspaced(data, offsets, index, blocks)  # type: ignore[no-any-return]


def _pieces(data: npt.NDArray[np.uint8], start: int, end: int) -> Iterator[tuple[int, int]]:
    """A document in pieces of at most PIECE bytes, cut behind newlines or, without any, between characters."""
    while end - start > PIECE:
        newlines = np.flatnonzero(data[start : start + PIECE] == 10)
        cut = start + PIECE
        if newlines.size:
            cut = start + int(newlines[-1]) + 1
        else:
            while data[cut] & 0xC0 == 0x80:
                cut -= 1
        yield start, cut
        start = cut
    yield start, end


def _borders(text: str) -> tuple[npt.NDArray[np.int32], int]:
    """Where segments end in a text; and how many units a character beyond the first 65,536 counts (UTF-16: 2)."""
    from icu4py.breakers import WordBreaker

    ends = np.fromiter(WordBreaker(text, ROOT).segments(), SPAN)["end"].copy()
    return ends, 2 if ends.size and ends[-1] > len(text) else 1


def _merged(base: Words, other: Words, chosen: npt.NDArray[np.bool_]) -> Words:
    """Tokens of `other` for the chosen documents and of `base` for the rest, in the order of documents."""
    counts = np.where(chosen, np.diff(other.document_offsets), np.diff(base.document_offsets))
    borders = np.flatnonzero(np.diff(chosen)) + 1  # where runs of documents of one sort begin
    runs = list(zip([0, *borders.tolist()], [*borders.tolist(), chosen.size], strict=True))
    sources = [(other if chosen[first] else base, first, last) for first, last in runs]

    def column(name: str) -> npt.NDArray[Any]:
        parts = [
            getattr(words, name)[words.document_offsets[first] : words.document_offsets[last]]
            for words, first, last in sources
        ]
        return np.concatenate(parts).astype(getattr(base, name).dtype, copy=False)

    return Words(
        starts=column("starts"),
        ends=column("ends"),
        kinds=column("kinds"),
        characters=column("characters"),
        document_offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


@kernel
def _mostly_unspaced(data, offsets, index, blocks):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    found = np.zeros(offsets.size - 1, np.bool_)
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        balance = np.int64(0)  # letters of scripts without spaces less all others
        while at < end:
            if at + WIDTH <= end and not beyond_ascii_mask(data, at):
                balance -= ones(letter_mask(data, at))
                at += WIDTH
                continue
            byte = data[at]
            if byte < 128:
                balance -= 97 <= (byte | 32) <= 122
                at += 1
                continue
            value, at = classify(data, at, end, index, blocks)
            if 1 <= value >> CATEGORY_SHIFT <= 5:
                balance += 1 if value & UNSPACED else -1
        found[document] = balance > 0
    return found


@kernel
def _tokens(data, begin, end, borders, wide, index, blocks):
    """Starts, ends, kinds and lengths of the segments that are not all White_Space.

    `borders` count characters of data[begin:end] from its beginning, those of four bytes as `wide`.
    """
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    starts = np.empty(borders.size, np.int32)
    ends = np.empty(borders.size, np.int32)
    kinds = np.empty(borders.size, np.uint8)
    characters = np.empty(borders.size, np.int32)
    count = 0
    at = begin
    units = 0
    for segment in range(borders.size):
        start = at
        length = 0
        kind = SYMBOL
        white = WHITE_SPACE
        while at < end and units < borders[segment]:
            units += wide if data[at] >= 0xF0 else 1
            value, at = classify(data, at, end, index, blocks)
            category = value >> CATEGORY_SHIFT
            if 1 <= category <= 5:
                kind = LETTER
            elif 9 <= category <= 11 and kind == SYMBOL:
                kind = NUMBER
            white &= value
            length += 1
        if white == 0 and length > 0:
            starts[count] = start
            ends[count] = at
            kinds[count] = kind
            characters[count] = length
            count += 1
    return starts[:count].copy(), ends[:count].copy(), kinds[:count].copy(), characters[:count].copy()
