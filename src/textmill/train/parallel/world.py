"""Which of how many processes this is, as torchrun (and DeepSpeed's launcher) say in the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore

from textmill.errors import UserError


@dataclass(frozen=True)
class World:
    """The processes of a training.

    Attributes:
        rank: number of this process.
        size: number of processes.
        local_rank: number of this process among those of its machine; the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def device(self, device: torch.device) -> torch.device:
        """This process's own device of that type."""
        if device.type != "cuda" or self.size == 1:
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise UserError(
                "there are more processes than GPUs on this machine",
                expected=f"at most {torch.cuda.device_count()} processes here",
                found=f"local rank {self.local_rank}",
                hint="lower --nproc-per-node, train.processes or the slots of the hostfile",
            )
        own = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(own)
        return own

    def broadcast(self, value: Any) -> Any:
        """The value that process 0 gives, in every process; of plain Python types."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]


def world_from_environment() -> World:
    """What ``RANK``, ``WORLD_SIZE`` and ``LOCAL_RANK`` say; a single process without them."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    rank = int(os.environ.get("RANK", "0"))
    return World(rank, size, int(os.environ.get("LOCAL_RANK", str(rank))))


@contextmanager
def process_group(world: World, device: torch.device, always: bool = False) -> Iterator[None]:
    """Connect the processes for as long as the block lasts: NCCL for GPUs, gloo for CPUs.

    Args:
        world: of this process.
        device: where it computes.
        always: connect a single process with itself too, as FSDP2 and DeepSpeed want it.
    """
    if dist.is_initialized() or (world.size == 1 and not always):
        yield
        return
    unset = "LOCAL_RANK" not in os.environ
    if unset:
        os.environ["LOCAL_RANK"] = str(world.local_rank)  # DeepSpeed wants what launchers set
    if world.size == 1:
        store = HashStore()
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=0, world_size=1)
    else:
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(minutes=30))
    try:
        yield
    finally:
        _disconnect()
        if unset:
            del os.environ["LOCAL_RANK"]


def _disconnect() -> None:
    """DeepSpeed keeps groups of its own, which would outlive the connection if it were not asked to end it."""
    deepspeed: Any = sys.modules.get("deepspeed.comm")
    if deepspeed is not None and deepspeed.is_initialized():
        deepspeed.destroy_process_group()
    else:
        dist.destroy_process_group()
