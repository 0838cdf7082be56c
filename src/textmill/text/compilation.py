"""How kernels are compiled; where their machine code is kept, :mod:`textmill.text.kernel_cache` tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from textmill.text.kernel_cache import keep_on_disk


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with Numba when it is first called: no GIL, kept on disk, IEEE division.

    No kernel is parallel inside: the unit of parallel work is a shard, in a process of its own.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    keep_on_disk(compiled)
    compiled.get_call_template = _without_literals(compiled.get_call_template)
    return cast("Callable[..., Any]", compiled)


def _without_literals(template: Callable[..., Any]) -> Callable[..., Any]:
    """Let kernels call this one by the types of integers alone, not by their values.

    Where a kernel passes ``at`` after ``at = 0``, Numba first compiles what it calls for a constant 0, finds in its
    second look that ``at`` varies, and compiles it again for any number: a fifth of all compilation, for machine
    code that nobody runs. True constants reach the machine code all the same, when LLVM inlines the call.
    """

    def general(arguments: Any, keywords: Any) -> Any:
        return template(tuple(map(types.unliteral, arguments)), keywords)

    return general


def inner_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that other kernels alone call.

    It lacks the two wrappers that Python and C would need to call it, which are half of what a small kernel takes to
    compile, and it is not kept on disk, since the kernels that call it hold it.
    """
    return _inner(function)


def small_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that other kernels alone call, and that makes no arrays.

    Arrays that it is given are not counted up and down, which costs more than the work of a small kernel.
    """
    return _inner(function, _nrt=False)


def _inner(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    bare: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **options}
    compiled: Any = numba.njit(nogil=True, error_model="numpy", **bare)(function)
    compiled.get_call_template = _without_literals(compiled.get_call_template)
    return cast("Callable[..., Any]", compiled)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that one other kernel calls, in one place: compiled as a part of that.

    What has a name of its own for its readers then costs no compilation, linking and machine code of its own.
    """
    return cast("Callable[..., Any]", numba.njit(inline="always", error_model="numpy")(function))


@intrinsic
def apart(_context: Any) -> Any:
    """Said in a kernel: it is never inlined where it is called.

    Numba compiles a kernel together with all that it calls, on every level anew. Where many kernels call many others,
    what is inlined on each level multiplies, and compilation takes minutes.
    """

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def borrowed(_context: Any, array: Any) -> Any:
    """The same array without its owner, for the arguments of a kernel: the caller keeps them alive.

    Numba counts an array up and down, atomically, around every call it is passed to; in a loop over words that
    costs more than the work. What nobody owns is not counted. Never use it on an array made inside a kernel.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        view.meminfo = context.get_constant_null(types.MemInfoPointer(array.dtype))  # type: ignore[no-untyped-call]
        return view._getvalue()

    return array(array), generate
