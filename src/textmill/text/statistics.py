"""The numbers behind Gopher's quality rules (Rae et al. 2021, arXiv:2112.11446, section A1.1), in one go.

Which values are accepted is not decided here. Where the paper leaves room, the definitions are those of the
reference implementation that FineWeb was made with (datatrove): symbols are counted per token, `-` is a
bullet besides `•`, blank lines count as lines, stop words are compared as written ("The" is not "the").
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.classes import CATEGORY_SHIFT, UNSPACED, WHITE_SPACE, class_table, classify
from textmill.text.compilation import borrowed, kernel
from textmill.text.hashing import hash_word
from textmill.text.inputs import checked
from textmill.text.lines import BULLET, ELLIPSIS, Lines
from textmill.text.wide import (
    WIDTH,
    between_mask,
    beyond_ascii_mask,
    equal_mask,
    item,
    letter_mask,
    ones,
)
from textmill.text.words import LETTER, SYMBOL, Words

STATISTICS = (
    "words",
    "tokens",
    "mean_word_length",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_lines_ratio",
    "ellipsis_lines_ratio",
    "alphabetic_words_ratio",
    "stop_words",
    "characters",
    "letters",
    "white_space",
    "unspaced",
    "lines",
)


def quality_statistics(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer],
    words: Words,
    lines: Lines,
    stop_words: Sequence[str],
) -> dict[str, npt.NDArray[np.float64]]:
    """The quality numbers of every document: float64[documents] for each name in STATISTICS, 0 if empty.

    - words: tokens with a letter or a number; tokens: all of them, punctuation marks included.
    - mean_word_length: code points per word, over `words`.
    - hash_ratio: `#` per token; ellipsis_ratio: `...` (not overlapping) and `…` per token.
    - bullet_lines_ratio: lines that begin with `•` or `-`, per line; ellipsis_lines_ratio: lines that end in
      `...` or `…`, per line.
    - alphabetic_words_ratio: tokens that hold a letter, per token.
    - stop_words: how many different ones of `stop_words` occur as a token; case matters.
    - characters: code points; letters: those of category L*; white_space: those with White_Space; unspaced:
      those of scripts written without spaces between words, whose words these rules cannot see.
    - lines: lines, blank ones included.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1], borders of the documents in `data`.
        words: from `segment_words` of the same buffer.
        lines: from `split_lines` of the same buffer.
        stop_words: each a single token, none twice.

    Raises:
        ValueError: words or lines belong to another number of documents.
    """
    data, offsets = checked(data, offsets)
    for owner in (words, lines):
        if owner.document_offsets.size != offsets.size:
            raise ValueError(
                f"{owner.document_offsets.size - 1} documents analysed, {offsets.size - 1} given"
            )
    table = np.zeros((len(STATISTICS), offsets.size - 1), np.float64)
    stop_data, stop_offsets, stop_slots, stop_lengths = _stop_word_table(tuple(dict.fromkeys(stop_words)))
    index, blocks = class_table()
    _count_tokens(
        data,
        words.starts,
        words.ends,
        words.kinds,
        words.characters,
        words.document_offsets,
        stop_data,
        stop_offsets,
        stop_slots,
        stop_lengths,
        table,
    )
    _count_characters(data, offsets, index, blocks, table)
    _count_lines(lines.flags, lines.document_offsets, table)
    return dict(zip(STATISTICS, table, strict=True))


WORDS, TOKENS, MEAN_WORD_LENGTH, HASH_RATIO, ELLIPSIS_RATIO, BULLET_LINES, ELLIPSIS_LINES = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
)
ALPHABETIC_WORDS, STOP_WORDS, CHARACTERS, LETTERS, WHITE_SPACES, UNSPACED_CHARACTERS, LINES = (
    7,
    8,
    9,
    10,
    11,
    12,
    13,
)


@lru_cache(maxsize=64)
def _stop_word_table(
    stop_words: tuple[str, ...],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """Stop words in one buffer, their borders, a hash table of positions; by first byte, a bit per length."""
    encoded = [word.encode() for word in stop_words]
    data = np.frombuffer(b"".join(encoded), np.uint8).copy()
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    lengths = np.zeros(256, np.uint64)
    for word in encoded:
        if word:
            lengths[word[0]] |= np.uint64(1) << np.uint64(min(len(word), 63))
    return data, offsets, _fill_stop_slots(data, offsets), lengths


@kernel
def _fill_stop_slots(data, offsets):
    size = 8
    while size < 4 * offsets.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    for word in range(offsets.size - 1):
        slot = np.int64(
            hash_word(data, offsets[word], offsets[word + 1] - offsets[word]) & np.uint64(size - 1)
        )
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = word
    return slots


@kernel
def _find_stop_word(data, start, end, stop_data, stop_offsets, stop_slots):
    """Position in the list of stop words of data[start:end], or -1."""
    mask = stop_slots.size - 1
    slot = np.int64(hash_word(data, start, end - start) & np.uint64(mask))
    while stop_slots[slot] >= 0:
        word = stop_slots[slot]
        at = stop_offsets[word]
        if stop_offsets[word + 1] - at == end - start:
            same = True
            for byte in range(end - start):
                if stop_data[at + byte] != data[start + byte]:
                    same = False
                    break
            if same:
                return word
        slot = (slot + 1) & mask
    return np.int32(-1)


@kernel
def _count_tokens(
    data,
    starts,
    ends,
    kinds,
    characters,
    document_offsets,
    stop_data,
    stop_offsets,
    stop_slots,
    stop_lengths,
    table,
):
    data, stop_data, stop_offsets, stop_slots = (
        borrowed(data),
        borrowed(stop_data),
        borrowed(stop_offsets),
        borrowed(stop_slots),
    )
    starts, ends, kinds, characters = borrowed(starts), borrowed(ends), borrowed(kinds), borrowed(characters)
    stop_lengths = borrowed(stop_lengths)
    met = np.full(stop_offsets.size, -1, np.int64)  # the document in which each stop word was met last
    for document in range(document_offsets.size - 1):
        words = 0
        alphabetic = 0
        length = 0
        stop_words = 0
        first, last = document_offsets[document], document_offsets[document + 1]
        for token in range(first, last):
            kind = item(kinds, token)
            # All tokens are counted alike: what a token is cannot be foretold, and a branch would cost more.
            words += kind != SYMBOL
            alphabetic += kind == LETTER
            length += item(characters, token) if kind != SYMBOL else 0
            start, end = np.int64(item(starts, token)), np.int64(item(ends, token))
            fits = item(stop_lengths, np.int64(item(data, start))) >> np.uint64(min(end - start, 63))
            if fits & np.uint64(1):
                word = _find_stop_word(data, start, end, stop_data, stop_offsets, stop_slots)
                if word >= 0 and met[word] != document:
                    met[word] = document
                    stop_words += 1
        table[WORDS, document] = words
        table[TOKENS, document] = last - first
        table[STOP_WORDS, document] = stop_words
        if words > 0:
            table[MEAN_WORD_LENGTH, document] = length / words
        if last > first:
            table[ALPHABETIC_WORDS, document] = alphabetic / (last - first)


@kernel
def _count_characters(data, offsets, index, blocks, table):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        characters = np.int64(0)
        letters = np.int64(0)
        white = np.int64(0)
        unspaced = 0
        hashes = np.int64(0)
        ellipses = 0
        dots = 0
        while at < end:
            # Of ASCII without an ellipsis, 32 characters at once.
            while at + WIDTH <= end and at + WIDTH + 2 <= data.size and (dots == 0 or item(data, at) != 46):
                three_dots = (
                    equal_mask(data, at, 46) & equal_mask(data, at + 1, 46) & equal_mask(data, at + 2, 46)
                )
                if three_dots or beyond_ascii_mask(data, at):
                    break
                characters += WIDTH
                letters += ones(letter_mask(data, at))
                white += ones(between_mask(data, at, 9, 13) | equal_mask(data, at, 32))
                hashes += ones(equal_mask(data, at, 35))
                dots = 0
                at += WIDTH
            stop = min(at + WIDTH, end)
            while at < stop:
                byte = item(data, at)
                if byte < 128:
                    value = np.int64(item(blocks, np.int64(byte)))
                    at += 1
                    hashes += byte == 35
                    if byte == 46:
                        dots += 1
                        if dots == 3:
                            ellipses += 1
                            dots = 0
                    else:
                        dots = 0
                else:
                    dots = 0
                    if byte == 0xE2 and at + 2 < end and data[at + 1] == 0x80 and data[at + 2] == 0xA6:
                        ellipses += 1
                    value, at = classify(data, at, end, index, blocks)
                    unspaced += (value & UNSPACED) != 0
                characters += 1
                category = value >> CATEGORY_SHIFT
                letters += 1 <= category <= 5
                white += (value & WHITE_SPACE) != 0
        table[CHARACTERS, document] = characters
        table[LETTERS, document] = letters
        table[WHITE_SPACES, document] = white
        table[UNSPACED_CHARACTERS, document] = unspaced
        tokens = table[TOKENS, document]
        if tokens > 0:
            table[HASH_RATIO, document] = hashes / tokens
            table[ELLIPSIS_RATIO, document] = ellipses / tokens


@kernel
def _count_lines(flags, document_offsets, table):
    for document in range(document_offsets.size - 1):
        first, last = document_offsets[document], document_offsets[document + 1]
        bullets = 0
        ellipses = 0
        for line in range(first, last):
            bullets += (flags[line] & BULLET) != 0
            ellipses += (flags[line] & ELLIPSIS) != 0
        table[LINES, document] = last - first
        if last > first:
            table[BULLET_LINES, document] = bullets / (last - first)
            table[ELLIPSIS_LINES, document] = ellipses / (last - first)
