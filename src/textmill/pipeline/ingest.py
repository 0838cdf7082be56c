"""Pass 0: one split of a source becomes shards of documents."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from textmill.documents import Batch, Document, Dropped, Failure, ShardWriter, document_id
from textmill.errors import ConservationError
from textmill.pipeline.settings_codec import decode
from textmill.steps import SourceSettings, Split, StepContext
from textmill.steps.stage import Report
from textmill.workspace.commits import Commit, FileRecord, StepCount
from textmill.workspace.ledger_tables import VERDICT_SCHEMA, EventLog, VerdictTable
from textmill.workspace.storage import Storage

STEP = "ingest"
# A shard also ends at this many documents, so that the ledger of a shard of tiny texts fits a worker.
SHARD_DOCUMENTS = 262_144
_BATCH_BYTES = 2 * 2**20
_BATCH_DOCUMENTS = 1024


def ingest_split(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Read one split and publish its shards; returns its commit.

    Args:
        item: run (URL), scratch, pass, item, fingerprint, inputs, source (encoded settings), split (work,
            version, bytes), shard_bytes, seed.
        report: called with documents and bytes as they are read.
    """
    started = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="ingest-", dir=item["scratch"]))
    try:
        settings = decode(item["source"], SourceSettings)
        split = Split(**item["split"])
        reader = settings.open(StepContext(seed=item["seed"], scratch=scratch))
        shards = _Shards(item, scratch, settings.source_name)
        for record in reader.read(split):
            shards.add(record, report)
        return shards.finish(report, time.perf_counter() - started).to_json()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Shards:
    """The shards that a split fills, one after the other."""

    def __init__(self, item: Mapping[str, Any], scratch: Path, source: str) -> None:
        self.item = item
        self.scratch = scratch
        self.source = source
        self.storage = Storage(item["run"])
        self.outputs: dict[str, list[FileRecord]] = {"documents": [], "scores": [], "events": []}
        self.count = StepCount(STEP)
        self.number = 0
        self.pending: list[Document] = []
        self.pending_bytes = 0
        self.failures: list[Failure] = []
        self.dropped: list[Dropped] = []
        self._open()

    def _open(self) -> None:
        self.writer = ShardWriter(self.scratch / "documents.parquet")
        self.events = EventLog()
        self.verdicts = VerdictTable()
        self.identifiers: set[bytes] = set()

    def add(self, record: Document | Failure | Dropped, report: Report) -> None:
        if isinstance(record, Failure):
            self.failures.append(record)
        elif isinstance(record, Dropped):
            self.dropped.append(record)
        else:
            self.pending.append(record)
            # Characters are at most as many as bytes; close enough to bound a batch.
            self.pending_bytes += len(record.text)
        waiting = len(self.pending) + len(self.failures) + len(self.dropped)
        if self.pending_bytes >= _BATCH_BYTES or waiting >= _BATCH_DOCUMENTS:
            self._flush(report)
            full = self.writer.text_bytes >= self.item["shard_bytes"]
            if full or len(self.identifiers) >= SHARD_DOCUMENTS:
                self._close()
                self._open()

    def _flush(self, report: Report) -> None:
        batch = Batch.from_documents(self.source, self.pending)
        self._check_unique(batch.ids, [document.locator for document in self.pending])
        self.writer.write(batch)
        kept = len(batch)
        self.verdicts.add(batch.records, batch.code_points, ["kept"] * kept, [None] * kept, [None] * kept, {})
        failed, dropped = len(self.failures), len(self.dropped)
        if failed:
            reasons = [failure.reason for failure in self.failures]
            rules = [failure.rule for failure in self.failures]
            self._write_unkept("failed", self.failures, rules, detail=reasons)
        if dropped:
            labels = [record.label for record in self.dropped]
            details = [record.detail for record in self.dropped]
            rules = [record.rule for record in self.dropped]
            self._write_unkept("dropped", self.dropped, rules, label=labels, detail=details)
        taken = kept + failed + dropped
        characters = int(batch.code_points.sum())
        self.count += StepCount(STEP, taken, kept, dropped, failed, characters, characters)
        report(documents=taken, bytes=batch.text_bytes)
        self.pending, self.failures, self.dropped, self.pending_bytes = [], [], [], 0

    def _write_unkept(
        self,
        action: Literal["dropped", "failed"],
        unkept: Sequence[Failure | Dropped],
        rules: list[str],
        **columns: list[str] | list[str | None],
    ) -> None:
        identifiers = [document_id(self.source, record.locator) for record in unkept]
        self._check_unique(identifiers, [record.locator for record in unkept])
        count = len(unkept)
        records = pa.RecordBatch.from_arrays(
            [
                pa.array(identifiers, pa.binary(16)),
                pa.array([self.source] * count, pa.string()),
                pa.array([record.locator for record in unkept], pa.string()),
                pa.array([record.url for record in unkept], pa.string()),
            ],
            schema=pa.schema([VERDICT_SCHEMA.field(name) for name in ("id", "source", "locator", "url")]),
        )
        self.events.add(records, action, STEP, rule=rules, **columns)
        no_characters = pa.array([0] * count).to_numpy()
        self.verdicts.add(records, no_characters, [action] * count, [STEP] * count, rules, {})

    def _check_unique(self, identifiers: list[bytes], locators: list[str]) -> None:
        for identifier, locator in zip(identifiers, locators, strict=True):
            if identifier in self.identifiers:
                raise ConservationError(f"source {self.source} gave {locator} twice: locators must be unique")
            self.identifiers.add(identifier)

    def _close(self) -> None:
        self.writer.close()
        folder, item = f"passes/{self.item['pass']}", self.item["item"]
        name = f"{item}-{self.number:03d}-{{sha}}.parquet"
        self.outputs["documents"].append(
            self.storage.publish(
                self.writer.path,
                f"{folder}/documents/{name}",
                self.writer.documents,
                self.writer.text_bytes,
            )
        )
        for kind, table in (("scores", self.verdicts), ("events", self.events)):
            path = self.scratch / f"{kind}.parquet"
            rows = table.write(path)
            if rows:
                self.outputs[kind].append(self.storage.publish(path, f"{folder}/{kind}/{name}", rows))
        self.number += 1

    def finish(self, report: Report, seconds: float) -> Commit:
        self._flush(report)
        self._close()
        self.count.check(f"{self.item['pass']}, item {self.item['item']}")
        return Commit(
            item=self.item["item"],
            fingerprint=self.item["fingerprint"],
            inputs=tuple(self.item["inputs"]),
            outputs=self.outputs,
            steps=(self.count,),
            seconds=seconds,
        )
