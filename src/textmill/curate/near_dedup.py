"""The global step ``near_dedup``: of documents that are nearly the same, one.

MinHash proposes, exact Jaccard disposes::

    fingerprint  per shard      16 keys per document: hashes of the bands of its MinHash signature
    propose      per partition  documents that share a key are linked
    group        the whole      links ─► clusters: whatever is linked to each other, directly or not
    gather       per shard      of linked documents alone: the set of their shingles
    verify       per partition  in order of priority: kept, unless a kept one is as similar as the threshold says
    review       the whole      does one cluster, or one source, lose too much?

A cluster is only a set of documents that no candidate leaves: it decides where they are compared, not what becomes
of them. So a chain A ~ B ~ C never costs C if A and C differ. Since all of a cluster is in one partition, one walk
in order of priority decides it, whatever the number of workers.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from textmill.curate.earlier_runs import identities
from textmill.steps.context import StepContext
from textmill.steps.global_step import Fingerprinter, GlobalStep
from textmill.steps.phases import Phase, PhaseWork
from textmill.steps.settings import ByteSize, InputPath

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

_KEY_BYTES = 16


class NearDedup(GlobalStep):
    """Removes documents that are nearly the same as another one.

    Two texts are compared by their sets of shingles, runs of ``words`` words, without regard to case, punctuation
    and digits (characters take the place of words in scripts without spaces). Their similarity is the Jaccard index
    of these sets: shared shingles, divided by all that occur in either. A document of fewer words has one shingle,
    the whole of it; a document without words is never a near-duplicate.

    Documents that share a band of their MinHash signatures (Broder 1997; Indyk and Motwani 1998) are *candidates*;
    every pair that decides is then compared exactly. A document is kept if and only if no kept candidate of higher
    priority has a similarity of at least ``threshold``. Every removal names the document that is kept and the
    similarity.

    ``against`` names run folders of earlier runs with the same step: what they kept is never removed and comes
    before everything here. Their fingerprints are read, and the texts of candidates alone.
    """

    name: ClassVar[str] = "near_dedup"
    shorthand: ClassVar[str | None] = "threshold"

    threshold: float = Field(
        default=0.8, gt=0, lt=1, description="Jaccard similarity from which on one of two documents goes."
    )
    words: int = Field(default=5, ge=1, le=256, description="Words in a shingle.")
    permutations: int = Field(
        default=128,
        ge=8,
        le=4096,
        description="Hash functions of a signature: more find more, at their price.",
    )
    recall: float = Field(
        default=0.99,
        gt=0,
        lt=1,
        description="Share of the pairs at or above the threshold that the bands should propose, if similarities "
        "were spread evenly; bands and rows follow from it.",
    )
    bands: int | None = Field(
        default=None, ge=1, le=1024, description="Bands; with rows, in place of recall."
    )
    rows: int | None = Field(default=None, ge=1, le=1024, description="Places of the signature in a band.")
    keep: str = Field(
        default="first",
        pattern=r"^(first|longest|metadata\..+)$",
        description="Which of two documents stays: that of the source that stands first in the recipe (first); the "
        "longest; that with the greatest number in a field of its metadata (metadata.score). Ties go to the source "
        "that stands first, and within it to the smallest id.",
    )
    most_compared: int = Field(
        default=1000,
        ge=1,
        description="Documents are compared with at most so many kept ones per band; pairs left out are counted.",
    )
    memory: ByteSize | None = Field(
        default=None, ge=64 * 2**20, description="Memory for sorting, in bytes; that of a worker if left out."
    )
    alarm_cluster: float = Field(
        default=0.05, gt=0, le=1, description="Warn when one document displaces more than this share of all."
    )
    alarm_source: float = Field(
        default=0.5, gt=0, le=1, description="Warn when a source loses more than this share of its documents."
    )
    against: list[InputPath] = Field(
        default=[], description="Run folders of earlier runs, with which documents are compared as well."
    )

    @field_validator("against", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _bands_fit(self) -> NearDedup:
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows go together: give both, or neither")
        if self.bands and self.rows and self.bands * self.rows > self.permutations:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows need {self.bands * self.rows} permutations, "
                f"found {self.permutations}"
            )
        return self

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Memory changes no result; what earlier runs hold is part of :meth:`fingerprint`, not where they lie."""
        return ("memory", "against")

    def fingerprint(self) -> str:
        """As of every step; with earlier runs, over what their files hold as well.

        Raises:
            UserError: an earlier run is missing, unfinished or has no such fingerprints.
        """
        own = super().fingerprint()
        if not self.against:
            return own
        return sha256("\n".join([own, *identities(self, self.against)]).encode()).hexdigest()

    def index_settings(self) -> dict[str, Any]:
        """What decides the keys of the bands."""
        bands, rows = self.shape()
        return {"permutations": self.permutations, "bands": bands, "rows": rows, "words": self.words}

    def shape(self) -> tuple[int, int]:
        """Bands and rows: those given, or the fewest candidates that ``recall`` allows.

        Of all numbers of rows, with as many bands as the signature has places for, the largest is taken whose
        probability to propose a pair, averaged over similarities from the threshold to 1, is at least ``recall``:
        16 bands of 8 rows for a threshold of 0.8 and 128 permutations, which propose 0.947 of the pairs at 0.8 and
        0.994 of those at 0.85.
        """
        if self.bands and self.rows:
            return self.bands, self.rows
        from textmill.text.minhash import choose_bands

        return choose_bands(self.threshold, self.permutations, self.recall)

    def phases(self) -> tuple[Phase, ...]:
        """See the module's picture."""
        earlier = (
            (Phase("gather_earlier", "whole", reads=("members",), writes=("earlier_evidence",)),)
            if self.against
            else ()
        )
        evidence = ("evidence", "earlier_evidence") if self.against else ("evidence",)
        return (
            Phase("propose", "partition", reads=("fingerprints",), writes=("links",)),
            Phase("group", "whole", reads=("links",), writes=("members",)),
            Phase("gather", "shard", reads=("members",), writes=("evidence", "totals")),
            *earlier,
            Phase("verify", "partition", reads=evidence, writes=("removals", "losses", "clusters")),
            Phase("review", "whole", reads=("losses", "clusters", "totals"), writes=()),
        )

    def open(self, context: StepContext) -> Fingerprinter:
        """Return the runner."""
        return _NearDeduplicator(self)


class _NearDeduplicator:
    """Each phase is carried out in a module of its own."""

    def __init__(self, settings: NearDedup) -> None:
        self._settings = settings
        self._shape = settings.shape()

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key`` and ``id``: a row for each band of each document that has words."""
        import pyarrow as pa

        from textmill.text.minhash import EMPTY, band_keys, text_signatures

        bands, rows = self._shape
        signatures = text_signatures(
            batch.data, batch.offsets, permutations=self._settings.permutations, words=self._settings.words
        )
        has_words = ~(signatures == EMPTY).all(axis=1)
        keys = band_keys(signatures[has_words], bands, rows)
        ids = batch.records.column("id").filter(pa.array(has_words))
        return pa.RecordBatch.from_arrays(
            [binary_column(keys.reshape(-1, _KEY_BYTES)), ids.take(np.repeat(np.arange(len(ids)), bands))],
            names=["key", "id"],
        )

    def propose(self, work: PhaseWork) -> None:
        """Links between documents that share a key."""
        from textmill.curate.near_dedup_links import propose

        propose(work, self._settings)

    def group(self, work: PhaseWork) -> None:
        """The cluster of every linked document."""
        from textmill.curate.near_dedup_links import group

        group(work, self._settings)

    def gather(self, work: PhaseWork) -> None:
        """Shingles of the linked documents of a shard."""
        from textmill.curate.near_dedup_evidence import gather

        gather(work, self._settings)

    def gather_earlier(self, work: PhaseWork) -> None:
        """Shingles of the linked documents of earlier runs."""
        from textmill.curate.near_dedup_evidence import gather_earlier

        gather_earlier(work, self._settings)

    def verify(self, work: PhaseWork) -> None:
        """Decide the clusters of a partition."""
        from textmill.curate.near_dedup_verify import verify

        verify(work, self._settings)

    def review(self, work: PhaseWork) -> None:
        """Look at what it comes to."""
        from textmill.curate.near_dedup_review import review

        review(work, self._settings)


def binary_column(rows: np.ndarray[Any, np.dtype[np.uint8]]) -> pa.Array:
    """Rows of uint8, shape (n, width), as a column of binary(width)."""
    import pyarrow as pa

    width = rows.shape[1]
    buffer = pa.py_buffer(np.ascontiguousarray(rows))
    return pa.Array.from_buffers(pa.binary(width), len(rows), [None, buffer])


def binary_rows(column: pa.Array) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The inverse of :func:`binary_column`."""
    import pyarrow as pa

    if not pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary(_KEY_BYTES))
    width = column.type.byte_width
    flat = np.frombuffer(column.buffers()[1], np.uint8) if len(column) else np.zeros(0, np.uint8)
    rows: np.ndarray[Any, np.dtype[np.uint8]] = flat[column.offset * width :][: len(column) * width]
    return rows.reshape(-1, width)


def with_memory(context: StepContext, settings: NearDedup) -> StepContext:
    """The context with the memory that the settings allow."""
    from dataclasses import replace

    if settings.memory is None:
        return context
    return replace(context, memory_bytes=min(context.memory_bytes, settings.memory))
