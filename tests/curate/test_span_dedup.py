"""The global step ``span_dedup`` against brute force, phase by phase and in whole runs."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.curate.test_line_dedup import apply, digests, kept, run

from textmill.curate import SpanDedup
from textmill.documents import Batch
from textmill.steps import StepContext
from textmill.workspace import Workspace, verify


class Work:
    """The phases' work units over tables in memory."""

    def __init__(self, shards: Sequence[Batch], folder: Path, partitions: int = 2) -> None:
        self.shards = shards
        self.partitions = partitions
        self.context = StepContext(scratch=folder)
        self.sources: Sequence[str] = ()
        self.shard = -1
        self.part = 0
        self.tables: dict[str, list[pa.Table]] = {}

    def rows(self, table: str) -> pa.RecordBatchReader:
        whole = pa.concat_tables(self.tables[table])
        if self.shard >= 0:
            mine = [shard == self.shard for shard in whole.column("shard").to_pylist()]
        else:
            mine = [key[0] % self.partitions == self.part for key in whole.column("key").to_pylist()]
        found = whole.filter(pa.array(mine, pa.bool_()))
        return pa.RecordBatchReader.from_batches(found.schema, found.to_batches(max_chunksize=7))

    def documents(self, ids: pa.Array) -> Iterator[Batch]:
        wanted = set(ids.to_pylist())
        batch = self.shards[self.shard]
        for row, identifier in enumerate(batch.ids):
            if identifier in wanted:
                yield batch.slice(row, 1)

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from ()

    def write(self, table: str, rows: pa.RecordBatch | pa.Table) -> None:
        self.tables.setdefault(table, []).append(
            rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        )

    def note(self, **numbers: Any) -> None:
        pass

    def warn(self, text: str) -> None:
        pass

    def alive(self, rows: int = 0) -> None:
        pass


def found_cuts(
    step: SpanDedup, texts: list[str], priorities: list[int], folder: Path
) -> list[tuple[Any, ...]]:
    """Rows of the cuts; texts alternate between two shards."""
    whole = Batch.from_texts(texts)
    shards = [Batch(whole.records.take(pa.array(range(n, len(texts), 2), pa.int64()))) for n in range(2)]
    work = Work(shards, folder)
    runner: Any = step.open(StepContext())
    of_id = dict(zip(whole.ids, priorities, strict=True))
    for number, shard in enumerate(shards):
        record = runner.fingerprint(shard)
        table = pa.Table.from_batches([record])
        table = table.append_column(
            "priority", pa.array([of_id[one] for one in record.column("id").to_pylist()], pa.int64())
        )
        work.write("fingerprints", table.append_column("shard", pa.array([number] * len(table), pa.int32())))
    for phase in step.phases():
        if not any(len(table) for table in work.tables.get(phase.reads[0], [])):
            return []
        units = range(2) if phase.per == "shard" else range(work.partitions)
        for unit in units:
            work.shard, work.part = (unit, 0) if phase.per == "shard" else (-1, unit)
            getattr(runner, phase.name)(work)
    return [tuple(row.values()) for table in work.tables.get("cuts", []) for row in table.to_pylist()]


def cut_words(step: SpanDedup, texts: list[str], priorities: list[int]) -> dict[int, set[int]]:
    """Brute force: numbers of the words of each text that lie in a window with an earlier copy."""
    ids = Batch.from_texts(texts).ids
    words = [text.split() for text in texts]
    places = defaultdict(list)
    for number, some in enumerate(words):
        for at in range(len(some) - step.words + 1):
            window = tuple(some[at : at + step.words])
            places[window].append((priorities[number], ids[number], at, number))
    gone: dict[int, set[int]] = defaultdict(set)
    for copies in places.values():
        _, _, first_at, first = min(copies)
        for _, _, at, number in copies:
            if number != first or at >= first_at + step.words:
                gone[number] |= set(range(at, at + step.words))
    return gone


def words_cut(text: str, spans: list[tuple[int, int]]) -> set[int]:
    """Numbers of the words that spans of bytes hold; each span begins and ends with a word."""
    borders, at, raw = [], 0, text.encode()
    for word in text.split():
        start = raw.index(word.encode(), at)
        at = start + len(word.encode())
        borders.append((start, at))
    starts, ends = (
        {start: n for n, (start, _) in enumerate(borders)},
        {end: n for n, (_, end) in enumerate(borders)},
    )
    return {n for start, end in spans for n in range(starts[start], ends[end] + 1)}


PHRASES = st.lists(st.sampled_from("abcdé"), min_size=1, max_size=9).map(" ".join)
TEXTS = st.lists(PHRASES, min_size=1, max_size=4).flatmap(
    lambda phrases: st.lists(
        st.lists(st.sampled_from([*phrases, "x", "y\n", "z  z"]), max_size=6).map(" ".join), max_size=7
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, words=st.integers(2, 9), seed=st.integers(0, 3))
def test_exactly_the_words_of_repeated_spans_are_cut(
    tmp_path: Path, texts: list[str], words: int, seed: int
) -> None:
    step = SpanDedup(words=words)
    priorities = [random.Random(f"{seed} {n}").randrange(3) for n in range(len(texts))]
    found = found_cuts(step, texts, priorities, tmp_path)
    expected = cut_words(step, texts, priorities)
    ids = Batch.from_texts(texts).ids
    for number, text in enumerate(texts):
        mine = [(row[2], row[3]) for row in found if row[1] == ids[number]]
        assert words_cut(text, mine) == expected[number]
    assert {row[0] for row in found} <= {0, 1}
    assert all(row[4] == "repeated_span" and row[6] >= 2 for row in found)
    assert not list(tmp_path.iterdir())
    # What was repeated still stands somewhere, word by word.
    left = apply(texts, found)
    assert {word for text in left for word in text.split()} == {
        word for text in texts for word in text.split()
    }


def test_letters_make_no_difference_of_case_digits_and_punctuation(tmp_path: Path) -> None:
    one = "intro one Call me, Ishmael: some 12 years ago tail two"
    two = "other start CALL ME ISHMAEL — some 34 years ago, and more"
    step = SpanDedup(words=6, normalize="letters")
    found = found_cuts(step, [one, two], [0, 1], tmp_path)
    assert apply([one, two], found)[0] == one
    assert apply([one, two], found)[1] == "other start , and more"
    assert found_cuts(SpanDedup(words=6), [one, two], [0, 1], tmp_path) == []
    han = "春眠不覺曉處處聞啼鳥"
    found = found_cuts(step, [han + "甲", "乙" + han], [0, 1], tmp_path)
    assert apply([han + "甲", "乙" + han], found) == [han + "甲", "乙"]


# --- whole runs ---------------------------------------------------------------------------------------------------


def prose(words: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(f"w{draw.randrange(5000)}" for _ in range(words))


SHARED = prose(80, 1)
TEXTS_WITH_COPIES = [
    f"{prose(60 + n, 100 + n)}\n\n{SHARED if n % 3 == 0 else prose(70, 500 + n)}\n\n{prose(55, 900 + n)}\n"
    for n in range(60)
]


def test_a_shared_paragraph_stays_once_and_why_shows_it(tmp_path: Path) -> None:
    found = run(tmp_path, {"web": TEXTS_WITH_COPIES}, "  - span_dedup")
    after = kept(found)
    assert sum(SHARED in text for text in after.values()) == 1
    for number, text in enumerate(TEXTS_WITH_COPIES):
        left = after[f"web:{number + 1}"]
        assert left == text or left == text.replace(SHARED + "\n\n", "")
        assert (left == text) or SHARED in text
    story = found.why("web.jsonl:1" if SHARED not in after["web:1"] else "web.jsonl:4")[0]
    (event,) = story["events"]
    assert (event["action"], event["step"]) == ("edited", "span_dedup")
    assert event["detail"].startswith(f"repeated_span 1; cut «{SHARED[:200]}…» (20 in all)")
    assert event["matched_id"] is not None


DEGENERATE = {
    "all equal": [SHARED] * 30,
    "none equal": [prose(70, n) for n in range(30)],
    "one document": [prose(300, 1)],
    "one document, twice the same": [f"{SHARED} between {SHARED}"],
    "one word over and over": ["word " * 1000],
    "empty": ["", " \n"],
    "one word": ["word", "word"],
}
LEFT = {
    "all equal": [SHARED],
    "one document, twice the same": [f"{SHARED} between"],
    "one word over and over": ["word " * 50],
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_inputs(tmp_path: Path, name: str) -> None:
    texts = [*DEGENERATE[name], "so that something is there"]
    found = run(tmp_path, {"texts": texts}, "  - span_dedup")
    expected = [*LEFT.get(name, DEGENERATE[name]), "so that something is there"]
    if name == "empty":
        expected = list(kept(found).values())
    assert sorted(" ".join(text.split()) for text in kept(found).values()) == sorted(
        " ".join(text.split()) for text in expected
    )


def copies(documents: int) -> dict[str, list[str]]:
    draw = random.Random(4)
    pool = [prose(draw.randrange(30, 120), n) for n in range(40)]
    texts = [
        "\n".join(
            draw.choice(pool) if draw.random() < 0.4 else prose(40, 10_000 + 10 * n + k) for k in range(5)
        )
        for n in range(documents)
    ]
    return {"a": texts[::2], "b": texts[1::2]}


def test_the_same_bytes_for_any_workers(tmp_path: Path) -> None:
    texts, curate = copies(150), "  - span_dedup\n  - exact_dedup"
    first = digests(run(tmp_path, texts, curate, "inline"))
    assert any("/cuts/" in path for path in first)
    assert digests(run(tmp_path, texts, curate, "2", workers=2)) == first
    assert digests(run(tmp_path, texts, curate, "3", workers=3)) == first


PROGRAM = """
import os, signal, sys
import textmill.curate.span_dedup as module
runner = module._SpanFinder
def deadly(name):
    work = getattr(runner, name)
    def kill(self, *arguments):
        work(self, *arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    return kill
if sys.argv[3]:
    setattr(runner, sys.argv[3], deadly(sys.argv[3]))
import textmill
textmill.run(sys.argv[1], sys.argv[2])
"""


@pytest.mark.slow
def test_sigkill_in_every_phase_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = run(tmp_path, copies(60), "  - span_dedup", "whole", engine="inline")
    expected = digests(whole)
    for phase in ("fingerprint", "propose", "gather", "verify", "settle"):
        arguments = [sys.executable, "-c", PROGRAM, str(tmp_path / "recipe.yaml"), str(tmp_path / phase)]
        assert subprocess.run([*arguments, phase], capture_output=True).returncode == -signal.SIGKILL
        again = subprocess.run([*arguments, ""], capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        workspace = Workspace.open(tmp_path / phase)
        assert {
            file.path: file.sha256 for one in workspace.manifest.passes for file in one.all_files()
        } == expected
        assert verify(workspace) == []
    assert [path.name for path in (tmp_path / "whole" / "passes" / "2-span_dedup").iterdir()] == ["cuts"]


@pytest.mark.slow
def test_ten_thousand_near_copies(tmp_path: Path) -> None:
    page = prose(200, 3).split()
    texts = []
    for number in range(10_000):
        words = list(page)
        words[number % 200] = f"only{number}"
        texts.append(" ".join(words))
    found = run(tmp_path, {"texts": texts}, "  - span_dedup", shard_bytes="4MiB", workers=2)
    after = [text.split() for text in kept(found).values()]
    assert sum(len(words) for words in after) < 10_000 * 110
    windows = [tuple(words[n : n + 50]) for words in after[:200] for n in range(len(words) - 49)]
    assert len(windows) < 20_000


@pytest.mark.slow
def test_a_document_of_fifty_megabytes(tmp_path: Path) -> None:
    half = prose(4_000_000, 9)
    found = run(tmp_path, {"texts": [f"{half} middle {half[:1_000_000]}"]}, "  - span_dedup")
    (text,) = kept(found).values()
    assert text.startswith(f"{half} middle")
    assert len(text) < len(half) + 100
