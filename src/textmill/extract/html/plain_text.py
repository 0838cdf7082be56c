"""Bytes of a page to text as it is read: references decoded, white space collapsed."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.html.references import reference
from textmill.text.compilation import apart, small_kernel
from textmill.text.wide import item, put

PLAIN, BLANK, AMPERSAND, DROPPED, MAYBE_BLANK = 0, 1, 2, 3, 4
ROLES = np.zeros(256, np.uint8)
ROLES[[9, 10, 12, 13, 32]] = BLANK
ROLES[38] = AMPERSAND
ROLES[[*range(9), 11, *range(14, 32), 127]] = DROPPED  # controls, which no reader sees
ROLES[[0xC2, 0xEF]] = MAYBE_BLANK  # no-break space and soft hyphen; byte-order mark
NO_BREAK_SPACE, SOFT_HYPHEN, BYTE_ORDER_MARK = 0xA0, 0xAD, 0xFEFF


@small_kernel
def copy_text(data, at, end, text, size, first, due, kept, raw):
    """Append data[at:end] to text[:size]; returns the new size, and whether a space is due before what follows.

    Where nothing stands behind `first` yet, or a newline, white space is left out, unless it is `kept` as in `pre`.
    A no-break space counts as a space; soft hyphens, byte-order marks and controls are left out. In `raw` text there
    are no references.
    """
    apart()
    while at < end:
        byte = item(data, at)
        role = item(ROLES, np.int64(byte))
        point = np.int64(0)
        if role == PLAIN:
            if due:
                text[size] = 32
                size += 1
                due = np.int64(0)
            put(text, size, byte)
            size += 1
            at += 1
            continue
        after = at + 1
        second = np.int64(0)
        if role == BLANK:
            point = np.int64(byte)
            if kept and byte == 13:
                point = np.int64(10)
                if after < end and data[after] == 10:
                    after += 1
        elif role == DROPPED:
            at = after
            continue
        elif role == AMPERSAND:
            point = np.int64(-1)
            if not raw:
                point, second, after = reference(data, at, end)
            if point < 0:
                point = np.int64(38)
                after = at + 1
            elif point < 128 and item(ROLES, point) == DROPPED:
                at = after
                continue
        elif byte == 0xC2 and after < end and (data[after] == 0xA0 or data[after] == 0xAD):
            point = np.int64(data[after])
            after += 1
        elif byte == 0xEF and after + 1 < end and data[after] == 0xBB and data[after + 1] == 0xBF:
            point = np.int64(BYTE_ORDER_MARK)
            after += 2
        else:
            point = np.int64(-2)
        at = after
        if point == SOFT_HYPHEN or point == BYTE_ORDER_MARK:
            continue
        if point == NO_BREAK_SPACE:
            point = np.int64(32)
        if 0 <= point <= 32 and not kept:
            if size > first and text[size - 1] != 10:
                due = np.int64(1)
            continue
        if due:
            text[size] = 32
            size += 1
            due = np.int64(0)
        if point == -2:
            text[size] = byte
            size += 1
        else:
            size = append(text, size, point)
            if second:
                size = append(text, size, second)
    return size, due


@small_kernel
def append(text, size, point):
    """Append a code point in UTF-8; returns the new size."""
    apart()
    if point < 0x80:
        text[size] = point
        return size + 1
    if point < 0x800:
        text[size] = 0xC0 | (point >> 6)
        text[size + 1] = 0x80 | (point & 0x3F)
        return size + 2
    if point < 0x10000:
        text[size] = 0xE0 | (point >> 12)
        text[size + 1] = 0x80 | ((point >> 6) & 0x3F)
        text[size + 2] = 0x80 | (point & 0x3F)
        return size + 3
    text[size] = 0xF0 | (point >> 18)
    text[size + 1] = 0x80 | ((point >> 12) & 0x3F)
    text[size + 2] = 0x80 | ((point >> 6) & 0x3F)
    text[size + 3] = 0x80 | (point & 0x3F)
    return size + 4


@small_kernel
def trim_end(text, start, end):
    """The end of text[start:end] without the white space at its end."""
    while end > start and text[end - 1] <= 32:
        end -= 1
    return end
