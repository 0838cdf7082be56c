"""Fingerprints of earlier runs: an index that a new crawl is compared with, without reading a text again.

::

    runs/2025/manifest.json ─► which pass made fingerprints for this step, and with which settings
             passes/1-curate/fingerprints/  ─┐
             passes/…/documents/ (ids only) ─┴─► rows of what that run kept: shard -1, priority below 0

An earlier run's documents come before all documents of this run, those of the run named first before others;
they are compared with and never removed. What that run dropped later on stands for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textmill.errors import UserError
from textmill.steps.context import StepContext
from textmill.steps.global_step import GlobalStep

if TYPE_CHECKING:
    import duckdb

    from textmill.workspace import FileRecord, PassRecord, Workspace

EARLIER = -1
"""In the place of the shard: a row of an earlier run."""


@dataclass(frozen=True)
class EarlierRun:
    """What an earlier run has for a step.

    Attributes:
        workspace: its folder.
        name: what it is called.
        fingerprints: its fingerprints, one file per shard.
        documents: the documents that it kept; of these only ids are read.
    """

    workspace: Workspace
    name: str
    fingerprints: tuple[FileRecord, ...]
    documents: tuple[FileRecord, ...]

    @property
    def identity(self) -> str:
        """SHA-256 over those of all files: another one means that the index has changed."""
        parts = [file.sha256 for file in (*self.fingerprints, *self.documents)]
        return hashlib.sha256(f"{len(self.fingerprints)} {' '.join(parts)}".encode()).hexdigest()


def earlier_runs(step: GlobalStep, folders: Sequence[str]) -> list[EarlierRun]:
    """The earlier runs that ``against`` names, in its order.

    Args:
        step: the step that asks; its name and :meth:`GlobalStep.index_digest` must be those of the fingerprints.
        folders: run folders or fsspec URLs.

    Raises:
        UserError: there is no such run, it is not finished, or it has no fingerprints of this kind.
    """
    return [_earlier_run(step, folder) for folder in folders]


def identities(step: GlobalStep, folders: Sequence[str]) -> list[str]:
    """What the earlier runs are, wherever they lie: for the fingerprint of the step."""
    return [run.identity for run in earlier_runs(step, folders)]


def priority_of(position: int, count: int) -> int:
    """Priority of the documents of the earlier run at ``position`` of ``count``: below 0, the first the least."""
    return position - count


def detail_of(runs: Sequence[EarlierRun], priority: int) -> str:
    """What the ledger says of a document of an earlier run, beside its id."""
    position = priority + len(runs)
    return f"of the earlier run {runs[position].name!r}, number {position + 1} of against"


def earlier_rows(
    connection: duckdb.DuckDBPyConnection,
    runs: Sequence[EarlierRun],
    context: StepContext,
    columns: str = "key, id",
) -> str:
    """A query for the earlier runs' fingerprints in the context's partition.

    Args:
        connection: gets the views that the query reads.
        runs: earlier runs, in order.
        context: says which partition is asked for.
        columns: SQL list of further columns of the step's fingerprints, ``key`` and ``id`` among them.

    Returns:
        SQL of a SELECT with ``columns``, ``shard`` (int32, -1) and ``priority`` (int64, below 0); one row for
        each fingerprint of a document that its run kept.
    """
    queries = []
    for position, run in enumerate(runs):
        prints, kept = f"earlier_fingerprints_{position}", f"earlier_documents_{position}"
        _create_view(connection, run.workspace, prints, run.fingerprints)
        _create_view(connection, run.workspace, kept, run.documents)
        queries.append(
            f"SELECT {columns}, {EARLIER}::INTEGER AS shard, "
            f"{priority_of(position, len(runs))}::BIGINT AS priority FROM {prints} "
            f"WHERE {_in_partition(context.partition)} AND id IN (SELECT id FROM {kept})"
        )
    return " UNION ALL ".join(queries)


def _in_partition(partition: tuple[int, int]) -> str:
    """SQL: the key is of this partition. Keys ascend in the files, so that most of them need not be read."""
    number, count = partition
    bounds = []
    if number:
        bounds.append(f"key >= {_blob(-(-number * 65536 // count))}")
    if number + 1 < count:
        bounds.append(f"key < {_blob(-(-(number + 1) * 65536 // count))}")
    return " AND ".join(bounds) or "TRUE"


def _blob(head: int) -> str:
    return f"'\\x{head >> 8:02X}\\x{head & 255:02X}'::BLOB"


def _create_view(
    connection: duckdb.DuckDBPyConnection, workspace: Workspace, name: str, files: Sequence[FileRecord]
) -> None:
    storage = workspace.storage
    if storage.is_local:
        paths = ", ".join("'" + storage.full(file.path).replace("'", "''") + "'" for file in files)
        connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM read_parquet([{paths}])")
    else:
        import pyarrow.dataset as ds

        full = [storage.full(file.path) for file in files]
        connection.register(name, ds.dataset(full, filesystem=storage.filesystem, format="parquet"))


def _earlier_run(step: GlobalStep, folder: str) -> EarlierRun:
    from textmill.workspace import Workspace

    setting = f"{step.step_id}.against"
    workspace = Workspace.open(folder)
    manifest = workspace.manifest
    passes = manifest.document_passes()
    prepared = [one for one in passes if one.description.get("fingerprints", {}).get("step") == step.name]
    if not prepared:
        raise UserError(
            f"An earlier run has no fingerprints of {step.name}.",
            expected=f"a finished run whose recipe has {step.name} below curate:",
            found=_fingerprints_of(passes),
            where=f"{folder} ({setting})",
            hint=f"run its recipe again with {step.name} in it, or take the run out of {setting}",
        )
    fitting = [one for one in prepared if one.description["fingerprints"]["digest"] == step.index_digest()]
    if not fitting:
        found = prepared[-1].description["fingerprints"]["settings"]
        wanted = step.index_settings()
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        raise UserError(
            f"An earlier run made its fingerprints of {step.name} in another way.",
            expected=", ".join(f"{name}: {wanted[name]}" for name in differing)
            or "the same version of textmill",
            found=", ".join(f"{name}: {found.get(name)}" for name in differing)
            or "fingerprints of another one",
            where=f"{folder} ({setting})",
            hint="give both recipes the same settings, or run the earlier one again",
        )
    last = fitting[-1]
    if passes[-1] is last or _pending(workspace):
        raise UserError(
            "An earlier run is not finished.",
            expected="a run whose documents are decided",
            found=f"its last finished pass is {passes[-1].name}",
            where=f"{folder} ({setting})",
            hint="the command that started it continues it",
        )
    return EarlierRun(
        workspace,
        manifest.run,
        tuple(last.files("fingerprints")),
        tuple(passes[-1].files("documents")),
    )


def _pending(workspace: Workspace) -> bool:
    """Whether a pass over documents has begun and not ended."""
    return any(
        path.endswith(".json") and path.split("/")[1][:1].isdigit()
        for path in workspace.storage.files("commits")
    )


def _fingerprints_of(passes: Sequence[PassRecord]) -> str:
    made = [one.description["fingerprints"]["step"] for one in passes if "fingerprints" in one.description]
    return "fingerprints of " + ", ".join(made) if made else "no fingerprints at all"
