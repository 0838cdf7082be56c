"""A document pass over one shard: removals, transforms and filters, fused.

Between two transforms every cheap filter scores every document that stands at the group's start, and the
verdict is the first failing rule in recipe order; so scores are complete and thresholds can be changed later.
A step that raises on a batch is tried again document by document, and only those on which it raises fail.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.documents import Batch, ShardWriter, read_batches
from textmill.errors import UserError
from textmill.pipeline.cutting import ShardCuts, apply_cuts
from textmill.pipeline.faults import (
    Asker,
    OpenedStep,
    check_edit,
    check_scores,
    concat,
    join_edits,
    join_scores,
    open_step,
)
from textmill.pipeline.rejected import RejectedSample
from textmill.pipeline.settings_codec import decode
from textmill.pipeline.standing import Mask, Standing
from textmill.steps import CuttingStep, GlobalStep, Rule, StepContext, Transform
from textmill.steps.settings import StepSettings
from textmill.steps.stage import Report
from textmill.workspace.commits import Commit, FileRecord, StepCount, check_chain
from textmill.workspace.ledger_tables import EventLog, VerdictTable, write_sorted
from textmill.workspace.storage import Storage

# A step that fails on every one of this many documents is broken itself, and says so.
ALL_FAILED = 100


def curate_shard(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Take one shard through a pass and publish what comes of it; returns its commit.

    Args:
        item: run (URL), scratch, pass, item, shard (ordinal), fingerprint, inputs, documents (path), removals
            (paths; of cuts if the step cuts), applies/prepares (encoded global step or None), steps (encoded),
            sources (names in recipe order), score, rejected_per_rule, seed, quarantine (id to step), isolate.
        report: called with documents and bytes per batch; when ``isolate`` is set, with document and step
            before each single document, so that a crash can be laid at its door.
    """
    started = time.perf_counter()
    scratch = Path(tempfile.mkdtemp(prefix="curate-", dir=item["scratch"]))
    try:
        shard = _ShardPass(item, scratch, report)
        with shard.storage.open(item["documents"]) as stream:
            for batch in read_batches(stream):
                shard.take(batch)
                report(documents=len(batch), bytes=batch.text_bytes)
        return shard.finish(started).to_json()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _ShardPass:
    def __init__(self, item: Mapping[str, Any], scratch: Path, report: Report) -> None:
        self.item = item
        self.scratch = scratch
        self.storage = Storage(item["run"])
        context = StepContext(seed=item["seed"], scratch=scratch)
        self.opened = [open_step(decode(encoded, StepSettings), context) for encoded in item["steps"]]
        self.groups = _group(self.opened)
        self.asker = Asker(item["quarantine"], item["isolate"], report)
        self.applies = self._load_removals()
        self.prepares: OpenedStep | None = None
        if item["prepares"]:
            step = decode(item["prepares"], GlobalStep)
            count = StepCount(f"{step.step_id} (fingerprint)")
            self.prepares = OpenedStep(step, step.open(context), count=count)
        self.fingerprints: list[pa.RecordBatch] = []
        self.priority = {name: position for position, name in enumerate(item["sources"])}
        self.events = EventLog()
        self.verdicts = VerdictTable()
        self.rejected = RejectedSample(item["rejected_per_rule"])
        self.writer = ShardWriter(scratch / "documents.parquet")

    # --- one batch -----------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        standing = Standing.of(batch)
        if self.applies and isinstance(self.applies.step, CuttingStep):
            apply_cuts(standing, self.applies, self.events, self.rejected)
        elif self.applies:
            self._apply_removals(standing)
        for kind, members in self.groups:
            if kind == "transform":
                self._transform(standing, members[0])
            else:
                self._filter(standing, members)
        if self.prepares:
            self._fingerprint(standing, self.prepares)
        self.writer.write(standing.current)
        self.verdicts.add(
            standing.entry,
            batch.code_points,
            standing.verdicts,
            standing.steps,
            standing.rules,
            standing.values,
        )

    def _transform(self, standing: Standing, opened: OpenedStep) -> None:
        before = standing.current
        edit, errors = self.asker.ask(opened, before, opened.runner.transform, check_edit, join_edits)
        failed = self._fail(standing, opened, errors)
        after = before if edit is None else before.with_texts(edit.texts, edit.metadata)
        changed = np.flatnonzero(~failed & _differs(before, after))
        if len(changed) and edit is not None:
            details = [
                ", ".join(f"{name} {counts[row]}" for name, counts in edit.counts.items() if counts[row])
                or None
                for row in changed
            ]
            self.events.add(
                before.records.take(pa.array(changed)),
                "edited",
                opened.id,
                characters_before=before.code_points[changed],
                characters_after=after.code_points[changed],
                detail=details,
            )
        standing.current = after
        standing.leave(~failed)
        _count(opened, before, before.code_points.sum(), standing.current, failed=int(failed.sum()))

    def _filter(self, standing: Standing, members: Sequence[OpenedStep]) -> None:
        batch = standing.current
        keep = np.ones(len(batch), np.bool_)
        for opened in members:
            everyone = self.item["score"] == "all" and getattr(opened.step, "cost", "") == "cheap"
            asked = np.ones(len(batch), np.bool_) if everyone else keep.copy()
            asked_batch = batch.select(asked)
            scores, errors = self.asker.ask(
                opened, asked_batch, opened.runner.scores, check_scores, join_scores
            )
            standing.store(opened.id, scores or {}, asked)
            failed = np.zeros(len(batch), np.bool_)
            failed[np.flatnonzero(asked)[list(errors)]] = True
            failed &= keep
            reasons = {int(np.flatnonzero(asked)[row]): reason for row, reason in errors.items()}
            self._record_failures(standing, opened, failed, reasons)
            before, keep = keep, keep & ~failed
            dropped = 0
            for rule in opened.rules:
                dropped += self._apply_rule(standing, opened, rule, keep, asked, scores or {})
            opened.count += StepCount(
                opened.id,
                int(before.sum()),
                int(keep.sum()),
                dropped,
                int(failed.sum()),
                int(batch.code_points[before].sum()),
                int(batch.code_points[keep].sum()),
            )
        standing.leave(keep)

    def _apply_rule(
        self,
        standing: Standing,
        opened: OpenedStep,
        rule: Rule,
        keep: Mask,
        asked: Mask,
        scores: Mapping[str, Any],
    ) -> int:
        """Drop what ``rule`` refuses: changes ``keep`` in place; returns how many."""
        batch = standing.current
        refused = np.zeros(len(batch), np.bool_)
        if rule.score not in scores:
            if asked.any() and scores:
                raise UserError(
                    f"step {opened.id} has a rule on a score that it does not give",
                    expected=", ".join(scores),
                    found=rule.score,
                    hint="name the score in Rule(...) as scores() returns it",
                )
            return 0
        refused[np.flatnonzero(asked)] = ~rule.keeps(scores[rule.score])
        refused &= keep
        rows = np.flatnonzero(refused)
        if not len(rows):
            return 0
        keep &= ~refused
        standing.judge(refused, "dropped", opened.id, rule.name)
        position = np.cumsum(asked) - 1
        values = [scores[rule.score][position[row]] for row in rows]
        records = batch.records.take(pa.array(rows))
        characters = batch.code_points[rows]
        if rule.allowed is not None:
            measured: dict[str, Any] = {"label": list(values), "detail": rule.describe()}
        else:
            measured = {
                "value": [float(value) for value in values],
                "threshold": [rule.threshold(float(value)) for value in values],
            }
        self.events.add(
            records, "dropped", opened.id, rule=rule.name, characters_before=characters, **measured
        )
        self.rejected.add(records, opened.id, rule.name)
        return len(rows)

    # --- global steps --------------------------------------------------------------------------------------

    def _load_removals(self) -> OpenedStep | None:
        if not self.item["applies"]:
            return None
        step = decode(self.item["applies"], GlobalStep)
        if isinstance(step, CuttingStep):
            cuts = ShardCuts.load(self.storage, self.item["removals"], self.item["shard"])
            return OpenedStep(step, cuts, count=StepCount(step.step_id))
        removals = {}
        for path in self.item["removals"]:
            with self.storage.open(path) as stream:
                table = pq.read_table(stream, filters=[("shard", "=", self.item["shard"])])
            for row in table.to_pylist():
                removals[row["id"]] = row
        return OpenedStep(step, removals, count=StepCount(step.step_id))

    def _apply_removals(self, standing: Standing) -> None:
        opened, batch = self.applies, standing.current
        assert opened is not None
        removals = [opened.runner.get(identifier) for identifier in batch.ids]
        gone = np.array([removal is not None for removal in removals], np.bool_)
        if gone.any():
            found = [removal for removal in removals if removal is not None]
            records = batch.records.filter(pa.array(gone))
            self.events.add(
                records,
                "matched",
                opened.id,
                rule=[removal["rule"] for removal in found],
                matched_id=[removal["matched_id"] for removal in found],
                similarity=[removal["similarity"] for removal in found],
                detail=[removal.get("detail") for removal in found],
                characters_before=batch.code_points[gone],
            )
            for rule in sorted({removal["rule"] for removal in found}):
                of_rule = np.array([removal is not None and removal["rule"] == rule for removal in removals])
                standing.judge(of_rule, "dropped", opened.id, rule)
                self.rejected.add(batch.records.filter(pa.array(of_rule)), opened.id, rule)
        standing.leave(~gone)
        _count(opened, batch, batch.code_points.sum(), standing.current, dropped=int(gone.sum()))

    def _fingerprint(self, standing: Standing, opened: OpenedStep) -> None:
        batch = standing.current
        found, errors = self.asker.ask(
            opened, batch, opened.runner.fingerprint, lambda rows, _: rows, lambda parts, _: concat(parts)
        )
        failed = self._fail(standing, opened, errors)
        if found is not None and found.num_rows:
            of_document = [self.priority[source] for source in batch.records.column("source").to_pylist()]
            place = pc.index_in(found.column("id").cast(pa.binary(16)), value_set=batch.records.column("id"))
            found = found.append_column("priority", pa.array(of_document, pa.int64()).take(place))
            shard = pa.array([self.item["shard"]] * found.num_rows, pa.int32())
            self.fingerprints.append(found.append_column("shard", shard))
        standing.leave(~failed)
        _count(opened, batch, batch.code_points.sum(), standing.current, failed=int(failed.sum()))

    # --- faults belong to documents ------------------------------------------------------------------------

    def _fail(self, standing: Standing, opened: OpenedStep, errors: Mapping[int, str]) -> Mask:
        failed = np.zeros(len(standing.current), np.bool_)
        failed[list(errors)] = True
        self._record_failures(standing, opened, failed, errors)
        return failed

    def _record_failures(
        self, standing: Standing, opened: OpenedStep, failed: Mask, reasons: Mapping[int, str]
    ) -> None:
        rows = np.flatnonzero(failed)
        if not len(rows):
            return
        batch = standing.current
        records = batch.records.take(pa.array(rows))
        self.events.add(
            records,
            "failed",
            opened.id,
            rule="error",
            characters_before=batch.code_points[rows],
            detail=[reasons[int(row)] for row in rows],
        )
        standing.judge(failed, "failed", opened.id, "error")
        self.rejected.add(records, opened.id, "error")

    # --- the end of the shard ------------------------------------------------------------------------------

    def finish(self, started: float) -> Commit:
        counts = self._counts()
        where = f"{self.item['pass']}, item {self.item['item']}"
        check_chain(counts, where)
        self.writer.close()
        outputs: dict[str, list[FileRecord]] = {
            "documents": [
                self._publish(self.writer.path, "documents", self.writer.documents, self.writer.text_bytes)
            ]
        }
        steps = [opened.id for opened in self.opened]
        for kind, write in (
            ("scores", lambda path: self.verdicts.write(path, steps)),
            ("events", self.events.write),
            ("rejected", self.rejected.write),
            ("fingerprints", self._write_fingerprints),
        ):
            path = self.scratch / f"{kind}.parquet"
            rows = write(path)
            if rows:
                outputs[kind] = [self._publish(path, kind, rows)]
        return Commit(
            item=self.item["item"],
            fingerprint=self.item["fingerprint"],
            inputs=tuple(self.item["inputs"]),
            outputs=outputs,
            steps=tuple(counts),
            seconds=time.perf_counter() - started,
        )

    def _counts(self) -> list[StepCount]:
        members = ([self.applies] if self.applies else []) + self.opened
        if self.prepares and self.prepares.count.failed:
            members = [*members, self.prepares]
        for opened in members:
            count = opened.count
            if count.failed == count.taken and count.taken >= ALL_FAILED:
                raise UserError(
                    f"step {opened.id} failed on every one of {count.taken:,} documents",
                    found=opened.first_error,
                    hint="mend the step; the same command then continues",
                )
        return [opened.count for opened in members]

    def _publish(self, path: Path, kind: str, rows: int, text_bytes: int | None = None) -> FileRecord:
        name = f"passes/{self.item['pass']}/{kind}/{self.item['item']}-{{sha}}.parquet"
        return self.storage.publish(path, name, rows, text_bytes)

    def _write_fingerprints(self, path: Path) -> int:
        if not self.fingerprints:
            return 0
        return write_sorted(pa.Table.from_batches(self.fingerprints), path, by=("key", "id"))


def _group(opened: Sequence[OpenedStep]) -> list[tuple[str, list[OpenedStep]]]:
    groups: list[tuple[str, list[OpenedStep]]] = []
    for one in opened:
        if isinstance(one.step, Transform):
            groups.append(("transform", [one]))
        elif groups and groups[-1][0] == "filters":
            groups[-1][1].append(one)
        else:
            groups.append(("filters", [one]))
    return groups


def _count(
    opened: OpenedStep, before: Batch, characters: int, after: Batch, dropped: int = 0, failed: int = 0
) -> None:
    opened.count += StepCount(
        opened.count.step,
        len(before),
        len(after),
        dropped,
        failed,
        int(characters),
        int(after.code_points.sum()),
    )


def _differs(before: Batch, after: Batch) -> Mask:
    import pyarrow.compute as pc

    if before is after:
        return np.zeros(len(before), np.bool_)
    unequal = pc.not_equal(before.records.column("text"), after.records.column("text"))
    return np.asarray(unequal.to_numpy(zero_copy_only=False), np.bool_)
