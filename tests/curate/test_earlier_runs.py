"""Deduplication against earlier runs."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

import textmill
from textmill.cli import main
from textmill.curate import ExactDedup
from textmill.errors import UserError
from textmill.workspace import Workspace

WORDS = [f"word{n}" for n in range(50)]


def texts(seed: int, count: int, least: int = 3) -> list[str]:
    chosen = random.Random(seed)
    return [" ".join(chosen.choices(WORDS, k=chosen.randint(least, 12))) for _ in range(count)]


def run(folder: Path, name: str, lines: list[str], curate: str, **options: object) -> textmill.Run:
    source = folder / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    recipe = folder / f"{name}.yaml"
    recipe.write_text(
        f"name: {name}\nsources:\n  - files: {name}.jsonl\ncurate:\n{curate}\n"
        f"run: {json.dumps({'engine': 'local' if 'workers' in options else 'inline', **options})}\n"
    )
    return textmill.run(recipe, folder / "runs" / name)


def kept(found: textmill.Run) -> list[str]:
    return [row[0] for row in found.documents.project("text, locator").order("locator").fetchall()]


def test_a_new_crawl_loses_what_earlier_ones_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = texts(1, 200), texts(2, 200)
    new = texts(3, 100) + first[:40] + second[:30] + texts(3, 20)
    run(tmp_path, "first", first, "  - exact_dedup")
    run(tmp_path, "second", second + first[40:50], "  - exact_dedup: {against: runs/first}")
    third = run(
        tmp_path, "third", new, "  - exact_dedup: {against: [runs/second, runs/first]}", shard_bytes="2KiB"
    )
    old = set(first) | set(second)
    expected = [text for text in dict.fromkeys(new) if text not in old]
    assert sorted(kept(third)) == sorted(expected)
    # A removal names the document of the earlier run that counts first.
    rows = third.ledger("events").project("locator, matched_id, detail").fetchall()
    by_place = {
        int(locator.rpartition(":")[2]): (bytes(matched), detail) for locator, matched, detail in rows
    }
    ids = {}
    for name in ("first", "second"):
        found = textmill.Run(tmp_path / "runs" / name)
        for identifier, text in found.documents.project("id, text").fetchall():
            ids[name, text] = bytes(identifier)
    for place, text in enumerate(new, 1):
        name = next((name for name in ("second", "first") if (name, text) in ids), None)
        if name is not None:
            matched, detail = by_place[place]
            assert matched == ids[name, text]
            number = {"second": 1, "first": 2}[name]
            assert detail == f"of the earlier run {name!r}, number {number} of against"
        elif place in by_place:
            assert by_place[place][1] is None
    # ... and `why` says where it stands there.
    capsys.readouterr()
    assert main(["why", "third.jsonl:101", "--run", str(tmp_path / "runs/third")]) == 0
    out = capsys.readouterr().out
    assert "DUPLICATE" in out
    assert "of the earlier run 'first'" in out
    assert "first.jsonl:1" in out


def test_what_an_earlier_run_dropped_stands_for_nothing(tmp_path: Path) -> None:
    lines = ["one two three four five", "short text", "six seven eight nine ten"]
    run(tmp_path, "old", lines, "  - exact_dedup\n  - heuristics: {min_words: 3}")
    new = run(tmp_path, "new", lines, "  - exact_dedup: {against: runs/old}")
    assert kept(new) == ["short text"]


def test_nothing_changes_with_shards_workers_and_partitions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = texts(4, 200, 1), texts(5, 200, 1)
    run(tmp_path, "old", old, "  - exact_dedup", shard_bytes="1KiB")
    found = []
    for workers, rows in ((1, 2_000_000), (2, 2_000_000), (1, 30)):
        monkeypatch.setattr("textmill.pipeline.resolve.PARTITION_ROWS", rows)
        shutil.rmtree(tmp_path / "runs/new", ignore_errors=True)
        one = run(
            tmp_path, "new", new, "  - exact_dedup: {against: runs/old}", workers=workers, shard_bytes="2KiB"
        )
        passes = one.workspace.manifest.document_passes()
        found.append([file.sha256 for file in passes[-1].all_files()])
        assert set(kept(one)) == set(new) - set(old)
    assert found[0] == found[1] == found[2]


def test_a_change_of_the_earlier_run_is_noticed(tmp_path: Path) -> None:
    run(tmp_path, "old", ["a b c", "d e f"], "  - exact_dedup")
    settings = ExactDedup(against=[str(tmp_path / "runs/old")])
    before = settings.fingerprint()
    assert before != ExactDedup().fingerprint()
    assert kept(run(tmp_path, "new", ["a b c", "g h i"], "  - exact_dedup: {against: runs/old}")) == ["g h i"]
    run(tmp_path, "old", ["d e f", "g h i"], "  - exact_dedup")
    assert settings.fingerprint() != before
    assert kept(run(tmp_path, "new", ["a b c", "g h i"], "  - exact_dedup: {against: runs/old}")) == ["a b c"]


def test_moving_an_earlier_run_changes_nothing(tmp_path: Path) -> None:
    run(tmp_path, "old", ["a b c"], "  - exact_dedup")
    shutil.copytree(tmp_path / "runs/old", tmp_path / "elsewhere")
    one, other = (ExactDedup(against=[str(tmp_path / name)]) for name in ("runs/old", "elsewhere"))
    assert one.fingerprint() == other.fingerprint()
    assert one.index_digest() == other.index_digest() == ExactDedup().index_digest()


def test_mistakes(tmp_path: Path) -> None:
    lines = ["a b c", "d e f"]

    def message(**settings: object) -> str:
        with pytest.raises(UserError) as caught:
            ExactDedup(**settings).fingerprint()  # type: ignore[arg-type]
        return str(caught.value)

    assert "no run is here" in message(against=[str(tmp_path / "nothing")])
    run(tmp_path, "plain", lines, "  - heuristics: {min_words: 1}")
    assert "no fingerprints of exact_dedup" in message(against=[str(tmp_path / "runs/plain")])
    run(tmp_path, "other", lines, "  - exact_dedup: {normalize: case}")
    told = message(against=[str(tmp_path / "runs/other")])
    assert "expected: normalize: none" in told
    assert "found:    normalize: case" in told
    unfinished = run(tmp_path, "unfinished", lines, "  - exact_dedup").workspace
    manifest = unfinished.manifest
    unfinished.write_manifest(manifest.without([manifest.document_passes()[-1].name]))
    assert "is not finished" in message(against=[unfinished.url])
    assert Workspace.open(unfinished.url).manifest.passes


def test_a_recipe_told_of_a_missing_run_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run is here"):
        run(tmp_path, "new", ["a"], "  - exact_dedup: {against: runs/none}")
    assert not (tmp_path / "runs").exists()
