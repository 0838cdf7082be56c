"""Long jumps over a page: to the next byte of a kind, 32 bytes at a time."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.text.compilation import apart, inlined, small_kernel
from textmill.text.wide import WIDTH, equal_mask, item, trailing_zeros


@small_kernel
def find_byte(data, at, end, byte):
    """The first place of `byte` in data[at:end]; `end` if there is none."""
    while at + WIDTH <= data.size:
        if at >= end:
            return end
        found = equal_mask(data, at, byte)
        if found:
            return min(at + np.int64(trailing_zeros(found)), end)
        at += WIDTH
    while at < end and item(data, at) != byte:
        at += 1
    return min(at, end)


@inlined
def find_either(data, at, end, one, other):
    """The first place of either byte in data[at:end]; `end` if there is none."""
    while at + WIDTH <= data.size:
        if at >= end:
            return end
        found = equal_mask(data, at, one) | equal_mask(data, at, other)
        if found:
            return min(at + np.int64(trailing_zeros(found)), end)
        at += WIDTH
    while at < end and item(data, at) != one and item(data, at) != other:
        at += 1
    return min(at, end)


@small_kernel
def is_space(byte):
    """White space of HTML: tab, line feed, form feed, carriage return, space."""
    return byte == 32 or byte == 10 or byte == 13 or byte == 9 or byte == 12


@small_kernel
def is_letter(byte):
    """A letter of ASCII."""
    return 97 <= byte | 32 <= 122


@small_kernel
def skip_space(data, at, end):
    """The first place in data[at:end] that is no white space."""
    while at < end and is_space(item(data, at)):
        at += 1
    return at


@small_kernel
def holds(data, at, end, word):
    """Whether data[at:] begins with a word (small letters and signs), in whatever case."""
    apart()
    if at + word.size > end:
        return False
    for place in range(word.size):
        byte = data[at + place]
        if 65 <= byte <= 90:
            byte |= 32
        if byte != word[place]:
            return False
    return True
