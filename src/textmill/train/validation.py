"""The loss on held-out windows, evenly spread over their split."""

from __future__ import annotations

import numpy as np
import torch

from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.feed import Samples
from textmill.train.settings import TrainSection
from textmill.train.strategy import Strategy


@torch.no_grad()
def validation_loss(strategy: Strategy, samples: Samples, settings: TrainSection) -> float:
    """Mean nats per predicted token of ``validation_samples`` windows."""
    model = strategy.trainee.model
    model.eval()
    count = min(settings.validation_samples, len(samples))
    size = settings.micro_batch_size or 1
    nats, tokens = 0.0, 0
    for start in range(0, count, size):
        chosen = range(start, min(start + size, count))
        windows = np.stack([np.asarray(samples[i * len(samples) // count]) for i in chosen])
        rows = torch.from_numpy(windows.astype(np.int64))
        batch = TokenBatch(rows, next_token_targets(rows))
        tokens += batch.counted
        nats += float(strategy.forward(batch.to(strategy.device), 1.0))
    model.train()
    return nats / tokens
