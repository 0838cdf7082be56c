"""Commit records: what one task made of one item, written by the coordinator when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from textmill.errors import ConservationError


@dataclass(frozen=True)
class FileRecord:
    """A committed file.

    Attributes:
        path: relative to the run folder.
        sha256: of its contents, hexadecimal.
        bytes: its size.
        rows: documents, ledger rows or tokens in it, where that means something.
        text_bytes: UTF-8 bytes of text in a shard of documents.
    """

    path: str
    sha256: str
    bytes: int
    rows: int | None = None
    text_bytes: int | None = None


@dataclass(frozen=True)
class StepCount:
    """How many documents a step took in and what became of them.

    Attributes:
        step: the step's id in the recipe (``ingest`` for reading the sources).
        taken: documents in.
        kept: documents handed on.
        dropped: documents that a rule refused or that duplicate another.
        failed: documents on which the step failed.
        characters_in: code points of the texts taken in.
        characters_kept: code points of the texts handed on.
    """

    step: str
    taken: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    characters_in: int = 0
    characters_kept: int = 0

    def __add__(self, other: StepCount) -> StepCount:
        return StepCount(
            self.step,
            self.taken + other.taken,
            self.kept + other.kept,
            self.dropped + other.dropped,
            self.failed + other.failed,
            self.characters_in + other.characters_in,
            self.characters_kept + other.characters_kept,
        )

    def check(self, where: str) -> None:
        """Raise :class:`ConservationError` unless in = kept + dropped + failed."""
        if self.taken != self.kept + self.dropped + self.failed:
            raise ConservationError(
                f"{where}: step {self.step} took in {self.taken:,} documents but kept {self.kept:,}, "
                f"dropped {self.dropped:,} and failed {self.failed:,}: "
                f"{self.taken - self.kept - self.dropped - self.failed:,} are unaccounted for"
            )


def check_chain(steps: Iterable[StepCount], where: str) -> None:
    """Check every step, and that each takes in exactly what the one before handed on.

    Raises:
        ConservationError: with the numbers.
    """
    before: StepCount | None = None
    for step in steps:
        step.check(where)
        if before is not None and step.taken != before.kept:
            raise ConservationError(
                f"{where}: step {before.step} handed on {before.kept:,} documents, "
                f"but step {step.step} took in {step.taken:,}"
            )
        before = step


@dataclass(frozen=True)
class Commit:
    """The record of one finished item of a pass.

    Attributes:
        item: name of the item within its pass: ``00003``.
        fingerprint: of the pass that made it; another fingerprint means the record is out of date.
        inputs: what it was made of: SHA-256 of files, versions of splits.
        outputs: files by kind: documents, scores, events, rejected, fingerprints, removals, cuts, stage.
        steps: documents per step, in order.
        numbers: further measurements, plain JSON values.
        seconds: how long the task took.
    """

    item: str
    fingerprint: str
    inputs: tuple[str, ...]
    outputs: dict[str, list[FileRecord]] = field(default_factory=dict)
    steps: tuple[StepCount, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def matches(self, fingerprint: str, inputs: tuple[str, ...]) -> bool:
        """Whether the record still describes what would be made now."""
        return self.fingerprint == fingerprint and self.inputs == inputs

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Commit:
        """The inverse of :meth:`to_json`."""
        return cls(
            item=values["item"],
            fingerprint=values["fingerprint"],
            inputs=tuple(values["inputs"]),
            outputs={
                kind: [FileRecord(**record) for record in records]
                for kind, records in values["outputs"].items()
            },
            steps=tuple(StepCount(**step) for step in values["steps"]),
            numbers=values["numbers"],
            seconds=values["seconds"],
        )
