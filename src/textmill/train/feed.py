"""Feeding the loop: the batch of a step as a pure function of the step, for any number of processes."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from textmill.errors import UserError
from textmill.tokens.loader import Loader
from textmill.tokens.windows import Segments, Windows
from textmill.train.batch import TokenBatch, next_token_targets


@runtime_checkable
class Feed(Protocol):
    """Where batches come from. ``len`` is the number of samples of an epoch.

    Attributes:
        batch_size: rows of a step, over all processes.
        seq_len: tokens of a row.
    """

    batch_size: int
    seq_len: int

    def __len__(self) -> int: ...

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        """What one of several processes sees of a step, on the CPU; depends on nothing but the arguments."""
        ...

    def samples(self, step: int) -> list[int]:
        """Numbers of the samples of a step over all processes, to name them when something goes wrong."""
        ...

    def identity(self) -> Any:
        """What decides batches beside the data itself, as JSON values; part of a checkpoint's fingerprint."""
        ...


class Samples(Protocol):
    """Windows of tokens; ``textmill.tokens.dataset.TokenSet`` is one, and so is a two-dimensional array."""

    def __len__(self) -> int:
        """Number of windows."""
        ...

    def __getitem__(self, index: int, /) -> npt.NDArray[Any]:
        """Window ``index``: token ids, shape (seq_len,)."""
        ...


class WindowFeed:
    """Windows in the order of :class:`textmill.tokens.loader.Loader`: every epoch all of them, in another order.

    Args:
        windows: what rows are made of.
        batch_size: rows of a step, over all processes.
        seed: another seed, another order.
    """

    def __init__(self, windows: Windows, *, batch_size: int, seed: int) -> None:
        if not len(windows):
            raise UserError(
                "there are too few tokens to train on",
                expected=f"at least one window of {windows.length} tokens in the training split",
                found="none",
                hint="add text, or choose a smaller tokens.seq_len",
            )
        self.windows, self.batch_size, self.seed = windows, batch_size, seed
        self.seq_len = windows.length
        self._loaders: dict[tuple[int, int], Loader] = {}

    def __len__(self) -> int:
        return len(self.windows)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        """The rows of one process."""
        found = self._loader(rank, world_size).batch(step)
        tokens = torch.from_numpy(found.tokens.astype(np.int64))
        return TokenBatch(tokens, next_token_targets(tokens, torch.from_numpy(found.lengths)))

    def samples(self, step: int) -> list[int]:
        """Numbers of the windows of a step."""
        numbers: list[int] = self._loader(0, 1).global_samples(step).tolist()
        return numbers

    def identity(self) -> Any:
        """Number and length of the windows."""
        return {"windows": len(self.windows), "length": self.windows.length}

    def _loader(self, rank: int, world_size: int) -> Loader:
        key = (rank, world_size)
        if key not in self._loaders:
            self._loaders[key] = Loader(
                self.windows, batch_size=self.batch_size, seed=self.seed, rank=rank, world_size=world_size
            )
        return self._loaders[key]


class SampleWindows:
    """Samples as :class:`textmill.tokens.windows.Windows`; they know no borders."""

    has_borders = False

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        first = (
            np.asarray(samples[0]) if len(samples) else np.zeros(getattr(samples, "seq_len", 0), np.uint16)
        )
        self.length, self.dtype = len(first), first.dtype

    def __len__(self) -> int:
        return len(self._samples)

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy a sample."""
        into[:] = self._samples[window]
        return self.length

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """Nothing is known of documents."""
        raise NotImplementedError
