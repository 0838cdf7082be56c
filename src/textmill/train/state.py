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
        loss_scale: state of the loss scaling of fp16.
        recent: losses of the last steps, for the guard.
        skipped: steps whose update was left out.
        passed_over: pairs (step, offset): from this step on, the data order is read so many steps further on,
            because a return to a checkpoint passed the windows over that made the loss jump.
        validation_loss: the last one measured.
        best_step: step of the checkpoint with the lowest validation loss.
        best_loss: that loss.
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
    recent: list[float] = field(default_factory=list)
    skipped: int = 0
    passed_over: list[list[int]] = field(default_factory=list)
    validation_loss: float | None = None
    best_step: int | None = None
    best_loss: float | None = None

    def data_step(self, step: int | None = None) -> int:
        """The number under which the data order knows a step (the next one if left out)."""
        step = self.step if step is None else step
        return step + max((offset for start, offset in self.passed_over if start <= step), default=0)

    def record(self) -> dict[str, Any]:
        """As plain JSON values, some of them under Hugging Face's names as well."""
        return asdict(self) | {
            "global_step": self.step,
            "max_steps": self.steps,
            "best_metric": self.best_loss,
            "best_model_checkpoint": None if self.best_step is None else f"checkpoint-{self.best_step}",
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TrainerState:
        """Read back; what other versions wrote besides is passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in record.items() if key in known})
