"""What a step may know about the run that opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class StepContext:
    """Given to ``open``; nothing in it may change a result except ``seed``.

    Attributes:
        seed: the recipe's seed.
        scratch: local folder for temporary files, private to the worker.
        memory_bytes: memory that the step should stay under.
        partition: which partition of how many a global step resolves: those rows whose key's first two bytes,
            a big-endian number k, give partition[0] = k * partition[1] // 65536.
    """

    seed: int = 0
    scratch: Path = field(default_factory=Path)
    memory_bytes: int = 2 * 2**30
    partition: tuple[int, int] = (0, 1)
