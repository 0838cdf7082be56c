"""``extract``: pages in, text out."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.extract.test_step import ARTICLE
from textmill.cli import main


@pytest.fixture(autouse=True)
def _pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("site/news").mkdir(parents=True)
    Path("site/mill.html").write_text(ARTICLE)
    Path("site/news/mill.HTM").write_bytes(ARTICLE.replace("old", "größte").encode("latin-1"))
    Path("site/shell.html").write_text("<html><script>x()</script>")
    Path("site/notes.txt").write_text("no page")


def test_one_page_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "site/mill.html"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("The old mill")
    assert "Privacy" not in text


def test_a_page_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(ARTICLE.encode())))
    assert main(["extract", "-", "--method", "articles"]) == 0
    assert "old mill" in capsys.readouterr().out


def test_several_pages_have_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "site"]) == 0
    shown = capsys.readouterr()
    assert [line for line in shown.out.splitlines() if line.startswith("==>")] == [
        "==> mill.html <==",
        "==> news/mill.HTM <==",
        "==> shell.html <==",
    ]
    assert "größte mill" in shown.out
    assert "no main text in shell.html" in shown.err


def test_lines_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "site", "--format", "jsonl"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert records[0]["title"] == "The mill"
    assert records[0]["author"] == "A. Miller"
    assert [bool(record["text"]) for record in records] == [True, True, False]


def test_into_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "site", "site/mill.html", "--output", "texts", "--format", "markdown"]) == 0
    assert "4 pages" in capsys.readouterr().out
    assert sorted(path.relative_to("texts").as_posix() for path in Path("texts").rglob("*.md")) == [
        "mill-2.md",
        "mill.md",
        "news/mill.md",
        "shell.md",
    ]
    assert Path("texts/mill.md").read_text().startswith("The old mill")
    assert main(["extract", "site", "--output", "lines", "--format", "jsonl"]) == 0
    assert len(Path("lines/pages.jsonl").read_text().splitlines()) == 3


def test_explain_shows_every_block(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", "site/mill.html", "--explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mill.html: 9 blocks, ")
    kept = [line for line in lines if " kept " in line]
    assert kept
    assert all("old mill" in line or "How it works" in line or "The mill" in line for line in kept)
    assert any("footer > p" in line and "Copyright" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.html"], "There is no such file or folder"),
        (["https://example.org/"], "textmill crawl"),
        (["site", "--url", "https://example.org/"], "3 pages"),
        (["site/mill.html", "--links"], "--format markdown --links"),
        (["site/mill.html", "--explain", "--method", "bulk"], "has no probabilities"),
        (["site/mill.html", "--method", "mian"], "did you mean main?"),
        (["empty"], "There is no page in this folder"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["extract", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_page_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("site/long.html").write_bytes(b"<p>" + b"a" * 33_600_000)
    assert main(["extract", "site/long.html", "site/shell.html"]) == 1
    assert "long.html: the page has 33,600,003 bytes, more than 33,554,432" in capsys.readouterr().err
