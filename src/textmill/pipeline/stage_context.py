"""Running a stage: what it may see of the run, and the commit of what it made."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.pipeline.engine import Crash, Engine
from textmill.pipeline.plan import PassPlan
from textmill.recipe import Recipe
from textmill.steps import Stage, StageResult
from textmill.steps.progress import Progress
from textmill.workspace import Commit, FileRecord, Manifest, PassRecord, Workspace

EVENTS = "events"
STARTED_FILE = "commits/{stage}/started.txt"


def run_stage(
    plan: PassPlan,
    recipe: Recipe,
    workspace: Workspace,
    manifest: Manifest,
    engine: Engine,
    progress: Progress,
    check_lock: Callable[[], None],
) -> Manifest:
    """Run one stage unless it is finished and nothing it depends on has changed; returns the manifest."""
    stage = plan.stage
    assert stage is not None
    inputs = _inputs(stage, manifest)
    finished = manifest.find(plan.name)
    if finished and finished.commits[0].matches(plan.fingerprint, inputs):
        return manifest
    if finished:
        manifest = manifest.without([plan.name])
        workspace.write_manifest(manifest)
    _make_room(stage, workspace, json.dumps([plan.fingerprint, *inputs]))
    started = time.perf_counter()
    progress.start(stage.name, 0, "")
    context = RunStageContext(stage, recipe.seed, workspace, manifest, engine, progress)
    try:
        result = stage.run(context)
    finally:
        shutil.rmtree(context.scratch, ignore_errors=True)
    check_lock()
    seconds = time.perf_counter() - started
    files = [context.record(path) for path in result.outputs]
    numbers = dict(result.numbers)
    commit = Commit("00000", plan.fingerprint, inputs, {"stage": files}, (), numbers, seconds)
    record = PassRecord(plan.name, "stage", plan.fingerprint, {"does": plan.describe()}, (commit,), seconds)
    manifest = workspace.finish_pass(manifest, record)
    progress.finish(stage.name, "")
    return manifest


def _inputs(stage: Stage, manifest: Manifest) -> tuple[str, ...]:
    """SHA-256 of everything that the stages it needs have made, and of the ledger's events if it reads these."""
    inputs: list[str] = []
    for need in stage.needs:
        if need == EVENTS:
            inputs += [file.sha256 for one in manifest.document_passes() for file in one.files(EVENTS)]
            continue
        record = _upstream(need, manifest)
        if record is not None:
            kind = "documents" if need == "documents" else "stage"
            inputs += [file.sha256 for file in record.files(kind)]
    return tuple(inputs)


def _upstream(need: str, manifest: Manifest) -> PassRecord | None:
    if need == "documents":
        passes = manifest.document_passes()
        return passes[-1] if passes else None
    return manifest.find(need)


def _make_room(stage: Stage, workspace: Workspace, state: str) -> None:
    """Empty the stage's folders, unless an interrupted attempt at the very same work left something there."""
    marker = STARTED_FILE.format(stage=stage.name)
    if workspace.exists(marker) and workspace.read_text(marker) == state:
        return
    for folder in stage.folders or (stage.name,):
        workspace.storage.remove(folder)
    workspace.storage.write_bytes(marker, state.encode())


class RunStageContext:
    """The pipeline's :class:`textmill.steps.StageContext`."""

    def __init__(
        self,
        stage: Stage,
        seed: int,
        workspace: Workspace,
        manifest: Manifest,
        engine: Engine,
        progress: Progress,
    ) -> None:
        self.seed = seed
        self.scratch = Path(tempfile.mkdtemp(prefix=f"{stage.name}-", dir=workspace.scratch()))
        self._stage = stage
        self._workspace = workspace
        self._manifest = manifest
        self._engine = engine
        self._progress = progress
        self._records: dict[str, FileRecord] = {}

    def upstream(self, stage: str) -> StageResult:
        """What an earlier stage committed."""
        record = _upstream(stage, self._manifest)
        if record is None:
            raise UserError(
                f"{self._stage.name} needs {stage}, which this recipe does not make",
                hint=f"add a section {stage}: to the recipe",
            )
        if stage == "documents":
            files = record.files("documents")
            steps = record.steps()
            numbers = {
                "documents": sum(file.rows or 0 for file in files),
                "characters": steps[-1].characters_kept if steps else 0,
                "text_bytes": sum(file.text_bytes or 0 for file in files),
            }
            return StageResult([file.path for file in files], numbers)
        return StageResult([file.path for file in record.files("stage")], record.numbers)

    def has(self, stage: str) -> bool:
        """Whether an earlier stage has been committed."""
        return _upstream(stage, self._manifest) is not None

    def local(self, path: str) -> Path:
        """A readable local file or folder."""
        return self._workspace.local(path)

    def publish(self, file: Path, path: str) -> str:
        """Move a finished local file into the run folder."""
        record = self._workspace.storage.publish(file, path)
        self._records[record.path] = record
        return record.path

    def published(self, folder: str) -> list[str]:
        """Files below ``folder``."""
        return self._workspace.storage.files(folder)

    def remove(self, path: str) -> None:
        """Delete a file or folder of the run."""
        self._workspace.storage.remove(path)

    def map(self, function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
        """Run tasks by the run's engine; an item whose worker died is tried once more."""
        again = []
        for position, outcome in self._engine.map(function, items, lambda report: None):
            if isinstance(outcome, Crash):
                again.append((position, outcome))
            else:
                yield position, outcome
        for position, _ in again:
            for _, outcome in self._engine.map(function, [items[position]], lambda report: None):
                if isinstance(outcome, Crash):
                    raise RuntimeError(f"{function} died twice on item {position}: {outcome.reason}")
                yield position, outcome

    def progress(self, text: str, done: float, total: float, **numbers: float) -> None:
        """Tell the user how far the stage is."""
        self._progress.update(text, done, total, **numbers)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._progress.say(text)

    def record(self, path: str) -> FileRecord:
        """The record of an output, hashed when it was published by an earlier attempt."""
        return self._records.get(path) or self._workspace.storage.record(path)
