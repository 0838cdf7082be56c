"""Sample ids: eight bytes by which a sample can be named, compared and looked up.

An id is the first 8 bytes, little-endian, of BLAKE2b (RFC 7693) with an 8-byte digest over the sample's
bytes (tokens little-endian). Templar's data preparation, where these ids come from, looks at the file as
32-bit numbers first; with 16-bit tokens its sample ``i`` is therefore made of the tokens of samples ``2i``
and ``2i + 1``, and the ids of the second half are the id of nothing. ``upstream`` gives those ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

EMPTY_ID = 0xB4B2797457A0A6E4
"""The id of no bytes at all."""


def sample_id(sample: npt.NDArray[Any]) -> int:
    """The id of one sample; its dtype counts, since bytes are hashed."""
    return _digest(_little_endian(sample).tobytes())


def sample_ids(
    tokens: npt.NDArray[Any], seq_len: int, mode: Literal["correct", "upstream"] = "correct"
) -> npt.NDArray[np.uint64]:
    """Ids of all samples of ``tokens``: uint64, shape (len(tokens) // seq_len,).

    Args:
        tokens: 1-D, uint16 or uint32; a memory map is read a sample at a time.
        seq_len: tokens per sample.
        mode: ``correct``: of the sample's own bytes; ``upstream``: as Templar's original computes them.
    """
    if tokens.ndim != 1 or tokens.dtype.kind != "u" or tokens.dtype.itemsize not in (2, 4):
        raise ValueError(f"expected 1-D uint16 or uint32 tokens, found {tokens.ndim}-D {tokens.dtype.name}")
    # Upstream takes four bytes per token whatever the dtype; past the end of the data a slice is empty.
    stride = seq_len if mode == "correct" else seq_len * 4 // tokens.dtype.itemsize
    ids = np.empty(len(tokens) // seq_len, np.uint64)
    for sample in range(len(ids)):
        ids[sample] = sample_id(tokens[sample * stride : (sample + 1) * stride])
    return ids


class SampleIdStream:
    """Ids of a stream of tokens that arrives in blocks of any size; holds less than one sample.

    Args:
        seq_len: tokens per sample.
        itemsize: bytes per token.
        samples: how many ids there will be in all.
        mode: as for :func:`sample_ids`.
    """

    def __init__(
        self, seq_len: int, itemsize: int, samples: int, mode: Literal["correct", "upstream"]
    ) -> None:
        self._span = seq_len * (itemsize if mode == "correct" else 4)
        self._left = samples
        self._rest = b""

    def feed(self, block: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
        """Ids of the samples that end in ``block`` (1-D tokens): little-endian uint64."""
        view = _little_endian(np.ascontiguousarray(block)).data.cast("B")
        span = self._span
        ids: list[int] = []
        start = 0
        if self._rest:
            start = min(len(view), span - len(self._rest))
            self._rest += bytes(view[:start])
            if len(self._rest) < span:
                return np.zeros(0, "<u8")
            ids.append(_digest(self._rest))
            self._rest = b""
        while start + span <= len(view):
            ids.append(_digest(view[start : start + span]))
            start += span
        self._rest = bytes(view[start:])
        ids = ids[: self._left]
        self._left -= len(ids)
        return np.array(ids, "<u8")

    def finish(self) -> Iterator[npt.NDArray[np.uint64]]:
        """Ids that are still owed when the tokens have ended, a block at a time.

        With ``upstream``: of what is left, then of nothing.
        """
        if self._left:
            self._left -= 1
            yield np.array([_digest(self._rest)], "<u8")
        while self._left:
            count = min(self._left, 2**16)
            self._left -= count
            yield np.full(count, EMPTY_ID, "<u8")


def _digest(data: bytes | memoryview) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")


def _little_endian(tokens: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return tokens.astype(tokens.dtype.newbyteorder("<"), copy=False)
