"""Feeding the loop: the batch of a step as a pure function of the step, for any number of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch

from textmill.errors import UserError
from textmill.model.loss import IGNORE
from textmill.tokens.loader import Loader
from textmill.tokens.mixture import Mixture
from textmill.tokens.order import samples_of_step
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

    def samples(self, step: int) -> Sequence[int | str]:
        """Numbers or names of the samples of a step over all processes, to tell when something goes wrong."""
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
    """Windows of one or several sources; every epoch all of a source's, in another order.

    Args:
        sources: by name, what rows are made of; all of one length.
        batch_size: rows of a step, over all processes.
        seed: another seed, another order.
        weights: of the sources, if there are several.
        mask_documents: attention stays inside of documents, and no token is predicted from another document.

    Raises:
        UserError: there is not one window, or nothing says where documents begin.
    """

    def __init__(
        self,
        sources: Mapping[str, Windows] | Windows,
        *,
        batch_size: int,
        seed: int,
        weights: Sequence[float] = (1.0,),
        mask_documents: bool = False,
    ) -> None:
        self.sources: dict[str, Windows] = dict(sources) if isinstance(sources, Mapping) else {"": sources}
        self.batch_size, self.seed, self.mask_documents = batch_size, seed, mask_documents
        first = next(iter(self.sources.values()))
        self.seq_len, self.weights = first.length, list(weights)
        self._mixture = None
        for name, windows in self.sources.items():
            if not len(windows):
                raise UserError(
                    "there are too few tokens to train on",
                    expected=f"at least one window of {windows.length} tokens in the training split",
                    found="none",
                    where=name or None,
                    hint="add text, or choose shorter windows (train.seq_len, train.min_tokens)",
                )
            if mask_documents and not windows.has_borders:
                raise no_borders(name or "windows without them")
        if len(self.sources) > 1:
            sizes = [len(windows) for windows in self.sources.values()]
            self._mixture = Mixture(sizes, self.weights, seed)

    def __len__(self) -> int:
        return sum(len(windows) for windows in self.sources.values())

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        """The rows of one process."""
        if self.batch_size % world_size:
            raise UserError(
                "the processes cannot share the batch evenly",
                expected=f"a batch size that {world_size} processes divide",
                found=f"train.batch_size {self.batch_size}",
            )
        rows = self.batch_size // world_size
        chosen = slice(rank * rows, (rank + 1) * rows)
        sources, windows = (part[chosen] for part in self._choose(step))
        parts = [
            (np.flatnonzero(sources == number), self._read(source, windows[sources == number]))
            for number, source in enumerate(self.sources.values())
            if (sources == number).any()
        ]
        order = torch.from_numpy(np.argsort(np.concatenate([places for places, _ in parts])))
        return TokenBatch.joined([batch for _, batch in parts], order)

    def samples(self, step: int) -> Sequence[int | str]:
        """Numbers of the windows of a step, behind the names of their sources if there are several."""
        names = list(self.sources)
        pairs = zip(*(part.tolist() for part in self._choose(step)), strict=True)
        return [f"{names[source]}:{window}" if len(names) > 1 else window for source, window in pairs]

    def identity(self) -> Any:
        """Number and length of the windows, and the weights of their sources."""
        sizes = {name: len(windows) for name, windows in self.sources.items()}
        return {"windows": sizes, "length": self.seq_len, "weights": self.weights}

    def _choose(self, step: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        if self._mixture is not None:
            return self._mixture.of_step(step, self.batch_size)
        windows = samples_of_step(self.seed, step, self.batch_size, len(self))
        return np.zeros_like(windows), windows

    def _read(self, source: Windows, windows: npt.NDArray[np.int64]) -> TokenBatch:
        found = Loader(source, batch_size=len(windows)).rows(windows, documents=self.mask_documents)
        tokens = torch.from_numpy(found.tokens.astype(np.int64))
        targets = next_token_targets(tokens, torch.from_numpy(found.lengths))
        if found.documents is None:
            return TokenBatch(tokens, targets)
        parts = torch.from_numpy(found.documents.parts)
        targets[:, :-1].masked_fill_(parts[:, 1:] != parts[:, :-1], IGNORE)
        return TokenBatch(tokens, targets, parts, torch.from_numpy(found.documents.positions))


class SampleWindows:
    """Samples as :class:`textmill.tokens.windows.Windows`; they know no borders."""

    has_borders = False

    def __init__(self, samples: Samples) -> None:
        self._samples = samples
        none = np.zeros(getattr(samples, "seq_len", 0), np.uint16)
        first = np.asarray(samples[0]) if len(samples) else none
        self.length, self.dtype = len(first), first.dtype

    def __len__(self) -> int:
        return len(self._samples)

    def read(self, window: int, into: npt.NDArray[Any]) -> int:
        """Copy a sample."""
        into[:] = self._samples[window]
        return self.length

    def segments(self, windows: npt.NDArray[np.int64]) -> Segments:
        """Nothing is known of documents.

        Raises:
            UserError: always.
        """
        raise no_borders("an array of windows")

    def spans(self, window: int) -> list[tuple[int, int]]:
        """One piece."""
        return [(window * self.length, (window + 1) * self.length)]


def no_borders(found: str) -> UserError:
    """What becomes of ``mask_documents`` where nobody knows documents."""
    return UserError(
        "documents cannot be kept apart: nothing says where they begin",
        expected="tokens with a table of their documents (a run's tokens/, or numbered shards with their tables)",
        found=found,
        where="train.mask_documents",
        hint="leave mask_documents out, or encode the texts with `textmill tokens build`, which notes the borders",
    )
