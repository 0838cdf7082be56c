"""Why documents failed, step by step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.pipeline.run_folder import recipe, steps

from textmill.cli import main
from textmill.pipeline import run_recipe
from textmill.recipe import load_recipe
from textmill.workspace import failures


def test_reasons_that_differ_in_numbers_are_one_kind(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "good"}), '{"text": 7}', "not json", 'not "json" either', "{", '{"text": 8}']
    (tmp_path / "b.jsonl").write_text("\n".join([*lines, "nor", '{"text": 9}', "this"]))
    (tmp_path / "r.yaml").write_text("name: r\nsources: [files: b.jsonl]\ncurate: [exact_dedup]\n")
    workspace = run_recipe(load_recipe(tmp_path / "r.yaml", ["run.engine=local"]), str(tmp_path / "run"))
    (told,) = failures(workspace)
    assert (told.step, told.documents, told.source, told.locator) == ("ingest", 8, "files", "b.jsonl:3")
    assert told.reason.startswith("broken JSON: Expecting value at character 1")


def test_the_first_error_of_a_step_is_told_with_its_place(tmp_path: Path) -> None:
    needle = "word5 "
    workspace = run_recipe(
        recipe(steps.Even(poison=needle), engine="inline", source=steps.Numbers()), str(tmp_path / "run")
    )
    told = {one.step: one for one in failures(workspace)}
    assert told["even"].reason == "ValueError: poison"
    assert told["even"].documents == sum(
        step.failed for record in workspace.manifest.passes for step in record.steps() if step.step == "even"
    )


def test_the_summary_says_why_records_failed_and_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes("fine\ncaf\xe9\nalso fine\nna\xefve\n".encode("latin-1"))
    argv = ["curate", "--input", str(tmp_path / "a.txt"), "--output", str(tmp_path / "out"), "--workers", "1"]
    assert main(argv) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "failed in ingest 2: no valid utf-8 at byte 8 (0xe9): unexpected end of data (a.txt:2)" in out
    assert "--set input_1.encoding=cp1252" in out
    assert main([*argv, "--set", "input_1.encoding=cp1252"]) == 0
    assert "0 failed" in capsys.readouterr().out
