"""Training time and a smoothed rate; feeds no decision."""

from __future__ import annotations

import time
from collections import deque


class Clock:
    """Measures laps of training; what lies between :meth:`lap` and :meth:`restart` does not count.

    Attributes:
        rate: tokens per second over the last fifty laps.
    """

    def __init__(self) -> None:
        self.rate = 0.0
        self._laps: deque[tuple[float, int]] = deque(maxlen=50)
        self.restart()

    def restart(self) -> None:
        """A lap begins."""
        self._start = time.perf_counter()

    def lap(self, tokens: int) -> float:
        """A lap of so many tokens has ended; its seconds."""
        seconds = time.perf_counter() - self._start
        self._laps.append((seconds, tokens))
        self.rate = sum(lap[1] for lap in self._laps) / sum(lap[0] for lap in self._laps)
        return seconds
