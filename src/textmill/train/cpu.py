"""What makes small models train fast on a CPU, set from outside the model.

Measured on two cores of an AMD EPYC (Zen 5), ``tiny``, eight windows of 256 tokens, forward and backward
(docs/decisions/0007-quickstart-training.md has the whole table).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

MATH_ATTENTION_TOKENS = 512
"""Context up to which attention by plain matrix products beats the blocked kernel of torch on a CPU."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # of glibc's malloc.h


@contextmanager
def fast_cpu(seq_len: int, threads: int, exact: bool = False) -> Iterator[None]:
    """Settings of torch and of the C library under which a CPU trains faster; torch's are put back.

    - Matrix products go to oneDNN instead of MKL (``set_float32_matmul_precision("medium")``). Where the CPU has
      no bfloat16 matrix units (AMX) the results are float32 all the same, twice as fast on AMD; where it has, the
      factors are rounded to bfloat16, unless they must not be.
    - Attention of short contexts is computed by plain matrix products: 2 to 5 times faster there than the blocked
      kernel.
    - Freed memory is kept for the next step instead of being given back and mapped again: 10 % of a step.

    Args:
        seq_len: tokens per window.
        threads: CPU threads for torch.
        exact: products must be float32 on every CPU.
    """
    _keep_freed_memory()
    precision, threads_before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    rounds = torch.cpu._is_amx_tile_supported()
    torch.set_float32_matmul_precision("highest" if exact and rounds else "medium")
    torch.set_num_threads(threads)
    try:
        if seq_len <= MATH_ATTENTION_TOKENS:
            with sdpa_kernel(SDPBackend.MATH):
                yield
        else:
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads_before)


def _keep_freed_memory() -> None:
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    for option, value in ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 2**26)):
        mallopt(option, value)
