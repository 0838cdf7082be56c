"""Sentences: where they lie.

    He left. “Gone,” she said.   ->   He left. | “Gone,” she said.

The rules are those of `sentences`; here each sentence has a start and an end. What stands between two sentences
belongs to the first up to the white space, and to the second from there on (an opening quotation mark).
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.classes import class_table, classify, decode, skip_white_space, trim_white_space
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked_spans
from textmill.text.sentences import (
    BEYOND_ASCII,
    CONTENT,
    MARK,
    STOP,
    _class_at,
    _is_content,
    _is_final_stop,
    _is_word,
    abbreviations,
    is_terminal,
    sentence_roles,
    terminals,
)

Borders = npt.NDArray[np.int32]


def find_sentences(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.integer], ends: npt.NDArray[np.integer]
) -> tuple[Borders, Borders, npt.NDArray[np.int64]]:
    """The sentences of spans, such as paragraphs.

    Args:
        data: uint8[bytes], UTF-8.
        starts: int[spans], first byte of each span.
        ends: int[spans], the byte after it.

    Returns:
        int32[sentences] first bytes, int32[sentences] the bytes after the last, both without White_Space around,
        and int64[spans + 1]: span s owns sentences [offsets[s], offsets[s + 1]).

    Raises:
        ValueError: a span lies outside the buffer or ends before it starts.
    """
    buffer, first, last = checked_spans(data, starts, ends)
    index, blocks = class_table()
    tables = (index, blocks, sentence_roles(), terminals(), abbreviations())
    nothing = np.empty(0, np.int32)
    offsets = _find(buffer, first, last, *tables, nothing, nothing)
    found_starts, found_ends = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    _find(buffer, first, last, *tables, found_starts, found_ends)
    return found_starts, found_ends, offsets


@kernel
def _find(data, starts, ends, index, blocks, roles, marks, short, found_starts, found_ends):
    """Count the sentences of every span; write their borders if the arrays have room for them."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    roles, marks, short = borrowed(roles), borrowed(marks), borrowed(short)
    offsets = np.zeros(starts.size + 1, np.int64)
    count = 0
    for span in range(starts.size):
        start = skip_white_space(data, starts[span], ends[span], index, blocks)
        end = trim_white_space(data, start, ends[span], index, blocks)
        at, ended = start, np.int64(-1)
        while at < end:
            role = roles[data[at]]
            after = at + 1
            content = role == CONTENT
            if role == BEYOND_ASCII:
                value, after = classify(data, at, end, index, blocks)
                content = _is_content(value)
                if not content and is_terminal(decode(data, at, end)[0], marks):
                    ended = after
            elif role == STOP:
                if _is_final_stop(data, starts[span], at, end, index, blocks, short):
                    ended = after
            elif role == MARK and not _is_word(_class_at(data, after, end, index, blocks)):
                ended = after
            if content and ended >= 0:
                following = _after_white_space(data, ended, at, index, blocks)
                if count < found_starts.size:
                    found_starts[count] = start
                    found_ends[count] = trim_white_space(data, start, following, index, blocks)
                count += 1
                start, ended = following, np.int64(-1)
            at = after
        if start < end:
            if count < found_starts.size:
                found_starts[count] = start
                found_ends[count] = end
            count += 1
        offsets[span + 1] = count
    return offsets


@kernel
def _after_white_space(data, ended, at, index, blocks):
    """Where white space between `ended` and `at` ends for the first time; `at` if there is none."""
    place = ended
    while place < at:
        beyond = skip_white_space(data, place, at, index, blocks)
        if beyond > place:
            return beyond
        place = classify(data, place, at, index, blocks)[1]
    return at
