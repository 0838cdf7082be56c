"""Global steps: decisions that need all documents, such as deduplication.

``fingerprint`` runs on every shard; the fingerprints, sorted by key, are cut into partitions by key; each
partition is resolved by itself; the removals are applied shard by shard at the start of the next pass. A step that
needs more than that (the documents themselves, say) decides in phases: see :mod:`textmill.steps.phases`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Protocol

from textmill.steps.context import StepContext
from textmill.steps.phases import Phase
from textmill.steps.settings import StepSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch


class Fingerprinter(Protocol):
    """An opened global step; besides this it has ``resolve``, or a method for each of its phases."""

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Fingerprints of the documents, any number per document.

        Returns:
            Columns ``key`` (binary(16): equal keys meet in one partition) and ``id`` (binary(16)); further
            columns are the step's own. The mill adds ``priority`` (int64: recipe order of the source) and
            ``shard`` (int32: ordinal of the shard in its pass).
        """
        ...


class GlobalRunner(Fingerprinter, Protocol):
    """An opened global step that decides in one go."""

    def resolve(self, fingerprints: pa.RecordBatchReader, context: StepContext) -> pa.Table:
        """Decide one partition.

        Args:
            fingerprints: all rows of the partition, with ``priority`` and ``shard``, in no particular order.
            context: memory limit and scratch folder for what does not fit.

        Returns:
            One row per document to remove: ``shard`` int32, ``id`` binary(16), ``rule`` string,
            ``matched_id`` binary(16), ``similarity`` float32, and, where there is more to say than these,
            ``detail`` string. The answer may depend on the set of rows alone, not on their order.
        """
        ...


class GlobalStep(StepSettings):
    """Settings of a global step."""

    def phases(self) -> tuple[Phase, ...]:
        """The phases in which it decides; none for a step that needs ``resolve`` alone."""
        return ()

    def open(self, context: StepContext) -> Fingerprinter:
        """Load what the step needs and return its runner."""
        raise NotImplementedError

    def index_settings(self) -> dict[str, Any]:
        """The settings that decide what its fingerprints hold, as plain JSON values.

        Fingerprints of another run serve this one only if these agree. All settings, unless a step knows
        better: thresholds, for example, decide what is made of fingerprints, not what they are.
        """
        left_out = {"id", *self.cosmetic_fields()}
        return self.model_dump(mode="json", exclude=left_out)

    def index_digest(self) -> str:
        """SHA-256 over name, version and :meth:`index_settings`: what kind of fingerprints these are."""
        parts = [self.name, self.version, self.index_settings(), self.code()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def removal_schema() -> pa.Schema:
    """The columns of what :meth:`GlobalRunner.resolve` returns."""
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("shard", pa.int32(), nullable=False),
            pa.field("id", pa.binary(16), nullable=False),
            pa.field("rule", pa.string(), nullable=False),
            pa.field("matched_id", pa.binary(16)),
            pa.field("similarity", pa.float32()),
        ]
    )


def with_details(removals: pa.Table) -> pa.Table:
    """The columns of :func:`removal_schema` and ``detail``, which is null where the step gave none."""
    import pyarrow as pa

    schema = removal_schema().append(pa.field("detail", pa.string()))
    if "detail" not in removals.schema.names:
        removals = removals.append_column("detail", pa.nulls(removals.num_rows, pa.string()))
    return removals.select(schema.names).cast(schema)
