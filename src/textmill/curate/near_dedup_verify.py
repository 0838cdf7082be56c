"""Near-duplicates, second half: the evidence of whole clusters in, and what is removed out.

Every document that may match another one has its shingles and its signature here; `near_dedup_decide` compares them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.curate.earlier_runs import EARLIER, detail_of, earlier_runs
from textmill.curate.near_dedup import binary_column, binary_rows
from textmill.curate.near_dedup_decide import agreement, decide
from textmill.text.minhash import band_keys

if TYPE_CHECKING:
    from textmill.curate.near_dedup import NearDedup
    from textmill.steps.phases import PhaseWork

RULE = "near_duplicate"
# The largest groups of a partition, by the document that is kept: for the review.
_LARGEST = 20
_EXAMPLES = 3
_BLOCK = 65_536


def verify(work: PhaseWork, settings: NearDedup) -> None:
    """Write ``removals``, ``losses`` (documents removed, by priority) and ``clusters`` (the largest).

    Reads the evidence of a partition, in which clusters are whole.
    """
    with TemporaryDirectory(dir=work.context.scratch, prefix="verify-") as folder:
        evidence = _Evidence(Path(folder), settings)
        tables = ["evidence", "earlier_evidence"] if settings.against else ["evidence"]
        for table in tables:
            for batch in work.rows(table):
                evidence.add(batch)
        order = evidence.order()
        with _sign_of_life(work):
            matched, similarity, counts = decide(
                order,
                int((evidence.shards[order] == EARLIER).sum()),
                evidence.buckets(settings)[order],
                evidence.signatures(settings.permutations),
                *evidence.sets(),
                settings.threshold,
                agreement(settings.threshold, settings.permutations),
                settings.most_compared,
            )
        compared, estimated, left_out = (int(count) for count in counts)
        work.note(compared=compared, estimated=estimated, left_out=left_out)
        _write(work, settings, evidence, order, matched, similarity)


@contextmanager
def _sign_of_life(work: PhaseWork, every: float = 10.0) -> Iterator[None]:
    """Say that the unit is at work while a kernel, which lets other threads run, decides a large cluster."""
    done = threading.Event()

    def tell() -> None:
        while not done.wait(every):
            work.alive()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _write(
    work: PhaseWork,
    settings: NearDedup,
    evidence: _Evidence,
    order: npt.NDArray[np.int64],
    matched: npt.NDArray[np.int64],
    similarity: npt.NDArray[np.float64],
) -> None:
    places = np.flatnonzero(matched >= 0)
    if not len(places):
        return
    gone, kept = order[places], order[matched[places]]
    shards = evidence.shards[gone]
    by_place = np.lexsort([*evidence.halves(gone)[::-1], shards])
    gone, kept, places = gone[by_place], kept[by_place], places[by_place]
    runs = earlier_runs(settings, settings.against)
    details = [
        detail_of(runs, int(priority)) if priority < 0 else None for priority in evidence.priorities[kept]
    ]
    removals = pa.table(
        {
            "shard": pa.array(evidence.shards[gone], pa.int32()),
            "id": binary_column(evidence.ids[gone]),
            "rule": pa.array([RULE] * len(gone), pa.string()),
            "matched_id": binary_column(evidence.ids[kept]),
            "similarity": pa.array(similarity[places], pa.float32()),
            "detail": pa.array(details, pa.string()),
        }
    )
    work.write("removals", removals)
    priorities, losses = np.unique(evidence.priorities[gone], return_counts=True)
    work.write("losses", pa.table({"priority": pa.array(priorities, pa.int64()), "removed": losses}))
    owners, sizes = np.unique(kept, return_counts=True)
    largest = sorted(zip(-sizes, evidence.ids[owners].tolist(), owners, strict=True))[:_LARGEST]
    rows = [
        {
            "id": evidence.ids[owner].tobytes(),
            "removed": int(-size),
            "examples": [evidence.ids[one].tobytes() for one in gone[kept == owner][:_EXAMPLES]],
        }
        for size, _, owner in largest
    ]
    work.write("clusters", pa.Table.from_pylist(rows, CLUSTER_SCHEMA))


CLUSTER_SCHEMA = pa.schema(
    [("id", pa.binary(16)), ("removed", pa.int64()), ("examples", pa.list_(pa.binary(16)))]
)


class _Evidence:
    """Evidence of a partition: shingles and signatures in mapped files, the rest in memory."""

    def __init__(self, folder: Path, settings: NearDedup) -> None:
        self._folder = folder
        self._earlier_first = bool(settings.against)
        self._files = {name: (folder / name).open("wb") for name in ("signatures", "shingles")}
        self._ids: list[npt.NDArray[np.uint8]] = []
        self._numbers: dict[str, list[Any]] = {"shard": [], "priority": [], "rank": [], "size": []}

    def add(self, batch: pa.RecordBatch) -> None:
        """Append rows of evidence."""
        if not batch.num_rows:
            return
        self._ids.append(binary_rows(batch.column("id")).copy())
        for name in ("shard", "priority", "rank"):
            self._numbers[name].append(np.asarray(batch.column(name)).copy())
        self._files["signatures"].write(binary_rows(batch.column("signature")).tobytes())
        shingles = batch.column("shingles")
        borders = np.frombuffer(shingles.buffers()[1], np.int64)[shingles.offset :][: len(shingles) + 1]
        data = shingles.buffers()[2]
        self._files["shingles"].write(memoryview(data)[borders[0] : borders[-1]] if data else b"")
        self._numbers["size"].append(np.diff(borders) // 8)

    def order(self) -> npt.NDArray[np.int64]:
        """Places of the documents in order of priority; those of earlier runs first."""
        for file in self._files.values():
            file.close()
        self.ids = np.concatenate(self._ids) if self._ids else np.zeros((0, 16), np.uint8)
        self.shards = self._joined("shard", np.int32)
        self.priorities = self._joined("priority", np.int64)
        ranks = self._joined("rank", np.float64)
        own = self.shards != EARLIER
        ranks[~own] = 0.0
        high, low = self.halves(np.arange(len(self.ids)))
        return np.lexsort([low, high, self.priorities, -ranks, own])

    def halves(self, places: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
        """Ids as two numbers that sort as the ids do."""
        halves = np.ascontiguousarray(self.ids[places]).view(">u8").astype(np.uint64)
        return halves[:, 0], halves[:, 1]

    def signatures(self, permutations: int) -> npt.NDArray[np.uint32]:
        """uint32[documents, permutations]."""
        prints: npt.NDArray[np.uint32] = _mapped(self._folder / "signatures", np.uint32)
        return prints.reshape(-1, permutations)

    def sets(self) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
        """All shingles, and where each document's begin and end."""
        sizes = self._joined("size", np.int64)
        return _mapped(self._folder / "shingles", np.uint64), np.concatenate([[0], np.cumsum(sizes)])

    def buckets(self, settings: NearDedup) -> npt.NDArray[np.int64]:
        """int64[documents, bands]: equal numbers for equal keys."""
        bands, rows = settings.shape()
        prints = self.signatures(settings.permutations)
        keys = np.empty((len(prints), bands), np.uint64)
        for start in range(0, len(prints), _BLOCK):
            part = prints[start : start + _BLOCK]
            keys[start : start + _BLOCK] = band_keys(part, bands, rows).view(np.uint64)[:, :, 0]
        _, numbers = np.unique(keys, return_inverse=True)
        return numbers.reshape(keys.shape).astype(np.int64)

    def _joined(self, name: str, kind: Any) -> Any:
        parts = self._numbers[name]
        return np.concatenate(parts).astype(kind) if parts else np.zeros(0, kind)


def _mapped(path: Path, kind: Any) -> Any:
    if not path.stat().st_size:
        return np.zeros(0, kind)
    return np.asarray(np.memmap(path, kind, "r+"))
