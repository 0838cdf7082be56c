"""Which strategy a training takes."""

from __future__ import annotations

import torch

from textmill.errors import UserError
from textmill.train.parallel.strategy import Strategy
from textmill.train.parallel.world import World
from textmill.train.settings import TrainSection
from textmill.train.trainee import Trainee

SHARED_FROM = 10**9
"""Parameters from which ``auto`` shares weights out: in fp32 with AdamW they need 16 GB per copy."""


def strategy_of(settings: TrainSection, trainee: Trainee, device: torch.device, world: World) -> Strategy:
    """The strategy that the settings mean.

    Args:
        settings: ``parallel`` decides.
        trainee: what is trained.
        device: this process's.
        world: which of how many processes this is.

    Raises:
        UserError: quantised weights cannot be shared out.
    """
    kind: str = settings.parallel
    quantised = any(not parameter.is_floating_point() for parameter in trainee.model.parameters())
    if kind == "auto":
        large = trainee.parameters >= SHARED_FROM and not quantised
        kind = "single" if world.size == 1 else "fsdp" if large else "ddp"
    if kind in ("fsdp", "deepspeed") and quantised:
        raise UserError(
            "weights of 4 or 8 bits cannot be shared out",
            where="train.parallel",
            expected="ddp (or auto), or method: lora",
            found=kind,
        )
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
