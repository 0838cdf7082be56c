"""DDP: every process has the whole model and a slice of the batch; gradients are summed."""

from __future__ import annotations

from contextlib import nullcontext

from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from textmill.train.batch import TokenBatch
from textmill.train.parallel.strategy import Strategy


class DataParallel(Strategy):
    """A copy of the model in every process."""

    def place(self, seed: int) -> None:
        """Wrap the objective; gradients are held in the buckets that are sent."""
        super().place(seed)
        self.objective = DistributedDataParallel(
            self.objective,
            device_ids=[self.device.index] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            forward_sync_buffers=False,
        )

    def accumulate(self, batch: TokenBatch, scale: float, last: bool) -> Tensor:
        """Gradients are averaged over the processes after the last micro-batch, so the loss is scaled up for it."""
        assert isinstance(self.objective, DistributedDataParallel)
        with nullcontext() if last else self.objective.no_sync():
            return super().accumulate(batch, scale * self.world.size, last) / self.world.size
