"""A process other than the first: it waits for its job, trains along, and writes nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from textmill.model.extra import require_torch


def follow() -> int:
    """Train along with process 0; returns when it is done."""
    require_torch()
    import torch

    from textmill.model.device import pick_device
    from textmill.train.data import open_data
    from textmill.train.loop import train
    from textmill.train.parallel.job import Job
    from textmill.train.parallel.world import process_group, world_from_environment
    from textmill.train.settings import TrainSection
    from textmill.train.store import FolderStore
    from textmill.train.trainees import trainee_of

    threading.Thread(target=_leave_with_the_parent, args=(os.getppid(),), daemon=True).start()
    world = world_from_environment()
    device = world.device(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    with process_group(world, device), tempfile.TemporaryDirectory(prefix="textmill-") as scratch:
        told = world.broadcast(None)
        if told is None:  # process 0 had nothing to train
            return 0
        job = Job(**told)
        settings = TrainSection.model_validate(job.settings)
        data = open_data(settings.resolved(), Path(job.tokens), job.seed, Path(scratch))
        trainee = trainee_of(
            settings,
            vocab_size=data.vocab_size,
            seq_len=data.seq_len,
            eos_id=data.eos_id,
            device=world.device(pick_device(settings.device)),
            seed=job.seed,
            tokenizer=Path(job.tokenizer),
        )
        train(
            settings,
            trainee,
            data.feed,
            FolderStore(Path(job.root)),
            scratch=Path(scratch),
            seed=job.seed,
            validation=data.validation,
            digest=data.digest,
        )
    return 0


def _leave_with_the_parent(parent: int) -> None:
    """A follower whose leader was killed must not stay behind."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(follow())
