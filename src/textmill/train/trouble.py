"""What is said of a step that stands out: its windows by name, what becomes of it, and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from textmill.errors import UserError

MOST_RETURNS = 10
"""Returns to a checkpoint after which a training is given up."""

_DONE = {"skip": ": left out", "roll_back": ": going back", "stop": "", "tell": ""}


def names(samples: Sequence[int | str]) -> str:
    """Samples in a line.

    >>> names(list(range(18)))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 and 2 more'
    """
    more = f" and {len(samples) - 16} more" if len(samples) > 16 else ""
    return ", ".join(map(str, samples[:16])) + more


def line(
    finding: str, step: int, loss: float, *, action: str, usual: str, samples: Sequence[int | str]
) -> str:
    """What the user reads.

    Args:
        finding: ``nan`` or ``spike``, see :class:`textmill.train.guard.Guard`.
        step: counted from 0.
        loss: nats per token; of a step whose gradient broke it is a number.
        action: what becomes of the step (``train.on_nan``, ``train.on_spike``).
        usual: what was to be expected; may be empty.
        samples: of the step.
    """
    broken = f"the {'gradient' if math.isfinite(loss) else 'loss'} is no finite number"
    what = broken if finding == "nan" else f"the loss jumped to {loss:.4f}"
    return (
        f"step {step + 1}: {what}{f'; {usual} was usual' if usual else ''}{_DONE[action]}. "
        f"Windows {names(samples)}; `textmill trace --step {step + 1}` shows their documents"
    )


def row(finding: str, step: int, loss: float, *, action: str, samples: Sequence[int | str]) -> dict[str, Any]:
    """The same as a row of the metrics."""
    event = {"step": step + 1, "event": finding, "action": action, "samples": list(samples)[:64]}
    return event | ({"jumped_to": loss} if math.isfinite(loss) else {})


def diverged(step: int, loss: float, norm: float, samples: Sequence[int | str]) -> UserError:
    """The error that ends a training whose loss, or gradient, is no number any more."""
    broken = f"the norm of the gradient is {norm}" if math.isfinite(loss) else f"the training loss is {loss}"
    return stopped(f"{broken} at step {step + 1}: the model has diverged", samples)


def stopped(what: str, samples: Sequence[int | str]) -> UserError:
    """The error that ends a training."""
    return UserError(
        what,
        expected="a finite loss, without jumps",
        found=f"it on samples {names(samples)}",
        where="checkpoints/metrics.jsonl shows the way there",
        hint="lower train.lr and train.muon_lr, lengthen train.warmup or lower train.clip; "
        "`textmill trace --sample N` shows the text of a sample; train.on_nan and train.on_spike can skip the "
        "step or roll back",
    )


def passed_over(passed: Sequence[list[int]], start: int, bad: int) -> list[list[int]]:
    """Where the data order is read after a return, so that it goes on behind the windows of the bad step.

    Args:
        passed: the pairs (step, offset) so far, see :class:`textmill.train.state.TrainerState`.
        start: the step returned to.
        bad: the step that broke.

    >>> passed_over([], 4, 6)
    [[4, 3]]
    >>> passed_over([[4, 3]], 8, 8)
    [[4, 3], [8, 4]]
    """
    offset = max((old for _, old in passed), default=0) + bad - start + 1
    return [*(entry for entry in passed if entry[0] < start), [start, offset]]
