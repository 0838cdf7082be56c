"""A small run, and what the command line answers about it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from textmill.cli import main

PROSE = (
    "The mill turns with the river, and the miller has to watch the stones all day long. When the water is "
    "low he waits for rain; when it is high he opens the gate, and the wheel begins to move again. Nobody in "
    "the village could remember a year in which bread was dear and the river was full of water to the brim. "
)
RECIPE = """\
name: small
sources:
  - files: {paths: texts.jsonl}
curate: [normalize, gopher_quality, exact_dedup]
run: {engine: inline}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run with a kept, a dropped, a duplicate and a failed document; the current folder is its parent's."""
    folder = tmp_path_factory.mktemp("asking")
    records = [
        {"text": PROSE + "The first.", "url": "https://example.org/kept"},
        {"text": "Too short.", "url": "https://example.org/short"},
        {"text": PROSE + "The first.", "url": "https://example.org/copy"},
    ]
    lines = [json.dumps(record) for record in records] + ['{"text": 7}']
    (folder / "texts.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "r.yaml").write_text(RECIPE)
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["run", "r.yaml"]) == 0
        yield folder / "runs" / "small"
    finally:
        os.chdir(before)


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == 0
    return capsys.readouterr().out


def test_status(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "status")
    rows = {line.split()[0]: line.split()[1:5] for line in out.splitlines() if len(line.split()) >= 7}
    assert rows["ingest"] == ["4", "3", "0", "1"]
    assert rows["gopher_quality"] == ["3", "2", "1", "0"]
    assert rows["exact_dedup"] == ["2", "1", "1", "0"]
    assert "\x1b" not in out, "no colours where there is no terminal"


def test_languages_are_one_line_of_the_status() -> None:
    from textmill.cli.asking import _by_language

    languages = {f"l{number}": {"bytes_per_token": number / 2, "tokens": 9} for number in range(9)}
    assert _by_language(dict(list(languages.items())[:2])) == "l0 0.00, l1 0.50"
    assert _by_language(languages).startswith("l0 0.00, l1 0.50, l2 1.00, ")
    assert _by_language(languages).endswith("l5 2.50 and 3 more in the report")


def test_status_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = json.loads(answer(capsys, "status", str(run), "--json"))
    assert [step["step"] for step in state["steps"]] == [
        "ingest",
        "normalize",
        "gopher_quality",
        "exact_dedup",
    ]
    for step in state["steps"]:
        assert step["in"] == step["kept"] + step["dropped"] + step["failed"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        # Of two copies the one with the smaller id is kept, whatever their order in the file.
        ("texts.jsonl:3", ["KEPT"]),
        (
            "https://example.org/short",
            ["DROPPED by gopher_quality, rule words: measured 2, allowed at least 50"],
        ),
        ("texts.jsonl:1", ["DUPLICATE", "exact_dedup", "same as", "texts.jsonl:3"]),
        ("texts.jsonl:4", ["FAILED", "'text' holds a number"]),
        ("Too short", ["DROPPED", "it begins", "https://example.org/short"]),
    ],
)
def test_why_answers_on_one_screen(
    run: Path, capsys: pytest.CaptureFixture[str], query: str, words: list[str]
) -> None:
    out = answer(capsys, "why", query, "--run", str(run))
    for word in words:
        assert word in out
    lines = out.splitlines()
    assert sum(1 + (len(line) - 1) // 80 for line in lines if line) + lines.count("") <= 24


def test_why_by_id_and_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(capsys, "why", str(run), "Too", "short")
    identifier = re.search(r"[0-9a-f]{32}", out)
    assert identifier
    (story,) = json.loads(answer(capsys, "why", identifier[0], "--json"))
    assert (story["outcome"], story["rule"], story["value"]) == ("dropped", "words", 2.0)


def test_why_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "words that stand nowhere"]) == 2
    assert "words that stand nowhere" in capsys.readouterr().err


def test_verify_passes_and_finds_damage(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "PASS" in answer(capsys, "verify", str(run))
    shard = next((run / "passes").rglob("documents/*.parquet"))
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    try:
        assert main(["verify", str(run)]) == 1
        assert shard.name in capsys.readouterr().out
    finally:
        shard.write_bytes(data)


def test_report(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "report.html" in answer(capsys, "report", str(run))
    assert (run / "report.html").stat().st_size > 1000


def test_a_run_without_a_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x"]) == 2
    assert "trained no model" in capsys.readouterr().err
    assert main(["trace", "--sample", "0"]) == 2
    assert "no tokens" in capsys.readouterr().err


def test_the_same_command_again_does_nothing_twice(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run / "passes").rglob("*.parquet")}
    assert main(["run", "r.yaml"]) == 0
    assert "1 kept" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in (run / "passes").rglob("*.parquet")}


def test_a_tokenizer_and_tokens_by_themselves(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = answer(
        capsys,
        "tokenizer",
        "train",
        "texts.jsonl",
        "--vocab_size",
        "300",
        "--out",
        "runs/tok",
        "--workers",
        "1",
    )
    assert "runs/tok/tokenizer" in out
    assert Path("runs/tok/tokenizer/tokenizer.json").is_file()
    counted = answer(capsys, "tokenizer", "count", "texts.jsonl", "--tokenizer", "runs/tok/tokenizer")
    assert "documents   3 (1 unreadable)" in counted
    out = answer(
        capsys, "tokens", "build", "texts.jsonl", "--tokenizer", "runs/tok/tokenizer",
        "--shard_size", "16", "--output_dir", "shards", "--num_proc", "1",
    )  # fmt: skip
    tokens = int(re.search(r"tokens +([\d,]+)", counted)[1].replace(",", ""))  # type: ignore[index]
    built = json.loads(Path("shards/tokens.json").read_text())
    assert built["tokens"] == tokens + 3, "one end of text after each document"
    assert f"{tokens + 3:,} (uint16)" in out
    assert main(["tokens", "build", "texts.jsonl", "--tokenizer", "x", "--total", "-2", "--out", "y"]) == 2
    assert "--total" in capsys.readouterr().err


def test_why_of_a_file_counts_its_documents_and_begins_with_those_that_failed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = answer(capsys, "why", "texts.jsonl", "--run", str(run))
    assert out.startswith(
        "4 documents there: 1 kept, 1 dropped, 1 duplicate, 1 failed; the first of them:\n\nFAILED by"
    )
    assert [line.split()[1] for line in out[out.index("ask by id") :].splitlines()[1:]] == [
        "duplicate", "dropped", "kept",
    ]  # fmt: skip
    assert "documents there" not in answer(capsys, "why", "texts.jsonl:1", "--run", str(run))


def test_rows_of_whatif_add_up(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["Too short.", "word " * 30, "# " * 80 + PROSE, PROSE]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    (tmp_path / "t.yaml").write_text(
        "name: t\nsources: [files: t.jsonl]\ncurate: [gopher_quality]\nrun: {engine: inline}\n"
    )
    answer(capsys, "run", str(tmp_path / "t.yaml"), "--out", str(tmp_path / "t"))
    out = answer(capsys, "whatif", str(tmp_path / "t"), "--set", "gopher_quality.min_words=20")
    rows = {line[:40].strip(): line.split() for line in out.splitlines()}
    step = next(words for words in rows.values() if words[:1] == ["gopher_quality"])
    parts = [words for name, words in rows.items() if name.startswith("dropped by")]
    assert any("all others" in name for name in rows)
    for column, taken, kept in ((-3, 1, 2), (-2, 3, 4)):
        assert sum(int(words[column]) for words in parts) == int(step[taken]) - int(step[kept])


def test_status_explains_its_two_figures_of_held_out_text(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = {"run": "small", "folder": "x", "steps": [], "train": {"validation_loss": 4.5}, "evaluation": {}}
    monkeypatch.setattr("textmill.workspace.status", lambda _: state)
    assert "both nats per token" not in answer(capsys, "status", str(run))
    state["evaluation"] = {"nats_per_token": 4.2}
    assert "both nats per token" in answer(capsys, "status", str(run))


def test_report_prints_where_it_lies(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Path(answer(capsys, "report", str(run)).strip()) == run / "report.html"
