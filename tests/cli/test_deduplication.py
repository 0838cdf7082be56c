"""``dedup``: its own flags, from files to a file."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from textmill.cli import main

WORDS = [f"word{n}" for n in range(400)]


def words(seed: int, count: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


@pytest.fixture(autouse=True)
def _inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    near = words(1, 120)
    texts = [words(2, 60), near, words(3, 60), near.rsplit(" ", 2)[0] + " other end", words(2, 60)]
    Path("a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    Path("dir").mkdir()
    Path("dir/b.txt").write_text(words(3, 60))
    Path("dir/c.txt").write_text(f"{words(5, 40)} {words(6, 20)} {words(7, 40)}")
    Path("exam.jsonl").write_text(json.dumps({"question": words(6, 20)}) + "\n")


def dedup(*options: str) -> int:
    inline = ["--set", "run.engine=inline"]
    return main(["dedup", "--input", "a.jsonl", "dir/", "--output", "out", *inline, *options])


def kept(folder: str = "out") -> list[str]:
    return [json.loads(line)["text"] for line in Path(folder, "corpus.jsonl").read_text().splitlines()]


def test_equal_texts_without_any_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert dedup() == 0
    texts = kept()
    assert len(texts) == len(set(texts)) == 5
    out = capsys.readouterr().out
    assert "exact_dedup" in out
    assert "out/corpus.jsonl: 5 texts" in out
    assert "next: textmill why" in out


def test_near_duplicates_and_questions(capsys: pytest.CaptureFixture[str]) -> None:
    assert dedup("--exact", "--near", "0.8", "--decontaminate", "exam.jsonl") == 0
    texts = set(kept())
    assert {words(2, 60), words(3, 60)} < texts
    assert len(texts) == 3
    assert texts & {words(1, 120), words(1, 120).rsplit(" ", 2)[0] + " other end"}
    out = capsys.readouterr().out
    table = [line.split() for line in out.splitlines()]
    assert ["exam", "1", "0", "1", "100.0", "%", "1"] in table
    assert f"exam exam.jsonl:1: {words(6, 20)[:40]}" in out
    page = Path("out/run/report.html").read_text()
    assert "Evaluation questions" in page
    assert words(6, 20)[:100] in page
    assert main(["stats", "out/run"]) == 0
    assert ["exam", "1", "0", "1", "100.0", "%", "1"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    assert main(["stats", "out/run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"][0]["items_hit"] == 1


def test_against_an_earlier_run() -> None:
    assert dedup() == 0
    Path("new.jsonl").write_text("".join(json.dumps({"text": words(n, 60)}) + "\n" for n in (2, 3, 99)))
    arguments = ["dedup", "--input", "new.jsonl", "--output", "later", "--against", "out/run"]
    assert main([*arguments, "--set", "run.engine=inline"]) == 0
    assert kept("later") == [words(99, 60)]


def test_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--near", "a.jsonl"], "--near takes a number"),
        (["--near", "1.5"], "threshold"),
        (["--lines", "--against", "out/run"], "Earlier runs are compared by --exact or --near"),
        (["--against", "nowhere"], "no run is here"),
        (["--decontaminate", "nothing.csv"], "has no files"),
        (["--set", "near_dedup.words=3"], "near_dedup"),
    ):
        assert dedup(*options) == 2
        assert message in capsys.readouterr().err
    assert not Path("out").exists()
