"""Watching the loss for what breaks a training: no number any more, or a jump."""

from __future__ import annotations

import math
import statistics
from typing import Literal

from textmill.train.settings import TrainSection

REMEMBERED = 100
"""Losses that a new one is compared with; half as many must be known before anything is called a jump."""

Finding = Literal["fine", "nan", "spike"]


class Guard:
    """Judges one loss after the other.

    Args:
        settings: say what a jump is.
        recent: losses of the last steps; kept up to date, part of the trainer's state.
    """

    def __init__(self, settings: TrainSection, recent: list[float]) -> None:
        self.settings, self.recent = settings, recent

    @property
    def acts(self) -> bool:
        """See :func:`may_refuse`."""
        return may_refuse(self.settings)

    def judge(self, loss: float, grad_norm: float = 0.0) -> Finding:
        """What a step's loss and gradient look like; a good loss is remembered."""
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            return "nan"
        if self._jumped(loss):
            return "spike"
        self.remember(loss)
        return "fine"

    def remember(self, loss: float) -> None:
        """Compare later losses with this one too."""
        self.recent.append(loss)
        del self.recent[:-REMEMBERED]

    def expected(self) -> str:
        """What was to be expected, in words."""
        return f"about {statistics.fmean(self.recent):.3f} ± {statistics.pstdev(self.recent):.3f}"

    def _jumped(self, loss: float) -> bool:
        if len(self.recent) < REMEMBERED // 2:
            return False
        mean = statistics.fmean(self.recent)
        spread = max(statistics.pstdev(self.recent), 0.01 * abs(mean))
        return loss > mean + self.settings.spike * spread


def may_refuse(settings: TrainSection) -> bool:
    """Whether a step may be refused, so that its loss and gradient must be known before the weights move."""
    return not {"skip", "roll_back"}.isdisjoint((settings.on_nan, settings.on_spike))
