"""A set of 32-bit hashes with the row of each: what the model knows of, found exactly.

The keys of unknown class names and words are not found, rather than taken for a known one that shares a bucket:
on a site that nobody has seen, most of them are unknown.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import inner_kernel, kernel


@kernel
def vocabulary_slots(keys):
    """int32[slots], a power of two: the place of a key of `keys` (uint32, distinct), or -1; at most a third full."""
    size = 16
    while size < 3 * keys.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    for place in range(keys.size):
        slot = _first_slot(keys[place], size)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = place
    return slots


@inner_kernel
def row_of(keys, slots, key):
    """The place of a key in `keys`, or -1."""
    slot = _first_slot(key, slots.size)
    while slots[slot] >= 0 and keys[slots[slot]] != key:
        slot = (slot + 1) & (slots.size - 1)
    return slots[slot]


@kernel
def rows_of(keys, slots, wanted):
    """int32[wanted]: the place of each in `keys`, or -1."""
    rows = np.empty(wanted.size, np.int32)
    for place in range(wanted.size):
        rows[place] = row_of(keys, slots, wanted[place])
    return rows


@inner_kernel
def _first_slot(key, size):
    mixed = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(40)) & (size - 1)


Slots = npt.NDArray[np.int32]
