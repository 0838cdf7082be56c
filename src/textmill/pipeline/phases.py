"""A global step's phases: their work units as items, and the task that carries one out.

The units of one phase can run side by side; the next phase's follow from the files that they wrote. All of them are
items of one pass, ``2-near_dedup``, named ``1-propose-00003``: so they are committed, resumed and counted like any
others. When the step has decided, what only phases read is deleted; the answers stay.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.documents import DOCUMENT_SCHEMA, Batch
from textmill.pipeline.plan import PassPlan
from textmill.pipeline.settings_codec import decode, encode
from textmill.pipeline.tables import TableWriter, read_all, read_partition, read_shard
from textmill.steps import GlobalStep, Phase, StepContext
from textmill.steps.global_step import with_details
from textmill.steps.phases import ANSWERS, FINGERPRINTS
from textmill.steps.stage import Report
from textmill.workspace.commits import Commit, FileRecord
from textmill.workspace.manifest import Manifest
from textmill.workspace.storage import Storage

if TYPE_CHECKING:
    from textmill.recipe import Recipe

# One partition: small enough for a worker's memory whatever the phase does with it, and from the tables alone.
PARTITION_ROWS = 2_000_000
PARTITION_BYTES = 128 * 2**20
MOST_PARTITIONS = 4096


# --- the units of a phase, as the coordinator sees them -------------------------------------------------------


def phase_units(
    plan: PassPlan, number: int, recipe: Recipe, manifest: Manifest, before: Sequence[Commit]
) -> list[dict[str, Any]]:
    """The units of phase ``number`` (from 0): ``name``, ``inputs``, ``work`` and ``size`` of each.

    Args:
        plan: a resolve pass.
        number: which of its step's phases.
        recipe: for the order of sources and the memory of a worker.
        manifest: names the shards and their fingerprints.
        before: commits of the units of all earlier phases.
    """
    from textmill.pipeline.items import digest

    assert plan.prepares is not None
    phase = plan.prepares.phases()[number]
    last = manifest.document_passes_before(plan.name)[-1]
    tables = {
        table: last.files(FINGERPRINTS)
        if table == FINGERPRINTS
        else [file for commit in before for file in commit.outputs.get(table, [])]
        for table in phase.reads
    }
    first = tables[phase.reads[0]]
    rows, size = sum(file.rows or 0 for file in first), sum(file.bytes for file in first)
    if not rows:
        return []
    identity = digest([file for files in tables.values() for file in files])
    common = {
        "step": encode(plan.prepares),
        "phase": number,
        "tables": {table: [file.path for file in files] for table, files in tables.items()},
        "sources": [source.source_name for source in recipe.sources],
        "memory_bytes": recipe.run.memory_per_worker,
        "part": [0, 1],
        "shard": -1,
        "documents": None,
    }
    prefix = f"{number + 1}-{phase.name}"
    if phase.per == "shard":
        return [
            {
                "name": f"{prefix}-{shard:05d}",
                "inputs": (identity, file.sha256),
                "work": {**common, "shard": shard, "documents": file.path},
                "size": file.rows or 0,
            }
            for shard, file in enumerate(last.files("documents"))
        ]
    count = partitions(rows, size) if phase.per == "partition" else 1
    return [
        {
            "name": f"{prefix}-{part:05d}",
            "inputs": (identity,),
            "work": {**common, "part": [part, count]},
            "size": rows // count,
        }
        for part in range(count)
    ]


def partitions(rows: int, size: int = 0) -> int:
    """How many partitions a table makes: a power of two, from its rows and bytes alone."""
    count = 1
    while count < MOST_PARTITIONS and (rows > count * PARTITION_ROWS or size > count * PARTITION_BYTES):
        count *= 2
    return count


def answers_only(commits: Sequence[Commit]) -> tuple[Commit, ...]:
    """The commits of a step that has decided, without the files that only its phases read."""
    return tuple(
        replace(commit, outputs={kind: files for kind, files in commit.outputs.items() if kind in ANSWERS})
        for commit in commits
    )


def notes_of(commits: Sequence[Commit]) -> dict[str, Any]:
    """What the units of all phases noted: numbers added up, lists joined, anything else as it is."""
    total: dict[str, Any] = {}
    for commit in commits:
        for name, value in commit.numbers.items():
            if name in total and isinstance(value, int | float | list):
                total[name] = total[name] + value
            else:
                total[name] = value
    return total


# --- the task -------------------------------------------------------------------------------------------------


def carry_out_phase(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Carry out one unit of a phase and publish what it wrote; returns its commit.

    Args:
        item: run (URL), scratch, pass, item, fingerprint, inputs, step (encoded), phase (number), tables (name to
            paths), part (partition, of how many), shard (or -1), documents (path of the shard, or None),
            sources, seed, memory_bytes.
        report: called with rows taken in.
    """
    started = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="phase-", dir=item["scratch"]))
    try:
        step = decode(item["step"], GlobalStep)
        phase = step.phases()[item["phase"]]
        context = StepContext(item["seed"], scratch, item["memory_bytes"], tuple(item["part"]))
        work = Unit(item, phase, context, report)
        getattr(step.open(context), phase.name)(work)
        outputs = work.publish()
        return Commit(
            item=item["item"],
            fingerprint=item["fingerprint"],
            inputs=tuple(item["inputs"]),
            outputs=outputs,
            numbers=work.numbers,
            seconds=time.perf_counter() - started,
        ).to_json()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class Unit:
    """One work unit: see :class:`textmill.steps.phases.PhaseWork`."""

    def __init__(self, item: Mapping[str, Any], phase: Phase, context: StepContext, report: Report) -> None:
        self.item = item
        self.phase = phase
        self.context = context
        self.report = report
        self.storage = Storage(item["run"])
        self.sources: Sequence[str] = item["sources"]
        self.shard: int = item["shard"]
        self.numbers: dict[str, Any] = {}
        self._writers: dict[str, TableWriter] = {}
        self._first_table_read = False

    def rows(self, table: str) -> pa.RecordBatchReader:
        """The unit's rows of a table."""
        paths: list[str] = self.item["tables"][table]
        if not paths:
            return pa.RecordBatchReader.from_batches(pa.schema([]), iter(()))
        with self.storage.open(paths[0]) as stream:
            schema = pq.read_schema(stream)
        counts = table == self.phase.reads[0] and self.phase.per != "shard" and not self._first_table_read
        self._first_table_read |= counts
        return pa.RecordBatchReader.from_batches(schema, self._batches(paths, counts))

    def _batches(self, paths: Sequence[str], counts: bool) -> Iterator[pa.RecordBatch]:
        if self.phase.per == "partition":
            part, count = self.item["part"]
            batches = read_partition(self.storage, paths, part, count)
        elif self.phase.per == "shard":
            batches = read_shard(self.storage, paths, self.shard)
        else:
            batches = read_all(self.storage, paths)
        for records in batches:
            self.alive(records.num_rows if counts else 0)
            yield records

    def documents(self, ids: pa.Array) -> Iterator[Batch]:
        """The documents with these ids."""
        wanted = ids.cast(pa.binary(16))
        with self.storage.open(self.item["documents"]) as stream, pq.ParquetFile(stream) as parquet:
            for group in range(parquet.num_row_groups):
                found = parquet.read_row_group(group, columns=["id"], use_threads=False).column("id")
                mask = pc.is_in(found, value_set=wanted)
                self.alive(len(found))
                if not pc.any(mask).as_py():
                    continue
                table = parquet.read_row_group(group, columns=DOCUMENT_SCHEMA.names, use_threads=False)
                for records in table.filter(mask).combine_chunks().to_batches():
                    yield Batch(records)

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all documents of the shard."""
        with self.storage.open(self.item["documents"]) as stream, pq.ParquetFile(stream) as parquet:
            for group in range(parquet.num_row_groups):
                yield from parquet.read_row_group(group, columns=list(names), use_threads=False).to_batches()

    def write(self, table: str, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows to a table."""
        if table not in self.phase.writes:
            raise KeyError(f"phase {self.phase.name} does not write {table}")
        if table == "removals":
            rows = with_details(pa.table(rows))
        elif table == "cuts":
            from textmill.steps.cutting import cut_schema

            rows = pa.table(rows).select(cut_schema().names).cast(cut_schema())
        if table not in self._writers:
            self._writers[table] = TableWriter(self.context.scratch / f"{table}.parquet")
        self._writers[table].write(rows)

    def note(self, **numbers: Any) -> None:
        """Measurements for the record."""
        for name, value in numbers.items():
            before = self.numbers.get(name)
            self.numbers[name] = value if before is None else before + value

    def warn(self, text: str) -> None:
        """A line that the user should see."""
        self.note(warnings=[text])

    def alive(self, rows: int = 0) -> None:
        """Say that the unit is at work."""
        self.report(documents=rows)

    def publish(self) -> dict[str, list[FileRecord]]:
        """Move the finished tables into the run folder; those with no rows are not there."""
        outputs = {}
        for table, writer in sorted(self._writers.items()):
            writer.close()
            if writer.rows:
                name = f"passes/{self.item['pass']}/{table}/{self.item['item']}-{{sha}}.parquet"
                outputs[table] = [self.storage.publish(writer.path, name, writer.rows)]
            if table in ANSWERS:
                self.note(**{table: writer.rows})
        return outputs
