"""Units of text (lines, sentences, spans of words) that occur again: which of them to cut.

::

    key, id, start, end  ─► keys that occur often enough ─► all of their units but the first ─► cuts
    of every unit             (group by key)                  (by source, document, place)

The first is that of the source that stands first in the recipe, in the document with the smallest id, nearest to
its beginning. A unit is cut only for an earlier one with the same key; so whatever is cut still stands somewhere,
even where units overlap: what the earlier unit lacks was cut for a still earlier one, and so on to one that was not.

Memory: DuckDB sorts and groups one partition within the worker's limit, on disk where it must; cuts leave in
order, a batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from textmill.curate.partition import connection_within
from textmill.steps.context import StepContext
from textmill.steps.cutting import cut_schema

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 65_536


def repeated_units(
    units: pa.RecordBatchReader,
    context: StepContext,
    rule: str,
    min_count: int = 2,
    count: Literal["documents", "occurrences"] = "occurrences",
    keep: Literal["first", "none"] = "first",
) -> pa.RecordBatchReader:
    """Cuts of the units that repeat, in order of shard, id, start and end.

    Args:
        units: columns ``key``, ``id``, ``start``, ``end`` (bytes of the text), ``shard`` and ``priority``, in any
            order; units with equal keys are equal.
        context: how much memory, and where to spill.
        rule: what the ledger calls it.
        min_count: units repeat that occur at least so often.
        count: what is counted: ``documents`` that hold the unit, or all of its ``occurrences``. In the first
            case the first document keeps all that it has of the unit, in the second only the very first stays.
        keep: whether the first stays; then what overlaps it in its own document stays as well ("ha ha ha ha"
            is no repeated "ha ha ha").
    """
    import pyarrow as pa

    return pa.RecordBatchReader.from_batches(
        cut_schema(), _cuts(units, context, rule, min_count, count, keep)
    )


def _cuts(
    units: pa.RecordBatchReader, context: StepContext, rule: str, min_count: int, count: str, keep: str
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    goes = {
        ("none", "documents"): "TRUE",
        ("none", "occurrences"): "TRUE",
        ("first", "documents"): "id <> first.id",
        ("first", "occurrences"): "(id <> first.id OR start >= first.stop)",
    }[keep, count]
    schema = cut_schema()
    with connection_within(context) as connection:
        connection.register("given", units)
        connection.execute(
            'CREATE TABLE units AS SELECT key, id, start, "end" AS stop, shard, priority FROM given'
        )
        # A document's units of one key first, so that no list of ids has to be held to count documents.
        connection.execute(
            f"""
            CREATE TABLE repeated AS
            SELECT key, sum(occurrences)::BIGINT AS occurrences, count(*) AS documents,
                   min(ROW(priority, id, start, stop)::STRUCT(priority BIGINT, id BLOB, start BIGINT, stop BIGINT))
                       AS first
            FROM (
                SELECT key, priority, id, count(*) AS occurrences, min(start) AS start, min(stop) AS stop
                FROM units GROUP BY key, priority, id
            )
            GROUP BY key HAVING {count} >= {int(min_count)}
            """
        )
        relation = connection.sql(
            f"""
            SELECT shard, id, start, stop AS "end", '{rule}' AS rule,
                   {"NULL::BLOB" if keep == "none" else "first.id"} AS matched_id, {count} AS count
            FROM units JOIN repeated USING (key)
            WHERE {goes}
            ORDER BY shard, id, start, "end", matched_id, count
            """
        )
        for records in relation.to_arrow_reader(_ROWS):
            if records.num_rows:
                yield from pa.Table.from_batches([records]).select(schema.names).cast(schema).to_batches()
