"""What kernels are given: a buffer of bytes and the borders of the documents in it, checked once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LIMIT = 2**31 - 1


def checked(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read-only, contiguous views of buffer (uint8) and borders (int64) that a kernel may trust.

    Arrow's buffers are read-only and NumPy's are not; Numba would compile every kernel twice. The bytes ought
    to be valid UTF-8 (Arrow's `validate(full=True)` tells); kernels survive others without reading out of
    bounds.

    Raises:
        ValueError: offsets do not ascend within the buffer, or the last document ends beyond 2 GiB.
        TypeError: the buffer is not made of bytes or the offsets are not whole numbers.
    """
    if data.dtype != np.uint8 or data.ndim != 1:
        raise TypeError(f"expected a buffer of uint8, found {data.dtype} with {data.ndim} dimensions")
    if offsets.dtype.kind not in "iu" or offsets.ndim != 1:
        raise TypeError(f"expected offsets of whole numbers, found {offsets.dtype}")
    borders = np.ascontiguousarray(offsets, np.int64)
    if (
        borders.size == 0
        or borders[0] < 0
        or borders[-1] > data.size
        or bool(np.any(borders[1:] < borders[:-1]))
    ):
        raise ValueError(f"offsets must ascend from 0 or more to at most {data.size}, the size of the buffer")
    if borders[-1] > LIMIT:
        raise ValueError(f"a batch ends within {LIMIT:,} bytes, found {borders[-1]:,}: use smaller batches")
    return _read_only(np.ascontiguousarray(data)), _read_only(borders)


def checked_spans(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.integer], ends: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The same for spans data[starts[i]:ends[i]] in any order: buffer (uint8), starts and ends (int64).

    Raises:
        ValueError: a span lies outside the buffer or ends before it starts.
        TypeError: the buffer is not made of bytes.
    """
    first, last = np.ascontiguousarray(starts, np.int64), np.ascontiguousarray(ends, np.int64)
    if first.shape != last.shape:
        raise ValueError(f"{first.size} starts but {last.size} ends")
    if first.size and (first.min() < 0 or last.max() > data.size or bool(np.any(last < first))):
        raise ValueError(f"a span lies outside the buffer of {data.size} bytes, or ends before it starts")
    buffer, _ = checked(data, np.zeros(1, np.int64))
    return buffer, first, last


def _read_only(array: npt.NDArray[np.generic]) -> npt.NDArray:  # type: ignore[type-arg]
    view = array.view()
    view.flags.writeable = False
    return view
