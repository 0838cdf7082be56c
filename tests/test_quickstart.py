"""The main job, through the command line, on the standard library alone (with all packages: ``-m slow``)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textmill.api import Run
from textmill.report.numerals import number

SMALLER = ["--max-source-bytes", "8MB", "--set", "train.tokens=400k"]


def textmill(*arguments: str | Path, timeout: float = 1500) -> str:
    """Run a command as a user does; returns what it printed."""
    command = [sys.executable, "-m", "textmill.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(
    scope="module",
    params=["the standard library", pytest.param("all of it", marks=pytest.mark.slow)],
    autouse=True,
)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("quickstart") / "run"
    textmill("quickstart", "--out", target, *(SMALLER if request.param == "the standard library" else []))
    return target


def status(folder: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(textmill("status", folder, "--json"))
    return answer


@pytest.mark.timeout(1800)
def test_it_keeps_a_megabyte_and_drops_by_several_rules_and_duplicates(folder: Path) -> None:
    steps = {step["step"]: step for step in status(folder)["steps"]}
    assert list(steps) == [
        "ingest", "extract", "normalize", "language", "gopher_quality", "gopher_repetition", "exact_dedup", "near_dedup"
    ]  # fmt: skip
    assert steps["exact_dedup"]["characters_kept"] >= 1_000_000
    for step in ("language", "gopher_quality", "gopher_repetition", "exact_dedup", "near_dedup"):
        assert steps[step]["dropped"] > 0, step
    for step in steps.values():
        assert step["in"] == step["kept"] + step["dropped"] + step["failed"]
    rules = Run(folder).query("SELECT DISTINCT step, rule FROM events WHERE action = 'dropped'").fetchall()
    assert len(rules) >= 5


def test_pages_that_robots_txt_closes_are_not_fetched(folder: Path) -> None:
    run = Run(folder)
    refused = run.query("SELECT url FROM events WHERE rule = 'robots'").fetchall()
    assert len(refused) > 10
    assert all("/private/" in url for (url,) in refused)
    assert not run.query("SELECT url FROM documents WHERE url LIKE '%/private/%'").fetchall()


def test_a_dead_link_is_in_the_ledger(folder: Path) -> None:
    answer = textmill("why", "http://127.0.0.1:8707/module/abc_tutorial.html", "--run", folder)
    assert "404" in answer


def test_copies_for_printing_are_found(folder: Path) -> None:
    rows = Run(folder).query("SELECT url FROM events WHERE step IN ('exact_dedup', 'near_dedup')").fetchall()
    assert sum("/print/" in url for (url,) in rows) > 20


def test_navigation_is_gone_and_the_text_is_there(folder: Path) -> None:
    texts = [text for (text,) in Run(folder).query("SELECT text FROM documents").fetchall()]
    assert sum("We use cookies" in text for text in texts) <= len(texts) // 100
    assert sum("Licences as stated by the packages" in text for text in texts) <= len(texts) // 100
    decoder = "module/json.decoder.html"
    (found,) = Run(folder).query(f"SELECT text FROM documents WHERE url LIKE '%/{decoder}'").fetchall()
    assert "Simple JSON <https://json.org> decoder" in found[0]
    assert "More of python" not in found[0]


def test_the_model_is_at_least_a_fifth_better_than_a_unigram_model(folder: Path) -> None:
    evaluation = status(folder)["evaluation"]
    assert 0.5 < evaluation["bits_per_byte"] <= 0.8 * evaluation["unigram_bits_per_byte"]
    page = (folder / "report.html").read_text()
    assert number(evaluation["bits_per_byte"]) in page
    assert number(evaluation["unigram_bits_per_byte"]) in page


def test_nothing_is_wrong_with_the_run(folder: Path) -> None:
    assert "PASS" in textmill("verify", folder).upper()


def test_the_same_command_again_has_nothing_to_do(folder: Path, request: pytest.FixtureRequest) -> None:
    before = (folder / "manifest.json").read_bytes()
    smaller = SMALLER if "the standard library" in request.node.callspec.params.values() else []
    textmill("quickstart", "--out", folder, *smaller, timeout=120)
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("outcome", ["kept", "dropped", "matched"])
def test_why_answers_in_one_screen(folder: Path, outcome: str) -> None:
    table = "documents" if outcome == "kept" else f"(SELECT * FROM events WHERE action = '{outcome}')"
    row = Run(folder).query(f"SELECT lower(hex(id)), locator FROM {table} ORDER BY id LIMIT 1").fetchall()[0]
    answer = textmill("why", row[0], "--run", folder)
    assert row[1].rpartition("/")[2][:30] in answer
    assert len(answer.splitlines()) <= 24
    assert {"kept": "KEPT", "dropped": "DROPPED", "matched": "DUPLICATE"}[outcome] in answer


def test_a_training_step_leads_back_to_its_documents(folder: Path) -> None:
    run = Run(folder)
    traced = run.trace(step=3)
    assert {row["source"] for row in traced} == {"crawl"}
    kept = {row[0] for row in run.query("SELECT lower(hex(id)) FROM documents").fetchall()}
    assert {row["id"] for row in traced} <= kept
    batch = run.workspace.manifest.find("train").numbers["batch_size"]  # type: ignore[union-attr]
    assert len({row["sample"] for row in traced}) == batch
    assert run.trace(sample=traced[0]["sample"])[0]["id"] == traced[0]["id"]


def test_a_sample_decodes_to_the_text_of_its_documents(folder: Path) -> None:
    from textmill.tokenizer.load import load_encoder

    run = Run(folder)
    tokens = run.tokens("train")
    encoder = load_encoder(folder / "tokenizer")
    rows = [row for row in run.trace(sample=5) if row["last_token"] - row["first_token"] > 20]
    text = encoder.decode(tokens[5].tolist())
    document = run.query(f"SELECT text FROM documents WHERE hex(id) = '{rows[0]['id'].upper()}'").fetchall()[
        0
    ]
    pieces = text.split("<|endoftext|>")
    assert any(piece.strip("\ufffd")[:60] in document[0] for piece in pieces if len(piece) > 60)


def test_the_model_writes_on(folder: Path) -> None:
    written = textmill("generate", "Return the", "--run", folder, "--max-new-tokens", "20", "--seed", "1")
    assert len(written.strip()) > 5
    assert not written.startswith("Return the")
