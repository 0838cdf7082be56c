"""textmill from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import textmill

RECIPE = """
name: small
sources: [{{files: {{paths: "{paths}"}}}}]
curate: [normalize, exact_dedup]
tokenizer: {{train: {{vocab_size: 400}}}}
tokens: {{seq_len: 16, split: {{validation: 0.2}}}}
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    with (folder / "texts.jsonl").open("w") as file:
        for number in range(100):
            file.write(json.dumps({"text": f"The text number {number % 80} has words of its own."}) + "\n")
        file.write("not JSON\n")
    (folder / "small.yaml").write_text(RECIPE.format(paths="texts.jsonl"))
    return folder / "small.yaml"


@pytest.fixture(scope="module")
def run(recipe: Path) -> textmill.Run:
    return textmill.run(recipe, recipe.parent / "run")


def test_documents_are_a_relation(run: textmill.Run) -> None:
    table = run.documents.to_arrow_table()
    assert table.num_rows == 80
    assert {"id", "source", "locator", "text"} <= set(table.column_names)
    # Twice: a relation is asked anew each time.
    assert run.documents.limit(3).to_arrow_table().num_rows == 3


def test_the_ledger_is_relations(run: textmill.Run) -> None:
    rows = run.query("SELECT action, count(*) FROM events GROUP BY action ORDER BY action").fetchall()
    assert rows == [("failed", 1), ("matched", 20)]
    assert len(run.ledger("verdicts").fetchall()) == 101 + 100 + 100
    with pytest.raises(textmill.UserError, match="no such view") as caught:
        run.ledger("nonsense")
    assert "events" in (caught.value.expected or "")


def test_tokens_are_a_torch_data_set(run: textmill.Run) -> None:
    torch = pytest.importorskip("torch")
    samples = run.tokens("train")
    sample = samples[0]
    assert sample.shape == (16,)
    assert sample.dtype == torch.int64
    with pytest.raises(textmill.UserError):
        run.tokens("nonsense")


def test_trace_says_what_is_wrong(run: textmill.Run) -> None:
    assert run.trace(sample=0)[0]["source"] == "files"
    for wrong in ({}, {"sample": 1, "step": 1}, {"sample": 10**9}, {"step": 1}):
        with pytest.raises(textmill.UserError):
            run.trace(**wrong)


def test_verify_looks_at_tokens_too(recipe: Path) -> None:
    run = textmill.run(recipe, recipe.parent / "damaged")
    assert run.verify() == []
    record = run.workspace.manifest.find("tokens")
    assert record is not None
    shard = next(file.path for file in record.all_files() if file.path.endswith(".npy"))
    path = run.workspace.local(shard)
    contents = bytearray(path.read_bytes())
    contents[-2:] = b"\xff\xff"
    path.write_bytes(contents)
    findings = run.verify()
    assert any("contents changed" in finding for finding in findings)
    assert any(finding.startswith("ids:") for finding in findings)


def test_a_script_needs_no_main_guard(recipe: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import textmill\nrun = textmill.run({str(recipe)!r}, {str(tmp_path / 'run')!r})\n"
        "print(run.documents.aggregate('count(*)').fetchall()[0][0])\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "80\n", done.stderr


def test_importing_textmill_is_light() -> None:
    heavy = ("torch", "numba", "duckdb", "pyarrow", "tokenizers")
    program = f"import sys, textmill; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
