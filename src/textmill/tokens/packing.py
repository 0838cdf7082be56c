"""Documents packed into windows so that few are cut, and no token is lost or repeated.

A document longer than a window is cut into full windows; what is left of it, and every shorter document, is
packed best-fit decreasing: longest first, each into the fullest window that still has room (Johnson 1974,
https://doi.org/10.1137/0203025; for training Ding et al. 2024, https://arxiv.org/abs/2404.10830). Packed is a
group of documents at a time, so that the work needs the memory of one group; a window's rest is padding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import kernel
from textmill.tokens.borders import Borders, GrowingArray

GROUP = 2**16
"""Documents that are packed together: more fill windows better by less than a tenth of a percent."""


@dataclass(frozen=True)
class Packing:
    """Which pieces of documents make up each window.

    Attributes:
        length: tokens of a window at most.
        starts: first token of each piece, int64.
        lengths: its tokens, int32.
        documents: number of its document, int64.
        windows: window ``i`` holds the pieces ``windows[i] : windows[i + 1]``, int64.
    """

    length: int
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.windows) - 1


def pack_documents(borders: Borders, length: int, cache: Path | None = None) -> Packing:
    """Pack all documents; a pure function of their borders and ``length``.

    Args:
        borders: as :func:`textmill.tokens.borders.document_borders` gives them.
        length: tokens of a window, at least 1.
        cache: folder for the result, which is mapped then; in memory (20 bytes per piece) if left out.
    """
    if length < 1:
        raise ValueError(f"a window needs tokens, found length {length}")

    def growing(name: str, dtype: str) -> GrowingArray:
        return GrowingArray(np.dtype(dtype), cache / f"{name}.bin" if cache else None)

    pieces = 0
    with (
        growing("starts", "<i8") as starts,
        growing("lengths", "<i4") as lengths,
        growing("documents", "<i8") as documents,
        growing("windows", "<i8") as windows,
    ):
        for first in range(0, len(borders) - 1, GROUP):
            group = np.asarray(borders[first : first + GROUP + 1], np.int64)
            order, begins = _pack_group(group, length)
            piece_starts, piece_lengths, owners = _pieces(group, length)
            starts.append(piece_starts[order])
            lengths.append(piece_lengths[order])
            documents.append(first + owners[order])
            windows.append(pieces + begins)
            pieces += len(order)
        windows.append(np.array([pieces], np.int64))
    return Packing(length, starts.array, lengths.array, documents.array, windows.array)


def _pieces(
    borders: Borders, length: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Start, tokens and document of each piece: full windows and the rest of every document, in order."""
    sizes = np.diff(borders)
    counts = -(-sizes // length)
    owners = np.repeat(np.arange(len(sizes)), counts)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = borders[owners] + within * length
    return starts, np.minimum(length, borders[owners + 1] - starts), owners


def _pack_group(borders: Borders, length: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pieces in the order of their windows, and the place in it where each window begins."""
    _, sizes, _ = _pieces(borders, length)
    by_size = np.argsort(-sizes, kind="stable")
    bins = np.empty(len(sizes), np.int64)
    bins[by_size] = best_fit(sizes[by_size], length)
    order = np.argsort(bins, kind="stable")
    ordered = bins[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(order) else order
    return order, begins


@kernel
def best_fit(sizes: npt.NDArray[np.int64], capacity: int) -> npt.NDArray[np.int64]:
    """The bin of each item: the fullest with room for it (of equals, the one longest so), or a new one.

    Args:
        sizes: of the items in the order in which they come, 1 to ``capacity``.
        capacity: of a bin.
    """
    # Bins with the same room form a queue; a tree over rooms finds the smallest that is large enough.
    leaves = 1
    while leaves < capacity + 1:
        leaves *= 2
    counts = np.zeros(2 * leaves, np.int64)
    first = np.full(capacity + 1, -1, np.int64)
    last = np.full(capacity + 1, -1, np.int64)
    after = np.full(len(sizes), -1, np.int64)
    bins = np.empty(len(sizes), np.int64)
    made = 0
    for item in range(len(sizes)):
        size = sizes[item]
        # Climb until there is something at or to the right of `size`, then go down to its leftmost leaf.
        node = size + leaves
        found = counts[node] > 0
        while not found and node > 1:
            if node % 2 == 0 and counts[node + 1] > 0:
                node += 1
                found = True
            else:
                node //= 2
        if found:
            while node < leaves:
                node *= 2
                if counts[node] == 0:
                    node += 1
            room = node - leaves
            chosen = first[room]
            first[room] = after[chosen]
            if first[room] < 0:
                last[room] = -1
            while node >= 1:
                counts[node] -= 1
                node //= 2
        else:
            room = capacity
            chosen = made
            made += 1
        bins[item] = chosen
        room -= size
        after[chosen] = -1
        if last[room] < 0:
            first[room] = chosen
        else:
            after[last[room]] = chosen
        last[room] = chosen
        node = room + leaves
        while node >= 1:
            counts[node] += 1
            node //= 2
    return bins
