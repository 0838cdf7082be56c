"""Learning-rate schedules: the share of the peak rate at a step, a pure function."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

Schedule = Literal["constant", "cosine", "linear", "wsd"]


def rate_factor(
    step: int, steps: int, *, schedule: Schedule, warmup: int, decay_fraction: float = 0.4, floor: float = 0.0
) -> float:
    """Share of the peak learning rate.

    Args:
        step: counted from 0.
        steps: of the whole run.
        schedule: ``cosine`` (https://arxiv.org/abs/1608.03983) and ``linear`` fall from the end of the warm-up on;
            ``wsd`` (warm-up, stable, decay; https://arxiv.org/abs/2404.06395) stays at the peak and falls linearly
            over the last ``decay_fraction`` of the run; ``constant`` never falls.
        warmup: steps of linear growth from ``1 / warmup``.
        decay_fraction: of ``steps``, for ``wsd``.
        floor: share left at the end.

    Returns:
        In (0, 1]; the last step of a falling schedule is above ``floor`` by one step's worth, so that none is idle.

    >>> [round(rate_factor(s, 10, schedule="wsd", warmup=2, decay_fraction=0.5), 2) for s in range(10)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    warmup = min(warmup, steps)
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    length = max(1, round(steps * decay_fraction)) if schedule == "wsd" else steps - warmup
    length = min(length, steps - warmup)
    left = min(1.0, (steps - step) / max(1, length))
    share = left if schedule != "cosine" else 0.5 * (1 - math.cos(math.pi * left))
    return floor + (1 - floor) * share


def row_length(step: int, steps: int, seq_len: int, stages: Mapping[int, float] | None) -> int:
    """Tokens of a row at a step.

    Args:
        step: counted from 0.
        steps: of the whole run.
        seq_len: tokens of a window.
        stages: shares of the steps at shorter lengths, from the shortest on; the rest is at full length.

    >>> [row_length(step, 10, 512, {128: 0.2, 256: 0.3}) for step in range(7)]
    [128, 128, 256, 256, 256, 512, 512]
    """
    end = 0.0
    for length, share in sorted((stages or {}).items()):
        end += share * steps
        if step < round(end, 6):
            return length
    return seq_len
