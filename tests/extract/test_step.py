"""The step `extract`: pages become their main text, other documents pass, bad pages fail alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import textmill
from textmill.curate import STEPS
from textmill.documents import Batch, Document
from textmill.errors import UserError
from textmill.extract import methods
from textmill.extract.pages import is_page
from textmill.extract.step import Extract
from textmill.steps import StepContext

SENTENCE = (
    "The old mill by the river has turned for three hundred years, and its stones still grind the corn. "
)
ARTICLE = (
    "<!doctype html><html lang=en><head><title>The mill</title><meta name=author content='A. Miller'></head><body>"
    "<nav><ul><li><a href=/>Home</a><li><a href=/about>About us</a><li><a href=/news>News</a></ul></nav>"
    f"<article><h1>The mill</h1><p>{SENTENCE * 3}</p><h2>How it works</h2><p>{SENTENCE * 2}</p></article>"
    "<footer><p>Copyright 2024</p><a href=/privacy>Privacy</a></footer></body></html>"
)


def run(
    documents: list[Document], **settings: Any
) -> tuple[list[str], list[dict[str, Any]], dict[str, list[int]]]:
    runner = Extract(**settings).open(StepContext())
    edit = runner.transform(Batch.from_documents("test", documents))
    assert edit.metadata is not None
    return (
        edit.texts.to_pylist(),
        [json.loads(stored or "{}") for stored in edit.metadata.to_pylist()],
        {name: values.tolist() for name, values in edit.counts.items()},
    )


def page(content: str, locator: str = "a", **metadata: str) -> Document:
    return Document(locator, content, "https://example.org/mill", json.dumps(metadata) if metadata else None)


def test_the_main_text_and_what_the_page_states() -> None:
    texts, metadata, counts = run([page(ARTICLE, media_type="text/html", language="fr")])
    assert "old mill by the river" in texts[0]
    assert "Privacy" not in texts[0]
    assert "<" not in texts[0]
    assert metadata[0] == {
        "title": "The mill",
        "author": "A. Miller",
        "language": "fr",  # what is known already stays
        "media_type": "text/html",
        "extracted": "main",
    }
    assert counts == {"extracted": [1], "no_text": [0]}


def test_what_is_no_page_passes() -> None:
    plain = [
        page("Just text, 1 < 2.", "a"),
        page("<p>This is an example of HTML.</p>", "b", media_type="text/plain"),
        page(ARTICLE, "c", content_type="text/x-example"),
        page(ARTICLE, "d", extracted="main"),
    ]
    texts, metadata, counts = run(plain)
    assert texts == [document.text for document in plain]
    assert metadata == [json.loads(document.metadata or "{}") for document in plain]
    assert counts == {"extracted": [0] * 4, "no_text": [0] * 4}
    texts, _, counts = run(plain, pages="all")
    assert counts["extracted"] == [1] * 4


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", False),
        ("<!DOCTYPE html>", True),
        ("\ufeff\n <HTML lang=en>", True),
        ("<!-- saved --> <!-- a - b --><html>", True),
        ('<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">', True),
        ('<?xml version="1.0"?><rss><channel>', False),
        ("<body>x", True),
        ("<div class=x><p>text</p></div>", True),
        ("<p> is a tag", False),
        ("<stdio.h> is a header", False),
        ("<svg></svg>", False),
        ("text <html>", False),
        ("<!--" + "-" * 5000, False),
    ],
)
def test_what_a_page_begins_with(text: str, answer: bool) -> None:
    assert is_page(text[:2048], {}) is answer


def test_what_is_hidden_is_judged_or_left_out() -> None:
    inside = ARTICLE.replace("<article>", "<article style='display:none'>")
    assert "old mill" in run([page(inside)])[0][0]
    assert run([page(inside)], hidden=False)[0] == [""]


def test_a_page_without_text_is_counted() -> None:
    texts, _, counts = run([page("<html><body><script>x</script></body></html>"), page("<html>", "b")])
    assert texts == ["", ""]
    assert counts["no_text"] == [1, 1]


def test_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "kept_blocks", lambda page, *_: methods.shown(page))
    (markdown,), _, _ = run([page(ARTICLE)], format="markdown", links=True)
    assert markdown.startswith("- [Home](https://example.org/)\n- [About us](https://example.org/about)\n")
    assert "\n\n## How it works\n\nThe old mill" in markdown
    monkeypatch.undo()
    (_,), (metadata,), _ = run([page(ARTICLE)], metadata=False)
    assert metadata == {"extracted": "main"}


@pytest.mark.parametrize("method", ["articles", "bulk", "trafilatura", "union"])
def test_methods(method: str) -> None:
    if method != "articles":
        pytest.importorskip("trafilatura" if method != "bulk" else "resiliparse")
    (text,), (metadata,), _ = run([page(ARTICLE)], method=method)
    assert "old mill by the river" in text
    assert metadata["extracted"] == method


@pytest.mark.parametrize(("method", "module"), [("bulk", "resiliparse"), ("trafilatura", "trafilatura")])
def test_a_missing_library_is_told(method: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith(module + ".")]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"(?s){method} needs {module}.*textmill\[extract\]"):
        Extract(method=method).open(StepContext())


def test_batches_do_not_matter() -> None:
    documents = [page(ARTICLE.replace("old", word), word) for word in ("old", "new", "red")]
    alone = [run([document])[0][0] for document in documents]
    assert run(documents)[0] == alone


def test_a_run_accounts_for_every_page(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "good.html").write_text(ARTICLE)
    (folder / "long.html").write_text("<html>" + "<p>word " * 20_000)
    (folder / "many.html").write_text("<html>" + "<b>" * 5000)
    (folder / "shell.html").write_text("<html><div id=app></div><script>run()</script>")
    (folder / "plain.txt").write_text("Some text that was never a page.")
    recipe = (
        f"name: pages\nsources:\n  - files: {{paths: ['{folder}/*'], format: text}}\n"
        "curate:\n  - extract: {max_page_bytes: 100kB, max_nodes: 4000}\n"
    )
    done = textmill.run(recipe, tmp_path / "run", overrides=["run.engine=inline"])
    texts = dict(done.documents.project("locator, text").fetchall())
    assert {Path(locator).name: bool(text) for locator, text in texts.items()} == {
        "good.html": True,
        "shell.html": False,
        "plain.txt": True,
    }
    failed = done.ledger("events").filter("action = 'failed'").project("locator, detail").fetchall()
    assert sorted(failed) == [
        ("long.html", "PageTooLargeError: the page has 160,006 bytes, more than 100,000"),
        ("many.html", "PageTooLargeError: the page has more than 4,000 elements and texts"),
    ]


def test_it_is_a_step_of_recipes() -> None:
    assert STEPS["extract"] is Extract
