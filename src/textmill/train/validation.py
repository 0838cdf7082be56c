"""The loss on held-out windows, evenly spread over their split; by source if there are several."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.feed import Samples
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection


def validate(strategy: Strategy, sources: Mapping[str, Samples], settings: TrainSection) -> dict[str, Any]:
    """Measure every source; all processes must call.

    Args:
        strategy: carries out the forward passes.
        sources: windows by name; a ``TokenSet`` knows its bytes of text.
        settings: how many windows.

    Returns:
        ``validation_loss`` (mean nats per predicted token over all sources), ``perplexity``, ``bits_per_byte`` where
        bytes are known (by the split's mean of tokens per byte), and ``sources`` if there are several.
    """
    rows = {name: _measure(strategy, samples, settings) for name, samples in sources.items() if len(samples)}
    nats, tokens = (sum(part) for part in zip(*rows.values(), strict=True))
    found = {"validation_loss": nats / tokens, "perplexity": _perplexity(nats / tokens)}
    by_source = {name: _numbers(sources[name], *rows[name]) for name in rows}
    if len(rows) == 1:
        (only,) = by_source.values()
        return found | {key: value for key, value in only.items() if key == "bits_per_byte"}
    return found | {"sources": by_source}


def _numbers(samples: Samples, nats: float, tokens: int) -> dict[str, float]:
    loss = nats / tokens
    found = {"loss": loss, "perplexity": _perplexity(loss)}
    text_bytes, total = getattr(samples, "text_bytes", 0), getattr(samples, "tokens", 0)
    if text_bytes and total:
        found["bits_per_byte"] = loss / math.log(2) * total / text_bytes
    return found


@torch.no_grad()
def _measure(strategy: Strategy, samples: Samples, settings: TrainSection) -> tuple[float, int]:
    """Nats and predicted tokens of ``validation_samples`` windows, shared out among the processes."""
    model, world = strategy.trainee.model, strategy.world
    model.eval()
    count = min(settings.validation_samples, len(samples))
    size = settings.micro_batch_size or 1
    nats, tokens = torch.zeros(2, dtype=torch.float64).unbind()
    rounds = range(0, count, size * world.size)
    for start in rounds:
        chosen = [i for i in range(start + world.rank * size, start + (world.rank + 1) * size) if i < count]
        # A process that has no window left takes part all the same, for weights that are shared out.
        windows = np.stack([np.asarray(samples[i * len(samples) // count]) for i in chosen or [0]])
        rows = torch.from_numpy(windows.astype(np.int64))
        batch = TokenBatch(rows, next_token_targets(rows))
        loss = strategy.forward(batch.to(strategy.device), 1.0)
        if chosen:
            tokens += batch.counted
            nats += float(loss)
    model.train()
    totals = strategy.sum(torch.stack([nats, tokens])).tolist()
    return totals[0], int(totals[1])


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf
