"""Token samples for PyTorch. Apart from the data set itself, so that only those who ask load PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import Dataset

if TYPE_CHECKING:
    from textmill.tokens.consolidated import ConsolidatedTokens
    from textmill.tokens.dataset import TokenSet


class TorchTokenSet(Dataset[torch.Tensor]):
    """A map-style data set: item ``i`` is sample ``i`` as int64, shape (seq_len,)."""

    def __init__(self, tokens: TokenSet | ConsolidatedTokens) -> None:
        self.tokens = tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, sample: int) -> torch.Tensor:
        return torch.from_numpy(self.tokens[sample].astype(np.int64))
