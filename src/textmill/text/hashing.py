"""xxHash64 of byte spans: a fast hash that is the same on every machine.

The function is XXH64 of Yann Collet's specification, version 0.1.1
(https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). It is no protection against somebody who
builds collisions: whoever decides by these hashes compares the bytes as well (`same_bytes`).
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked_spans

PRIME_1 = np.uint64(0x9E3779B185EBCA87)
PRIME_2 = np.uint64(0xC2B2AE3D27D4EB4F)
PRIME_3 = np.uint64(0x165667B19E3779F9)
PRIME_4 = np.uint64(0x85EBCA77C2B2AE63)
PRIME_5 = np.uint64(0x27D4EB2F165667C5)


def hash_spans(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.integer],
    ends: npt.NDArray[np.integer],
    seed: int = 0,
) -> npt.NDArray[np.uint64]:
    """uint64[spans]: XXH64 of data[starts[i]:ends[i]], for spans in any order.

    Raises:
        ValueError: a span lies outside the buffer or ends before it starts.
    """
    buffer, first, last = checked_spans(data, starts, ends)
    hashes: npt.NDArray[np.uint64] = _hash_spans(buffer, first, last, np.uint64(seed))
    return hashes


def hash_bytes(content: bytes, seed: int = 0) -> int:
    """XXH64 of one byte string."""
    buffer = np.frombuffer(content, np.uint8)
    return int(hash_spans(buffer, np.array([0]), np.array([len(content)]), seed)[0])


@kernel
def _hash_spans(data, starts, ends, seed):
    data = borrowed(data)
    hashes = np.empty(starts.size, np.uint64)
    for span in range(starts.size):
        hashes[span] = xxhash64(data, starts[span], ends[span], seed)
    return hashes


@kernel
def xxhash64(data, start, end, seed):
    """XXH64 of data[start:end]; all arithmetic is modulo 2**64."""
    at = np.int64(start)
    stop = np.int64(end)
    size = np.uint64(stop - at)
    if stop - at >= 32:
        one = seed + PRIME_1 + PRIME_2
        two = seed + PRIME_2
        three = seed
        four = seed - PRIME_1
        while stop - at >= 32:
            one = _round(one, load_64(data, at))
            two = _round(two, load_64(data, at + 8))
            three = _round(three, load_64(data, at + 16))
            four = _round(four, load_64(data, at + 24))
            at += 32
        state = _rotate(one, 1) + _rotate(two, 7) + _rotate(three, 12) + _rotate(four, 18)
        state = (state ^ _round(np.uint64(0), one)) * PRIME_1 + PRIME_4
        state = (state ^ _round(np.uint64(0), two)) * PRIME_1 + PRIME_4
        state = (state ^ _round(np.uint64(0), three)) * PRIME_1 + PRIME_4
        state = (state ^ _round(np.uint64(0), four)) * PRIME_1 + PRIME_4
    else:
        state = seed + PRIME_5
    state += size
    while stop - at >= 8:
        state = _rotate(state ^ _round(np.uint64(0), load_64(data, at)), 27) * PRIME_1 + PRIME_4
        at += 8
    if stop - at >= 4:
        state = _rotate(state ^ (load_32(data, at) * PRIME_1), 23) * PRIME_2 + PRIME_3
        at += 4
    while at < stop:
        state = _rotate(state ^ (np.uint64(data[at]) * PRIME_5), 11) * PRIME_1
        at += 1
    state = (state ^ (state >> np.uint64(33))) * PRIME_2
    state = (state ^ (state >> np.uint64(29))) * PRIME_3
    return state ^ (state >> np.uint64(32))


@kernel
def hash_word(data, start, size):
    """A hash for tables within one run, faster than XXH64 on words of up to eight bytes."""
    if size > 8:
        return xxhash64(data, start, start + size, np.uint64(0))
    mixed = up_to_8_bytes(data, start, size)
    mixed = (mixed ^ (mixed >> np.uint64(29)) ^ np.uint64(size)) * PRIME_1
    return mixed ^ (mixed >> np.uint64(32))


@kernel
def same_bytes(data, first, second, size):
    """Whether data[first:first + size] equals data[second:second + size]."""
    at = np.int64(0)
    while at + 8 <= size:
        if load_64(data, first + at) != load_64(data, second + at):
            return False
        at += 8
    return up_to_8_bytes(data, first + at, size - at) == up_to_8_bytes(data, second + at, size - at)


@kernel
def up_to_8_bytes(data, start, size):
    """data[start:start + size], at most 8 bytes, as one little-endian number."""
    word = np.uint64(0)
    if size > 0 and start + 8 <= data.size:
        return load_64(data, start) & (~word >> np.uint64(64 - 8 * size))
    for byte in range(size):
        word |= np.uint64(data[start + byte]) << np.uint64(8 * byte)
    return word


@kernel
def _round(state, word):
    return _rotate(state + word * PRIME_2, 31) * PRIME_1


@kernel
def _rotate(value, bits):
    return (value << np.uint64(bits)) | (value >> np.uint64(64 - bits))


def _load(bits: int) -> Any:
    """An unaligned little-endian load; the array travels with it, so it cannot be freed too early."""

    @intrinsic
    def load(typing_context, array, at):
        def generate(context, builder, signature, arguments):
            view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])
            integer = ir.IntType(bits)
            pointer = builder.bitcast(builder.gep(view.data, [arguments[1]]), integer.as_pointer())
            word = builder.load(pointer, align=1)
            return word if bits == 64 else builder.zext(word, ir.IntType(64))

        return types.uint64(array, types.int64), generate

    return load


# Callers see to it that 8 (4) bytes from `at` on lie in the array. Numba runs on little-endian machines only.
load_64 = _load(64)
load_32 = _load(32)
