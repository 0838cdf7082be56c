"""Values that a command refuses, and paths that it looks at before it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textmill.cli import main


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_choice_that_is_none_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--format", "jsonnl"]) == 2
    told = capsys.readouterr().err
    assert "--format cannot be 'jsonnl'" in told
    assert "one of: txt, jsonl, parquet" in told
    assert "did you mean jsonl?" in told
    assert main(["stats", "--by", "xyz"]) == 2
    assert "all options: textmill stats --help" in capsys.readouterr().err


def test_plan_looks_for_its_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text("name: a\nsources:\n  - files: nothing/\n")
    assert main(["plan", "recipe.yaml"]) == 2
    assert "nothing" in capsys.readouterr().err
    Path("nothing").mkdir()
    Path("nothing/a.txt").write_text("text")
    assert main(["plan", "recipe.yaml"]) == 0
    assert "0-ingest" in capsys.readouterr().out
    assert not Path("runs").exists()


@pytest.mark.parametrize("number", ["0", "-3"])
def test_generate_writes_at_least_one_token(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "x", "--max-new-tokens", number, "--model", "nowhere"]) == 2
    assert "--max-new-tokens" in capsys.readouterr().err


def test_trace_takes_its_run_like_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", "--run", "nowhere", "--sample", "0"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["trace", "one", "--run", "other", "--sample", "0"]) == 2
    assert "Two runs are named" in capsys.readouterr().err


def test_a_custom_function_lies_beside_its_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    Path("deep").mkdir()
    Path("deep/rules.py").write_text("def short(text):\n    return len(text) < 9\n")
    Path("deep/texts.jsonl").write_text(
        "".join(json.dumps({"text": t}) + "\n" for t in ("short", "a long text"))
    )
    Path("deep/recipe.yaml").write_text(
        "name: a\nsources:\n  - files: texts.jsonl\ncurate:\n  - custom: rules.py:short\nrun: {engine: inline}\n"
    )
    assert main(["run", "deep/recipe.yaml", "--out", "out"]) == 0
    assert main(["export", "out", "--out", "kept.jsonl"]) == 0
    assert [json.loads(line)["text"] for line in Path("kept.jsonl").read_text().splitlines()] == ["short"]
    assert "replaced" not in capsys.readouterr().out
    assert main(["export", "out", "--out", "kept.jsonl"]) == 0
    assert "an older kept.jsonl was replaced" in capsys.readouterr().out


def test_a_missing_file_of_a_step_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    Path("own.py").write_text(
        "from textmill.steps import Filter, Rule\n\n\n"
        "class Own(Filter):\n"
        "    def files(self):\n        return ['words.txt']\n\n"
        "    def rules(self):\n        return [Rule('x', minimum=0)]\n\n"
        "    def open(self, context):\n        return self\n\n"
        "    def scores(self, batch):\n        return {'x': [1.0] * len(batch)}\n"
    )
    Path("a.txt").write_text("text")
    Path("recipe.yaml").write_text("name: a\nsources:\n  - files: a.txt\ncurate:\n  - own.py:Own\n")
    assert main(["plan", "recipe.yaml"]) == 2
    told = capsys.readouterr().err
    assert "words.txt" in told
    assert "No such file" in told
