"""From phrases found to documents dropped or cut, and the table of the tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from textmill.curate.partition import connection_within
from textmill.steps import cut_schema
from textmill.steps.global_step import removal_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from textmill.curate.decontaminate import Decontaminate
    from textmill.curate.decontaminate_items import ExamItems
    from textmill.steps.phases import PhaseWork

EXAMPLES = 3
UNCHECKED_SHOWN = 5
ITEMS_NAMED = 5
_ROWS = 16_384


def without_common(work: PhaseWork, settings: Decontaminate) -> None:
    """Hits of the phrases that at most ``max_documents`` documents hold, by document; partitions are of phrases."""
    import pyarrow as pa

    with connection_within(work.context) as connection:
        connection.register("rows", work.rows("fingerprints"))
        connection.execute('CREATE TEMP TABLE hits AS SELECT id, shard, phrase, start, "end" FROM rows')
        reader = connection.sql(
            'SELECT id AS key, id, shard, phrase, start, "end" FROM hits WHERE phrase NOT IN ('
            "SELECT phrase FROM hits WHERE phrase >= 0 GROUP BY phrase "
            f"HAVING count(DISTINCT id) > {settings.max_documents}) "
            'ORDER BY key, phrase, start, "end"'
        ).to_arrow_reader(_ROWS)
        for rows in reader:
            key, place = rows.column("key").cast(pa.binary(16)), rows.schema.get_field_index("key")
            work.write("hits", rows.set_column(place, "key", key))


def decide(work: PhaseWork, settings: Decontaminate, items: ExamItems) -> None:
    """Removals or cuts, and ``found``: which items each document holds; partitions are of documents."""
    hits = "fingerprints" if settings.max_documents is None else "hits"
    with connection_within(work.context) as connection:
        connection.register("rows", work.rows(hits))
        connection.execute(
            'CREATE TEMP TABLE hits AS SELECT id, shard, phrase, start, "end" FROM rows WHERE phrase >= 0'
        )
        _register_items(connection, settings, items)
        connection.execute(
            "CREATE TEMP TABLE found AS SELECT h.id, h.shard, p.item, count(DISTINCT h.phrase) AS held, "
            "any_value(i.phrases) AS phrases FROM hits h JOIN phrase_items p USING (phrase) "
            "JOIN items i USING (item) GROUP BY h.id, h.shard, p.item HAVING held >= any_value(i.needed)"
        )
        answer = _cuts if settings.action == "cut" else _removals
        for rows in answer(connection, items):
            work.write("cuts" if settings.action == "cut" else "removals", rows)
        for batch in connection.sql("SELECT id, item, held FROM found ORDER BY id, item").to_arrow_reader(
            _ROWS
        ):
            work.write("found", batch)


def tell(work: PhaseWork, items: ExamItems) -> None:
    """Note, task by task, what was looked for and what was found: the record of the pass keeps it."""
    import pyarrow as pa

    with connection_within(work.context) as connection:
        connection.execute("CREATE TEMP TABLE found (id BLOB, item INTEGER)")
        rows = work.rows("found")
        if rows.schema.names:
            connection.register("rows", rows)
            connection.execute("INSERT INTO found SELECT id, item FROM rows")
        connection.register(
            "tasks_of", pa.table({"item": np.arange(len(items.names)), "task": items.task_of})
        )
        counted = {
            task: (hit, documents)
            for task, hit, documents in connection.execute(
                "SELECT task, count(DISTINCT item), count(DISTINCT id) FROM found JOIN tasks_of USING (item) "
                "GROUP BY task"
            ).fetchall()
        }
        examples = connection.execute(
            "SELECT task, item, documents, first FROM (SELECT task, item, count(*) AS documents, "
            "lower(hex(min(id))) AS first, row_number() OVER (PARTITION BY task ORDER BY count(*) DESC, item) AS place "
            f"FROM found JOIN tasks_of USING (item) GROUP BY task, item) WHERE place <= {EXAMPLES} ORDER BY task, place"
        ).fetchall()
    tasks = []
    for number, name in enumerate(items.tasks):
        mine = items.task_of == number
        unchecked = np.flatnonzero(mine & (items.phrase_counts == 0))
        hit, documents = counted.get(number, (0, 0))
        tasks.append(
            {
                "task": name,
                "items": int(mine.sum()),
                "not_checkable": len(unchecked),
                "not_checkable_examples": [
                    items.names[item] for item in unchecked[:UNCHECKED_SHOWN].tolist()
                ],
                "items_hit": hit,
                "documents": documents,
                "examples": [
                    {
                        "item": items.names[item],
                        "question": items.excerpts[item],
                        "documents": count,
                        "document": first,
                    }
                    for task, item, count, first in examples
                    if task == number
                ],
            }
        )
    work.note(tasks=tasks, phrases=int(items.phrases.starts.size), table_bytes=items.phrases.memory_bytes)


def _register_items(connection: duckdb.DuckDBPyConnection, settings: Decontaminate, items: ExamItems) -> None:
    import pyarrow as pa

    connection.register("phrase_items", pa.table({"phrase": items.phrase_of, "item": items.item_of}))
    # The share is compared as float64; what lies within a billionth of a whole number of phrases is that number.
    needed = np.maximum(1, np.ceil(settings.min_share * items.phrase_counts - 1e-9)).astype(np.int64)
    connection.register(
        "items",
        pa.table(
            {
                "item": np.arange(len(items.names), dtype=np.int32),
                "phrases": items.phrase_counts,
                "needed": needed,
            }
        ),
    )


def _removals(connection: duckdb.DuckDBPyConnection, items: ExamItems) -> Iterator[pa.RecordBatch]:
    """Documents to drop: the rule is the task of the item of which they hold most, the detail names items."""
    import pyarrow as pa

    schema = removal_schema().append(pa.field("detail", pa.string()))
    reader = connection.sql(
        "SELECT shard, id, count(*) AS items, "
        f"list({{item: item, held: held, phrases: phrases}} ORDER BY held / phrases DESC, held DESC, item)"
        f"[:{ITEMS_NAMED}] AS best FROM found GROUP BY shard, id ORDER BY shard, id"
    ).to_arrow_reader(_ROWS)
    for batch in reader:
        rows = []
        for row in batch.to_pylist():
            first = row["best"][0]
            named = [
                f"{items.tasks[items.task_of[one['item']]]} {items.names[one['item']]} "
                f"({one['held']} of {one['phrases']} runs)"
                for one in row["best"]
            ]
            left = row["items"] - len(named)
            rows.append(
                {
                    "shard": row["shard"],
                    "id": row["id"],
                    "rule": items.tasks[items.task_of[first["item"]]],
                    "matched_id": None,
                    "similarity": first["held"] / first["phrases"],
                    "detail": ", ".join(named) + (f" and {left:,} items more" if left else ""),
                }
            )
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)


def _cuts(connection: duckdb.DuckDBPyConnection, items: ExamItems) -> Iterator[pa.RecordBatch]:
    """Spans to cut: runs of hits of one item, overlapping ones as one; the rule names task and item."""
    import pyarrow as pa

    schema = cut_schema()
    reader = connection.sql(
        'SELECT h.shard, h.id, h.start, h."end", min(p.item) AS item FROM hits h JOIN phrase_items p USING (phrase) '
        "JOIN found f ON f.id = h.id AND f.item = p.item "
        'GROUP BY h.shard, h.id, h.start, h."end" ORDER BY h.shard, h.id, h.start, h."end"'
    ).to_arrow_reader(_ROWS)
    span: dict[str, Any] | None = None
    for batch in reader:
        rows = []
        for row in batch.to_pylist():
            if (
                span
                and all(row[name] == span[name] for name in ("shard", "id", "item"))
                and row["start"] <= span["end"]
            ):
                span["end"] = max(span["end"], row["end"])
                continue
            if span:
                rows.append(_cut(span, items))
            span = row
        if rows:
            yield pa.RecordBatch.from_pylist(rows, schema)
    if span:
        yield pa.RecordBatch.from_pylist([_cut(span, items)], schema)


def _cut(span: dict[str, Any], items: ExamItems) -> dict[str, Any]:
    item = span["item"]
    rule = f"{items.tasks[items.task_of[item]]} {items.names[item]}"
    return {
        "shard": span["shard"],
        "id": span["id"],
        "start": span["start"],
        "end": span["end"],
        "rule": rule,
        "matched_id": None,
        "count": None,
    }
