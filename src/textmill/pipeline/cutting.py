"""Cuts of a global step, applied to the documents of a shard.

One ``edited`` event per document says how often each rule struck and shows the beginning of what went; a
document of which too little is left is dropped by the step, with a rule of its own.

Memory: the cuts of one shard, at most about 60 bytes each and no more than one per unit (line, sentence, span)
that the step fingerprinted there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from textmill.documents import Batch, format_id
from textmill.errors import UserError
from textmill.pipeline.faults import OpenedStep
from textmill.pipeline.rejected import RejectedSample
from textmill.pipeline.standing import Mask, Standing
from textmill.steps.cutting import CuttingStep, cut_schema
from textmill.text.spans import cut_spans, merge_spans
from textmill.workspace.commits import StepCount
from textmill.workspace.ledger_tables import EventLog
from textmill.workspace.storage import Storage

# What `why` shows of a cut.
EXCERPTS = 3
EXCERPT_CHARACTERS = 200


@dataclass(frozen=True)
class ShardCuts:
    """The cuts of one shard, sorted by document, start and end.

    Attributes:
        table: columns of :func:`textmill.steps.cutting.cut_schema`.
        starts, ends: int64, as in the table.
        rows: id to the document's first row and the row after its last.
    """

    table: pa.Table
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    rows: dict[bytes, tuple[int, int]]

    @classmethod
    def load(cls, storage: Storage, paths: Sequence[str], shard: int) -> ShardCuts:
        """Read from the cuts that every partition has published."""
        tables = []
        for path in paths:
            with storage.open(path) as stream:
                tables.append(pq.read_table(stream, filters=[("shard", "=", shard)], use_threads=False))
        schema = cut_schema()
        table = pa.concat_tables([one.cast(schema) for one in tables]) if tables else schema.empty_table()
        table = table.sort_by([(name, "ascending") for name in ("id", "start", "end", "rule")])
        ids = table.column("id").combine_chunks()
        firsts = [0] if len(ids) else []
        if len(ids) > 1:
            raw = np.frombuffer(ids.buffers()[1], np.uint8)[16 * ids.offset :][: 16 * len(ids)].reshape(
                -1, 16
            )
            firsts += (np.flatnonzero((raw[1:] != raw[:-1]).any(axis=1)) + 1).tolist()
        rows = {ids[first].as_py(): (first, end) for first, end in pairwise([*firsts, len(ids)])}
        return cls(table, _integers(table, "start"), _integers(table, "end"), rows)


def apply_cuts(standing: Standing, opened: OpenedStep, events: EventLog, rejected: RejectedSample) -> None:
    """Cut the standing documents; ``opened.runner`` holds the :class:`ShardCuts`.

    Raises:
        UserError: a span lies outside of its text or inside a character.
    """
    step, cuts = opened.step, opened.runner
    assert isinstance(step, CuttingStep)
    assert isinstance(cuts, ShardCuts)
    before = standing.current
    changed = [row for row, identifier in enumerate(before.ids) if identifier in cuts.rows]
    dropped = 0
    if changed:
        texts, details, matches = _cut(before, changed, cuts, opened.id)
        after = before.with_texts(texts)
        events.add(
            before.records.take(pa.array(changed)),
            "edited",
            opened.id,
            matched_id=pa.array(matches, pa.binary(16)),
            characters_before=before.code_points[changed],
            characters_after=after.code_points[changed],
            detail=details,
        )
        standing.current = after
        gone = np.zeros(len(before), np.bool_)
        for rule, least, left in _left(step, after, changed):
            few = np.zeros(len(before), np.bool_)
            few[np.array(changed)[left < least]] = True
            few &= ~gone
            gone |= few
            if few.any():
                events.add(
                    before.records.filter(pa.array(few)),
                    "dropped",
                    opened.id,
                    rule=rule,
                    value=left[few[changed]].astype(np.float64),
                    threshold=float(least),
                    characters_before=before.code_points[few],
                )
                standing.judge(few, "dropped", opened.id, rule)
                # The text as it was: what is left of it tells a reader nothing.
                rejected.add(before.records.filter(pa.array(few)), opened.id, rule)
        standing.leave(~gone)
        dropped = int(gone.sum())
    opened.count += StepCount(
        opened.count.step,
        len(before),
        len(standing.current),
        dropped,
        0,
        int(before.code_points.sum()),
        int(standing.current.code_points.sum()),
    )


def _cut(
    batch: Batch, changed: list[int], cuts: ShardCuts, step: str
) -> tuple[pa.Array, list[str], list[bytes | None]]:
    """All texts of the batch, and for each changed one what was cut and the document that has it."""
    data, offsets, ids = batch.data.data, batch.offsets, batch.ids
    pieces: list[bytes | memoryview] = []
    lengths = np.diff(offsets)
    details, matches = [], []
    done = 0
    for row in changed:
        pieces.append(data[offsets[done] : offsets[row]])
        text = bytes(data[offsets[row] : offsets[row + 1]])
        first, end = cuts.rows[ids[row]]
        _check(text, cuts.starts[first:end], cuts.ends[first:end], step, ids[row])
        starts, ends = merge_spans(cuts.starts[first:end], cuts.ends[first:end])
        left = cut_spans(text, starts.tolist(), ends.tolist())
        pieces.append(left)
        lengths[row] = len(left)
        details.append(_describe(text, starts, ends, cuts, first, end))
        matches.append(_match(cuts, first, end))
        done = row + 1
    pieces.append(data[offsets[done] : offsets[-1]])
    borders = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    texts = pa.LargeStringArray.from_buffers(
        len(batch), pa.py_buffer(borders), pa.py_buffer(b"".join(pieces))
    )
    return texts, details, matches


def _check(
    text: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], step: str, identifier: bytes
) -> None:
    inside = starts.min() >= 0 and (starts < ends).all() and ends.max() <= len(text)
    padded = np.frombuffer(text + b" ", np.uint8)
    if not inside or (padded[np.concatenate([starts, ends])] & 0xC0 == 0x80).any():
        raise UserError(
            f"step {step} cuts where no text is",
            expected=f"spans of bytes, 0 <= start < end <= {len(text)}, between characters",
            found=f"from {starts.min()} to {ends.max()}",
            where=f"document {format_id(identifier)}",
            hint="offsets count UTF-8 bytes of the text as it was fingerprinted",
        )


def _describe(
    text: bytes,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    cuts: ShardCuts,
    first: int,
    end: int,
) -> str:
    """``repeated_line 3; cut «Home | About» (12 in all), …``: counts per rule and the first spans."""
    rules = Counter(cuts.table.column("rule")[first:end].to_pylist())
    struck = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    counts = cuts.table.column("count")
    shown = []
    for start, stop in zip(starts[:EXCERPTS].tolist(), ends[:EXCERPTS].tolist(), strict=True):
        # A character has at most four bytes.
        excerpt = " ".join(
            text[start : min(stop, start + 8 * EXCERPT_CHARACTERS)].decode("utf-8", "ignore").split()
        )
        if len(excerpt) > EXCERPT_CHARACTERS or stop > start + 8 * EXCERPT_CHARACTERS:
            excerpt = excerpt[:EXCERPT_CHARACTERS] + "…"
        place = first + int(np.searchsorted(cuts.starts[first:end], start))
        count = counts[place].as_py()
        shown.append(f"«{excerpt}»" + (f" ({count:,} in all)" if count else ""))
    if len(starts) > EXCERPTS:
        shown.append(f"and {len(starts) - EXCERPTS:,} more")
    return f"{struck}; cut {', '.join(shown)}"


def _match(cuts: ShardCuts, first: int, end: int) -> bytes | None:
    """The document that has the longest of the cuts; the first of equally long ones."""
    longest = first + int(np.argmax(cuts.ends[first:end] - cuts.starts[first:end]))
    match: bytes | None = cuts.table.column("matched_id")[longest].as_py()
    return match


def _left(
    step: CuttingStep, after: Batch, changed: list[int]
) -> list[tuple[str, int, npt.NDArray[np.int64]]]:
    """Rule, bound and measure of what is left of the changed documents."""
    batch = after.select(_mask(changed, len(after)))
    measures = []
    if step.min_characters_left:
        left = np.array([len(text.strip()) for text in batch.texts], np.int64)
        measures.append(("characters_left", step.min_characters_left, left))
    if step.min_words_left:
        words = batch.words
        total = np.concatenate([[0], np.cumsum(words.kinds > 0)]).astype(np.int64)
        left = np.diff(total[words.document_offsets])
        measures.append(("words_left", step.min_words_left, left))
    return measures


def _mask(rows: list[int], count: int) -> Mask:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return mask


def _integers(table: pa.Table, name: str) -> npt.NDArray[np.int64]:
    return np.asarray(table.column(name).combine_chunks().to_numpy(), np.int64)
