"""Near-duplicates, second half: the shingles of those documents that share a band with another.

A row of evidence has the cluster, what decides the priority, the MinHash signature and the set of 64-bit shingle
hashes, ascending. Rows are written in order of clusters within stretches of bounded size, so that a partition reads
its own.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.curate.earlier_runs import EARLIER, earlier_runs, priority_of
from textmill.curate.near_dedup import binary_column
from textmill.documents import DOCUMENT_SCHEMA, Batch
from textmill.text.minhash import signatures
from textmill.text.shingles import shingle_hashes

if TYPE_CHECKING:
    from textmill.curate.near_dedup import NearDedup
    from textmill.steps.phases import PhaseWork

# Evidence that is sorted at once, and about the bytes of one row group.
_STRETCH_BYTES = 32 * 2**20
_GROUP_BYTES = 2**20


def evidence_schema(permutations: int) -> pa.Schema:
    """Columns of the evidence: ``rank`` is what ``keep`` prefers, more being better."""
    return pa.schema(
        [
            ("key", pa.binary(16)),
            ("id", pa.binary(16)),
            ("shard", pa.int32()),
            ("priority", pa.int64()),
            ("rank", pa.float64()),
            ("signature", pa.binary(4 * permutations)),
            ("shingles", pa.large_binary()),
        ]
    )


def gather(work: PhaseWork, settings: NearDedup) -> None:
    """Write ``evidence`` of the shard's ``members``, and ``totals``: how many documents each source has in it."""
    members = work.rows("members").read_all()
    totals: Counter[str] = Counter()
    for records in work.columns(["source"]):
        totals.update(records.column("source").to_pylist())
    names = sorted(totals)
    work.write("totals", pa.table({"source": names, "documents": [totals[name] for name in names]}))
    evidence = _Evidence(work, "evidence", settings)
    for batch in work.documents(members.column("id").combine_chunks()):
        evidence.add(batch, members)
    evidence.close()


def gather_earlier(work: PhaseWork, settings: NearDedup) -> None:
    """Write ``earlier_evidence`` of those ``members`` that belong to earlier runs, from their run folders.

    The texts are those that the earlier run fingerprinted.
    """
    runs = earlier_runs(settings, settings.against)
    members = work.rows("members").read_all()
    members = members.filter(pc.equal(members.column("shard"), EARLIER))
    evidence = _Evidence(work, "earlier_evidence", settings)
    for position, run in enumerate(runs):
        mine = members.filter(pc.equal(members.column("priority"), priority_of(position, len(runs))))
        if not mine.num_rows:
            continue
        wanted = mine.column("id").combine_chunks()
        prints = tuple(run.fingerprints)
        passes = run.workspace.manifest.document_passes()
        fingerprinted = next(one for one in passes if tuple(one.files("fingerprints")) == prints)
        for file in fingerprinted.files("documents"):
            with run.workspace.storage.open(file.path) as stream:
                for batch in _named(stream, wanted):
                    evidence.add(batch, mine)
            work.alive()
    evidence.close()


def _named(stream: Any, wanted: pa.Array) -> Iterator[Batch]:
    """The documents with the ids ``wanted``; row groups without one of them are not read."""
    with pq.ParquetFile(stream) as parquet:
        for group in range(parquet.num_row_groups):
            ids = parquet.read_row_group(group, columns=["id"], use_threads=False).column("id")
            mask = pc.is_in(ids, value_set=wanted)
            if pc.any(mask).as_py():
                table = parquet.read_row_group(group, columns=DOCUMENT_SCHEMA.names, use_threads=False)
                for records in table.filter(mask).combine_chunks().to_batches():
                    yield Batch(records)


class _Evidence:
    """Collects evidence and writes it, sorted, a stretch at a time."""

    def __init__(self, work: PhaseWork, table: str, settings: NearDedup) -> None:
        self._work = work
        self._table = table
        self._settings = settings
        self._schema = evidence_schema(settings.permutations)
        self._pending: list[pa.Table] = []
        self._bytes = 0

    def add(self, batch: Batch, members: pa.Table) -> None:
        """Evidence of the documents of ``batch``; ``members`` says of which clusters they are."""
        sets = shingle_hashes(batch.data, batch.offsets, self._settings.words)
        prints = signatures(sets.hashes, sets.offsets, self._settings.permutations)
        places = pc.index_in(batch.records.column("id"), value_set=members.column("id").combine_chunks())
        of = members.take(places)
        shingles = pa.Array.from_buffers(
            pa.large_binary(), len(batch), [None, pa.py_buffer(8 * sets.offsets), pa.py_buffer(sets.hashes)]
        )
        columns = [
            *(of.column(name) for name in ("key", "id", "shard", "priority")),
            pa.array(_ranks(batch, self._settings.keep)),
            binary_column(prints.view(np.uint8)),
            shingles,
        ]
        table = pa.table(columns, schema=self._schema)
        self._pending.append(table)
        self._bytes += table.nbytes
        self._work.note(gathered=len(batch), gathered_bytes=batch.text_bytes)
        if self._bytes >= _STRETCH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write the rest."""
        self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        stretch = pa.concat_tables(self._pending)
        order = pc.sort_indices(
            stretch.select(["key", "id"]), sort_keys=[("key", "ascending"), ("id", "ascending")]
        )
        size = max(1, stretch.num_rows * _GROUP_BYTES // max(1, self._bytes))
        for start in range(0, stretch.num_rows, size):
            self._work.write(self._table, stretch.take(order.slice(start, size)).combine_chunks())
            self._work.alive()
        self._pending, self._bytes = [], 0


def _ranks(batch: Batch, keep: str) -> npt.NDArray[np.float64]:
    """What ``keep`` looks at, more being better; where there is no such number, less than any."""
    if keep == "first":
        return np.zeros(len(batch))
    if keep == "longest":
        return batch.code_points.astype(np.float64)
    field = keep.partition(".")[2]
    return np.array(
        [_number(text, field) for text in batch.records.column("metadata").to_pylist()], np.float64
    )


def _number(metadata: str | None, field: str) -> float:
    value = json.loads(metadata) if metadata else None
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        return -math.inf
    return float(value)
