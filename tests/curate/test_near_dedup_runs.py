"""Whole runs of ``near_dedup``: workers, interruptions, earlier runs, large documents, memory."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.curate.near_documents import Texts, brute_force, deduplicate, edited, page, recipe, removals

import textmill
from textmill.curate import ExactDedup, NearDedup
from textmill.errors import UserError
from textmill.pipeline import phases
from textmill.recipe import dump_recipe
from textmill.workspace import verify, why

PHASES = ("propose", "group", "gather", "verify", "review")


def corpus(pages: int = 60) -> Texts:
    chance = random.Random(11)
    first = [page(number, 80) for number in range(pages)]
    second = [edited(text, chance.uniform(0, 0.05), chance) for text in first for _ in range(3)]
    return {"a": first, "b": second}


def committed(run: textmill.Run) -> dict[str, str]:
    return {file.path: file.sha256 for one in run.workspace.manifest.passes for file in one.all_files()}


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    texts = corpus()
    ways = [{"engine": "inline"}, *({"engine": "local", "workers": workers} for workers in (2, 3))]
    runs = [
        deduplicate(tmp_path, texts, to=str(number), shard_bytes=16_000, **way)
        for number, way in enumerate(ways)
    ]
    assert len(runs[0].workspace.manifest.passes[0].commits) > 5
    assert len(removals(runs[0])) > 50
    assert committed(runs[0]) == committed(runs[1]) == committed(runs[2])


def test_any_number_of_partitions_gives_the_same_removals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = corpus()
    whole = removals(deduplicate(tmp_path, texts, to="whole", shard_bytes=16_000))
    monkeypatch.setattr(phases, "PARTITION_BYTES", 3_000)
    run = deduplicate(tmp_path, texts, to="parts", shard_bytes=16_000)
    record = run.workspace.manifest.find("2-near_dedup")
    assert record is not None
    assert sum("verify" in commit.item for commit in record.commits) >= 16
    assert removals(run) == whole == brute_force(run, texts, NearDedup())


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_sigkill_in_every_phase(tmp_path: Path) -> None:
    texts = corpus(30)
    expected = committed(deduplicate(tmp_path, texts, to="whole", shard_bytes=8_000))
    steps = recipe(tmp_path, texts, engine="local", workers=2, shard_bytes=8_000)
    (tmp_path / "near.yaml").write_text(dump_recipe(steps))
    folder = tmp_path / "killed"
    for number, phase in enumerate(PHASES):
        command = [sys.executable, "-c", DIES, phase, str(tmp_path / "near.yaml"), str(folder)]
        assert subprocess.run(command, capture_output=True, timeout=300).returncode == -signal.SIGKILL
        begun = {path.name.split("-")[1] for path in (folder / "commits/2-near_dedup").glob("*.json")}
        assert begun - {phase} == set(PHASES[:number])
    run = textmill.run(tmp_path / "near.yaml", folder)
    assert committed(run) == expected
    assert verify(run.workspace) == []
    left = {str(path.relative_to(folder)) for path in (folder / "passes").rglob("*") if path.is_file()}
    assert left == set(expected)


DIES = """
import os, signal, sys
from textmill.pipeline import run_recipe, run
from textmill.recipe import load_recipe
work = run._Coordinator._work
def until(self, plan, wave, items):
    for number, done in enumerate(work(self, plan, wave, items)):
        if wave.label.endswith(" " + sys.argv[1]) and number == min(1, len(items) - 1):
            os.kill(os.getpid(), signal.SIGKILL)  # one unit is committed, the next is made and is not
        yield done
run._Coordinator._work = until
run_recipe(load_recipe(sys.argv[2]), sys.argv[3])
"""


def test_against_earlier_runs(tmp_path: Path) -> None:
    chance = random.Random(2)
    old = [page(number, 80) for number in range(30)]
    older = [page(number, 80) for number in range(100, 110)]
    for name, texts in (("older", older), ("old", [*old, edited(old[0], 0.02, chance)])):
        (tmp_path / name).mkdir()
        deduplicate(tmp_path / name, {"web": texts}, shard_bytes=8_000)
    new = [page(number, 80) for number in range(200, 220)]
    crawl = (
        new + [edited(text, 0.02, chance) for text in old[:10] + older[:5]] + [edited(new[0], 0.02, chance)]
    )
    step = NearDedup(against=[str(tmp_path / "old/run"), str(tmp_path / "older/run")])
    run = deduplicate(tmp_path, {"web": crawl}, step, shard_bytes=8_000)
    events = run.ledger("events").filter("action = 'matched'")
    found = events.project("locator, detail, similarity").fetchall()
    rows = {int(row[0].rpartition(":")[2]) - 1: row[1:] for row in found}
    assert len(rows) == 16
    assert set(rows) - {0, 35} == set(range(20, 35))
    own = rows.pop(35 if 35 in rows else 0)
    assert own[0] is None
    # Documents have the same ids in both runs (web, t.jsonl:1): none is taken for its namesake.
    assert {rows[number][0] for number in range(20, 30)} == {"of the earlier run 'near', number 1 of against"}
    assert {rows[number][0] for number in range(30, 35)} == {"of the earlier run 'near', number 2 of against"}
    assert all(similarity >= 0.8 for _, similarity in rows.values())
    story = why(run.workspace, "web.jsonl:21")[0]
    assert story["outcome"] == "duplicate"
    assert story["detail"].startswith("of the earlier run")


def test_all_that_an_earlier_run_kept_goes_and_nothing_else(tmp_path: Path) -> None:
    texts = corpus(20)
    (tmp_path / "old").mkdir()
    old = deduplicate(tmp_path / "old", texts)
    again = deduplicate(tmp_path, texts, NearDedup(against=str(tmp_path / "old/run")))
    assert again.documents.count("*").fetchall() == [(0,)]
    record = again.workspace.manifest.find("2-near_dedup")
    assert record is not None
    assert any("gather_earlier" in commit.item for commit in record.commits)
    # The earlier run's removals stand for nothing: what it kept alone is the index.
    kept = old.documents.count("*").fetchall()[0][0]
    assert kept == 80 - len(removals(old))
    fresh = deduplicate(
        tmp_path, {"c": [page(999)]}, NearDedup(against=str(tmp_path / "old/run")), to="fresh"
    )
    assert fresh.documents.count("*").fetchall() == [(1,)]


def test_other_fingerprints_are_refused(tmp_path: Path) -> None:
    deduplicate(tmp_path, {"a": [page(1)]}, to="old")
    with pytest.raises(UserError, match="in another way") as refused:
        deduplicate(tmp_path, {"b": [page(2)]}, NearDedup(words=3, against=str(tmp_path / "old")))
    assert "words: 3" in str(refused.value.expected)
    deduplicate(tmp_path, {"a": [page(1)]}, ExactDedup(), to="exact")
    with pytest.raises(UserError, match="no fingerprints of near_dedup"):
        deduplicate(tmp_path, {"b": [page(2)]}, NearDedup(against=str(tmp_path / "exact")))


def test_another_state_of_an_earlier_run_decides_anew(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    texts = {"b": [page(1), page(2)]}
    step = NearDedup(against=str(tmp_path / "old/run"))
    deduplicate(tmp_path / "old", {"a": [page(1)]})
    assert deduplicate(tmp_path, texts, step).documents.count("*").fetchall() == [(1,)]
    deduplicate(tmp_path / "old", {"a": [page(1), page(2)]})
    assert deduplicate(tmp_path, texts, step).documents.count("*").fetchall() == [(0,)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_document_of_fifty_megabytes(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    words = np.array([f"w{number:x}q" for number in range(50_000)])
    text = " ".join(chance.choice(words, 8_000_000))
    assert len(text) > 50_000_000
    run = deduplicate(
        tmp_path,
        {"a": [text[:-100]], "b": [text, "short"]},
        engine="local",
        workers=1,
        memory_per_worker="1GiB",
    )
    ((one, matched),) = removals(run).items()
    assert one == ("b", 0)
    assert matched[:2] == ("a", 0)
    assert matched[2] > 0.99999
    peaks = [one.description["worker_peak_bytes"] for one in run.workspace.manifest.passes]
    assert max(peaks) < 2.5 * 2**30


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    peaks = []
    for number, copies in enumerate((1, 10)):
        folder = tmp_path / str(number)
        folder.mkdir()
        chance = random.Random(number)
        pages = [page(one, 300) for one in range(3_000 * copies)]
        texts = {"a": pages, "b": [edited(text, 0.02, chance) for text in pages]}
        step = NearDedup(memory="64MiB")
        run = deduplicate(folder, texts, step, engine="local", workers=2, shard_bytes="4MiB")
        assert len(removals(run)) > 0.9 * len(pages) / 2
        record = run.workspace.manifest.find("2-near_dedup")
        assert record is not None
        peaks.append(record.description["worker_peak_bytes"])
    assert peaks[1] < 1.5 * peaks[0]
    assert peaks[1] < 700 * 2**20
