"""The loss curve: ``checkpoints/metrics.jsonl``, one JSON object per row.

Training rows hold ``step`` (steps done), ``tokens`` (read so far), ``loss`` (nats per token, mean of the steps since
the row before), ``perplexity``, ``lr`` (AdamW's), ``grad_norm`` (before clipping), ``tokens_per_second`` and, on a
known GPU, ``mfu``. Validation rows hold ``step``, ``validation_loss``, ``perplexity``, where the bytes of the text
are known ``bits_per_byte``, and for several sources ``sources``: the same by source. Rows with ``event`` tell of jumps
of the loss (``jumped_to``), steps left out and returns to a checkpoint, with the ``samples`` of the step.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textmill.train.store import Store
from textmill.train.watchers.watcher import Watcher

PATH = "checkpoints/metrics.jsonl"
_PUBLISH_SECONDS = 5.0


class Metrics(Watcher):
    """Rows so far, published as a whole from time to time.

    Args:
        store: where the file lies.
        scratch: local folder to write in.
        step: steps done; rows beyond belong to work that was lost and are dropped.
    """

    def __init__(self, store: Store, scratch: Path, step: int) -> None:
        self._store, self._scratch = store, scratch
        self.rows: list[dict[str, Any]] = []
        if step and PATH in store.published("checkpoints"):
            lines = store.local(PATH).read_text("utf-8").splitlines()
            self.rows = [row for row in map(json.loads, lines) if row["step"] <= step]
        self._published = time.monotonic()

    def forget_after(self, step: int) -> None:
        """Drop rows of steps that were undone; events stay."""
        self.rows = [row for row in self.rows if row["step"] <= step or "event" in row]

    def row(self, row: Mapping[str, Any]) -> None:
        """Append a row; the file follows within seconds, or at the next checkpoint."""
        self.rows.append(dict(row))
        if time.monotonic() - self._published > _PUBLISH_SECONDS:
            self.publish()

    def finished(self) -> None:
        """Write all rows out, unless they are."""
        self.publish()

    def publish(self) -> None:
        """Write all rows out."""
        file = self._scratch / "metrics.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        self._store.publish(file, PATH)
        self._published = time.monotonic()
