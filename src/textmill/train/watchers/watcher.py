"""Watching a training: what the loop tells to whom. Watchers run in process 0 and decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RunFacts:
    """What is known before the first step.

    Attributes:
        step: steps done before (more than 0 when a run continues).
        steps: of the whole run.
        batch_size: rows per step.
        seq_len: tokens per row.
        parameters: of the model.
        settings: resolved, as JSON values.
    """

    step: int
    steps: int
    batch_size: int
    seq_len: int
    parameters: int
    settings: Mapping[str, Any]


class Watcher:
    """Told what happens; every method does nothing unless it is overridden."""

    def started(self, facts: RunFacts) -> None:
        """The first step comes next."""

    def stepped(self, step: int, steps: int, loss: float, tokens_per_second: float) -> None:
        """``step`` steps are done; on a GPU ``loss`` is that of the last row."""

    def row(self, row: Mapping[str, Any]) -> None:
        """A row of the metrics: see :mod:`textmill.train.metrics`."""

    def saved(self, folder: str) -> None:
        """A checkpoint has been taken; it is on disk by the time of :meth:`finished` at the latest."""

    def finished(self) -> None:
        """The last step is done, or training was stopped: write out what is held."""


class ProgressBar(Watcher):
    """Feeds ``progress(text, done, total, loss=…, tokens_per_second=…)``, which draws the bar and the time left."""

    def __init__(self, progress: Callable[..., None]) -> None:
        self._progress = progress

    def stepped(self, step: int, steps: int, loss: float, tokens_per_second: float) -> None:
        """Move the bar."""
        self._progress("train", step, steps, loss=loss, tokens_per_second=tokens_per_second)
