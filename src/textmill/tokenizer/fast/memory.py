"""Loads and stores of machine words at byte addresses, unaligned, for the kernels of the encoder.

An address is a plain integer: NumPy's ``array.ctypes.data``, taken by the caller, who keeps the array alive
until the kernel has returned (an address is no reference). Nothing is checked; every buffer ends in
:data:`PADDING` bytes that may be read, and written, but mean nothing. Little-endian machines only, as Numba's are.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

PADDING = 64
"""Bytes behind the end of every buffer."""


def _pointer(builder, address, offset, bits):
    return builder.inttoptr(builder.add(address, offset), ir.PointerType(ir.IntType(bits)))


def _load(bits: int, result: Any) -> Any:
    @intrinsic
    def load(_typing, _address, _offset):
        def generate(_context, builder, _signature, arguments):
            word = builder.load(_pointer(builder, *arguments, bits), align=1)
            return word if bits == 64 else builder.zext(word, ir.IntType(64))

        return result(types.int64, types.int64), generate

    return load


def _store(bits: int, value: Any) -> Any:
    @intrinsic
    def store(_typing, _address, _offset, _value):
        def generate(context, builder, _signature, arguments):
            address, offset, word = arguments
            word = word if bits == 64 else builder.trunc(word, ir.IntType(bits))
            builder.store(word, _pointer(builder, address, offset, bits), align=1)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, value), generate

    return store


load_8 = _load(8, types.int64)
load_16 = _load(16, types.int64)
load_32 = _load(32, types.int64)
load_64 = _load(64, types.uint64)
store_32 = _store(32, types.int64)
store_64 = _store(64, types.uint64)


@intrinsic
def fetch_soon(_typing, _address, _offset):
    """Ask the processor for the line of its cache at an address, and go on meanwhile."""

    def generate(context, builder, _signature, arguments):
        pointer = _pointer(builder, *arguments, 8)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        # For reading, to be kept, data rather than code (LLVM language reference, llvm.prefetch).
        builder.call(function, [pointer, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def zero_bits_below(_typing, _word):
    """How many zero bits stand below the lowest one of a uint64; 64 for zero."""

    def generate(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), generate


@intrinsic
def unsigned(_typing, _word):
    """The same bits as uint64."""
    return types.uint64(types.int64), lambda _context, _builder, _signature, arguments: arguments[0]


@intrinsic
def signed(_typing, _word):
    """The same bits as int64."""
    return types.int64(types.uint64), lambda _context, _builder, _signature, arguments: arguments[0]
