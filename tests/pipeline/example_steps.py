"""Small steps with known behaviour, used by the pipeline's tests; importable by worker processes."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from textmill.documents import Batch, Document, Failure
from textmill.errors import UserError
from textmill.steps import (
    CuttingStep,
    Edit,
    Filter,
    GlobalStep,
    Rule,
    SourceSettings,
    Split,
    Transform,
    cut_schema,
)


class Numbers(SourceSettings):
    """``documents`` texts made from their number; every 50th record is unreadable, texts repeat mod 97."""

    name: ClassVar[str] = "numbers"
    documents: int = 1000
    per_split: int = 100
    words: int = 20

    def plan(self, split_bytes: int) -> list[Split]:
        if not self.documents:
            raise UserError("no input", expected="some documents", found="none")
        starts = range(0, self.documents, self.per_split)
        return [
            Split({"start": s, "end": min(s + self.per_split, self.documents)}, f"v1-{s}", self.per_split)
            for s in starts
        ]

    def open(self, context: Any) -> Any:
        return self

    def read(self, split: Split) -> Iterator[Document | Failure]:
        for number in range(split.work["start"], split.work["end"]):
            if number % 50 == 49:
                yield Failure(f"n:{number}", "it is the fiftieth")
            else:
                text = " ".join(f"word{(number % 97) * word % 1009}" for word in range(self.words))
                yield Document(f"n:{number}", f"{text} é\n", url=f"https://example.org/{number}")


class Unreadable(Numbers):
    """Holds nothing that can be read."""

    name: ClassVar[str] = "unreadable"

    def read(self, split: Split) -> Iterator[Document | Failure]:
        yield Failure(f"n:{split.work['start']}", "no")


class Upper(Transform):
    """Upper case; raises on texts that hold ``poison``."""

    name: ClassVar[str] = "upper"
    poison: str = ""

    def open(self, context: Any) -> Any:
        return self

    def transform(self, batch: Batch) -> Edit:
        texts = batch.texts
        if self.poison and any(self.poison in text for text in texts):
            raise ValueError("poison")
        return Edit(pa.array([text.upper() for text in texts], pa.large_string()))


class Even(Filter):
    """Score ``tail``: the first number in the text modulo 10; keeps at most ``max_tail``. ``mood`` is a label."""

    name: ClassVar[str] = "even"
    max_tail: float = 6
    poison: str = ""
    deadly: str = ""
    hang: str = ""
    pause: float = 0.0

    def rules(self) -> list[Rule]:
        return [Rule("tail", maximum=self.max_tail), Rule("mood", allowed=("calm", "wild"))]

    def open(self, context: Any) -> Any:
        return self

    def scores(self, batch: Batch) -> dict[str, Any]:
        if self.pause:
            time.sleep(self.pause)
        texts = batch.texts
        if self.poison and any(self.poison in text for text in texts):
            raise ValueError("poison")
        if self.deadly and any(self.deadly in text for text in texts):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.hang and any(self.hang in text for text in texts):
            time.sleep(3600)
        tail = [sum(text.encode()) % 10 for text in texts]
        mood = ["grim" if sum(text.encode()) % 7 == 0 else "calm" for text in texts]
        return {"tail": np.array(tail, np.float32), "mood": mood}


class Broken(Filter):
    """Raises on every document."""

    name: ClassVar[str] = "broken"

    def rules(self) -> list[Rule]:
        return [Rule("x", minimum=0)]

    def open(self, context: Any) -> Any:
        return self

    def scores(self, batch: Batch) -> dict[str, Any]:
        raise RuntimeError("always")


class Same(GlobalStep):
    """Removes documents with equal texts; keeps the smallest (priority, id)."""

    name: ClassVar[str] = "same"

    def open(self, context: Any) -> Any:
        return SameRunner()


class SameRunner:
    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        keys = [blake2b(text.encode(), digest_size=16).digest() for text in batch.texts]
        return pa.record_batch(
            {"key": pa.array(keys, pa.binary(16)), "id": pa.array(batch.ids, pa.binary(16))}
        )

    def resolve(self, fingerprints: pa.RecordBatchReader, context: Any) -> pa.Table:
        best: dict[bytes, tuple[int, bytes]] = {}
        rows = fingerprints.read_all().to_pylist()
        for row in rows:
            candidate = (row["priority"], row["id"])
            best[row["key"]] = min(best.get(row["key"], candidate), candidate)
        gone = [row for row in rows if best[row["key"]][1] != row["id"]]
        return pa.table(
            {
                "shard": pa.array([row["shard"] for row in gone], pa.int32()),
                "id": pa.array([row["id"] for row in gone], pa.binary(16)),
                "rule": pa.array(["equal"] * len(gone), pa.string()),
                "matched_id": pa.array([best[row["key"]][1] for row in gone], pa.binary(16)),
                "similarity": pa.array([1.0] * len(gone), pa.float32()),
            }
        )


class CutWord(CuttingStep):
    """Cuts ``word`` wherever it stands; ``streamed`` answers with a reader."""

    name: ClassVar[str] = "cut_word"
    word: str = "word0"
    streamed: bool = False
    shift: int = 0

    def open(self, context: Any) -> Any:
        return _WordCutter(self)


class _WordCutter:
    def __init__(self, settings: CutWord) -> None:
        self.settings = settings

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        rows = [
            (
                blake2b(text.encode(), digest_size=16).digest(),
                identifier,
                len(text[: found.start()].encode()),
                len(text[: found.end()].encode()),
            )
            for identifier, text in zip(batch.ids, batch.texts, strict=True)
            for found in re.finditer(rf"\b{self.settings.word}\b", text)
        ]
        kinds = {"key": pa.binary(16), "id": pa.binary(16), "start": pa.int64(), "end": pa.int64()}
        columns = {
            name: pa.array([row[place] for row in rows], kind)
            for place, (name, kind) in enumerate(kinds.items())
        }
        return pa.record_batch(columns)

    def resolve(self, fingerprints: pa.RecordBatchReader, context: Any) -> Any:
        rows = sorted(
            fingerprints.read_all().to_pylist(), key=lambda row: (row["shard"], row["id"], row["start"])
        )
        schema = cut_schema()
        cuts = pa.Table.from_pylist(
            [
                {**row, "end": row["end"] + self.settings.shift, "rule": "word", "count": len(rows)}
                for row in rows
            ],
            schema,
        )
        if self.settings.streamed:
            return pa.RecordBatchReader.from_batches(schema, cuts.to_batches(max_chunksize=3))
        return cuts
