"""Gradient-boosted regression trees as plain arrays, and their sum in a kernel.

Trees are padded to complete ones of one depth, so that every row takes the same number of steps through every tree and
the next node is 2 k + 1 or 2 k + 2: no pointers, no branch that a processor could guess wrong, and eight rows walk
side by side. A leaf above the last level becomes nodes that always send left, with its value in every leaf below.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import inner_kernel, kernel


@dataclass(frozen=True)
class Trees:
    """Complete binary trees of one depth.

    Attributes:
        columns: uint16[trees, 2**depth - 1], the feature that a node looks at; children of k are 2 k + 1 and 2 k + 2.
        thresholds: float32[trees, 2**depth - 1]; a row goes left if its feature is not above it.
        leaves: float32[trees, 2**depth], from left to right, in log-odds.
    """

    columns: npt.NDArray[np.uint16]
    thresholds: npt.NDArray[np.float32]
    leaves: npt.NDArray[np.float32]

    def probabilities(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32[rows]: the logistic function of the sum over all trees, for rows float32[rows, features]."""
        if rows.shape[1] <= int(self.columns.max(initial=0)):
            raise ValueError(f"rows have {rows.shape[1]} features, the trees look at {self.columns.max()}")
        sums: npt.NDArray[np.float32] = _sums(rows, self.columns, self.thresholds, self.leaves)
        return sums


# Numbers without a sign: Numba would else look at each whether it counts from the end of an array.
_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_SIDE_BY_SIDE = 8
_TILE = 96
"""So many rows are kept in the nearest caches while all trees look at them."""


@kernel
def _sums(rows, columns, thresholds, leaves):
    count = rows.shape[0]
    depth = 0
    while (1 << depth) <= columns.shape[1]:
        depth += 1
    flat = rows.reshape(rows.size)
    columns = columns.reshape(columns.size)
    thresholds = thresholds.reshape(thresholds.size)
    flat_leaves = leaves.reshape(leaves.size)
    inner = np.uint64(leaves.shape[1] - 1)
    totals = np.zeros(count)
    for start in range(0, count, _TILE):
        end = min(count, start + _TILE)
        even = end - (end - start) % _SIDE_BY_SIDE
        for tree in range(leaves.shape[0]):
            root = np.uint64(tree) * inner
            leaf = np.uint64(tree) * (inner + _ONE) - inner
            for row in range(start, even, _SIDE_BY_SIDE):
                _add_eight(
                    flat, row, rows.shape[1], columns, thresholds, root, depth, flat_leaves, leaf, totals
                )
            for row in range(even, end):
                at = np.uint64(row * rows.shape[1])
                a = _ZERO
                for _ in range(depth):
                    a = _below(flat, at, columns, thresholds, root, a)
                totals[row] += flat_leaves[leaf + a]
    return (1.0 / (1.0 + np.exp(-totals))).astype(np.float32)


@inner_kernel
def _below(flat, at, columns, thresholds, root, node):
    """The child of a node that the row at a place goes to."""
    node_at = root + node
    above = flat[at + np.uint64(columns[node_at])] > thresholds[node_at]
    return _TWO * node + _ONE + np.uint64(above)


@inner_kernel
def _add_eight(flat, row, width, columns, thresholds, root, depth, leaves, leaf, totals):
    """Add the leaves of one tree to the totals of eight rows: while one waits for memory, others go on."""
    first = np.uint64(row * width)
    step = np.uint64(width)
    a = b = c = d = e = f = g = h = _ZERO
    for _ in range(depth):
        a = _below(flat, first, columns, thresholds, root, a)
        b = _below(flat, first + step, columns, thresholds, root, b)
        c = _below(flat, first + np.uint64(2) * step, columns, thresholds, root, c)
        d = _below(flat, first + np.uint64(3) * step, columns, thresholds, root, d)
        e = _below(flat, first + np.uint64(4) * step, columns, thresholds, root, e)
        f = _below(flat, first + np.uint64(5) * step, columns, thresholds, root, f)
        g = _below(flat, first + np.uint64(6) * step, columns, thresholds, root, g)
        h = _below(flat, first + np.uint64(7) * step, columns, thresholds, root, h)
    totals[row] += leaves[leaf + a]
    totals[row + 1] += leaves[leaf + b]
    totals[row + 2] += leaves[leaf + c]
    totals[row + 3] += leaves[leaf + d]
    totals[row + 4] += leaves[leaf + e]
    totals[row + 5] += leaves[leaf + f]
    totals[row + 6] += leaves[leaf + g]
    totals[row + 7] += leaves[leaf + h]
