"""The global step ``span_dedup``: long spans of words that stand twice, inside a document or across documents.

::

    fingerprint  winnowed hashes of runs of words: two equal spans are sure to share one      per shard
    propose      runs whose hash was selected more than once                                  per partition
    gather       around those, every window of 50 words, by 128 bits of its very words         per shard
    verify       windows that repeat: all but the first                                       per partition
    settle       windows beside each other are one cut                                        per shard

Winnowing (Schleimer, Wilkerson, Aiken, 2003) looks at every word and keeps about one hash in thirteen; only where
one of these repeats is the text looked at closely. A span longer than a window is cut as the union of its windows,
word for word: from its first repeated word to its last.

Memory: of a shard, the places of its proposed runs; of a partition, what the worker is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from textmill.curate.partition import connection_within
from textmill.curate.repetition import repeated_units
from textmill.steps.context import StepContext
from textmill.steps.cutting import CuttingStep, cut_schema
from textmill.steps.global_step import Fingerprinter
from textmill.steps.phases import Phase, PhaseWork

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

RULE = "repeated_span"
# Windows that are sorted and written at once, 60 bytes each.
_WINDOWS = 500_000
_ROWS = 65_536


class SpanDedup(CuttingStep):
    """Cuts spans of 50 words or more that stand somewhere else already.

    The idea is ExactSubstr (Lee et al., 2022, arXiv:2107.06499, section 4.1: spans of 50 tokens, found in a
    suffix array of the whole corpus), with winnowed hashes in its place, so that memory does not grow with the
    corpus; and unlike there one copy stays: that of the source that stands first in the recipe, in the document
    with the smallest id, nearest to its beginning. Inside one document, copies that overlap are none.

    Every word that is cut lies in a window of ``words`` words that stands, word for word (128 bits of BLAKE2b),
    at an earlier place; and no window that is left stands at two places. Use it after ``exact_dedup`` and
    ``near_dedup``: what repeats costs most here.
    """

    name: ClassVar[str] = "span_dedup"
    shorthand: ClassVar[str | None] = "words"

    words: int = Field(
        default=50, ge=2, le=10_000, description="Shortest span (words) that counts as repeated."
    )
    normalize: Literal["whitespace", "letters"] = Field(
        default="whitespace",
        description="What makes no difference: white space (a word is what stands between); or anything but "
        "letters, by case folded, with all digits alike (in scripts without spaces a character is a word).",
    )

    def phases(self) -> tuple[Phase, ...]:
        """Propose by hashes, verify by words."""
        return (
            Phase("propose", per="partition", reads=("fingerprints",), writes=("candidates",)),
            Phase("gather", per="shard", reads=("candidates",), writes=("windows",)),
            Phase("verify", per="partition", reads=("windows",), writes=("repeats",)),
            Phase("settle", per="shard", reads=("repeats",), writes=("cuts",)),
        )

    def open(self, context: StepContext) -> Fingerprinter:
        """Return the runner."""
        return _SpanFinder(self)


class _SpanFinder:
    def __init__(self, settings: SpanDedup) -> None:
        self._words = settings.words
        # Half of a span: runs long enough to be rare, and few enough of them.
        self._run = (settings.words + 1) // 2
        self._normalized = settings.normalize == "letters"

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key``, ``id`` and ``start`` (byte of the text): one row per selected run of words."""
        import pyarrow as pa

        from textmill.text.winnowing import winnow

        chosen = winnow(batch.data, batch.offsets, self._words, self._run, self._normalized)
        # Selected hashes are small numbers; their low bytes, which come first here, are spread evenly.
        keys = np.zeros((len(chosen.hashes), 2), "<u8")
        keys[:, 0] = chosen.hashes
        owners = np.repeat(np.arange(len(batch)), np.diff(chosen.offsets))
        return pa.RecordBatch.from_arrays(
            [
                _binary(keys),
                batch.records.column("id").take(pa.array(owners)),
                pa.array(chosen.starts - batch.offsets[owners], pa.int64()),
            ],
            names=["key", "id", "start"],
        )

    def propose(self, work: PhaseWork) -> None:
        """Places of the runs whose hash was selected at two places or more."""
        with connection_within(work.context) as connection:
            connection.register("given", work.rows("fingerprints"))
            connection.execute("CREATE TABLE runs AS SELECT key, shard, id, priority, start FROM given")
            relation = connection.sql(
                "SELECT shard, id, priority, start FROM runs JOIN "
                "(SELECT key FROM runs GROUP BY key HAVING count(*) > 1) USING (key) "
                "ORDER BY shard, id, start"
            )
            for records in relation.to_arrow_reader(_ROWS):
                if records.num_rows:
                    work.write("candidates", _with_ids(records))

    def gather(self, work: PhaseWork) -> None:
        """Every window around a proposed run: ``key`` is the hash of its words."""
        proposed = work.rows("candidates").read_all()
        if not proposed.num_rows:
            return
        proposed = proposed.sort_by([("id", "ascending"), ("start", "ascending")])
        raw = _raw(proposed.column("id"))
        firsts = np.flatnonzero(np.append(True, (raw[1:] != raw[:-1]).any(axis=1)))
        ids = _binary(raw[firsts])
        places = dict(zip(ids.to_pylist(), pairwise([*firsts.tolist(), len(raw)]), strict=True))
        starts = np.asarray(proposed.column("start").combine_chunks())
        priorities = np.asarray(proposed.column("priority").combine_chunks())
        writer = _WindowWriter(work)
        for batch in work.documents(ids):
            for row, identifier in enumerate(batch.ids):
                first, last = places[identifier]
                for keys, begins, stops in self._windows(batch.slice(row, 1), starts[first:last]):
                    writer.add(identifier, int(priorities[first]), keys, begins, stops)
                    work.alive()
        writer.flush()

    def _windows(
        self, document: Batch, proposed: npt.NDArray[np.int64]
    ) -> Iterator[tuple[list[bytes], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Keys, first bytes and the bytes after the last of the windows that hold a proposed run, in pieces."""
        from textmill.text.winnowing import winnow

        # Every word is a run of one word, and with windows of one hash all are selected.
        words = winnow(document.data, document.offsets, 1, 1, self._normalized)
        offset = int(document.offsets[0])
        starts, ends = words.starts.astype(np.int64) - offset, words.ends.astype(np.int64) - offset
        held = np.zeros(len(starts) + 1, np.int64)
        place = np.searchsorted(starts, proposed)
        np.add.at(held, np.maximum(place - (self._words - self._run), 0), 1)
        np.add.at(held, place + 1, -1)
        wanted = np.flatnonzero(np.cumsum(held)[: max(0, len(starts) - self._words + 1)])
        if self._normalized:
            compared = words.hashes.astype("<u8").tobytes()
            begins = np.arange(len(starts)) * 8
            stops = begins + 8
        else:
            data = document.data.data
            shift = (starts + offset).tolist()
            compared = b" ".join(data[a:b] for a, b in zip(shift, (ends + offset).tolist(), strict=True))
            stops = np.cumsum(ends - starts + 1) - 1
            begins = stops - (ends - starts)
        view = memoryview(compared)
        for at in range(0, len(wanted), _ROWS):
            first = wanted[at : at + _ROWS]
            last = first + self._words - 1
            spans = zip(begins[first].tolist(), stops[last].tolist(), strict=True)
            keys = [blake2b(view[a:b], digest_size=16).digest() for a, b in spans]
            yield keys, starts[first], ends[last]

    def verify(self, work: PhaseWork) -> None:
        """Of equal windows all but the first are to be cut."""
        for records in repeated_units(work.rows("windows"), work.context, RULE):
            work.write("repeats", records)

    def settle(self, work: PhaseWork) -> None:
        """Windows of one document that overlap and have the same first copy are one cut."""
        import pyarrow as pa

        with connection_within(work.context) as connection:
            connection.register("given", work.rows("repeats"))
            relation = connection.sql(
                'SELECT shard, id, start, "end", rule, matched_id, count FROM given '
                "ORDER BY id, matched_id, start"
            )
            merged = list(_merged(relation.to_arrow_reader(_ROWS)))
        if not merged:
            return
        cuts = pa.Table.from_batches(merged)
        order = [(name, "ascending") for name in ("shard", "id", "start", "end", "matched_id")]
        work.write("cuts", cuts.sort_by(order))
        work.note(spans=cuts.num_rows)


class _WindowWriter:
    """Writes windows in pieces, each in order of the key."""

    def __init__(self, work: PhaseWork) -> None:
        self._work = work
        self._pieces: list[pa.RecordBatch] = []
        self._rows = 0

    def add(
        self,
        identifier: bytes,
        priority: int,
        keys: list[bytes],
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
    ) -> None:
        """Windows of one document."""
        import pyarrow as pa

        columns = {
            "key": pa.array(keys, pa.binary(16)),
            "id": pa.array([identifier] * len(keys), pa.binary(16)),
            "start": pa.array(starts, pa.int64()),
            "end": pa.array(ends, pa.int64()),
            "priority": pa.array(np.full(len(keys), priority, np.int64)),
            "shard": pa.array(np.full(len(keys), self._work.shard, np.int32)),
        }
        self._pieces.append(pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)))
        self._rows += len(keys)
        if self._rows >= _WINDOWS:
            self.flush()

    def flush(self) -> None:
        """Write what was added."""
        import pyarrow as pa

        if self._rows:
            table = pa.Table.from_batches(self._pieces)
            order = [(name, "ascending") for name in ("key", "id", "start")]
            self._work.write("windows", table.sort_by(order))
        self._pieces, self._rows = [], 0


def _merged(ordered: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Runs of overlapping spans with the same document and match as one, with the largest count.

    Args:
        ordered: columns of a cut, in order of id, matched_id and start; ends ascend with starts.
    """
    import pyarrow as pa

    schema = cut_schema()
    open_cut: dict[str, Any] | None = None
    for records in ordered:
        table = pa.Table.from_batches([records]).cast(schema).combine_chunks()
        if not table.num_rows:
            continue
        ids, matches = (_raw(table.column(name)) for name in ("id", "matched_id"))
        starts, ends, counts = (np.asarray(table.column(name)) for name in ("start", "end", "count"))
        first = np.ones(len(starts), np.bool_)
        first[1:] = (
            (ids[1:] != ids[:-1]).any(axis=1)
            | (matches[1:] != matches[:-1]).any(axis=1)
            | (starts[1:] > ends[:-1])
        )
        begins = np.flatnonzero(first)
        stops = np.append(begins[1:], len(starts)) - 1
        cuts = table.take(pa.array(begins)).to_pylist()
        for cut, stop, count in zip(
            cuts, ends[stops].tolist(), np.maximum.reduceat(counts, begins).tolist(), strict=True
        ):
            cut |= {"end": stop, "count": count}
        # The first may go on with what the batch before ended in, the last with what comes.
        if open_cut is not None:
            same = all(open_cut[name] == cuts[0][name] for name in ("id", "matched_id"))
            if same and cuts[0]["start"] <= open_cut["end"]:
                cuts[0] |= {
                    "start": open_cut["start"],
                    "count": max(open_cut["count"], cuts[0]["count"]),
                }
            else:
                cuts.insert(0, open_cut)
        open_cut = cuts.pop()
        yield pa.RecordBatch.from_pylist(cuts, schema=schema)
    if open_cut is not None:
        yield pa.RecordBatch.from_pylist([open_cut], schema=schema)


def _with_ids(records: pa.RecordBatch) -> pa.Table:
    """Ids of DuckDB as binary(16)."""
    import pyarrow as pa

    table = pa.Table.from_batches([records])
    place = table.schema.get_field_index("id")
    return table.set_column(place, "id", table.column("id").cast(pa.binary(16)))


def _binary(rows: npt.NDArray[Any]) -> pa.Array:
    """Rows of 16 bytes as binary(16)."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.binary(16), len(rows), [None, pa.py_buffer(rows.tobytes())])


def _raw(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    """Values of 16 bytes as uint8, shape (n, 16)."""
    values = column.combine_chunks()
    flat = np.frombuffer(values.buffers()[1], np.uint8)
    return flat.reshape(-1, 16)[values.offset : values.offset + len(values)]
