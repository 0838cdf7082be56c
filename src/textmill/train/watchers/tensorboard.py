"""Curves for TensorBoard: ``tensorboard --logdir RUN/checkpoints/logs``.

The file is a function of the rows of the metrics: a run that continues writes it anew from them, so steps that a
kill undid are not in it twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.train.store import Store
from textmill.train.watchers.watcher import RunFacts, Watcher

PATH = "checkpoints/logs/events.out.tfevents.0000000000.textmill"
_PUBLISH_SECONDS = 20.0


class TensorBoard(Watcher):
    """Writes scalars: ``train/loss``, ``validation/loss``, ….

    Args:
        store: where the file lies.
        scratch: local folder to write in.
        rows: rows of the metrics so far.
    """

    def __init__(self, store: Store, scratch: Path, rows: Sequence[Mapping[str, Any]]) -> None:
        from tensorboardX import SummaryWriter

        self._store, self._folder = store, scratch / "logs"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._writer = SummaryWriter(str(self._folder), flush_secs=3600)
        self._published = time.monotonic()
        for row in rows:
            self._add(row)

    def started(self, facts: RunFacts) -> None:
        """Settings as a text."""
        lines = [f"| {name} | {value} |" for name, value in facts.settings.items() if value is not None]
        self._writer.add_text("settings", "\n".join(["| | |", "|---|---|", *lines]), facts.step)

    def row(self, row: Mapping[str, Any]) -> None:
        """Add the row's numbers; the file follows within half a minute, or at the next checkpoint."""
        self._add(row)
        if time.monotonic() - self._published > _PUBLISH_SECONDS:
            self._publish()

    def saved(self, folder: str) -> None:
        """Write out."""
        self._publish()

    def finished(self) -> None:
        """Write out and close."""
        self._publish()
        self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _add(self, row: Mapping[str, Any]) -> None:
        for name, value in scalars(row).items():
            self._writer.add_scalar(name, value, row["step"])

    def _publish(self) -> None:
        self._writer.flush()
        (file,) = self._folder.glob("events.out.tfevents.*")
        copy = self._folder / "copy"
        shutil.copyfile(file, copy)
        self._store.publish(copy, PATH)
        self._published = time.monotonic()


def scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """A row of the metrics as curves by name.

    >>> scalars({"step": 8, "loss": 2.0, "lr": 0.1})
    {'train/loss': 2.0, 'train/lr': 0.1}
    >>> scalars({"step": 8, "validation_loss": 3.0, "sources": {"code": {"loss": 2.5}}})
    {'validation/loss': 3.0, 'validation/code/loss': 2.5}
    """
    group = "validation" if "validation_loss" in row else "train"
    found: dict[str, float] = {}
    for name, value in row.items():
        if name == "sources":
            for source, numbers in value.items():
                found |= {f"validation/{source}/{key}": float(number) for key, number in numbers.items()}
        elif name != "step" and isinstance(value, int | float):
            found[f"{group}/{name.removeprefix('validation_')}"] = float(value)
    return found
