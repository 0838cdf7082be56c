"""The global step ``line_dedup`` against a plain loop, alone and in whole runs."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import textmill
from textmill.curate import LineDedup
from textmill.curate.line_dedup import normalized
from textmill.documents import Batch
from textmill.steps import StepContext, cut_schema
from textmill.text.sentence_spans import find_sentences
from textmill.text.spans import cut_spans, merge_spans

LINES = ["", "a", "b", "A", " a ", "a  b", "A B", "c. d.", "1 x", "2 x", "é", "long line of text.", "x\r"]
TEXTS = st.lists(st.lists(st.sampled_from(LINES), max_size=7).map("\n".join), max_size=7)
SENTENCES = ["One.", "Two!", "Three?", "Four.", "five", "\n\n"]
RUNS = st.lists(st.lists(st.sampled_from(SENTENCES), max_size=12).map(" ".join), max_size=6)

Cut = tuple[int, bytes, int, int, str, bytes | None, int]


def found_cuts(
    step: LineDedup, texts: list[str], priorities: list[int], folder: Path, chunk: int = 5
) -> list[Cut]:
    runner = step.open(StepContext())
    record = runner.fingerprint(Batch.from_texts(texts))
    ids = Batch.from_texts(texts).ids
    of_id = dict(zip(ids, range(len(ids)), strict=True))
    owners = [of_id[one] for one in record.column("id").to_pylist()]
    table = pa.Table.from_batches([record])
    table = table.append_column("priority", pa.array([priorities[n] for n in owners], pa.int64()))
    table = table.append_column("shard", pa.array([n % 3 for n in owners], pa.int32()))
    order = list(range(len(owners)))
    random.Random(len(owners)).shuffle(order)
    table = table.take(pa.array(order, pa.int64()))
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=chunk))
    answer = runner.resolve(reader, StepContext(scratch=folder)).read_all()
    assert answer.schema == cut_schema()
    rows = [tuple(row.values()) for row in answer.to_pylist()]
    assert rows == sorted(rows, key=lambda row: (*row[:4], row[5] or b"", row[6]))
    return rows


def units(step: LineDedup, text: str) -> list[tuple[int, int]]:
    """Borders of the units of a text, in bytes."""
    raw = text.encode()
    if step.unit == "line":
        spans = [(m.start(), m.end()) for m in re.finditer(rb"[^\n]+", raw)]
    else:
        spans = []
        at = 0
        for part in re.split(rb"(\n(?:\r?\n)+)", raw):
            spans.append((at, at + len(part)))
            at += len(part)
    trimmed = []
    for start, end in spans:
        unit = raw[start:end]
        if unit.strip():
            trimmed.append((start + len(unit) - len(unit.lstrip()), end - len(unit) + len(unit.rstrip())))
    if step.unit == "sentences":
        borders: list[tuple[int, int]] = []
        for start, end in trimmed:
            starts, ends, _ = find_sentences(np.frombuffer(raw, np.uint8), np.array([start]), np.array([end]))
            borders += zip(starts.tolist(), ends.tolist(), strict=True)
        trimmed = [
            (borders[n][0], borders[n + step.sentences - 1][1])
            for n in range(len(borders) - step.sentences + 1)
        ]
    return trimmed


def oracle(step: LineDedup, texts: list[str], priorities: list[int]) -> set[Cut]:
    ids = Batch.from_texts(texts).ids
    places = defaultdict(list)
    for number, text in enumerate(texts):
        for start, end in units(step, text):
            unit = text.encode()[start:end].decode()
            key = unit if step.normalize == "none" else normalized(unit, step.normalize)
            if key and len(unit) >= step.min_characters:
                places[key].append((priorities[number], ids[number], start, end, number))
    cuts: set[Cut] = set()
    for copies in places.values():
        copies.sort()
        count = len(copies) if step.count == "occurrences" else len({copy[1] for copy in copies})
        if count < step.min_count:
            continue
        _, first, _, first_end, _ = copies[0]
        for _, identifier, start, end, number in copies:
            if (
                step.keep == "first"
                and identifier == first
                and (step.count == "documents" or start < first_end)
            ):
                continue
            matched = first if step.keep == "first" else None
            cuts.add((number % 3, identifier, start, end, f"repeated_{step.unit}", matched, count))
    return cuts


STEPS = st.builds(
    LineDedup,
    unit=st.sampled_from(["line", "paragraph"]),
    min_count=st.integers(2, 4),
    count=st.sampled_from(["documents", "occurrences"]),
    keep=st.sampled_from(["first", "none"]),
    min_characters=st.integers(1, 4),
    normalize=st.sampled_from(["none", "whitespace", "case", "letters", "digits"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(step=STEPS, texts=TEXTS, seed=st.integers(0, 5))
def test_lines_and_paragraphs_equal_the_oracle(
    tmp_path: Path, step: LineDedup, texts: list[str], seed: int
) -> None:
    priorities = [random.Random(f"{seed} {n}").randrange(3) for n in range(len(texts))]
    found = found_cuts(step, texts, priorities, tmp_path)
    assert len(set(found)) == len(found)
    assert set(found) == oracle(step, texts, priorities)
    assert not list(tmp_path.iterdir())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=RUNS, run=st.integers(1, 3), count=st.sampled_from(["documents", "occurrences"]))
def test_runs_of_sentences_equal_the_oracle_and_lose_nothing(
    tmp_path: Path, texts: list[str], run: int, count: Any
) -> None:
    step = LineDedup(unit="sentences", sentences=run, count=count, min_characters=1, normalize="none")
    priorities = [0] * len(texts)
    found = found_cuts(step, texts, priorities, tmp_path)
    assert set(found) == oracle(step, texts, priorities)
    left = apply(texts, found)
    before, after = ({s for text in some for s in sentences(text)} for some in (texts, left))
    assert after >= before, "every sentence still stands somewhere"
    # And what no other document has, and no other place of the same one, stands where it stood.
    once: dict[str, int] = defaultdict(int)
    for text in texts:
        for sentence in sentences(text):
            once[sentence] += 1
    for text, remains in zip(texts, left, strict=True):
        for sentence in sentences(text):
            if once[sentence] == 1:
                assert sentence in remains


def sentences(text: str) -> list[str]:
    return [word for word in text.split() if word]


def apply(texts: list[str], cuts: list[Cut]) -> list[str]:
    left = []
    for text, identifier in zip(texts, Batch.from_texts(texts).ids, strict=True):
        spans = sorted((cut[2], cut[3]) for cut in cuts if cut[1] == identifier)
        starts, ends = merge_spans(
            np.array([one[0] for one in spans], np.int64), np.array([one[1] for one in spans], np.int64)
        )
        left.append(cut_spans(text.encode(), starts, ends).decode())
    return left


def test_slices_and_sources_fingerprint_their_own_lines() -> None:
    texts = ["same line of text here\nother", "same line of text here", "nothing"]
    runner = LineDedup(min_characters=1).open(StepContext())
    batch = Batch.from_texts(texts)
    whole = runner.fingerprint(batch)
    assert runner.fingerprint(batch.slice(1, 2)).equals(whole.slice(2, 2))
    assert whole["start"].to_pylist() == [0, 23, 0, 0]
    assert whole["key"][0] == whole["key"][2]
    per_source = LineDedup(min_characters=1, scope="source").open(StepContext())
    one, two = (per_source.fingerprint(Batch.from_texts(texts, source)) for source in ("one", "two"))
    assert one["key"][0] == one["key"][2] != two["key"][0]


@pytest.mark.parametrize(
    "unit, whitespace, case, letters, digits",
    [("  A  b\n", "A b", "a b", "ab", "ab"), ("Page 12/30 — ß", "Page 12/30 — ß", "page 12/30 — ss", "page1230ss",
      "page0000ss")],
)  # fmt: skip
def test_normalized(unit: str, whitespace: str, case: str, letters: str, digits: str) -> None:
    kinds = ("whitespace", "case", "letters", "digits")
    assert [normalized(unit, kind) for kind in kinds] == [whitespace, case, letters, digits]


# --- whole runs ---------------------------------------------------------------------------------------------------

MENU = "Home | About us | Contact | Imprint"


def run(
    folder: Path, texts: dict[str, list[str]], curate: str, name: str = "run", **options: Any
) -> textmill.Run:
    folder.mkdir(exist_ok=True)
    sources = ""
    for source, lines in texts.items():
        path = folder / f"{source}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in lines))
        sources += f"  - files: {{paths: {source}.jsonl, label: {source}}}\n"
    engine = "local" if "workers" in options else "inline"
    knobs = {"engine": engine, "shard_bytes": "64KiB"} | options
    (folder / "recipe.yaml").write_text(
        f"name: test\nsources:\n{sources}curate:\n{curate}\nrun: {json.dumps(knobs)}\n"
    )
    return textmill.run(folder / "recipe.yaml", folder / name)


def kept(found: textmill.Run) -> dict[str, str]:
    return dict(
        found.documents.project("source || ':' || regexp_extract(locator, '[0-9]+$'), text").fetchall()
    )


def test_menus_go_and_why_shows_them(tmp_path: Path) -> None:
    texts = [
        f"{MENU}\n\nText number {n} is one of its kind.\n\n© Example and company, all rights reserved\n"
        for n in range(5)
    ]
    texts += [MENU, "short\n", "short\n"]
    found = run(tmp_path, {"web": texts}, "  - line_dedup")
    after = kept(found)
    full = [text for text in after.values() if MENU in text]
    assert len(full) == 1
    for number in range(5):
        text = after[f"web:{number + 1}"]
        assert text == texts[number] or text == f"Text number {number} is one of its kind.\n"
    assert [after["web:7"], after["web:8"]] == ["short\n"] * 2
    assert sum(MENU in text for text in texts) == 6
    edited = [n for n in range(5) if after[f"web:{n + 1}"] != texts[n]]
    story = found.why(texts[edited[0]].split("\n")[2])[0]
    (event,) = story["events"]
    assert (story["outcome"], event["action"], event["step"]) == ("kept", "edited", "line_dedup")
    assert event["detail"] == (
        f"repeated_line 2; cut «{MENU}» (6 in all), «© Example and company, all rights reserved» (5 in all)"
    )
    assert event["matched_id"] is not None
    if full[0] != MENU:
        gone = found.why("web.jsonl:6")[0]
        assert (gone["outcome"], gone["rule"]) == ("dropped", "characters_left")


def test_the_source_named_first_keeps_its_lines(tmp_path: Path) -> None:
    texts = {"old": [f"{MENU}\nold {n}" for n in range(3)], "new": [f"{MENU}\nnew {n}" for n in range(3)]}
    after = kept(run(tmp_path / "a", texts, "  - line_dedup: {count: occurrences}"))
    assert next(key for key, text in after.items() if MENU in text).startswith("old")
    assert sum(MENU in text for text in after.values()) == 1
    swapped = dict(reversed(texts.items()))
    after = kept(run(tmp_path / "b", swapped, "  - line_dedup: {count: occurrences}"))
    assert next(key for key, text in after.items() if MENU in text).startswith("new")
    after = kept(run(tmp_path / "c", texts, "  - line_dedup: {scope: source}"))
    assert sorted(key[:3] for key, text in after.items() if MENU in text) == ["new", "old"]
    after = kept(run(tmp_path / "d", texts, "  - line_dedup: {keep: none, min_count: 6}"))
    assert sum(MENU in text for text in after.values()) == 0


DEGENERATE = {
    "all equal": ["one and the same line, over and over"] * 50,
    "none equal": [f"a line of its own, number {n}" for n in range(50)],
    "one document": ["a line of text, some words long\n" * 3],
    "empty": ["", "", "\n", " "],
    "one word": ["word", "word", "other"],
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("unit", ["line", "paragraph", "sentences"])
def test_degenerate_inputs(tmp_path: Path, name: str, unit: str) -> None:
    bounds = "min_characters: 1, min_words_left: 0, min_characters_left: 0"
    step = f"  - line_dedup: {{unit: {unit}, sentences: 1, {bounds}}}"
    texts = DEGENERATE[name]
    source = {"texts": [*texts, "so that something is there"]}
    found = run(tmp_path, source, step)
    after = list(kept(found).values())
    if name == "all equal":
        assert sorted(after)[-2:] == ["one and the same line, over and over", "so that something is there"]
        assert set(after[:-2]) <= {"", texts[0]}
    if name in ("none equal", "one document"):
        assert sorted(after) == sorted(source["texts"])
    if name == "one word":
        assert sorted(text for text in after if text) == sorted(
            ["word", "other", "so that something is there"]
        )


def test_a_line_ten_thousand_times_in_one_document(tmp_path: Path) -> None:
    text = "the very same line as before\n" * 10_000
    found = run(tmp_path, {"texts": [text, "another line of text"]}, "  - line_dedup: {count: occurrences}")
    assert sorted(kept(found).values()) == ["another line of text", "the very same line as before\n"]


@pytest.mark.slow
def test_a_million_lines_in_one_document_within_memory(tmp_path: Path) -> None:
    import duckdb

    text = "the very same line as before\n" * 1_000_000
    step = LineDedup(count="occurrences")
    batch = Batch.from_texts([text])
    record = step.open(StepContext()).fingerprint(batch)
    table = pa.Table.from_batches([record])
    table = table.append_column("priority", pa.array(np.zeros(len(table), np.int64)))
    table = table.append_column("shard", pa.array(np.zeros(len(table), np.int32)))
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=100_000))
    # 1 and 8 partitions' worth of memory: the answer is the same, and DuckDB keeps to the limit or says so.
    context = StepContext(scratch=tmp_path, memory_bytes=64 * 2**20)
    rows = starts = 0
    for records in step.open(context).resolve(reader, context):
        rows += records.num_rows
        starts += int(np.asarray(records.column("start")).sum())
    assert rows == 999_999
    assert starts == 29 * 999_999 * 1_000_000 // 2
    assert duckdb.__version__


def texts_with_menus(documents: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    common = [f"Common line number {n} of the site's navigation" for n in range(40)]
    return [
        "\n".join(
            draw.choice(common)
            if draw.random() < 0.4
            else f"line {draw.randrange(10**9)} of document {n} alone"
            for _ in range(draw.randrange(12))
        )
        for n in range(documents)
    ]


def test_the_same_bytes_for_any_workers(tmp_path: Path) -> None:
    texts = {"a": texts_with_menus(400), "b": texts_with_menus(300, 2)}
    curate = "  - line_dedup\n  - line_dedup: {id: runs, unit: sentences}"
    first = digests(run(tmp_path, texts, curate, "inline"))
    assert any("/cuts/" in path for path in first)
    assert digests(run(tmp_path, texts, curate, "2", workers=2)) == first
    assert digests(run(tmp_path, texts, curate, "3", workers=3)) == first


def digests(found: textmill.Run) -> dict[str, str]:
    return {file.path: file.sha256 for one in found.workspace.manifest.passes for file in one.all_files()}
