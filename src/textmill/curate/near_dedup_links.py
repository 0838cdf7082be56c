"""Near-duplicates, first half: which documents share a band, and which clusters that makes.

A bucket (all documents with one key) becomes a star of links from its first member to each other one. Union-find
over all links gives the clusters. Nothing but a few numbers per linked document is ever held, and these lie in
mapped files: ids in order, and the parent of each.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.curate.earlier_runs import earlier_runs
from textmill.curate.near_dedup import binary_column, binary_rows, with_memory
from textmill.curate.partition import sorted_rows
from textmill.text.compilation import kernel

if TYPE_CHECKING:
    from textmill.curate.near_dedup import NearDedup
    from textmill.steps.phases import PhaseWork

_ODD = np.uint64(0x9E3779B97F4A7C15)
_ROWS = 65_536

NODE_SCHEMA = pa.schema([("node", pa.binary(16)), ("priority", pa.int64()), ("shard", pa.int32())])
MEMBER_SCHEMA = pa.schema(
    [("key", pa.binary(16)), ("id", pa.binary(16)), ("shard", pa.int32()), ("priority", pa.int64())]
)
"""A linked document and its cluster, which goes by its smallest node."""


def propose(work: PhaseWork, settings: NearDedup) -> None:
    """Write ``links``: of every key that several documents have, the first one with each other one.

    Reads ``fingerprints`` of a partition, and those of earlier runs.
    """
    runs = earlier_runs(settings, settings.against)
    columns = "key, id, priority, shard"
    linked = 0
    context = with_memory(work.context, settings)
    with sorted_rows(work.rows("fingerprints"), context, columns, "key, priority, id", runs) as ordered:
        first = _Row()
        for batch in ordered:
            if not batch.num_rows:
                continue
            links = _stars(batch, first)
            linked += links.num_rows
            work.write("links", links)
            work.alive()
    work.note(links=linked)


class _Row:
    """The first member of the bucket that the last batch ended in."""

    key: npt.NDArray[np.uint8] | None = None
    node: npt.NDArray[np.uint8]
    priority: int
    shard: int


def _stars(batch: pa.RecordBatch, first: _Row) -> pa.Table:
    keys, priorities = binary_rows(batch.column("key")), np.asarray(batch.column("priority"))
    shards = np.asarray(batch.column("shard"))
    nodes = _nodes(binary_rows(batch.column("id")), priorities)
    opens = np.ones(len(keys), np.bool_)
    opens[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    opens[0] = first.key is None or bool((keys[0] != first.key).any())
    # Place 0 is for the bucket that goes on from the batch before; the very first batch has no such.
    head = np.concatenate([nodes[:1] if first.key is None else first.node[None], nodes[opens]])
    head_priority = np.concatenate([[0 if first.key is None else first.priority], priorities[opens]])
    head_shard = np.concatenate([[0 if first.key is None else first.shard], shards[opens]])
    bucket = np.cumsum(opens)
    others = ~opens
    owner = bucket[others]
    first.key, first.node = keys[-1], head[bucket[-1]]
    first.priority, first.shard = int(head_priority[bucket[-1]]), int(head_shard[bucket[-1]])
    return pa.table(
        {
            "a": binary_column(head[owner]),
            "a_priority": pa.array(head_priority[owner].astype(np.int64)),
            "a_shard": pa.array(head_shard[owner].astype(np.int32)),
            "b": binary_column(nodes[others]),
            "b_priority": pa.array(priorities[others].astype(np.int64)),
            "b_shard": pa.array(shards[others].astype(np.int32)),
        }
    )


def _nodes(ids: npt.NDArray[np.uint8], priorities: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Ids, but of earlier runs' documents ids xor a number of the run: a text crawled again has the same id."""
    salted = np.ascontiguousarray(ids).copy()
    salt = np.where(priorities < 0, priorities, 0).astype(np.uint64) * _ODD
    salted.view(np.uint64)[:, 1] ^= salt
    return salted


def group(work: PhaseWork, settings: NearDedup) -> None:
    """Write ``members``: every linked document with its cluster, in order of shards. Reads all ``links``."""
    context = with_memory(work.context, settings)
    with TemporaryDirectory(dir=context.scratch, prefix="clusters-") as name:
        folder = Path(name)
        ends = pa.RecordBatchReader.from_batches(NODE_SCHEMA, _ends(work))
        with sorted_rows(ends, context, "node, priority, shard", "node") as ordered:
            count = _store_nodes(ordered, folder)
        high, low = _mapped(folder / "high", np.uint64), _mapped(folder / "low", np.uint64)
        parents = np.memmap(folder / "parents", np.int64, "w+", shape=(count,))
        for start in range(0, count, _ROWS):
            parents[start : start + _ROWS] = np.arange(start, min(start + _ROWS, count))
        for batch in work.rows("links"):
            a, b = (_halves(binary_rows(batch.column(side))) for side in ("a", "b"))
            _join(high, low, parents, *a, *b)
        members = pa.RecordBatchReader.from_batches(MEMBER_SCHEMA, _members(folder, high, low, parents))
        order = "shard, priority, key, id"
        with sorted_rows(members, context, "key, id, shard, priority", order) as ordered:
            for batch in ordered:
                work.write("members", pa.Table.from_batches([batch]).cast(MEMBER_SCHEMA))
                work.alive()
        work.note(candidates=count)


def _ends(work: PhaseWork) -> Iterator[pa.RecordBatch]:
    for batch in work.rows("links"):
        for side in ("a", "b"):
            columns = [batch.column(name) for name in (side, f"{side}_priority", f"{side}_shard")]
            ends = pa.table(columns, schema=NODE_SCHEMA)
            # A member of many buckets comes many times, often in a row.
            yield from ends.group_by(NODE_SCHEMA.names, use_threads=False).aggregate([]).to_batches()


def _store_nodes(ordered: pa.RecordBatchReader, folder: Path) -> int:
    """Write the distinct nodes, in order, to files of raw numbers; returns how many there are."""
    count = 0
    last: npt.NDArray[np.uint8] | None = None
    files = {name: (folder / name).open("wb") for name in ("high", "low", "priority", "shard")}
    for batch in ordered:
        if not batch.num_rows:
            continue
        nodes = binary_rows(batch.column("node"))
        new = np.ones(len(nodes), np.bool_)
        new[1:] = (nodes[1:] != nodes[:-1]).any(axis=1)
        new[0] = last is None or bool((nodes[0] != last).any())
        last = nodes[-1]
        high, low = _halves(nodes[new])
        files["high"].write(high.tobytes())
        files["low"].write(low.tobytes())
        files["priority"].write(np.asarray(batch.column("priority"))[new].astype(np.int64).tobytes())
        files["shard"].write(np.asarray(batch.column("shard"))[new].astype(np.int32).tobytes())
        count += int(new.sum())
    for file in files.values():
        file.close()
    return count


def _members(folder: Path, high: Any, low: Any, parents: Any) -> Iterator[pa.RecordBatch]:
    priorities, shards = _mapped(folder / "priority", np.int64), _mapped(folder / "shard", np.int32)
    for start in range(0, len(parents), _ROWS):
        part = slice(start, min(start + _ROWS, len(parents)))
        roots = _roots(parents, part.start, part.stop)
        priority = np.array(priorities[part])
        ids = _nodes(_whole(high[part], low[part]), priority)  # the same xor again gives the id
        columns = [
            binary_column(_whole(high[roots], low[roots])),
            binary_column(ids),
            pa.array(np.array(shards[part])),
            pa.array(priority),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=MEMBER_SCHEMA)


def _halves(nodes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Sixteen bytes as two numbers that sort as the bytes do."""
    halves = np.ascontiguousarray(nodes).view(">u8").astype(np.uint64)
    return np.ascontiguousarray(halves[:, 0]), np.ascontiguousarray(halves[:, 1])


def _whole(high: npt.NDArray[np.uint64], low: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(np.stack([high, low], axis=1).astype(">u8")).view(np.uint8)


def _mapped(path: Path, kind: Any) -> Any:
    if not path.stat().st_size:
        return np.zeros(0, kind)
    return np.asarray(np.memmap(path, kind, "r+"))


@kernel
def _join(high, low, parents, a_high, a_low, b_high, b_low):
    """Unite the clusters of a[i] and b[i]; the smaller number is the root, so that order does not matter."""
    for row in range(a_high.size):
        a = _root(parents, _place(high, low, a_high[row], a_low[row]))
        b = _root(parents, _place(high, low, b_high[row], b_low[row]))
        if a < b:
            parents[b] = a
        elif b < a:
            parents[a] = b


@kernel
def _roots(parents, start, stop):
    roots = np.empty(stop - start, np.int64)
    for place in range(start, stop):
        roots[place - start] = _root(parents, place)
    return roots


@kernel
def _root(parents, place):
    while parents[place] != place:
        parents[place] = parents[parents[place]]
        place = parents[place]
    return place


@kernel
def _place(high, low, wanted_high, wanted_low):
    """Where a node stands among all, which ascend."""
    start, stop = 0, high.size
    while start < stop:
        middle = (start + stop) // 2
        if high[middle] < wanted_high or (high[middle] == wanted_high and low[middle] < wanted_low):
            start = middle + 1
        else:
            stop = middle
    return start
