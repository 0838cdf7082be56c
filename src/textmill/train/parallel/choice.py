"""Which strategy a training takes."""

from __future__ import annotations

import torch

from textmill.train.parallel.strategy import Strategy
from textmill.train.parallel.world import World
from textmill.train.settings import TrainSection

SHARED_FROM = 10**9
"""Parameters from which ``auto`` shares weights out: in fp32 with AdamW they need 16 GB per copy."""


def strategy_of(settings: TrainSection, parameters: int, device: torch.device, world: World) -> Strategy:
    """The strategy that the settings mean.

    Args:
        settings: ``parallel`` decides.
        parameters: of the model.
        device: this process's.
        world: which of how many processes this is.
    """
    kind = settings.parallel
    if kind == "auto":
        alone = world.size == 1
        kind = "single" if alone else "ddp" if parameters < SHARED_FROM else "fsdp"  # type: ignore[assignment]
    if kind == "fsdp":
        from textmill.train.parallel.fsdp import FullySharded

        return FullySharded(device, world)
    if kind == "deepspeed":
        from textmill.train.parallel.zero import DeepSpeedZero

        return DeepSpeedZero(device, world)
    if kind == "ddp" and world.size > 1:
        from textmill.train.parallel.ddp import DataParallel

        return DataParallel(device, world)
    return Strategy(device, world)
