"""The manifest: every finished pass with its files, counts and checksums, in one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from textmill.errors import UserError
from textmill.workspace.commits import Commit, FileRecord, StepCount

FORMAT = 1

PassKind = Literal["ingest", "curate", "resolve", "stage"]


@dataclass(frozen=True)
class PassRecord:
    """A finished pass.

    Attributes:
        name: ``1-curate``; for a stage its name.
        kind: what kind of pass.
        fingerprint: of its settings and steps.
        description: what it does, for people: step ids or split sizes.
        commits: one per item, in the items' order.
        seconds: wall-clock time, over all interruptions.
    """

    name: str
    kind: PassKind
    fingerprint: str
    description: dict[str, Any] = field(default_factory=dict)
    commits: tuple[Commit, ...] = ()
    seconds: float = 0.0

    def files(self, kind: str) -> list[FileRecord]:
        """Files of one kind, in the order of the items."""
        return [record for commit in self.commits for record in commit.outputs.get(kind, [])]

    def all_files(self) -> list[FileRecord]:
        """Every file of the pass."""
        return [
            record for commit in self.commits for records in commit.outputs.values() for record in records
        ]

    def steps(self) -> list[StepCount]:
        """Counts per step, summed over the items."""
        return sum_steps(commit.steps for commit in self.commits)

    @property
    def numbers(self) -> dict[str, Any]:
        """What a stage measured (the numbers of its only commit)."""
        return self.commits[0].numbers if self.commits else {}


def sum_steps(counts: Iterable[Iterable[StepCount]]) -> list[StepCount]:
    """Add up counts step by step, in the order in which the steps first appear."""
    total: dict[str, StepCount] = {}
    for steps in counts:
        for step in steps:
            total[step.step] = total[step.step] + step if step.step in total else step
    return list(total.values())


@dataclass(frozen=True)
class Manifest:
    """All finished passes of a run, in their order.

    Attributes:
        run: the recipe's name.
        passes: document passes and stages.
        versions: versions of textmill and of what results depend on.
    """

    run: str
    passes: tuple[PassRecord, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> PassRecord | None:
        """The pass of that name, if it is finished."""
        return next((record for record in self.passes if record.name == name), None)

    def document_passes(self) -> list[PassRecord]:
        """The passes that read documents and hand documents on."""
        return [record for record in self.passes if record.kind in ("ingest", "curate")]

    def document_passes_before(self, name: str) -> list[PassRecord]:
        """The document passes that run before the pass called ``name`` (passes are numbered)."""
        number = int(name.partition("-")[0])
        return [one for one in self.document_passes() if int(one.name.partition("-")[0]) < number]

    def with_pass(self, record: PassRecord) -> Manifest:
        """The manifest with ``record`` at the end; an older one of that name is gone."""
        others = tuple(other for other in self.passes if other.name != record.name)
        return Manifest(self.run, (*others, record), self.versions)

    def without(self, names: Iterable[str]) -> Manifest:
        """The manifest without the passes of these names."""
        gone = set(names)
        return Manifest(
            self.run, tuple(record for record in self.passes if record.name not in gone), self.versions
        )

    def to_bytes(self) -> bytes:
        """As JSON text."""
        passes = [
            {
                "name": record.name,
                "kind": record.kind,
                "fingerprint": record.fingerprint,
                "description": record.description,
                "seconds": record.seconds,
                "commits": [commit.to_json() for commit in record.commits],
            }
            for record in self.passes
        ]
        document = {"format": FORMAT, "run": self.run, "versions": self.versions, "passes": passes}
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, contents: bytes, where: str) -> Manifest:
        """The inverse of :meth:`to_bytes`.

        Raises:
            UserError: the file is no manifest, or one of a newer format.
        """
        try:
            values = json.loads(contents)
            version = values["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                "the run's manifest cannot be read",
                where=where,
                found=str(error),
                hint="restore the file, or delete the run folder and run the recipe again",
            ) from error
        if version != FORMAT:
            raise UserError(
                "the run folder was written by another version of textmill",
                where=where,
                expected=f"format {FORMAT}",
                found=f"format {version}",
                hint="use that version, or run into a new folder",
            )
        passes = tuple(
            PassRecord(
                name=record["name"],
                kind=record["kind"],
                fingerprint=record["fingerprint"],
                description=record["description"],
                commits=tuple(Commit.from_json(commit) for commit in record["commits"]),
                seconds=record["seconds"],
            )
            for record in values["passes"]
        )
        return cls(run=values["run"], passes=passes, versions=values["versions"])
