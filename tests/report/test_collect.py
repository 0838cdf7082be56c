"""From a real run folder to report data, checked against a plain recount of what lies in it."""

from __future__ import annotations

import json
from collections import Counter

import duckdb
import numpy as np
import pytest

from tests.pipeline.run_folder import recipe
from tests.pipeline.run_folder import steps as example_steps
from textmill.pipeline.run import run_recipe
from textmill.report import render
from textmill.report.collect import collect, write_report
from textmill.report.histograms import Bounds, score_histograms
from textmill.workspace import Commit, FileRecord, PassRecord, Workspace, connect, status


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A thousand documents: some unreadable, some dropped by a score or a label, many duplicates."""
    folder = tmp_path_factory.mktemp("run") / "example"
    curate = (example_steps.Upper(poison="word13 "), example_steps.Even(max_tail=6), example_steps.Same())
    made = run_recipe(recipe(*curate, engine="inline", rejected_per_rule=40), str(folder))
    _add_stages(made)
    return Workspace.open(str(folder))


def _add_stages(workspace: Workspace) -> None:
    """What tokens, train and evaluate leave behind, without their running."""
    numbers = {
        "tokens": {
            "seq_len": 16,
            "dtype": "uint16",
            "vocab_size": 512,
            "eos_id": 0,
            "splits": {
                "train": {"tokens": 4000, "documents": 50, "text_bytes": 9000, "shards": 2, "samples": 250},
                "validation": {"tokens": 400, "documents": 5, "text_bytes": 910, "shards": 1, "samples": 25},
            },
        },
        "train": {
            "parameters": 1000, "steps": 3, "tokens": 300, "final_loss": 2.0, "device": "cpu",
            "tokens_per_second": 7310.0,
        },
        "evaluate": {
            "bits_per_byte": 1.5, "unigram_bits_per_byte": 2.0, "perplexity": 9.0, "tokens": 400, "text_bytes": 910,
            "something_new": 1,
        },
    }  # fmt: skip
    manifest = workspace.manifest
    for name, values in numbers.items():
        file = FileRecord(f"{name}/file", "ab" * 32, 5, None)
        commit = Commit("00000", "f", (), {"stage": [file]}, (), values, 1.0)
        manifest = manifest.with_pass(PassRecord(name, "stage", "f", {}, (commit,), 2.5))
    workspace.write_manifest(manifest)
    rows = [
        {"step": 1, "tokens": 100, "loss": 5.0, "lr": 0.1},
        {"step": 2, "tokens": 200, "loss": 99.0},
        {"step": 2, "tokens": 200, "loss": 3.0},  # logged again after a resume
        {"step": 2, "validation_loss": 3.5},
        {"step": 3, "tokens": 300, "loss": 2.0},
        {"step": 3, "validation_loss": float("nan")},
    ]
    lines = "\n".join(json.dumps(row) for row in rows) + '\n{"step": 4, "tok'
    workspace.storage.write_bytes("checkpoints/metrics.jsonl", lines.encode())
    samples = [
        {
            "prompt": "One <b>",
            "continuation": " two",
            "temperature": 0.8,
            "top_k": 50,
            "original": "three",
            "tokens": [1, 2],
        }
    ]
    workspace.storage.write_bytes("evaluation/samples.json", json.dumps(samples).encode())


@pytest.fixture(scope="module")
def data(workspace):
    return collect(workspace)


def test_funnel_is_the_status(workspace, data):
    shown = [
        {
            "step": row.step,
            "in": row.documents_in,
            "kept": row.kept,
            "dropped": row.dropped,
            "failed": row.failed,
            "characters_in": row.characters_in,
            "characters_kept": row.characters_kept,
        }
        for row in data.funnel
    ]
    assert shown == status(workspace)["steps"]
    assert data.documents_read == 1000
    assert 0 < data.documents_kept < 500


def test_reasons_account_for_every_document_that_left(workspace, data):
    left = Counter()
    for row in data.funnel:
        left["dropped"] += row.dropped
        left["failed"] += row.failed
    assert left["dropped"] > 0
    assert left["failed"] > 20
    assert sum(reason.documents for reason in data.reasons if not reason.failed) == left["dropped"]
    assert sum(reason.documents for reason in data.reasons if reason.failed) == left["failed"]
    assert data.reasons_left_out == (0, 0)
    counts = [reason.documents for reason in data.reasons]
    assert counts == sorted(counts, reverse=True)
    with connect(workspace) as connection:
        plain = Counter(
            (step, rule)
            for step, rule in connection.execute(
                "SELECT step, rule FROM verdicts WHERE verdict <> 'kept'"
            ).fetchall()
        )
    assert {(reason.step, reason.rule): reason.documents for reason in data.reasons} == plain


def test_examples_are_real_documents(workspace, data):
    reasons = {(reason.step, reason.rule): reason for reason in data.reasons}
    tail = reasons["even", "tail"]
    assert len(tail.examples) == 3
    with connect(workspace) as connection:
        for example in tail.examples:
            identifier = bytes.fromhex(example.document_id)
            text, source, locator = connection.execute(
                "SELECT text, source, locator FROM rejected WHERE id = ?::BLOB", [identifier]
            ).fetchone()
            assert (example.source, example.locator) == (source, locator)
            assert text.startswith((example.excerpt or "?").removesuffix(" …"))
            assert example.characters == len(text)
            assert example.value > example.threshold == 6
            assert sum(text.encode()) % 10 == example.value
        closest = connection.execute(
            "SELECT min(value) FROM events JOIN rejected USING (id) WHERE events.rule = 'tail'"
        ).fetchone()[0]
    assert tail.examples[0].value == closest
    assert "closest" in tail.examples[0].note
    assert reasons["even", "mood"].examples[0].label == "grim"
    unreadable = reasons["ingest", "unreadable"]
    assert unreadable.failed
    assert unreadable.examples[0].label == "it is the fiftieth"
    assert unreadable.examples[0].excerpt is None
    assert "poison" in reasons["upper", "error"].examples[0].label


def test_duplicates_name_the_kept_document(workspace, data):
    with connect(workspace) as connection:
        matched = connection.execute(
            "SELECT matched_id, count(*) FROM events WHERE matched_id IS NOT NULL GROUP BY 1"
        ).fetchall()
        copies = {bytes(identifier).hex(): count for identifier, count in matched}
        assert data.duplicates
        for group in data.duplicates:
            assert group.copies == copies[group.kept.document_id]
            assert 1 <= len(group.members) <= group.copies
            text, locator = connection.execute(
                "SELECT text, locator FROM documents WHERE id = ?::BLOB",
                [bytes.fromhex(group.kept.document_id)],
            ).fetchone()
            assert group.kept.locator == locator
            assert text.startswith((group.excerpt or "?").removesuffix(" …"))
    shown = [group.copies for group in data.duplicates]
    assert shown == sorted(copies.values(), reverse=True)[: len(shown)]


def test_histogram_counts_every_document(workspace, data):
    found = {(one.step, one.score): one for one in data.histograms}
    tail = found["even", "tail"]
    with connect(workspace) as connection:
        entered = connection.execute("SELECT count(*) FROM scores_1").fetchone()[0]
        values = [row[0] for row in connection.execute('SELECT "even.tail" FROM scores_1').fetchall()]
    finite = [value for value in values if value is not None]
    assert tail.documents == len(finite)
    assert tail.missing == entered - len(finite) > 0
    assert sum(tail.outside) == sum(value > 6 for value in finite)
    assert tail.maximum == 6
    by_value = Counter(finite)
    for low, high, count in zip(tail.edges, tail.edges[1:], tail.counts, strict=False):
        assert count == by_value[(low + high) / 2]  # whole numbers stand in the middle of their bins
    dropped = next(reason.documents for reason in data.reasons if reason.rule == "tail")
    assert tail.dropped == dropped <= sum(tail.outside)


def test_breakdowns_and_lengths(workspace, data):
    titles = {one.title: one for one in data.breakdowns}
    mood = {share.name: share for share in titles["mood (even)"].shares}
    assert mood["grim"].kept == 0
    assert mood["calm"].kept == data.documents_kept
    sources = titles["Sources"].shares
    assert [(share.documents, share.kept) for share in sources] == [
        (data.documents_read, data.documents_kept)
    ]
    with connect(workspace) as connection:
        lengths = [row[0] for row in connection.execute("SELECT length(text) FROM documents").fetchall()]
    assert data.lengths.documents == len(lengths) == data.documents_kept
    assert (data.lengths.smallest, data.lengths.largest) == (min(lengths), max(lengths))
    assert sum(lengths) == data.characters_kept


def test_stages_are_read(data):
    assert data.tokens.total == 4400
    assert [split.name for split in data.tokens.splits] == ["train", "validation"]
    assert data.training.loss == ((100.0, 5.0), (200.0, 3.0), (300.0, 2.0))
    assert data.training.validation[0] == (200.0, 3.5)
    assert data.training.parameters == 1000
    assert data.evaluation.below_unigram == 0.25
    assert data.samples[0].original == "three"
    assert data.samples[0].settings == (("temperature", "0.8"), ("top k", "50"))
    assert "curate" in data.recipe
    assert len(data.outputs) + data.outputs_left_out > 10
    assert ("train", 2.5) in data.measured.durations
    assert ("device", "cpu") in data.measured.facts


def test_collect_is_repeatable_and_needs_no_stage(workspace, data, tmp_path):
    assert repr(collect(workspace)) == repr(data)  # repr, because a loss that is no number equals nothing
    bare = run_recipe(recipe(engine="inline"), str(tmp_path / "bare"))
    found = collect(bare)
    assert found.tokens is None
    assert found.training is None
    assert found.samples == ()
    render(found)


def test_report_is_written_whole(workspace, data):
    assert write_report(workspace) == "report.html"
    assert workspace.read_text("report.html") == render(data)
    assert write_report(workspace) == "report.html"


def test_report_of_a_run_that_kept_nothing(tmp_path):
    source = example_steps.Numbers(documents=40)
    made = run_recipe(
        recipe(example_steps.Even(max_tail=-1), source=source, engine="inline"), str(tmp_path / "none")
    )
    found = collect(made)
    assert found.documents_kept == 0
    assert found.lengths is None
    assert "Of 40 documents read, 0 were kept (0%)" in render(found)


def test_report_of_a_run_in_memory():
    made = run_recipe(recipe(source=example_steps.Numbers(documents=120)), "memory://report-test/run")
    found = collect(made)
    assert found.documents_read == 120
    assert found.histograms
    assert write_report(made) == "report.html"


def plain(values: np.ndarray, bound: Bounds) -> int:
    """How many values break the bounds, in float32."""
    finite = values[np.isfinite(values)]
    low = np.float32(bound.minimum) if bound.minimum is not None else -np.inf
    high = np.float32(bound.maximum) if bound.maximum is not None else np.inf
    return int(((finite < low) | (finite > high)).sum())


RANDOM = np.random.default_rng(5)
COLUMNS = {
    "share": (RANDOM.beta(0.5, 6, 5000), Bounds(maximum=0.2)),
    "words": (np.floor(np.exp(RANDOM.normal(5, 2, 5000))), Bounds(50, 100_000)),
    "equal": (np.full(5000, 0.1), Bounds(minimum=0.1)),
    "zero": (np.zeros(5000), Bounds(maximum=0.3)),
    "count": (RANDOM.integers(0, 9, 5000).astype(float), Bounds(minimum=2)),
    "wild": (RANDOM.standard_cauchy(5000), Bounds(-3.0, 3.0)),
    "negative": (-np.exp(RANDOM.normal(0, 4, 5000)), Bounds(minimum=-5)),
    "huge": (RANDOM.normal(0, 1, 5000) * 1e30, Bounds(maximum=1e30)),
    "far": (RANDOM.normal(0.5, 0.01, 5000), Bounds(maximum=1e9)),
    "none": (np.full(5000, np.nan), Bounds(minimum=1)),
    "some": (np.where(RANDOM.random(5000) < 0.5, np.nan, RANDOM.random(5000)), Bounds(0.25, 0.75)),
    "infinite": (np.where(RANDOM.random(5000) < 0.1, np.inf, RANDOM.random(5000)), Bounds()),
    "two": (RANDOM.integers(0, 2, 5000) * 1000.5, Bounds(maximum=500)),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_every_value_is_counted_once(name):
    values, bound = COLUMNS[name]
    values = values.astype(np.float32)
    connection = duckdb.connect()
    connection.register("given", _table({"s.x": values}))
    one = score_histograms(connection, "given", ["s.x"], {"s.x": bound})[0]
    finite = values[np.isfinite(values)]
    assert one.documents == len(finite)
    assert one.missing == len(values) - len(finite)
    assert sum(one.outside) == plain(values, bound)
    assert all(out <= count for out, count in zip(one.outside, one.counts, strict=True))
    assert list(one.edges) == sorted(set(one.edges))
    assert len(one.edges) == len(one.counts) + 1 <= 60
    if len(finite):
        assert (one.smallest, one.largest) == (finite.min(), finite.max())
        clamped = np.clip(finite.astype(np.float64), one.edges[0], one.edges[-1])
        expected = np.zeros(len(one.counts), int)
        np.add.at(expected, np.maximum(np.searchsorted(one.edges, clamped, side="left") - 1, 0), 1)
        assert list(one.counts) == expected.tolist()
        assert one.counts[0] + one.counts[-1] < len(finite) or len(set(finite.tolist())) <= 2


def test_two_columns_in_one_scan_do_not_mix():
    connection = duckdb.connect()
    connection.register(
        "given", _table({'a."b': np.arange(10, dtype=np.float32), "b.c": np.ones(10, np.float32)})
    )
    first, second = score_histograms(connection, "given", ['a."b', "b.c"], {"b.c": Bounds(minimum=2.0)})
    assert (first.step, first.score, first.largest, sum(first.outside)) == ("a", '"b', 9.0, 0)
    assert (second.step, second.score, second.largest, sum(second.outside)) == ("b", "c", 1.0, 10)


def test_threshold_is_on_the_axis_and_between_bins():
    values, bound = COLUMNS["share"]
    connection = duckdb.connect()
    connection.register("given", _table({"s.x": values.astype(np.float32)}))
    one = score_histograms(connection, "given", ["s.x"], {"s.x": bound})[0]
    assert one.edges[0] == pytest.approx(0, abs=1e-6)
    assert min(abs(edge - bound.maximum) for edge in one.edges) < 1e-9
    mixed = [0 < out < count for out, count in zip(one.outside, one.counts, strict=True)]
    assert sum(mixed) <= 1


def _table(columns):
    import pyarrow as pa

    return pa.table({name: pa.array(values, pa.float32()) for name, values in columns.items()})
