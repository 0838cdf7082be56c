"""Batches in an order that is a pure function of seed and step, whatever the number of processes.

::

    step ─► positions step·B … (step+1)·B-1 ─► epoch = position // windows, permuted per epoch
                                              └─► global batch of B windows ─► rank r takes the r-th of W slices

Every epoch goes through all windows once, in another order. Nothing is kept between steps: training goes on at
any step, with another number of processes, and sees the windows that it would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.order import samples_of_step
from textmill.tokens.windows import Windows

if TYPE_CHECKING:
    from textmill.tokens.torch_dataset import TorchSteps


BLOCK = 8192


@dataclass(frozen=True)
class DocumentMap:
    """Which token of a batch belongs to which document, for attention that stays inside of documents.

    Attributes:
        cu_seqlens: int32, shape (parts + 1,): part ``i`` is the tokens ``cu_seqlens[i] : cu_seqlens[i + 1]``
            of the batch laid end to end. Padding is a part of its own.
        documents: int64, shape (parts,): the number of each part's document; -1 for padding.
        positions: int32, shape (rows, length): place of each token in its part.
        parts: int32, shape (rows, length): number of each token's part; -1 for padding. Attention is allowed
            between equal numbers.
        max_seqlen: tokens of the longest part.
    """

    cu_seqlens: npt.NDArray[np.int32]
    documents: npt.NDArray[np.int64]
    positions: npt.NDArray[np.int32]
    parts: npt.NDArray[np.int32]
    max_seqlen: int


@dataclass(frozen=True)
class WindowBatch:
    """What one process sees of one step.

    Attributes:
        windows: int64, shape (rows,): numbers of the windows.
        tokens: uint16 or uint32, shape (rows, length).
        lengths: int32, shape (rows,): tokens of each row; what follows is padding.
        documents: where documents lie, if the windows know.
    """

    windows: npt.NDArray[np.int64]
    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int32]
    documents: DocumentMap | None


class Loader:
    """Batches of windows for one of several processes.

    Args:
        windows: what to load.
        batch_size: windows per step, over all processes.
        seed: another seed, another order.
        rank: number of this process.
        world_size: number of processes; the global order does not depend on it.
        pad_id: fills rows that are shorter than a window.

    Raises:
        UserError: no windows, or a batch that the processes cannot share evenly.
    """

    def __init__(
        self,
        windows: Windows,
        *,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        pad_id: int = 0,
    ) -> None:
        if not len(windows):
            raise UserError(
                "There is not one window to load.",
                expected=f"at least {windows.length:,} tokens",
                hint="take shorter windows, or more tokens",
            )
        if batch_size < 1 or batch_size % world_size or not 0 <= rank < world_size:
            raise UserError(
                "The processes cannot share the batch evenly.",
                expected="a batch size that the number of processes divides, and a rank below that number",
                found=f"batch size {batch_size}, rank {rank} of {world_size}",
                hint="change the batch size, or the number of processes",
            )
        self.windows = windows
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.pad_id = pad_id
        # Permuting costs the same for some thousand places as for a few: steps are looked up in blocks.
        self._block_steps = max(1, min(BLOCK, len(windows)) // batch_size)
        self._block: tuple[int, npt.NDArray[np.int64]] = (-1, np.zeros(0, np.int64))

    @property
    def steps_per_epoch(self) -> float:
        """Steps in which every window is seen once."""
        return len(self.windows) / self.batch_size

    def global_samples(self, step: int) -> npt.NDArray[np.int64]:
        """Windows of a step over all processes, shape (batch_size,)."""
        number, place = divmod(step, self._block_steps)
        if self._block[0] != number:
            size = self.batch_size * self._block_steps
            self._block = number, samples_of_step(self.seed, number, size, len(self.windows))
        return self._block[1][place * self.batch_size : (place + 1) * self.batch_size]

    def samples(self, step: int) -> npt.NDArray[np.int64]:
        """This process's slice of them, shape (batch_size / world_size,)."""
        rows = self.batch_size // self.world_size
        return self.global_samples(step)[self.rank * rows : (self.rank + 1) * rows]

    def batch(self, step: int) -> WindowBatch:
        """What this process sees of a step."""
        return self.rows(self.samples(step))

    def rows(self, chosen: npt.NDArray[np.int64], documents: bool = True) -> WindowBatch:
        """These windows as rows.

        Args:
            chosen: numbers of windows, shape (rows,).
            documents: whether to say where documents lie, if the windows know.
        """
        windows = self.windows
        tokens = np.empty((len(chosen), windows.length), windows.dtype)
        lengths = np.empty(len(chosen), np.int32)
        for row, window in enumerate(chosen.tolist()):
            lengths[row] = size = windows.read(window, tokens[row])
            tokens[row, size:] = self.pad_id
        wanted = documents and windows.has_borders
        return WindowBatch(
            chosen, tokens, lengths, _document_map(windows, chosen, lengths) if wanted else None
        )

    def steps(self, start: int = 0, stop: int | None = None) -> Iterator[WindowBatch]:
        """Batches from step ``start`` on, to ``stop`` or without end."""
        step = start
        while stop is None or step < stop:
            yield self.batch(step)
            step += 1

    def as_torch(self, steps: int) -> TorchSteps:
        """A map-style PyTorch data set whose item ``i`` is this process's batch of step ``i``."""
        from textmill.tokens.torch_dataset import TorchSteps

        return TorchSteps(self, steps)


def _document_map(
    windows: Windows, chosen: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]
) -> DocumentMap:
    sizes, owners, counts = windows.segments(chosen)
    short = np.flatnonzero(lengths < windows.length)
    places = np.cumsum(counts)[short]
    sizes = np.insert(sizes, places, windows.length - lengths[short])
    owners = np.insert(owners, places, -1)
    ends = np.cumsum(sizes)
    shape = (len(chosen), windows.length)
    tokens = np.arange(len(chosen) * windows.length, dtype=np.int32)
    positions = tokens - np.repeat((ends - sizes).astype(np.int32), sizes)
    numbers = np.where(owners < 0, -1, np.arange(len(owners))).astype(np.int32)
    return DocumentMap(
        np.concatenate([[0], ends]).astype(np.int32),
        owners,
        positions.reshape(shape),
        np.repeat(numbers, sizes).reshape(shape),
        int(sizes.max()),
    )
