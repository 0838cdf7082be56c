"""The pages of docs/ say what the program does: generated ones are current, and their code runs."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from textmill.cli import main
from textmill.recipe import load_recipe

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"


def code_blocks(page: str) -> dict[str, str]:
    """Code of a page by the file name in its first line."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", text, re.DOTALL)
    return dict(blocks)


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_docs.py", "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_example_of_the_reference_loads() -> None:
    text = (DOCS / "recipe.md").read_text(encoding="utf-8")
    example = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert example
    assert load_recipe(example[1]).name == "notes"


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the pages about steps, and two texts."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for page in ("add-a-step.md", "writing-a-filter.md"):
        for name, code in code_blocks(page).items():
            (tmp_path / name).write_text(code)
    (tmp_path / "texts.jsonl").write_text('{"text": "Words and words."}\n{"text": "31 words 4 12 77 8"}\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("recipe", "verdict"),
    [
        ("digits.yaml", "DROPPED by digits, rule share: measured 0.4444, allowed at most 0.1"),
        ("function.yaml", "DROPPED by digits, rule value: measured 0.4444, allowed at most 0.2"),
    ],
)
def test_a_step_of_ones_own(
    pages: Path, capsys: pytest.CaptureFixture[str], recipe: str, verdict: str
) -> None:
    assert main(["run", recipe, "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["why", "texts.jsonl:2"]) == 0
    assert verdict in capsys.readouterr().out
    assert main(["why", "texts.jsonl:1"]) == 0
    assert "KEPT" in capsys.readouterr().out


def test_an_edited_step_is_done_anew_and_set_by_name(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def kept(*options: str) -> int:
        assert main(["run", "digits.yaml", "--workers", "1", *options]) == 0
        capsys.readouterr()
        assert main(["status", "--json"]) == 0
        return int(json.loads(capsys.readouterr().out)["steps"][-1]["kept"])

    assert kept() == 1
    assert kept("--set", "digits.max_share=0.5") == 2
    rules = pages / "rules.py"
    rules.write_text(rules.read_text().replace("isdigit", "isspace"))
    assert kept() == 0


def test_a_whole_filter_is_at_most_20_lines() -> None:
    code = code_blocks("add-a-step.md")["rules.py"]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20


def test_writing_a_filter(pages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pages / "inbox.mbox").write_text(
        "From a@b Mon Jan  1 00:00:00 2024\nSubject: x\n\nA letter about divi-\nded words of the sea.\n\n"
        "From a@b Mon Jan  1 00:00:00 2024\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n/w==\n\n"
    )
    (pages / "topics.txt").write_text("divided\nsailing\n")
    assert main(["run", "own.yaml", "--workers", "1"]) == 0
    capsys.readouterr()
    assert main(["status", "--json"]) == 0
    steps = {step["step"]: step for step in json.loads(capsys.readouterr().out)["steps"]}
    assert (steps["ingest"]["kept"], steps["ingest"]["failed"]) == (3, 1)
    assert (steps["prose"]["dropped"], steps["topic"]["dropped"], steps["topic"]["kept"]) == (0, 2, 1)
    assert main(["why", "A letter about"]) == 0
    assert "hits 1" in capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_prose.py"],
        capture_output=True, text=True, cwd=pages, env={**os.environ, "PYTHONPATH": str(pages)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_from_a_folder_of_text_to_a_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = "from-a-folder-of-text-to-a-corpus.md"
    monkeypatch.chdir(tmp_path)
    Path("letters").mkdir()
    Path("letters", "a.txt").write_text("Le chat est sur la table et il regarde la mer avec ses amis.\n" * 3)
    words = Path(argparse.__file__).read_text(encoding="utf-8").split()
    texts = [" ".join(words[start : start + 60]) for start in range(0, 6000, 50)]
    Path("letters", "notes.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    for name, code in code_blocks(page).items():
        Path(name).write_text(code)
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 18
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "textmill"
        assert main(arguments) == 0, f"{command}\n{capsys.readouterr().err}"
    for name in ("letters.yaml", "corpus.jsonl.zst", "corpus.txt", "corpus.parquet", "prepared/train.txt"):
        assert Path(name).stat().st_size
    exec(compile(Path("look.py").read_text(), "look.py", "exec"), {})
    assert "[('" in capsys.readouterr().out


PAGES = [*DOCS.rglob("*.md"), ROOT / "recipes" / "README.md"]


@pytest.mark.parametrize("page", sorted(str(path.relative_to(ROOT)) for path in PAGES))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = ROOT / page
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", prose):
        assert (path.parent / target).exists(), target
