"""Writes models in fastText's format, with whatever weights a test wants."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
Matrix = npt.NDArray[np.float32]


def write(
    path: Path,
    words: Sequence[str],
    labels: Mapping[str, int],
    rows: Matrix | bytes,
    outputs: Matrix | bytes,
    *,
    loss: int = SOFTMAX,
    bucket: int = 0,
    shortest: int = 0,
    longest: int = 0,
    word_ngrams: int = 1,
    pruned: Mapping[int, int] | None = None,
    dimension: int | None = None,
    version: int = 12,
    kind: int = 3,
) -> None:
    """A model; matrices are dense as arrays, or quantised as `quantised` makes them. Labels by descending count."""
    width = rows.shape[1] if isinstance(rows, np.ndarray) else dimension
    content = struct.pack("<2i", 793712314, version)
    content += struct.pack(
        "<12id", width, 5, 5, 1, 5, word_ngrams, loss, kind, bucket, shortest, longest, 100, 1e-4
    )
    size = -1 if pruned is None else len(pruned)
    content += struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 1000, size)
    for word in words:
        content += word.encode() + b"\0" + struct.pack("<qb", 1, 0)
    for label, count in labels.items():
        content += label.encode() + b"\0" + struct.pack("<qb", count, 1)
    for pair in (pruned or {}).items():
        content += struct.pack("<2i", *pair)
    for matrix in (rows, outputs):
        content += struct.pack("<?", isinstance(matrix, bytes))
        content += matrix if isinstance(matrix, bytes) else dense(matrix)
    path.write_bytes(content)


def dense(matrix: Matrix) -> bytes:
    return struct.pack("<2q", *matrix.shape) + np.ascontiguousarray(matrix, "<f4").tobytes()


def quantised(random: np.random.Generator, height: int, width: int, part: int, norms: bool) -> bytes:
    """A matrix of random codes and centroids."""
    parts = -(-width // part)
    codes = random.integers(0, 256, height * parts, np.uint8)
    content = struct.pack("<?2qi", norms, height, width, codes.size) + codes.tobytes()
    content += _quantiser(random, width, parts, part)
    if norms:
        content += random.integers(0, 256, height, np.uint8).tobytes() + _quantiser(random, 1, 1, 1)
    return content


def _quantiser(random: np.random.Generator, width: int, parts: int, part: int) -> bytes:
    last = width - (parts - 1) * part
    centroids = random.normal(size=width * 256).astype("<f4")
    return struct.pack("<4i", width, parts, part, last) + centroids.tobytes()
