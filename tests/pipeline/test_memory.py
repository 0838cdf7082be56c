"""A worker's memory does not grow with the corpus."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from textmill.pipeline import run_recipe
from textmill.recipe import load_recipe

CEILING = 512 * 2**20
RECIPE = """
name: memory
sources: [{{files: {{paths: "{path}"}}}}]
curate: [normalize, {{language: {{keep: [en], min_score: 0.1}}}}, gopher_quality, gopher_repetition, exact_dedup]
run: {{workers: 2, shard_bytes: {shard}}}
"""


def write_texts(path: Path, size: int) -> None:
    chance = random.Random(1)
    words = [f"{chance.choice('bcdfglmnprst')}{chance.choice('aeiou')}{n:x}" for n in range(5000)]
    words += ["the", "of", "and", "to", "that", "with", "have", "be"] * 500
    written = 0
    with path.open("w") as file:
        while written < size:
            line = json.dumps({"text": " ".join(chance.choices(words, k=chance.randrange(60, 900)))}) + "\n"
            file.write(line)
            written += len(line)


def peak(tmp_path: Path, size: int, shard: str) -> int:
    write_texts(tmp_path / "texts.jsonl", size)
    recipe = load_recipe(RECIPE.format(path=tmp_path / "texts.jsonl", shard=shard))
    manifest = run_recipe(recipe, str(tmp_path / "run")).manifest
    return max(int(record.description["worker_peak_bytes"]) for record in manifest.passes)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_megabytes_and_three_hundred_stay_under_the_same_ceiling(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "large").mkdir()
    small = peak(tmp_path / "small", 10_000_000, "128MiB")
    large = peak(tmp_path / "large", 300_000_000, "128MiB")
    assert small < CEILING
    assert large < CEILING
    assert large < 1.5 * small


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_giant_documents(tmp_path: Path) -> None:
    """A worker stays under 1 GiB: of the longest documents allowed, and of longer ones, which are failures."""
    chance = random.Random(2)
    words = [
        "the",
        "mill",
        "turns",
        "of",
        "and",
        "that",
        "have",
        "with",
        *(f"grain{n:x}" for n in range(5000)),
    ]
    line = " ".join(chance.choices(words, k=20_000)) + ".\n"
    (tmp_path / "in").mkdir()
    for name, size in (("allowed.txt", 32 * 2**20 - len(line)), ("longer.txt", 200_000_000)):
        (tmp_path / "in" / name).write_text(line * (size // len(line)))
    (tmp_path / "in/longer.jsonl").write_text(json.dumps({"text": line * (200_000_000 // len(line))}))
    recipe = load_recipe(RECIPE.format(path=tmp_path / "in", shard="128MiB"))
    manifest = run_recipe(recipe, str(tmp_path / "run")).manifest
    count = manifest.passes[0].steps()[0]
    assert (count.kept, count.failed) == (1, 2)
    peaks = [int(record.description["worker_peak_bytes"]) for record in manifest.passes]
    assert max(peaks) < 2**30, peaks
