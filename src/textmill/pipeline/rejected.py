"""A sample of what was dropped, with its texts: for the report, for ``why`` and for a sceptic's eye."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from textmill.workspace.ledger_tables import REJECTED_SCHEMA, write_sorted

# A longer text is cut: the sample is for reading, and a worker has to hold it.
MOST_CHARACTERS = 65_536


class RejectedSample:
    """Of each rule, the documents with the smallest ids: a fair sample, since ids are hashes, and the same for
    any number of workers.

    Args:
        per_rule: how many documents to keep per rule and shard.
    """

    def __init__(self, per_rule: int) -> None:
        self.per_rule = per_rule
        self._rows: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def add(self, records: pa.RecordBatch, step: str, rule: str) -> None:
        """Offer documents that ``rule`` of ``step`` dropped."""
        if not self.per_rule:
            return
        rows = self._rows.setdefault((step, rule), [])
        worst = rows[-1]["id"] if len(rows) >= self.per_rule else None
        for position, identifier in enumerate(records.column("id").to_pylist()):
            if worst is None or identifier < worst:
                row = records.slice(position, 1).to_pylist()[0]
                rows.append(row | {"text": row["text"][:MOST_CHARACTERS], "step": step, "rule": rule})
        rows.sort(key=lambda row: row["id"])
        del rows[self.per_rule :]

    def write(self, path: Path) -> int:
        """Write the sample sorted by id; returns its rows."""
        rows = [row for rows in self._rows.values() for row in rows]
        if not rows:
            return 0
        return write_sorted(pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA), path)
