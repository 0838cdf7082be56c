"""Many bytes at once: scans that look at 8 bytes in a 64-bit word, or at 32 in a vector register.

    "ends: here"   ->  65 6e 64 73 3a 20 68 65  ->  marks 00 00 00 00 80 80 00 00  ->  4 letters
    "a.b.c..."     ->  mask of `.`: bits 1, 3, 5, 6, 7

In a word every mark is the highest bit of its byte, and exact: no carry runs from one byte into the next, because
the highest bits are taken out before anything is added (Hacker's Delight, 2nd edition, section 6-1). A mask has bit
i set where byte i of 32 fits; LLVM makes a comparison and a move of it on every machine it knows.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from textmill.text.compilation import kernel
from textmill.text.hashing import load_64

ONES = np.uint64(0x0101010101010101)
HIGH = np.uint64(0x8080808080808080)
LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
CASE = np.uint64(0x2020202020202020)
# Added to seven bits, these carry into the eighth from `a` on, and from beyond `z` on.
FROM_A = ONES * np.uint64(0x80 - 0x61)
BEYOND_Z = ONES * np.uint64(0x80 - 0x7B)
NEWLINES = ONES * np.uint64(10)
SEVEN = np.uint64(7)
THREE = np.uint64(3)


@intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """Zero bits below the lowest one of a uint64; 64 if it is 0."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def item(_context: Any, array: Any, at: Any) -> Any:
    """array[at], for `at` within it: Numba's own indexing also counts negative ones from the end."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        return builder.load(builder.gep(view.data, [arguments[1]]))

    return array.dtype(array, types.int64), generate


@intrinsic
def put(_context: Any, array: Any, at: Any, value: Any) -> Any:
    """array[at] = value, for `at` within it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        cast = context.cast(builder, arguments[2], signature.args[2], signature.args[0].dtype)
        builder.store(cast, builder.gep(view.data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.int64, value), generate


WIDTH = 32
_BYTE = ir.IntType(8)
_VECTOR = ir.VectorType(_BYTE, WIDTH)


def _mask(compare: Callable[..., Any]) -> Any:
    """An intrinsic (array, at, *bytes) -> uint64: bit i tells whether `compare` holds of array[at + i], i < WIDTH.

    Callers see to it that WIDTH bytes from `at` on lie in the array, and give the bytes as int64.
    """

    def typed(_context: Any, array: Any, at: Any, *given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
            pointer = builder.bitcast(builder.gep(view.data, [arguments[1]]), _VECTOR.as_pointer())
            operands = [_spread(builder, builder.trunc(value, _BYTE)) for value in arguments[2:]]
            holds = compare(builder, builder.load(pointer, align=1), *operands)
            return builder.zext(builder.bitcast(holds, ir.IntType(WIDTH)), ir.IntType(64))

        return types.uint64(array, types.int64, *[types.int64] * len(given)), generate

    return typed


def _spread(builder: Any, byte: Any) -> Any:
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), byte, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), zeros)


def _every(byte: int) -> Any:
    return ir.Constant(_VECTOR, [byte] * WIDTH)


@intrinsic
def equal_mask(context: Any, array: Any, at: Any, byte: Any) -> Any:
    """Bytes that equal `byte`."""
    return _mask(lambda builder, found, wanted: builder.icmp_unsigned("==", found, wanted))(
        context, array, at, byte
    )


@intrinsic
def caseless_mask(context: Any, array: Any, at: Any, letter: Any) -> Any:
    """Bytes that are the small ASCII letter `letter` in either case (or, for 0x20, a space or NUL)."""
    return _mask(
        lambda builder, found, wanted: builder.icmp_unsigned("==", builder.or_(found, _every(0x20)), wanted)
    )(context, array, at, letter)


@intrinsic
def between_mask(context: Any, array: Any, at: Any, low: Any, high: Any) -> Any:
    """Bytes from `low` to `high`."""
    return _mask(
        lambda builder, found, low, high: builder.and_(
            builder.icmp_unsigned(">=", found, low), builder.icmp_unsigned("<=", found, high)
        )
    )(context, array, at, low, high)


@intrinsic
def letter_mask(context: Any, array: Any, at: Any) -> Any:
    """ASCII letters."""
    return _mask(
        lambda builder, found: builder.icmp_unsigned(
            "<", builder.sub(builder.or_(found, _every(0x20)), _every(0x61)), _every(26)
        )
    )(context, array, at)


@intrinsic
def beyond_ascii_mask(context: Any, array: Any, at: Any) -> Any:
    """Bytes from 128 on."""
    return _mask(lambda builder, found: builder.icmp_signed("<", found, _every(0)))(context, array, at)


@intrinsic
def lead_mask(context: Any, array: Any, at: Any) -> Any:
    """Bytes that begin a character: all but 80 to BF."""
    return _mask(lambda builder, found: builder.icmp_signed(">", found, _every(-65)))(context, array, at)


@intrinsic
def ones(_context: Any, word: Any) -> Any:
    """Bits set in a uint64, as int64."""

    def generate(_: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic
def copy_bytes(_context: Any, target: Any, at: Any, source: Any, start: Any, size: Any) -> Any:
    """target[at:at + size] = source[start:start + size]; the two may overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, origin = (
            cgutils.create_struct_proxy(signature.args[place])(context, builder, arguments[place])  # type: ignore[no-untyped-call]
            for place in (0, 2)
        )
        cgutils.raw_memmove(  # type: ignore[no-untyped-call]
            builder,
            builder.gep(to.data, [arguments[1]]),
            builder.gep(origin.data, [arguments[3]]),
            arguments[4],
            1,
        )
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64, types.int64), generate


@kernel
def count_leads(data, start, end):
    """Code points in data[start:end]: bytes that do not continue another."""
    count = np.int64(0)
    at = start
    while at + WIDTH <= end:
        count += ones(lead_mask(data, at))
        at += WIDTH
    if at < end and at + WIDTH <= data.size:
        return count + ones(lead_mask(data, at) & below(end - at))
    while at < end:
        count += (item(data, at) & 0xC0) != 0x80
        at += 1
    return count


@kernel
def holds_byte(data, start, end, byte):
    """Whether data[start:end] holds `byte`."""
    at = start
    while at < end and at + WIDTH <= data.size:
        found = equal_mask(data, at, byte)
        if end - at < WIDTH:
            found &= below(end - at)
        if found:
            return True
        at += WIDTH
    while at < end:
        if item(data, at) == byte:
            return True
        at += 1
    return False


@kernel
def below(count):
    """The lowest `count` bits, at most 63 of them."""
    return (np.uint64(1) << np.uint64(count)) - np.uint64(1)


@kernel
def letters_from(data, at, end):
    """How many ASCII letters follow one another from data[at] on, before data[end]."""
    stop = at
    while stop + 8 <= data.size:
        word = load_64(data, stop)
        small = (word | CASE) & LOW
        others = ~((small + FROM_A) & ~(small + BEYOND_Z) & ~word) & HIGH
        if others:
            return min(stop + np.int64(trailing_zeros(others) >> THREE), end) - at
        stop += 8
        if stop >= end:
            return end - at
    while stop < end and 0x61 <= data[stop] | 0x20 <= 0x7A:
        stop += 1
    return stop - at


@kernel
def find_newline(data, at, end):
    """The first LF of data[at:end]; `end` if there is none."""
    while at + 8 <= data.size:
        word = load_64(data, at) ^ NEWLINES
        found = ~(((word & LOW) + LOW) | word) & HIGH
        if found:
            return min(at + np.int64(trailing_zeros(found) >> THREE), end)
        at += 8
        if at >= end:
            return end
    while at < end and data[at] != 10:
        at += 1
    return at
