"""Carrying out a plan: what is unchanged stays, what is missing is made, each item is committed as it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from textmill.errors import ConservationError, UserError
from textmill.pipeline.engine import Crash, Engine
from textmill.pipeline.ingest import STEP as INGEST
from textmill.pipeline.inline import InlineEngine
from textmill.pipeline.items import Item, split_items
from textmill.pipeline.local import LocalEngine
from textmill.pipeline.phases import answers_only, notes_of
from textmill.pipeline.plan import PassPlan, plan_recipe
from textmill.pipeline.quarantine import Quarantine
from textmill.pipeline.settings_codec import encode
from textmill.pipeline.stage_context import run_stage
from textmill.pipeline.waves import Wave, waves
from textmill.recipe import Recipe, dump_recipe
from textmill.steps.progress import Progress, Silence
from textmill.workspace import Commit, Manifest, PassRecord, Workspace
from textmill.workspace.commits import check_chain
from textmill.workspace.failures import first_failure
from textmill.workspace.run_folder import RECIPE_FILE
from textmill.workspace.storage import explain

# A step that fails on every document of a pass of so many is broken itself. A worker stops sooner: at a shard.
ALL_FAILED = 10

# What results depend on besides recipe and input; recorded, so that a difference can be traced to it.
_VERSIONS = ("textmill", "numpy", "numba", "pyarrow", "duckdb", "ftfy", "tokenizers", "torch")


def run_recipe(recipe: Recipe, folder: str | None = None, *, progress: Progress | None = None) -> Workspace:
    """Carry out ``recipe`` into ``folder``; what a former call finished is not done again.

    Args:
        recipe: what to do.
        folder: the run folder, a path or an fsspec URL; ``runs/<name>`` if left out.
        progress: told what happens.

    Returns:
        The run folder.

    Raises:
        UserError: something that the user can mend; nothing half-written is left where readers look.
        ConservationError: documents are unaccounted for.
    """
    progress = progress or Silence()
    plan = plan_recipe(recipe)
    # Inputs are looked at before anything is written, so that a wrong path leaves no trace.
    splits = split_items(recipe)
    workspace = Workspace.create(folder or f"runs/{recipe.name}")
    try:
        with workspace.lock() as lock, ExitStack() as stack:
            workspace.sweep()
            # Called before the lock is let go, and after the engine has ended its workers.
            stack.callback(workspace.clear_scratch)
            engine = stack.enter_context(_engine(recipe, workspace))
            gathered = _gathered(recipe, workspace, progress)
            if gathered is not recipe:
                splits = split_items(gathered)
            manifest = _planned_only(workspace, recipe.name, {one.name for one in plan.passes})
            workspace.storage.write_bytes(RECIPE_FILE, dump_recipe(recipe).encode())
            run = _Coordinator(workspace, recipe, engine, progress, manifest, lock.check)
            for one in plan.passes:
                if one.kind == "stage":
                    run.stage(one)
                else:
                    run.document_pass(one, splits)
    except OSError as error:
        explained = explain(error, getattr(error, "filename", None) or workspace.url)
        if explained is None:
            raise
        raise explained from error
    finally:
        workspace.close()
    return workspace


def _gathered(recipe: Recipe, workspace: Workspace, progress: Progress) -> Recipe:
    """The recipe with its sources as they are when their input has been brought here."""
    if not any(source.gathers for source in recipe.sources):
        return recipe
    sources = []
    for source in recipe.sources:
        local = workspace.storage.is_local
        folder = workspace.local(f"{source.name}/{source.source_name}") if local else None
        sources.append(source.gather(folder, progress) if source.gathers else source)
    return recipe.model_copy(update={"sources": tuple(sources)})


def _engine(recipe: Recipe, workspace: Workspace) -> Engine:
    if recipe.run.engine == "ray":
        from textmill.pipeline.ray_engine import RayEngine

        return RayEngine(recipe.run.workers, recipe.run.ray_address)
    if recipe.run.engine == "inline" or workspace.url.startswith("memory:"):
        return InlineEngine()
    return LocalEngine(recipe.run.worker_count(), recipe.run.silence_seconds)


class _Coordinator:
    """The only one that commits."""

    def __init__(
        self,
        workspace: Workspace,
        recipe: Recipe,
        engine: Engine,
        progress: Progress,
        manifest: Manifest,
        check_lock: Any,
    ) -> None:
        self.workspace = workspace
        self.recipe = recipe
        self.engine = engine
        self.progress = progress
        self.manifest = manifest
        self.check_lock = check_lock
        self.quarantine = Quarantine(workspace)
        self.handed_on: int | None = None

    def document_pass(self, plan: PassPlan, splits: list[Item]) -> None:
        ahead = waves(plan, self.recipe, self.manifest, splits)
        finished = self.manifest.find(plan.name)
        current = self._current(plan, ahead, finished)
        started = time.perf_counter()
        if finished and current is None:
            self._check(plan, finished)
            return
        current = current or {}
        held = len(current)
        self._clear(plan, current)
        commits: list[Commit] = []
        for wave in ahead:
            items = wave.items(commits)
            missing = [item for item in items if item.name not in current]
            if len(missing) > 1 and self.engine.workers != 1:
                self._warm_up(plan)
            self.progress.start(wave.label, sum(item.size for item in items), wave.counts)
            self.progress.advance(sum(item.size for item in items if item.name in current))
            for item, commit in self._work(plan, wave, missing):
                self.check_lock()
                _check_commit(commit, f"{plan.name}, item {item.name}")
                self.workspace.commit(plan.name, commit)
                current[item.name] = commit
            commits += [current[item.name] for item in items]
            if wave is not ahead[-1]:
                self.progress.finish(wave.label, "")
        seconds = time.perf_counter() - started
        noted = _noted(ahead, commits)
        record = PassRecord(
            plan.name,
            plan.kind,
            plan.fingerprint,
            {
                "does": plan.describe(),
                "resumed": held,
                "worker_peak_bytes": self.engine.peak_bytes,
                "rules": plan.rules(),
                **_prepared(plan),
            },
            tuple(commits) if len(ahead) == 1 else answers_only(commits),
            seconds,
        )
        record.description.update(noted)
        self._check(plan, record)
        self._stop_if_all_failed(record)
        self.manifest = self.workspace.finish_pass(self.manifest, record)
        self._remove_all_but(plan, record.commits)
        self.progress.finish(ahead[-1].label, _summary(record))
        for warning in noted.get("warnings", []):
            self.progress.say(f"warning: {warning}")

    def _current(
        self, plan: PassPlan, ahead: Sequence[Wave], finished: PassRecord | None
    ) -> dict[str, Commit] | None:
        """Commits of earlier attempts that still hold, by item; None if the whole pass is as it should be."""
        known = {commit.item: commit for commit in finished.commits} if finished else {}
        if finished and len(ahead) > 1:
            # Later waves follow from the first; what they read is gone, so that it holds as a whole or not at all.
            first = ahead[0].items(())
            held = [known[item.name] for item in first if item.name in known]
            same = all(
                one.matches(plan.fingerprint, item.inputs) for one, item in zip(held, first, strict=False)
            )
            if same and len(held) == len(first) and finished.fingerprint == plan.fingerprint:
                self._remove_all_but(plan, finished.commits)
                return None
            known = {}
        known |= self.workspace.pending_commits(plan.name)
        current: dict[str, Commit] = {}
        commits: list[Commit] = []
        for wave in ahead:
            items = wave.items(commits)
            for item in items:
                commit = known.get(item.name)
                if commit is not None and commit.matches(plan.fingerprint, item.inputs):
                    current[item.name] = commit
            if any(item.name not in current for item in items):
                return current  # later waves follow from the whole of this one
            commits += [current[item.name] for item in items]
        whole = (
            finished and len(commits) == len(finished.commits) and finished.fingerprint == plan.fingerprint
        )
        return None if whole else current

    def stage(self, plan: PassPlan) -> None:
        self.manifest = run_stage(
            plan, self.recipe, self.workspace, self.manifest, self.engine, self.progress, self.check_lock
        )

    def _work(self, plan: PassPlan, wave: Wave, items: list[Item]) -> Any:
        """Results as they come; items whose worker died are tried again, alone and one document at a time."""
        scratch = str(self.workspace.scratch())
        common = {
            "run": self.workspace.url,
            "scratch": scratch,
            "pass": plan.name,
            "fingerprint": plan.fingerprint,
            "seed": self.recipe.seed,
        }
        todo = list(items)
        isolate = False
        while todo:
            work = [
                {
                    **common,
                    "item": item.name,
                    "inputs": list(item.inputs),
                    **item.work,
                    "quarantine": self.quarantine.entries,
                    "isolate": isolate,
                }
                for item in todo
            ]
            crashed = []
            tell = self._tell_bytes if wave.counts == "bytes" else self._tell_documents
            for position, outcome in self.engine.map(wave.function, work, tell):
                if isinstance(outcome, Crash):
                    crashed.append((todo[position], outcome))
                else:
                    yield todo[position], Commit.from_json(outcome)
            for item, crash in crashed:
                if isolate:
                    self.quarantine.add(plan.name, item.name, crash)
                self.progress.say(
                    f"a worker on {plan.name} item {item.name} died: {crash.reason}; trying again"
                )
            todo, isolate = [item for item, _ in crashed], True

    def _tell_bytes(self, report: Mapping[str, Any]) -> None:
        numbers = {name: value for name, value in report.items() if isinstance(value, int | float)}
        self.progress.advance(numbers.get("bytes", 0), **numbers)

    def _tell_documents(self, report: Mapping[str, Any]) -> None:
        self.progress.advance(report.get("documents", 0))

    def _warm_up(self, plan: PassPlan) -> None:
        """Compile the kernels of a pass once, before several workers would do it side by side."""
        steps = [*plan.steps, *([plan.prepares] if plan.prepares else [])]
        if plan.kind != "curate" or not steps:
            return
        patience = threading.Timer(2.0, self.progress.say, ["compiling the kernels, once per installation …"])
        patience.daemon = True
        patience.start()
        item = {
            "steps": [encode(step) for step in steps],
            "seed": self.recipe.seed,
            "scratch": str(self.workspace.scratch()),
        }
        # Where a worker dies, of a step or for want of time, the documents' own work finds out with care.
        for _ in self.engine.map("textmill.pipeline.warm_up:warm_up", [item], lambda report: None):
            pass
        patience.cancel()

    def _check(self, plan: PassPlan, record: PassRecord) -> None:
        if plan.kind == "resolve":
            return
        steps = record.steps()
        check_chain([step for step in steps if "(fingerprint)" not in step.step], plan.name)
        if steps and self.handed_on is not None and steps[0].taken != self.handed_on:
            raise ConservationError(
                f"{plan.name} took in {steps[0].taken:,} documents, "
                f"but the pass before handed on {self.handed_on:,}"
            )
        self.handed_on = sum(file.rows or 0 for file in record.files("documents"))
        if plan.kind == "ingest" and not self.handed_on:
            raise UserError(
                "the sources gave no document",
                found=self._unreadable(record) if steps and steps[0].failed else "no record",
                where=", ".join(source.source_name for source in plan.sources),
                hint="textmill why <path> tells why a record could not be read",
            )

    def _stop_if_all_failed(self, record: PassRecord) -> None:
        """A step that fails on everything is broken itself, also where there is not much.

        What it did is forgotten, so that the same command does the pass anew: the cause may lie outside the step.
        """
        for step in record.steps():
            if step.step != INGEST and step.failed == step.taken and step.taken >= ALL_FAILED:
                reason, locator = first_failure(self.workspace, record, step.step)
                self.workspace.storage.remove(f"commits/{record.name}")
                raise UserError(
                    f"step {step.step} failed on every one of {step.taken:,} documents",
                    found=f"{reason} ({locator})",
                    hint="mend the step; the same command then continues",
                )

    def _unreadable(self, record: PassRecord) -> str:
        failed = record.steps()[0].failed
        reason, locator = first_failure(self.workspace, record, INGEST)
        return f"{failed:,} unreadable record{'s' if failed > 1 else ''}: {reason} ({locator})"

    def _clear(self, plan: PassPlan, keep: Mapping[str, Commit]) -> None:
        """Forget an older state of this pass: first its record, then its files."""
        if self.manifest.find(plan.name):
            self.manifest = self.manifest.without([plan.name])
            for commit in keep.values():
                self.workspace.commit(plan.name, commit)
            self.workspace.write_manifest(self.manifest)
        self._remove_all_but(plan, list(keep.values()))

    def _remove_all_but(self, plan: PassPlan, commits: Sequence[Commit]) -> None:
        """Delete the pass's files that none of ``commits`` names."""
        wanted = {file.path for commit in commits for files in commit.outputs.values() for file in files}
        folders = {path.rpartition("/")[0] for path in wanted}
        for path in self.workspace.storage.files(f"passes/{plan.name}"):
            folder = path.rpartition("/")[0]
            if path not in wanted:
                self.workspace.storage.remove(path if folder in folders else folder)


def _check_commit(commit: Commit, where: str) -> None:
    """Nothing may be lost between what the steps say and what the files hold."""
    check_chain(commit.steps, where)
    if not commit.steps:
        return
    for kind, expected in (("documents", commit.steps[-1].kept), ("scores", commit.steps[0].taken)):
        rows = sum(file.rows or 0 for file in commit.outputs.get(kind, []))
        if rows != expected:
            raise ConservationError(
                f"{where}: {expected:,} documents, but {rows:,} rows of {kind} were written"
            )


def _planned_only(workspace: Workspace, name: str, planned: set[str]) -> Manifest:
    """The manifest without passes that the recipe no longer has; their files go after their records."""
    before = workspace.manifest
    gone = {record.name for record in before.passes} - planned
    manifest = replace(before.without(gone), run=name, versions=_versions())
    workspace.write_manifest(manifest)
    for folder in ("passes", "commits"):
        names = {path.split("/")[1] for path in workspace.storage.files(folder) if path.count("/") > 1}
        for unplanned in sorted(names - planned):
            workspace.storage.remove(f"{folder}/{unplanned}")
    return manifest


def _noted(ahead: Sequence[Wave], commits: Sequence[Commit]) -> dict[str, Any]:
    """What the phases of a global step measured."""
    return notes_of(commits) if len(ahead) > 1 else {}


def _prepared(plan: PassPlan) -> dict[str, Any]:
    """Which fingerprints a pass has made, so that a later run can tell whether they serve it; and where the
    earlier runs lie that it was resolved against, so that their documents can be looked up.
    """
    step = plan.prepares
    if step is None:
        return {}
    if plan.kind == "resolve":
        earlier = list(getattr(step, "against", ()))
        return {"earlier": {"step": step.step_id, "runs": earlier}} if earlier else {}
    return {
        "fingerprints": {
            "step": step.name,
            "id": step.step_id,
            "settings": step.index_settings(),
            "digest": step.index_digest(),
        }
    }


def _summary(record: PassRecord) -> str:
    if record.kind == "resolve":
        found = {
            kind: sum(commit.numbers.get(kind, 0) for commit in record.commits)
            for kind in ("removals", "cuts")
        }
        if found["cuts"]:
            return f"{found['cuts']:,} spans to cut"
        return f"{found['removals']:,} documents to remove"
    steps = record.steps()
    if not steps:
        return "done"
    dropped, failed = sum(step.dropped for step in steps), sum(step.failed for step in steps)
    text = f"{steps[0].taken:,} documents in, {steps[-1].kept:,} kept"
    if dropped:
        text += f", {dropped:,} dropped"
    return text + (f", {failed:,} failed" if failed else "")


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
