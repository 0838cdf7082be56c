"""A global step's decisions over one partition of its fingerprints."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import pyarrow as pa
import pyarrow.parquet as pq

from textmill.documents.shards import open_parquet_writer
from textmill.pipeline.settings_codec import decode
from textmill.pipeline.tables import read_partition
from textmill.steps import CuttingStep, GlobalStep, StepContext, cut_schema
from textmill.steps.global_step import GlobalRunner, with_details
from textmill.steps.stage import Report
from textmill.workspace.commits import Commit, FileRecord
from textmill.workspace.ledger_tables import write_sorted
from textmill.workspace.storage import Storage

# Rows of one partition: small enough for a worker's memory whatever the step joins them with.
PARTITION_ROWS = 2_000_000
MOST_PARTITIONS = 4096
# Rows of a row group of a streamed answer.
_ANSWER_ROWS = 65_536


def partitions(rows: int) -> int:
    """How many partitions ``rows`` fingerprints make: a power of two, from the number of rows alone."""
    count = 1
    while count < MOST_PARTITIONS and rows > count * PARTITION_ROWS:
        count *= 2
    return count


def resolve_partition(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Decide one partition and publish its removals; returns its commit.

    Args:
        item: run (URL), scratch, pass, item, fingerprint, inputs, step (encoded), fingerprints (paths),
            partition, partitions, seed, memory_bytes.
        report: called with rows read.
    """
    started = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="resolve-", dir=item["scratch"]))
    try:
        storage = Storage(item["run"])
        step = decode(item["step"], GlobalStep)
        part = (item["partition"], item["partitions"])
        context = StepContext(item["seed"], scratch, item["memory_bytes"], part)
        runner = cast(GlobalRunner, step.open(context))
        outputs: dict[str, list[FileRecord]] = {}
        numbers = {"fingerprints": 0, answer_kind(step): 0}
        if item["fingerprints"]:
            with storage.open(item["fingerprints"][0]) as stream:
                schema = pq.read_schema(stream)
            rows = read_partition(storage, item["fingerprints"], item["partition"], item["partitions"])
            counted = _counting(rows, numbers, report)
            reader = pa.RecordBatchReader.from_batches(schema, counted)
            kind = answer_kind(step)
            path = scratch / f"{kind}.parquet"
            numbers[kind] = _write_answer(runner.resolve(reader, context), kind, path)
            if numbers[kind]:
                name = f"passes/{item['pass']}/{kind}/{item['item']}-{{sha}}.parquet"
                outputs[kind] = [storage.publish(path, name, numbers[kind])]
        return Commit(
            item=item["item"],
            fingerprint=item["fingerprint"],
            inputs=tuple(item["inputs"]),
            outputs=outputs,
            numbers=numbers,
            seconds=time.perf_counter() - started,
        ).to_json()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def answer_kind(step: GlobalStep) -> Literal["removals", "cuts"]:
    """What a step answers with, and the folder of the pass that holds it."""
    return "cuts" if isinstance(step, CuttingStep) else "removals"


def _write_answer(answer: pa.Table | pa.RecordBatchReader, kind: str, path: Path) -> int:
    """Write an answer sorted; returns its rows. A reader is sorted by contract and never held as a whole."""
    if kind == "removals":
        removals = with_details(answer)
        return write_sorted(removals, path, by=("shard", "id")) if removals.num_rows else 0
    schema = cut_schema()
    if isinstance(answer, pa.Table):
        cuts = answer.select(schema.names).cast(schema)
        return write_sorted(cuts, path, by=("shard", "id", "start", "end")) if cuts.num_rows else 0
    rows = 0
    with open_parquet_writer(path, schema) as writer:
        for table in _even(answer):
            writer.write_table(table.select(schema.names).cast(schema), row_group_size=_ANSWER_ROWS)
            rows += table.num_rows
    return rows


def _even(answer: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """Tables of the same number of rows, however the reader cuts: so that the same answer is the same bytes."""
    held: list[pa.Table] = []
    rows = 0
    for records in answer:
        held.append(pa.Table.from_batches([records]))
        rows += records.num_rows
        while rows >= _ANSWER_ROWS:
            table = pa.concat_tables(held)
            yield table.slice(0, _ANSWER_ROWS)
            held = [table.slice(_ANSWER_ROWS)]
            rows -= _ANSWER_ROWS
    if rows:
        yield pa.concat_tables(held)


def _counting(
    batches: Iterator[pa.RecordBatch], numbers: dict[str, int], report: Report
) -> Iterator[pa.RecordBatch]:
    for records in batches:
        numbers["fingerprints"] += records.num_rows
        report(documents=records.num_rows)
        yield records
