"""A global step of four phases with known behaviour; importable by worker processes."""

from __future__ import annotations

import os
import signal
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from textmill.documents import Batch
from textmill.steps import GlobalStep, Phase, PhaseWork
from textmill.steps.global_step import removal_schema

MURDER = "TEXTMILL_TEST_MURDER"
"""``<phase>:<file>``: the first unit of that phase, while the file is there, takes worker and coordinator along."""


class Alike(GlobalStep):
    """Removes texts that equal another's; proposed by the first word, verified by the text, in four phases."""

    name: ClassVar[str] = "alike"
    broken_at: str = ""

    def phases(self) -> tuple[Phase, ...]:
        return (
            Phase("propose", per="partition", reads=("fingerprints",), writes=("named",)),
            Phase("gather", per="shard", reads=("named",), writes=("evidence", "sizes")),
            Phase("verify", per="partition", reads=("evidence", "named"), writes=("removals", "found")),
            Phase("review", per="whole", reads=("found", "sizes"), writes=()),
        )

    def open(self, context: Any) -> Any:
        return AlikeRunner(self)


class AlikeRunner:
    def __init__(self, settings: Alike) -> None:
        self.settings = settings

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        keys = [blake2b(text.split()[0].encode(), digest_size=16).digest() for text in batch.texts]
        return pa.record_batch(
            {"key": pa.array(keys, pa.binary(16)), "id": pa.array(batch.ids, pa.binary(16))}
        )

    def propose(self, work: PhaseWork) -> None:
        perhaps_die("propose")
        rows = work.rows("fingerprints").read_all()
        groups = rows.group_by("key").aggregate([("id", "count")])
        several = groups.filter(pc.greater(groups["id_count"], 1))["key"].combine_chunks()
        named = rows.filter(pc.is_in(rows["key"], several))
        work.write("named", named.sort_by([("shard", "ascending"), ("id", "ascending")]))
        work.note(proposed=named.num_rows)

    def gather(self, work: PhaseWork) -> None:
        perhaps_die("gather")
        named = work.rows("named").read_all().to_pylist()
        assert all(row["shard"] == work.shard for row in named)
        by_id = {row["id"]: row for row in named}
        rows = []
        for batch in work.documents(pa.array(by_id, pa.binary(16))):
            for identifier, text in zip(batch.ids, batch.texts, strict=True):
                rows.append({**by_id[identifier], "text": text})
        assert len(rows) == len(by_id)
        if rows:
            work.write("evidence", pa.Table.from_pylist(sorted(rows, key=lambda row: row["key"]), evidence()))
        count = sum(batch.num_rows for batch in work.columns(["source"]))
        work.write("sizes", pa.table({"documents": pa.array([count], pa.int64())}))

    def verify(self, work: PhaseWork) -> None:
        perhaps_die("verify")
        assert {row["id"] for row in work.rows("evidence").read_all().to_pylist()} == {
            row["id"] for row in work.rows("named").read_all().to_pylist()
        }
        kept: dict[str, bytes] = {}
        removals = []
        rows = work.rows("evidence").read_all().to_pylist()
        for row in sorted(rows, key=lambda row: (row["priority"], row["id"])):
            if row["text"] in kept:
                removals.append(
                    {
                        "shard": row["shard"],
                        "id": row["id"],
                        "rule": "alike",
                        "matched_id": kept[row["text"]],
                        "similarity": 1.0,
                    }
                )
            else:
                kept[row["text"]] = row["id"]
        work.write("removals", pa.Table.from_pylist(removals, removal_schema()))
        work.write("found", pa.table({"kept": pa.array([len(kept)], pa.int64())}))
        work.note(compared=len(rows), examples=[row["id"].hex() for row in removals[:1]])

    def review(self, work: PhaseWork) -> None:
        perhaps_die("review")
        kept = pc.sum(work.rows("found").read_all()["kept"]).as_py()
        documents = pc.sum(work.rows("sizes").read_all()["documents"]).as_py()
        work.note(kept_of_the_compared=kept, documents=documents)
        work.warn(f"only {kept} of {documents} texts are distinct")


def evidence() -> pa.Schema:
    return pa.schema(
        [
            ("key", pa.binary(16)),
            ("id", pa.binary(16)),
            ("priority", pa.int64()),
            ("shard", pa.int32()),
            ("text", pa.string()),
        ]
    )


def perhaps_die(phase: str) -> None:
    """SIGKILL for this worker and the coordinator, once."""
    where, _, file = os.environ.get(MURDER, "").partition(":")
    if where == phase and Path(file).exists():
        Path(file).unlink()
        if os.environ.get("TEXTMILL_COORDINATED"):
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
