"""What one forward pass sees: tokens, what is to be predicted, and where documents lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import torch
from torch import Tensor

from textmill.model.loss import IGNORE


@dataclass(frozen=True)
class TokenBatch:
    """Rows of tokens with their targets, on one device.

    Attributes:
        tokens: int64, shape (rows, length).
        targets: int64, shape (rows, length): the token to be predicted after each; ``IGNORE`` (-100) where nothing
            is learnt.
        parts: int32, shape (rows, length): attention is allowed between equal numbers, -1 is padding; None where
            every token may see all before it in its row.
        positions: int32, shape (rows, length): place of each token in its document, for models whose positions
            are not relative; None: the place in the row.
    """

    tokens: Tensor
    targets: Tensor
    parts: Tensor | None = None
    positions: Tensor | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def counted(self) -> int:
        """Tokens that are predicted; asks the device, so call it before the batch leaves the CPU."""
        return int((self.targets != IGNORE).sum())

    def split(self, rows: int) -> Iterator[TokenBatch]:
        """Consecutive parts of at most ``rows`` rows."""
        for start in range(0, len(self), rows):
            yield self._each(itemgetter(slice(start, start + rows)))

    def to(self, device: torch.device) -> TokenBatch:
        """The same batch on another device; copied while the CPU goes on, where its memory is pinned."""
        if device.type == "cpu":
            return self
        if device.type == "cuda":
            return self._each(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))
        return self._each(lambda tensor: tensor.to(device))

    def cut(self, length: int) -> TokenBatch:
        """The same tokens in shorter rows, each row's pieces one after the other.

        Args:
            length: divides that of the rows. The first token of a piece is still predicted by the piece before.
        """
        return self._each(lambda tensor: tensor.reshape(-1, length))

    @staticmethod
    def joined(batches: Sequence[TokenBatch], order: Tensor) -> TokenBatch:
        """Rows of several batches in another order: row ``i`` is row ``order[i]`` of all laid end to end."""
        if len(batches) == 1:
            return batches[0]
        fields = {}
        for name in ("tokens", "targets", "parts", "positions"):
            values = [getattr(batch, name) for batch in batches]
            if values[0] is not None:
                fields[name] = torch.cat(values)[order]
        return TokenBatch(**fields)

    def shortened(self) -> TokenBatch:
        """Without the last token of each row, after which nothing is predicted."""
        return self._each(lambda tensor: tensor[:, :-1])

    def _each(self, change: Callable[[Tensor], Tensor]) -> TokenBatch:
        fields = {name: getattr(self, name) for name in ("tokens", "targets", "parts", "positions")}
        return replace(self, **{name: change(value) for name, value in fields.items() if value is not None})


def next_token_targets(tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
    """Targets of rows of text: at every place the token that follows, ``IGNORE`` at the end.

    Args:
        tokens: int64, shape (rows, length).
        lengths: tokens of each row, shape (rows,); what follows is padding. All of them if left out.
    """
    targets = torch.full_like(tokens, IGNORE)
    targets[:, :-1] = tokens[:, 1:]
    if lengths is not None:
        targets[torch.arange(tokens.shape[1]) >= lengths[:, None] - 1] = IGNORE
    return targets
