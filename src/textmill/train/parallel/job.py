"""What followers are told: everything that they need to build the same model and read the same tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textmill.model.device import pick_device
from textmill.train.parallel.world import World, process_group, world_from_environment
from textmill.train.settings import TrainSection


@dataclass(frozen=True)
class Job:
    """A training; paths are the same on all machines.

    Attributes:
        settings: of the training, as JSON values.
        tokens: folder of the run's tokens.
        tokenizer: file of the tokenizer.
        root: the run's folder.
        seed: of weights and order.
    """

    settings: dict[str, Any]
    tokens: str
    tokenizer: str
    root: str
    seed: int


_TOLD: list[Job] = []


@contextmanager
def leading(job: Job) -> Iterator[World]:
    """In process 0: connect to the followers, if there are any, and tell them the job."""
    world = world_from_environment()
    settings = TrainSection.model_validate(job.settings)
    device = world.device(pick_device(settings.device))
    with process_group(world, device, always=settings.parallel in ("fsdp", "deepspeed")):
        world.broadcast(asdict(job))
        _TOLD.append(job)
        yield world


def dismiss() -> None:
    """In process 0 of a launcher, at the end of a command that trained nothing: the followers may go."""
    world = world_from_environment()
    if world.size > 1 and world.first and not _TOLD:
        with process_group(world, world.device(pick_device("auto"))):
            world.broadcast(None)


def job_root(checkpoints: Path) -> str:
    """The folder that followers read checkpoints from."""
    return str(checkpoints.absolute().parent)
