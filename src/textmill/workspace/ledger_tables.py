"""The ledger's two tables, as a worker writes them for one shard.

*Events* are what happened to documents: one row each time one was edited, dropped, failed or matched.
*Scores* are one row per document that entered the pass: its verdict and every score, so that thresholds can be
changed later without reading a text again. Both are sorted by id, so that a reader skips what it does not need.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textmill.documents import DOCUMENT_SCHEMA
from textmill.documents.shards import open_parquet_writer

Action = Literal["edited", "dropped", "failed", "matched"]

EVENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("action", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("rule", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("label", pa.string()),
        pa.field("matched_id", pa.binary(16)),
        pa.field("similarity", pa.float32()),
        pa.field("characters_before", pa.int64()),
        pa.field("characters_after", pa.int64()),
        pa.field("detail", pa.string()),
    ]
)

# The columns that every score table starts with; scores and labels follow, named "<step id>.<score>".
VERDICT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("locator", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("step", pa.string()),
        pa.field("rule", pa.string()),
    ]
)

REJECTED_SCHEMA = DOCUMENT_SCHEMA.append(pa.field("step", pa.string())).append(pa.field("rule", pa.string()))

_LEDGER_ROW_GROUP = 16_384


class EventLog:
    """Collects the events of one shard and writes them sorted by id, in the order in which they happened."""

    def __init__(self) -> None:
        self._chunks: list[pa.RecordBatch] = []

    def add(self, documents: pa.RecordBatch, action: Action, step: str, **columns: Any) -> None:
        """One event for each of ``documents`` (rows with id, source, locator, url).

        Args:
            documents: the documents it happened to.
            action: what happened.
            step: id of the step that did it.
            columns: any other column of :data:`EVENT_SCHEMA`: a value for all, or one per document.
        """
        count = documents.num_rows
        if count == 0:
            return
        given: dict[str, Any] = {"action": action, "step": step, **columns}
        arrays = []
        for field in EVENT_SCHEMA:
            if field.name in ("id", "source", "locator", "url"):
                arrays.append(documents.column(field.name))
            else:
                arrays.append(_column(given.get(field.name), field.type, count))
        self._chunks.append(pa.RecordBatch.from_arrays(arrays, schema=EVENT_SCHEMA))

    def write(self, path: Path) -> int:
        """Write the table; returns its rows. Nothing is written when there are none."""
        if not self._chunks:
            return 0
        table = pa.Table.from_batches(self._chunks, schema=EVENT_SCHEMA)
        return write_sorted(table, path)


class VerdictTable:
    """Collects verdicts and scores of one shard and writes them sorted by id."""

    def __init__(self) -> None:
        self._documents: list[pa.RecordBatch] = []
        self._values: list[Mapping[str, Any]] = []

    def add(
        self,
        documents: pa.RecordBatch,
        characters: npt.NDArray[np.int64],
        verdicts: Sequence[str],
        steps: Sequence[str | None],
        rules: Sequence[str | None],
        values: Mapping[str, Any],
    ) -> None:
        """Rows for ``documents``.

        Args:
            documents: rows with id, source, locator, url.
            characters: code points of each text as it entered the pass.
            verdicts: kept, dropped or failed.
            steps: id of the step that decided, or None.
            rules: name of the rule that decided, or None.
            values: scores (float32 arrays, NaN where not taken) and labels (lists of str or None), named
                "<step id>.<score>".
        """
        arrays = [documents.column(name) for name in ("id", "source", "locator", "url")]
        arrays += [
            pa.array(characters, pa.int64()),
            pa.array(verdicts, pa.string()),
            pa.array(steps, pa.string()),
            pa.array(rules, pa.string()),
        ]
        self._documents.append(pa.RecordBatch.from_arrays(arrays, schema=VERDICT_SCHEMA))
        self._values.append(values)

    def write(self, path: Path, steps: Sequence[str] = ()) -> int:
        """Write the table; returns its rows.

        Args:
            path: local file.
            steps: ids of the steps in order; columns of scores stand in that order.
        """
        names = {name: None for values in self._values for name in values}
        place = {step: position for position, step in enumerate(steps)}
        ordered = sorted(names, key=lambda name: place.get(name.partition(".")[0], len(place)))
        table = pa.Table.from_batches(self._documents, schema=VERDICT_SCHEMA)
        for name in ordered:
            kind = pa.float32()
            if any(not isinstance(values[name], np.ndarray) for values in self._values if name in values):
                kind = pa.string()
            chunks = [
                _score_column(values.get(name), kind, documents.num_rows)
                for documents, values in zip(self._documents, self._values, strict=True)
            ]
            table = table.append_column(pa.field(name, kind), pa.chunked_array(chunks, kind))
        return write_sorted(table, path)


def write_sorted(table: pa.Table, path: Path, by: Sequence[str] = ("id",)) -> int:
    """Write ``table`` sorted by the columns ``by``, equal rows in the order given; returns its rows."""
    keys = {name: table.column(name) for name in by} | {" row": pa.array(np.arange(table.num_rows))}
    order = pc.sort_indices(pa.table(keys), sort_keys=[(name, "ascending") for name in keys])
    with open_parquet_writer(path, table.schema) as writer:
        writer.write_table(table.take(order), row_group_size=_LEDGER_ROW_GROUP)
    return int(table.num_rows)


def _score_column(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, np.ndarray):
        # NaN means that the score was not taken or says nothing: null in the table.
        return pa.array(values.astype(np.float32), kind, from_pandas=True)
    return pa.array(values, kind)


def _column(values: Any, kind: pa.DataType, count: int) -> pa.Array:
    if values is None:
        return pa.nulls(count, kind)
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ndarray):
        return pa.array(values.astype(kind.to_pandas_dtype()), kind)
    if isinstance(values, (list, tuple)):
        return pa.array(values, kind)
    return pa.array([values] * count, kind)
