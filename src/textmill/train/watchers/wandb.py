"""Curves for Weights & Biases; its own environment variables decide where they go (WANDB_MODE=offline: nowhere)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from textmill.errors import UserError
from textmill.train.watchers.tensorboard import scalars
from textmill.train.watchers.watcher import RunFacts, Watcher


class Wandb(Watcher):
    """Logs rows to one W&B run per training, continued when the training is.

    Args:
        identity: of the training; the run's id follows from it.

    Raises:
        UserError: the package is missing.
    """

    def __init__(self, identity: str) -> None:
        if find_spec("wandb") is None:
            raise UserError(
                "Weights & Biases is not installed",
                where="train.watch",
                expected="the package wandb",
                hint="pip install wandb, or leave it out of train.watch",
            )
        self._id = identity[:16]
        self._run: Any = None

    def started(self, facts: RunFacts) -> None:
        """Begin the run, or go on with it."""
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "textmill"),
            id=self._id,
            resume="allow",
            config={**facts.settings, "parameters": facts.parameters, "total_steps": facts.steps},
        )

    def row(self, row: Mapping[str, Any]) -> None:
        """Log the row's numbers under its step."""
        self._run.log(scalars(row), step=row["step"])

    def finished(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()
