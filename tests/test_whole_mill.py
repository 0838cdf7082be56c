"""Sources to tokens with the mill's own steps: the same bytes for any number of workers, and after SIGKILL."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.archives import http, per_record, warc
from textmill.api import Run
from textmill.workspace import Workspace

KILLS = 10

# Thirteen whole runs of the mill; a busy machine may take its time.
pytestmark = pytest.mark.timeout(1800)

RECIPE = """
name: whole
sources:
  - files: {label: asyncio, paths: STDLIB/asyncio/*.py, format: text, unit: paragraph}
  - files: {label: email, paths: STDLIB/email/*.py, format: text}
  - files: {label: notes, paths: notes.jsonl}
  - warc: {label: web, paths: web.warc.gz}
curate:
  - extract: {max_nodes: 4000}
  - normalize
  - language: {keep: [en], min_score: 0.5}
  - gopher_quality: {min_alphabetic_words_ratio: 0.45}
  - gopher_repetition
  - exact_dedup
tokenizer: {train: {vocab_size: 1000}}
tokens: {seq_len: 64, split: {validation: 0.05}}
run: {shard_bytes: 32KiB}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    sentence = (
        "The miller said that the wheel of the mill is to be mended before the water and the winter come"
    )
    words = sentence.split()
    chance = random.Random(5)
    with (folder / "notes.jsonl").open("w") as file:
        for number in range(400):
            chosen = " ".join(chance.choice(words) for _ in range(chance.randrange(30, 120)))
            text = f"{sentence}, {number % 300}. {chosen}." if number % 5 else f"{sentence} " * 4
            line = json.dumps({"text": text}) + "\n" if number % 41 else '{"text": \n'
            file.write(line * (2 if number % 9 == 1 else 1))
    (folder / "web.warc.gz").write_bytes(per_record(list(pages(words, chance))) + b"\x1f\x8b\x08")
    path = folder / "whole.yaml"
    path.write_text(RECIPE.replace("STDLIB", sysconfig.get_path("stdlib")))
    return path


def pages(words: list[str], chance: random.Random) -> Iterator[bytes]:
    """Requests, pages of a site with its navigation, some with too many elements to extract, and a picture."""
    menu = "<nav>" + "".join(f"<a href=/{word}>{word}</a> " for word in words) + "</nav>"
    for number in range(120):
        url = f"http://example.org/{number}"
        text = " ".join(chance.choice(words) for _ in range(chance.randrange(60, 200)))
        body = f"<!doctype html><title>{number}</title>{menu}<main><h1>Page {number}</h1><p>The mill: {text}.</main>"
        if number % 30 == 7:
            body = "<!doctype html>" + "<b>" * 5000 + body
        yield warc(b"GET / HTTP/1.1\r\n\r\n", "request", url=url)
        yield warc(http(body.encode(), content_type="text/html; charset=utf-8"), url=url)
    yield warc(http(b"GIF89a", content_type="image/gif"), url="http://example.org/a.gif")


def start(recipe: Path, folder: Path, workers: int = 2) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "textmill.cli", "run", str(recipe), "--out", str(folder)]
    return subprocess.Popen(
        [*command, "--workers", str(workers)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def committed(folder: Path) -> dict[str, str]:
    manifest = Workspace.open(folder).manifest
    return {file.path: file.sha256 for one in manifest.passes for file in one.all_files()}


@pytest.fixture(scope="module")
def whole(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    started = time.monotonic()
    assert start(recipe, folder, workers=1).wait() == 0
    return folder, time.monotonic() - started


def test_the_run_exercises_everything(whole: tuple[Path, float]) -> None:
    run = Run(whole[0])
    steps = {step["step"]: step for step in run.status()["steps"]}
    assert (steps["ingest"]["failed"], steps["ingest"]["dropped"]) == (12, 121)
    assert steps["extract"]["failed"] == 4
    assert all(steps[name]["dropped"] for name in ("language", "gopher_quality", "exact_dedup"))
    (kept,) = (
        run.documents.filter("source = 'web' AND locator IS NOT NULL").aggregate("count(*)").fetchall()[0]
    )
    assert 0 < kept <= 116
    assert not run.documents.filter("source = 'web' AND contains(text, '<')").fetchall()
    kinds = {path.split("/")[-2] for path in committed(whole[0])}
    assert {"documents", "scores", "events", "rejected", "fingerprints", "removals", "train"} <= kinds
    assert len(run.workspace.manifest.passes[1].commits) >= 5, "several shards, so that workers can differ"
    assert run.verify() == []


@pytest.mark.parametrize("workers", [2, 3])
def test_any_number_of_workers_gives_the_same_bytes(
    recipe: Path, whole: tuple[Path, float], tmp_path: Path, workers: int
) -> None:
    assert start(recipe, tmp_path / "run", workers).wait() == 0
    assert committed(tmp_path / "run") == committed(whole[0])


def test_sigkill_at_ten_random_instants(recipe: Path, whole: tuple[Path, float], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    instants = random.Random(11)
    latest = min(
        0.6 * whole[1], 8.0
    )  # a run that waits for a busy machine need not wait at every kill as well
    killed = 0
    for _ in range(KILLS):
        process = start(recipe, folder)
        try:
            # From before the first write on; what is done stays done, so the kills wander to the end.
            process.wait(timeout=instants.uniform(0.3, latest))
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
    assert start(recipe, folder).wait() == 0
    assert committed(folder) == committed(whole[0])
    assert Run(folder).verify() == []
    left = {str(path.relative_to(folder)) for path in (folder / "passes").rglob("*") if path.is_file()}
    assert left == {path for path in committed(folder) if path.startswith("passes/")}
    assert killed >= 3, "the kills came too late to test anything"


def test_why_tells_of_a_failed_document(recipe: Path, whole: tuple[Path, float]) -> None:
    command = [sys.executable, "-m", "textmill.cli", "why", "notes.jsonl:1", "--run", str(whole[0])]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer.startswith("FAILED by ingest")
    assert "JSON" in answer
    assert len(answer.splitlines()) <= 24
