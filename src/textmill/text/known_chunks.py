"""Chunks that were cut before: a text repeats most of its chunks, and a short one is its own key.

A slot of the table holds the last chunk that fell there, and how it was cut. So the table never grows, and a chunk
that is not found is cut anew, with the same tokens.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from textmill.text.classes import WHITE_SPACE
from textmill.text.compilation import kernel
from textmill.text.hashing import PRIME_1, PRIME_2, up_to_8_bytes
from textmill.text.wide import WIDTH, between_mask, count_leads, item, put, trailing_zeros

CHUNK_BYTES = 16
KNOWN_CHUNKS = 4096


class KnownChunks(NamedTuple):
    """How chunks of at most CHUNK_BYTES were cut that were met before; a slot holds the last that fell there.

    Attributes:
        low, high: uint64[slots], the first and the second eight bytes of a chunk; 0 in an empty slot.
        begins: uint16[slots], bit i: a token begins at byte i.
        kinds: int64[slots], two bits for the kind of each token, the first one lowest.
    """

    low: npt.NDArray[np.uint64]
    high: npt.NDArray[np.uint64]
    begins: npt.NDArray[np.uint16]
    kinds: npt.NDArray[np.int64]


@kernel
def short_chunk_end(data, at, end, blocks):
    """Where the chunk at `at` ends, if it has at most CHUNK_BYTES and only ASCII ends it; else `at`."""
    if at + WIDTH > data.size:
        return at
    size = np.int64(trailing_zeros(between_mask(data, at, 0, 32)))
    if size >= end - at:
        size = end - at
    elif size < WIDTH and not item(blocks, np.int64(item(data, at + size))) & WHITE_SPACE:
        return at
    return at + size if size <= CHUNK_BYTES else at


@kernel
def chunk_key(data, at, end):
    """A slot for a chunk without NUL of at most 16 bytes, and the chunk itself as two numbers."""
    low = up_to_8_bytes(data, at, min(end - at, 8))
    high = up_to_8_bytes(data, at + 8, max(end - at - 8, 0))
    mixed = (low ^ (high * PRIME_2) ^ (low >> np.uint64(29))) * PRIME_1
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(KNOWN_CHUNKS - 1)), low, high


@kernel
def write_known(data, at, end, begins, chunk_kinds, starts, ends, kinds, characters, count):
    """Write the tokens of a chunk that was cut before; returns the place after the last."""
    first = np.int64(0)
    while begins:
        begins &= begins - np.uint64(1)
        last = np.int64(trailing_zeros(begins)) if begins else end - at
        put(starts, count, at + first)
        put(ends, count, at + last)
        put(kinds, count, chunk_kinds & 3)
        put(characters, count, count_leads(data, at + first, at + last))
        chunk_kinds >>= 2
        count += 1
        first = last
    return count


@kernel
def remember(chunks, slot, low, high, chunk, starts, kinds, first, last):
    """Keep how a chunk was cut: a bit where a token begins, two bits for each token's kind."""
    begins = np.uint64(0)
    chunk_kinds = np.int64(0)
    for token in range(first, last):
        begins |= np.uint64(1) << np.uint64(np.int64(starts[token]) - chunk)
        chunk_kinds |= np.int64(kinds[token]) << (2 * (token - first))
    chunks.low[slot] = low
    chunks.high[slot] = high
    chunks.begins[slot] = begins
    chunks.kinds[slot] = chunk_kinds
