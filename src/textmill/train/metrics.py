"""The loss curve: ``checkpoints/metrics.jsonl``, one JSON object per row.

Training rows hold ``step`` (steps done), ``tokens`` (read so far), ``loss`` (nats per token, mean of the steps since
the row before), ``lr`` (AdamW's), ``grad_norm`` (before clipping) and ``tokens_per_second``; validation rows hold
``step`` and ``validation_loss``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from textmill.train.store import Store

PATH = "checkpoints/metrics.jsonl"
_PUBLISH_SECONDS = 5.0


class Metrics:
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

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; the file follows within seconds, or at the next checkpoint."""
        self.rows.append(row)
        if time.monotonic() - self._published > _PUBLISH_SECONDS:
            self.publish()

    def publish(self) -> None:
        """Write all rows out."""
        file = self._scratch / "metrics.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in self.rows), "utf-8")
        self._store.publish(file, PATH)
        self._published = time.monotonic()
