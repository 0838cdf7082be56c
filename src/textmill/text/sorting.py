"""Sorting hashes, and leaving each once: what a set of shingles is."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.text.compilation import kernel


@kernel
def sort_unique(hashes, scratch):
    """Sort hashes in place, the different ones first; returns how many they are.

    Good hashes are spread evenly: their highest bits say where they belong, and what is left to do within a
    bucket is little. A bucket that is large all the same (equal hashes) is sorted by comparisons. `scratch`
    has room for as many hashes.
    """
    size = hashes.size
    if size > 32:
        bits = 1
        while (4 << bits) < size and bits < 20:
            bits += 1
        shift = np.uint64(64 - bits)
        ends = np.zeros((1 << bits) + 1, np.int64)
        for place in range(size):
            scratch[place] = hashes[place]
            ends[np.int64(hashes[place] >> shift) + 1] += 1
        for bucket in range(1 << bits):
            ends[bucket + 1] += ends[bucket]
        # From here on ends[b] is where the next hash of bucket b goes; at last, where the bucket ends.
        for place in range(size):
            bucket = np.int64(scratch[place] >> shift)
            hashes[ends[bucket]] = scratch[place]
            ends[bucket] += 1
        first = 0
        for bucket in range(1 << bits):
            _sort(hashes[first : ends[bucket]])
            first = ends[bucket]
    else:
        _sort(hashes)
    unique = min(size, 1)
    for place in range(1, size):
        if hashes[place] != hashes[place - 1]:
            hashes[unique] = hashes[place]
            unique += 1
    return unique


@kernel
def _sort(hashes):
    if hashes.size > 40:
        hashes.sort()
        return
    for place in range(1, hashes.size):
        value = hashes[place]
        at = place
        while at > 0 and hashes[at - 1] > value:
            hashes[at] = hashes[at - 1]
            at -= 1
        hashes[at] = value
