"""Lines and paragraphs.

    "One.\n- two...\n\nThree.\n"
     lines:       One. | - two... | (blank) | Three.        bullet: line 2, ellipsis: line 2
     paragraphs:  One.\n- two... | Three.

A newline is LF or CR LF. A newline at the end of a text opens no further line. Paragraphs are what two or
more newlines in a row separate, in the text without the White_Space at its two ends; a text without content
has none.

Memory: 29 bytes per line, counted before they are allocated.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.classes import class_table, skip_white_space, trim_white_space
from textmill.text.compilation import borrowed, kernel
from textmill.text.hashing import xxhash64
from textmill.text.inputs import checked
from textmill.text.wide import count_leads, find_newline

BLANK, BULLET, ELLIPSIS = 1, 2, 4


@dataclass(frozen=True)
class Lines:
    """Lines (or paragraphs) of a batch of documents, in the order of the text.

    Attributes:
        starts: int32[lines], first byte of each line in the batch's buffer.
        ends: int32[lines], the byte after it, without its newline.
        text_starts: int32[lines], first byte that is not White_Space (`ends` if blank).
        text_ends: int32[lines], the byte after the last that is not White_Space.
        characters: int32[lines], code points from `starts` to `ends`.
        flags: uint8[lines]: BLANK (nothing but White_Space), BULLET (the text begins with `•` or `-`),
            ELLIPSIS (the text ends in `...` or `…`).
        hashes: uint64[lines], XXH64 of the bytes from `starts` to `ends`.
        document_offsets: int64[documents + 1]: document d owns lines [offsets[d], offsets[d + 1]).
    """

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    text_starts: npt.NDArray[np.int32]
    text_ends: npt.NDArray[np.int32]
    characters: npt.NDArray[np.int32]
    flags: npt.NDArray[np.uint8]
    hashes: npt.NDArray[np.uint64]
    document_offsets: npt.NDArray[np.int64]


def split_lines(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> Lines:
    """The lines of every document, blank ones included.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].

    Raises:
        ValueError: offsets do not ascend within the buffer, or the last document ends beyond 2 GiB.
    """
    return _split(data, offsets, paragraphs=False)


def split_paragraphs(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> Lines:
    """The paragraphs of every document; arguments and errors as for `split_lines`."""
    return _split(data, offsets, paragraphs=True)


def _split(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], paragraphs: bool) -> Lines:
    data, offsets = checked(data, offsets)
    index, blocks = class_table()
    find = _find_paragraphs if paragraphs else _find_lines
    nothing = np.empty(0, np.int32)
    document_offsets = find(data, offsets, index, blocks, nothing, nothing)
    starts = np.empty(document_offsets[-1], np.int32)
    ends = np.empty(document_offsets[-1], np.int32)
    find(data, offsets, index, blocks, starts, ends)
    text_starts, text_ends, characters, flags, hashes = _describe(data, starts, ends, index, blocks)
    return Lines(starts, ends, text_starts, text_ends, characters, flags, hashes, document_offsets)


@kernel
def _find_lines(data, offsets, index, blocks, starts, ends):
    """Count the lines of every document; write their borders if the arrays have room for them."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    document_offsets = np.zeros(offsets.size, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at, stop = offsets[document], offsets[document + 1]
        while at < stop:
            end, after = _end_of_line(data, at, stop)
            if count < starts.size:
                starts[count] = at
                ends[count] = end
            count += 1
            at = after
        document_offsets[document + 1] = count
    return document_offsets


@kernel
def _find_paragraphs(data, offsets, index, blocks, starts, ends):
    """Count the paragraphs of every document; write their borders if the arrays have room for them."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    document_offsets = np.zeros(offsets.size, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at = skip_white_space(data, offsets[document], offsets[document + 1], index, blocks)
        stop = trim_white_space(data, at, offsets[document + 1], index, blocks)
        start = at
        last = at
        while at < stop:
            end, after = _end_of_line(data, at, stop)
            if end > at:
                last = end
            if end == at or after >= stop:
                if last > start:
                    if count < starts.size:
                        starts[count] = start
                        ends[count] = last
                    count += 1
                start = after
                last = after
            at = after
        document_offsets[document + 1] = count
    return document_offsets


@kernel
def _end_of_line(data, at, stop):
    """End of the line that begins at `at`, without its newline, and the beginning of the next."""
    end = find_newline(data, at, stop)
    after = min(end + 1, stop)
    if at < end < stop and data[end - 1] == 13:
        end -= 1
    return end, after


@kernel
def _describe(data, starts, ends, index, blocks):
    """Stripped borders, code points, flags and hashes of spans."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    text_starts = np.empty(starts.size, np.int32)
    text_ends = np.empty(starts.size, np.int32)
    characters = np.empty(starts.size, np.int32)
    flags = np.empty(starts.size, np.uint8)
    hashes = np.empty(starts.size, np.uint64)
    for line in range(starts.size):
        start, end = np.int64(starts[line]), np.int64(ends[line])
        first = skip_white_space(data, start, end, index, blocks)
        last = trim_white_space(data, first, end, index, blocks)
        text_starts[line] = first
        text_ends[line] = last
        characters[line] = count_leads(data, start, end)
        hashes[line] = xxhash64(data, start, end, np.uint64(0))
        flag = BLANK if first == last else 0
        if _begins_with_bullet(data, first, last):
            flag |= BULLET
        if _ends_in_ellipsis(data, first, last):
            flag |= ELLIPSIS
        flags[line] = flag
    return text_starts, text_ends, characters, flags, hashes


@kernel
def _begins_with_bullet(data, start, end):
    """`-` or `•` (U+2022)."""
    if end > start and data[start] == 0x2D:
        return True
    return end - start >= 3 and data[start] == 0xE2 and data[start + 1] == 0x80 and data[start + 2] == 0xA2


@kernel
def _ends_in_ellipsis(data, start, end):
    """`...` or `…` (U+2026)."""
    if end - start < 3:
        return False
    one, two, three = data[end - 3], data[end - 2], data[end - 1]
    return (one == 0x2E and two == 0x2E and three == 0x2E) or (one == 0xE2 and two == 0x80 and three == 0xA6)
