"""Token samples for PyTorch. Apart from the data set itself, so that only those who ask load PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from textmill.tokens.consolidated import ConsolidatedTokens
    from textmill.tokens.dataset import TokenSet
    from textmill.tokens.loader import Loader


class TorchTokenSet(Dataset[torch.Tensor]):
    """A map-style data set: item ``i`` is sample ``i`` as int64, shape (seq_len,)."""

    def __init__(self, tokens: TokenSet | ConsolidatedTokens) -> None:
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, sample: int) -> torch.Tensor:
        return torch.from_numpy(self.tokens[sample].astype(np.int64))


class TorchSteps(Dataset[dict[str, Any]]):
    """A map-style data set: item ``i`` is this process's batch of step ``i``.

    Give it to a ``DataLoader`` with ``batch_size=None`` and ``sampler=range(first_step, steps)``: workers then
    share the steps, and training goes on where it stopped.

    Items hold ``tokens`` (int64, shape (rows, length)), ``lengths`` (int32, shape (rows,)) and, where windows
    know their documents, ``positions`` and ``parts`` (int32, shape (rows, length)), ``cu_seqlens`` (int32) and
    ``max_seqlen``: see :class:`textmill.tokens.loader.DocumentMap`.
    """

    def __init__(self, loader: Loader, steps: int) -> None:
        self.loader = loader
        self._steps = steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> dict[str, Any]:
        if not 0 <= step < self._steps:
            raise IndexError(f"step {step} of {self._steps}")
        batch = self.loader.batch(step)
        item: dict[str, Any] = {
            "tokens": torch.from_numpy(batch.tokens.astype(np.int64)),
            "lengths": torch.from_numpy(batch.lengths),
        }
        if batch.documents is not None:
            for name in ("positions", "parts", "cu_seqlens"):
                item[name] = torch.from_numpy(getattr(batch.documents, name))
            item["max_seqlen"] = batch.documents.max_seqlen
        return item
