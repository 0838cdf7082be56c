"""Phases: how a global step decides when one look at its fingerprints is not enough.

Deduplication that verifies needs the documents' contents, but only of those that may match. So it goes through the
corpus in phases, each of which reads what the phases before it wrote::

    fingerprint ─► propose ─► gather ─► verify ─► removals or cuts
    per shard      per        per       per
                   partition  shard     partition

A phase is split into **work units** that know nothing of each other: *partitions* (all rows of a table whose ``key``
falls into a range), *shards* of documents, or one unit for the *whole*. A unit is what an engine distributes, what is
committed when it is done, and what is lost by a kill. What a unit writes must follow from what it reads, the step's
settings and the recipe's seed alone: not from the order of rows, the time, the machine or the number of workers.

A **table** has any columns; three have a meaning. ``key`` (binary(16), evenly spread, such as a hash or an id)
decides the partition; ``shard`` (int32) the shard; ``id`` (binary(16)) names a document. Two tables are answers:
``removals`` (:func:`~textmill.steps.global_step.removal_schema`, in order of shard and id) or, of a step that cuts,
``cuts`` (:func:`~textmill.steps.cutting.cut_schema`, in order of shard, id, start and end). They are applied at the
start of the next pass. The other tables are deleted when the step has decided.

A step of two phases, that removes all but the first document of every key, in full::

    class OneOfEach(GlobalStep):
        name: ClassVar[str] = "one_of_each"

        def phases(self):
            return (
                Phase("propose", per="partition", reads=("fingerprints",), writes=("rivals",)),
                Phase("verify", per="partition", reads=("rivals",), writes=("removals",)),
            )

        def open(self, context):
            return OneOfEachRunner()       # fingerprint(batch), propose(work), verify(work)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from textmill.steps.context import StepContext

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

FINGERPRINTS = "fingerprints"
ANSWERS = ("removals", "cuts")


@dataclass(frozen=True)
class Phase:
    """One phase of a global step; the runner's method of the same name carries it out: ``propose(work)``.

    Attributes:
        name: a verb: ``propose``, ``gather``, ``verify``.
        per: what a work unit is: a partition, a shard of documents, or the whole.
        reads: tables, of earlier phases or ``fingerprints``. The first decides how many partitions there are; when
            it is empty, there is nothing to do.
        writes: tables. A table is written by one phase.
    """

    name: str
    per: Literal["partition", "shard", "whole"]
    reads: tuple[str, ...]
    writes: tuple[str, ...]


class PhaseWork(Protocol):
    """One work unit, as the runner's method sees it.

    Attributes:
        context: seed, scratch folder, and memory to stay under.
        sources: names of the sources in recipe order, which is the order of priority.
        shard: ordinal of the shard; -1 where the unit is none. Shards of earlier runs are below -1.
    """

    context: StepContext
    sources: Sequence[str]
    shard: int

    def rows(self, table: str) -> pa.RecordBatchReader:
        """The unit's rows of a table, in no particular order, a row group at a time.

        A partition's rows are those whose ``key`` falls into it, a shard's those with its ``shard``; the whole has
        all. A table that nobody wrote to has no columns. May be called again.
        """
        ...

    def documents(self, ids: pa.Array) -> Iterator[Batch]:
        """Of the shard, the documents with these ids (binary(16)), in the shard's order.

        Only row groups that hold one of them are read.
        """
        ...

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all documents of the shard, such as ``id`` and ``source``, without the texts."""
        ...

    def write(self, table: str, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows to a table.

        Readers skip row groups: write a table that is read per partition about in the order of ``key``, one that is
        read per shard in that of ``shard``.
        """
        ...

    def note(self, **numbers: Any) -> None:
        """Measurements for the record. Numbers of the units of a phase are added up, lists are joined."""
        ...

    def warn(self, text: str) -> None:
        """A line that the user should see when the step has decided, and finds in the report."""
        ...

    def alive(self, rows: int = 0) -> None:
        """Say that the unit is at work (every few seconds at least), and how many rows it took in since."""
        ...
