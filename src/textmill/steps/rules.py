"""Rules: which range of which score is kept. The only place where a verdict is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Rule:
    """Keeps documents whose score lies in [minimum, maximum], or whose label is allowed.

    Comparisons are strict towards dropping: a score equal to a threshold is kept. Scores are stored as
    float32, so thresholds are rounded to float32 before the comparison: a decision taken again from stored
    scores is the decision that was taken. NaN means "this score says nothing here" and keeps.

    Attributes:
        score: name of the score or label that the filter gives.
        minimum: smallest score kept.
        maximum: largest score kept.
        allowed: labels kept (for labels, not for scores).
        name: what the ledger calls the rule; the score's name if left out.
    """

    score: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.score)

    def keeps(self, values: Sequence[Any] | npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which values the rule keeps: bool, shape (n,)."""
        if self.allowed is not None:
            return np.fromiter((value in self.allowed for value in values), np.bool_, len(values))
        scores = np.asarray(values, np.float32)
        keep = np.ones(len(scores), np.bool_)
        if self.minimum is not None:
            keep &= ~(scores < np.float32(self.minimum))
        if self.maximum is not None:
            keep &= ~(scores > np.float32(self.maximum))
        return keep

    def threshold(self, value: float) -> float | None:
        """The bound that ``value`` breaks, for the ledger."""
        if self.minimum is not None and np.float32(value) < np.float32(self.minimum):
            return self.minimum
        if self.maximum is not None and np.float32(value) > np.float32(self.maximum):
            return self.maximum
        return None

    def describe(self) -> str:
        """The rule in words: ``words >= 50``."""
        if self.allowed is not None:
            return f"{self.score} in {', '.join(self.allowed)}"
        bounds = []
        if self.minimum is not None:
            bounds.append(f"{self.score} >= {self.minimum:g}")
        if self.maximum is not None:
            bounds.append(f"{self.score} <= {self.maximum:g}")
        return " and ".join(bounds) or f"{self.score} (no bound)"
