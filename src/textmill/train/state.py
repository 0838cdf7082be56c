"""What is known of a training after a number of steps, besides tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class TrainerState:
    """Counters of a training; part of every checkpoint.

    Attributes:
        fingerprint: SHA-256 over all that decides the weights; a checkpoint of another one is not continued.
        steps: of the whole run.
        threads: CPU threads of torch; a resumed run uses as many, or its last bits would differ.
        step: steps done.
        tokens: tokens read so far (rows times their length).
        loss_sum: sum of the losses since the last row of the metrics.
        loss_count: their number.
        seconds: training time so far.
        last_loss: loss in the last row of the metrics.
        torch: version of torch.
        device: where the steps ran.
    """

    fingerprint: str
    steps: int
    threads: int
    step: int = 0
    tokens: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    seconds: float = 0.0
    last_loss: float | None = None
    torch: str = ""
    device: str = ""
    loss_scale: dict[str, float] = field(default_factory=dict)
    """State of the loss scaling of fp16."""

    def record(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TrainerState:
        """Read back; what other versions wrote besides is passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in record.items() if key in known})
