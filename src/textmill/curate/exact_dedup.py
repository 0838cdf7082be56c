"""The global step ``exact_dedup``: of equal texts, one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b, sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from textmill.curate.earlier_runs import EARLIER, EarlierRun, detail_of, earlier_runs, identities
from textmill.curate.partition import sorted_rows
from textmill.steps.context import StepContext
from textmill.steps.global_step import GlobalRunner, GlobalStep, removal_schema
from textmill.steps.settings import InputPath

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

_KEY_BYTES = 16


class ExactDedup(GlobalStep):
    """Removes documents whose text another document has already.

    Texts are compared by 128 bits of BLAKE2b (RFC 7693): two different texts in 10¹² meet by chance with a
    probability of 10⁻¹⁵. The copy of the source that stands first in the recipe is kept, and among those the
    one with the smallest id; every removal names it.

    ``against`` names run folders of earlier runs with the same step: what they kept comes before everything
    here, so that a new crawl loses what an older one has. Their texts are not read again, their fingerprints
    are.
    """

    name: ClassVar[str] = "exact_dedup"
    shorthand: ClassVar[str | None] = "normalize"

    normalize: Literal["none", "whitespace", "case", "letters"] = Field(
        default="none",
        description="What makes no difference: nothing; white space; nor upper and lower case; nor anything "
        "but letters and numbers.",
    )
    against: list[InputPath] = Field(
        default=[],
        description="Run folders of earlier runs; what one of them kept is removed here. The first named counts "
        "first.",
    )

    @field_validator("against", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Where earlier runs lie; what they are is part of :meth:`fingerprint`."""
        return ("against",)

    def fingerprint(self) -> str:
        """As of every step; with earlier runs, over what their files hold as well.

        Raises:
            UserError: an earlier run is missing, unfinished or has no such fingerprints.
        """
        own = super().fingerprint()
        if not self.against:
            return own
        return sha256("\n".join([own, *identities(self, self.against)]).encode()).hexdigest()

    def open(self, context: StepContext) -> GlobalRunner:
        """Return the runner."""
        return _Deduplicator(self)


class _Deduplicator:
    def __init__(self, settings: ExactDedup) -> None:
        self._settings = settings
        self._normalize = settings.normalize

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key`` (hash of the text) and ``id``, one row per document."""
        import pyarrow as pa

        if self._normalize == "none":
            data = batch.data.data
            keys = [
                blake2b(data[start:end], digest_size=_KEY_BYTES).digest()
                for start, end in pairwise(batch.offsets.tolist())
            ]
        else:
            keys = [
                blake2b(comparable(text, self._normalize).encode(), digest_size=_KEY_BYTES).digest()
                for text in batch.texts
            ]
        return pa.RecordBatch.from_arrays(
            [pa.array(keys, pa.binary(_KEY_BYTES)), batch.records.column("id")], names=["key", "id"]
        )

    def resolve(self, fingerprints: pa.RecordBatchReader, context: StepContext) -> pa.Table:
        """One removal per copy beyond the first by (priority, id), sorted by shard and id."""
        import pyarrow as pa

        # DuckDB sorts, spilling to disk what does not fit; copies then stand side by side, the one to keep first.
        runs = earlier_runs(self._settings, self._settings.against)
        columns = "key, id, shard, priority"
        with sorted_rows(fingerprints, context, columns, "key, priority, id", runs) as ordered:
            removals = list(_copies(ordered, runs))
        schema = removals[0].schema if removals else removal_schema()
        return pa.Table.from_batches(removals, schema).sort_by([("shard", "ascending"), ("id", "ascending")])


def _copies(ordered: pa.RecordBatchReader, runs: Sequence[EarlierRun]) -> Iterator[pa.RecordBatch]:
    """Of rows sorted by key, every one whose key stood before, with the id of the first of that key.

    Rows of earlier runs are first of a key or nothing: they are never removed.
    """
    import pyarrow as pa

    schema = removal_schema()
    if runs:
        schema = schema.append(pa.field("detail", pa.string()))
    last_key = last_kept = None
    last_priority = 0
    for batch in ordered:
        if not batch.num_rows:
            continue
        keys, ids = (_as_rows(batch.column(name)) for name in ("key", "id"))
        shards, priorities = (np.asarray(batch.column(name)) for name in ("shard", "priority"))
        first = np.ones(len(keys), np.bool_)
        first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        first[0] = last_key is None or bool((keys[0] != last_key).any())
        # Place 0 is for the group that goes on from the batch before; the very first batch has no such.
        kept = np.concatenate([ids[:1] if last_kept is None else last_kept[None], ids[first]])
        of_kept = np.concatenate([[last_priority], priorities[first]])
        group = np.cumsum(first)
        last_key, last_kept, last_priority = keys[-1], kept[group[-1]], of_kept[group[-1]]
        copies = ~first & (shards != EARLIER)
        matched = pa.Array.from_buffers(
            pa.binary(_KEY_BYTES), int(copies.sum()), [None, pa.py_buffer(kept[group[copies]].tobytes())]
        )
        selected = batch.filter(pa.array(copies))
        columns = [
            selected.column("shard").cast(pa.int32()),
            selected.column("id").cast(pa.binary(_KEY_BYTES)),
            pa.array(["duplicate"] * selected.num_rows, pa.string()),
            matched,
            pa.array(np.ones(selected.num_rows, np.float32)),
        ]
        if runs:
            priority = of_kept[group[copies]].tolist()
            columns.append(pa.array([detail_of(runs, p) if p < 0 else None for p in priority], pa.string()))
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_rows(column: pa.Array) -> npt.NDArray[np.uint8]:
    """Values of 16 bytes as uint8, shape (n, 16)."""
    import pyarrow as pa

    column = column.cast(pa.binary(_KEY_BYTES))
    flat = np.frombuffer(column.buffers()[1], np.uint8)
    return flat.reshape(-1, _KEY_BYTES)[column.offset : column.offset + len(column)]


def comparable(text: str, normalize: str) -> str:
    """What of a text counts when it is compared."""
    if normalize != "whitespace":
        text = text.casefold()
    if normalize == "letters":
        return _NEITHER.sub("", text)
    return " ".join(text.split())


_NEITHER = re.compile(r"[\W_]+")
