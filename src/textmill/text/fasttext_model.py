"""Supervised models of fastText, read from their file as arrays that a kernel can use.

    file:  magic, version ─ arguments ─ dictionary ─ input matrix ─ output matrix        (.bin dense, .ftz quantised)

The format is that of fastText 0.9 (`FastText::saveModel`, https://github.com/facebookresearch/fastText), versions 11
and 12. Nothing in it is code. A dense input matrix stays in the file and is mapped into memory, so that workers share
it; a quantised one (Joulin et al., 2016, arXiv:1612.03651) is written out as rows of float32, which are the products
that fastText computes anew for every n-gram.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel

MAGIC = 793712314
VERSIONS = (11, 12)
CENTROIDS = 256
SUPERVISED = 3
WORD, LABEL = 0, 1
HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
COPIED = 64 << 20  # bytes of a dense matrix up to which it is read, and not mapped
FNV_START, FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)

Floats = npt.NDArray[np.float32]


class ModelFormatError(ValueError):
    """The file is no supervised model of fastText; the message says what it is instead."""


@dataclass(frozen=True)
class Tree:
    """The binary tree of a hierarchical softmax: leaves 0 to labels - 1 are labels, the last node is the root.

    Attributes:
        left, right: int32[2 labels - 1], the children, -1 at leaves.
    """

    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]


@dataclass(frozen=True)
class FastTextModel:
    """What prediction needs.

    Attributes:
        labels: as the model has them, ``__label__`` included.
        loss: one of HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL.
        shortest, longest: characters of n-grams; longest 0: none.
        bucket: how many values the hash of an n-gram may have; word_ngrams: longest run of words.
        entries, entry_offsets: uint8 and int64[words + labels + 1], words of the dictionary, then labels.
        slots: int32, hash table of positions in the dictionary, -1 where free.
        words: how many entries are words.
        pruned: which hashes kept a row: uint64, a bit per hash; before: int32, bits set in earlier ones. Both
            empty if all have one. pruned_rows: int32, row of each hash that is left, in order of hashes.
        all_pruned: no n-gram kept a row.
        rows: float32[rows, dimension], vectors of words and n-grams.
        outputs: float32[outputs, dimension]; output_norms: float32[outputs], by which their products are multiplied.
        tree: of a hierarchical softmax; else without nodes.
    """

    labels: tuple[str, ...]
    loss: int
    shortest: int
    longest: int
    bucket: int
    word_ngrams: int
    entries: npt.NDArray[np.uint8]
    entry_offsets: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]
    words: int
    pruned: npt.NDArray[np.uint64]
    before: npt.NDArray[np.int32]
    pruned_rows: npt.NDArray[np.int32]
    all_pruned: bool
    rows: Floats
    outputs: Floats
    output_norms: Floats
    tree: Tree


def read_model(path: Path) -> FastTextModel:
    """Read a model.

    Raises:
        OSError: the file cannot be read.
        ModelFormatError: it is none of fastText's, is cut off, or was not trained to give labels.
    """
    return parse_model(
        np.asarray(np.memmap(path, np.uint8, "r")) if path.stat().st_size else np.zeros(0, np.uint8)
    )


def parse_model(data: npt.NDArray[np.uint8]) -> FastTextModel:
    """A model from the bytes of its file.

    Raises:
        ModelFormatError: as `read_model`.
    """
    try:
        return _read(_Reader(data))
    except (struct.error, IndexError) as error:
        raise ModelFormatError(f"the file ends too early ({data.size:,} bytes)") from error


class _Reader:
    """A cursor over the file."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self.data = data
        self.at = 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        layout = "<" + layout
        found = struct.unpack_from(layout, self.data.data, self.at)
        self.at += struct.calcsize(layout)
        return found

    def array(self, kind: type[np.generic], count: int) -> npt.NDArray[Any]:
        """The next `count` values, not copied."""
        size = np.dtype(kind).itemsize * count
        if count < 0 or self.at + size > self.data.size:
            raise IndexError
        found = self.data[self.at : self.at + size].view(kind)
        self.at += size
        return found

    def entries(self, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where the next `count` entries of a dictionary begin, and where the zero bytes behind them stand."""
        if count > self.data.size:
            raise IndexError
        starts, ends, self.at = _find_entries(self.data, self.at, count)
        if self.at > self.data.size:
            raise IndexError
        return starts, ends


def _read(file: _Reader) -> FastTextModel:
    magic, version = file.numbers("2i")
    if magic != MAGIC:
        raise ModelFormatError("it does not begin like a model of fastText")
    if version not in VERSIONS:
        raise ModelFormatError(f"version {version} of the format; {VERSIONS[-1]} is the newest known")
    dimension, *_, word_ngrams, loss, kind, bucket, shortest, longest, _ = file.numbers("12i")
    file.numbers("d")
    if kind != SUPERVISED:
        raise ModelFormatError("it holds vectors of words, and was not trained to tell labels")
    if loss not in (HIERARCHICAL, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL):
        raise ModelFormatError(f"its loss has the number {loss}, which is not known")
    if version == VERSIONS[0]:
        longest = 0
    size, words, labels, _, pruned_size = file.numbers("3i2q")
    if min(size, words) < 0 or labels < 1 or words + labels != size:
        raise ModelFormatError(f"{size} entries, {words} words, {labels} labels")
    starts, ends = file.entries(size)
    offsets = np.concatenate([[0], np.cumsum(ends - starts)]).astype(np.int64)
    kinds = file.data[ends + 9]
    if kinds[:words].any() or not kinds[words:].all():
        raise ModelFormatError("its dictionary does not have words first and labels behind them")
    entries = _gathered(file.data, starts, ends, offsets)
    pairs = file.array(np.int32, 2 * max(0, pruned_size)).reshape(-1, 2)
    if bucket < 1 and (longest > 0 or word_ngrams > 1):
        raise ModelFormatError(f"n-grams and {bucket} buckets for them")
    (quantised,) = file.numbers("?")
    rows, norms = _quantised(file) if quantised else _dense(file)
    (quantised_output,) = file.numbers("?")
    outputs, output_norms = _quantised(file) if quantised and quantised_output else _dense(file)
    if rows.shape[1] != dimension or outputs.shape != (labels, dimension):
        raise ModelFormatError(
            f"matrices of {rows.shape} and {outputs.shape} for {labels} labels and dimension {dimension}"
        )
    pruned, before, pruned_rows = _pruning(pairs, bucket)
    # Only rows that a hash can name are ever read, so this is all there is to check.
    named = bucket if longest > 0 or word_ngrams > 1 else 0
    last = words + (int(pruned_rows.max(initial=-1)) + 1 if pruned_size >= 0 else named)
    if last > rows.shape[0] or (pruned_rows.size and int(pruned_rows.min()) < 0):
        raise ModelFormatError(f"{rows.shape[0]} rows for {last} words and n-grams")
    names = [(int(start), int(end)) for start, end in zip(starts[words:], ends[words:], strict=True)]
    counts = [struct.unpack_from("<q", file.data.data, end + 1)[0] for _, end in names]
    return FastTextModel(
        labels=tuple(file.data[start:end].tobytes().decode("utf-8", "replace") for start, end in names),
        loss=loss,
        shortest=shortest,
        longest=max(0, longest),
        bucket=max(1, bucket),
        word_ngrams=word_ngrams,
        entries=entries,
        entry_offsets=offsets,
        slots=_slots(entries, offsets),
        words=words,
        pruned=pruned,
        before=before,
        pruned_rows=pruned_rows,
        all_pruned=pruned_size == 0,
        rows=_read_only(np.multiply(rows, norms[:, None]) if quantised else rows),
        outputs=_read_only(outputs),
        output_norms=output_norms,
        tree=_tree(counts) if loss == HIERARCHICAL else Tree(np.zeros(0, np.int32), np.zeros(0, np.int32)),
    )


def _dense(file: _Reader) -> tuple[Floats, Floats]:
    """A matrix as it lies in the file, and norms of 1."""
    height, width = file.numbers("2q")
    if min(height, width) < 0:
        raise ModelFormatError(f"a matrix of {height} rows and {width} columns")
    values: Floats = file.array(np.float32, height * width).reshape(height, width)
    return values.copy() if values.nbytes <= COPIED else values, np.ones(height, np.float32)


def _quantised(file: _Reader) -> tuple[Floats, Floats]:
    """A matrix put together from its centroids, and the norms of its rows (1 if they were not quantised apart)."""
    (has_norms,) = file.numbers("?")
    height, width = file.numbers("2q")
    (size,) = file.numbers("i")
    codes = file.array(np.uint8, size)
    values = _decoded(file, codes, height)
    if values.shape[1] != width:
        raise ModelFormatError(f"a quantiser of {values.shape[1]} columns for a matrix of {width}")
    if not has_norms:
        return values, np.ones(height, np.float32)
    codes = file.array(np.uint8, height)
    return values, _decoded(file, codes, height)[:, 0]


def _decoded(file: _Reader, codes: npt.NDArray[Any], height: int) -> Floats:
    """float32[height, dimension]: the centroids that the codes name, side by side."""
    dimension, parts, width, last_width = file.numbers("4i")
    if (
        dimension < 1
        or parts < 1
        or (parts - 1) * width + last_width != dimension
        or codes.size != height * parts
    ):
        raise ModelFormatError(f"{codes.size} codes for {height} rows of {parts} parts ({dimension} columns)")
    centroids = file.array(np.float32, dimension * CENTROIDS)
    codes = codes.reshape(height, parts)
    values = np.empty((height, dimension), np.float32)
    for part in range(parts):
        begin = part * width
        end = begin + (last_width if part == parts - 1 else width)
        table = centroids[begin * CENTROIDS : end * CENTROIDS].reshape(CENTROIDS, end - begin)
        values[:, begin:end] = table[codes[:, part]]
    return values


def _pruning(
    pairs: npt.NDArray[Any], bucket: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The hashes that kept a row, as bits; bits in earlier words; and the rows, in order of hashes."""
    hashes, rows = pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int32)
    order = np.argsort(hashes, kind="stable")
    hashes, rows = hashes[order], rows[order]
    if hashes.size == 0:
        return np.zeros(0, np.uint64), np.zeros(0, np.int32), np.zeros(0, np.int32)
    if hashes[0] < 0 or hashes[-1] >= bucket or np.any(hashes[1:] == hashes[:-1]):
        raise ModelFormatError(f"hashes of n-grams beyond the {bucket:,} buckets, or twice the same")
    bits = np.zeros(bucket // 64 + 1, np.uint64)
    np.bitwise_or.at(bits, hashes >> 6, np.uint64(1) << (hashes & 63).astype(np.uint64))
    before = np.searchsorted(hashes, np.arange(bits.size) * 64).astype(np.int32)
    return bits, before, rows


def _read_only(array: Floats) -> Floats:
    """Mapped files cannot be written, and kernels would be compiled twice."""
    array.flags.writeable = False
    return array


@kernel
def fnv_step(value, byte):
    """FNV-1a of 32 bits, one byte further; bytes are signed, as fastText has it since its first release."""
    return np.uint32((value ^ np.uint32(np.int32(np.int8(byte)))) * FNV_PRIME)


@kernel
def _find_entries(data, at, count):
    """Begin and end of entries: a word, a zero byte, a count of eight bytes, a byte for the type."""
    data = borrowed(data)
    starts = np.zeros(count, np.int64)
    ends = np.zeros(count, np.int64)
    for entry in range(count):
        starts[entry] = at
        while at < data.size and data[at] != 0:
            at += 1
        ends[entry] = at
        at += 10
        if at > data.size:
            break
    return starts, ends, at


@kernel
def _gathered(data, starts, ends, offsets):
    data = borrowed(data)
    gathered = np.empty(offsets[-1], np.uint8)
    for entry in range(starts.size):
        gathered[offsets[entry] : offsets[entry + 1]] = data[starts[entry] : ends[entry]]
    return gathered


@kernel
def _slots(entries, offsets):
    """An open table of the entries by their hash, at most a quarter full; the first of two equal ones counts."""
    size = 8
    while size < 4 * offsets.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    for entry in range(offsets.size - 1):
        value = FNV_START
        for at in range(offsets[entry], offsets[entry + 1]):
            value = fnv_step(value, entries[at])
        slot = np.int64(value) & (size - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = entry
    return slots


def _tree(counts: list[int]) -> Tree:
    """Huffman's tree over the labels, which the file has in descending order of counts."""
    leaves = len(counts)
    left, right = np.full(2 * leaves - 1, -1, np.int32), np.full(2 * leaves - 1, -1, np.int32)
    weights = [*counts, *([10**15] * (leaves - 1))]
    leaf, node = leaves - 1, leaves
    for parent in range(leaves, 2 * leaves - 1):
        children = []
        for _ in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children.append(leaf)
                leaf -= 1
            else:
                children.append(node)
                node += 1
        left[parent], right[parent] = children
        weights[parent] = weights[children[0]] + weights[children[1]]
    return Tree(left, right)
