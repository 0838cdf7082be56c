"""Keywords: which documents and which lines stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.curate.verdicts import first_failures

import textmill
from textmill.curate import KeywordLines, Keywords
from textmill.documents import Batch
from textmill.errors import UserError
from textmill.steps import StepContext

TEXTS = ["A firewall and a Botnet.", "botnets only", "nothing", "ÉCOLE, Botnet\r\nno\nfirewall", ""]


def kept(**options: Any) -> list[bool]:
    return [verdict is None for verdict in first_failures(Keywords(**options), TEXTS)]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"words": ["botnet", "firewall"]}, [1, 0, 0, 1, 0]),
        ({"words": "botnet"}, [1, 0, 0, 1, 0]),
        ({"words": ["botnet", "Botnet"], "require": "all"}, [1, 0, 0, 1, 0]),
        ({"words": ["botnet"], "ignore_case": False}, [0, 0, 0, 0, 0]),
        ({"words": ["botnet"], "whole_words": False}, [1, 1, 0, 1, 0]),
        ({"words": ["botnet", "firewall", "école"], "require": "all"}, [0, 0, 0, 1, 0]),
        ({"words": ["botnet", "firewall", "école"], "require": 2}, [1, 0, 0, 1, 0]),
        ({"words": ["botnet", "firewall"], "require": "none"}, [0, 1, 1, 0, 1]),
        ({"words": [r"bot\w+", "^n"], "kind": "patterns"}, [1, 1, 1, 1, 0]),
        ({"words": [r"bot\w+s", "NOTH"], "kind": "patterns", "ignore_case": False}, [0, 1, 0, 0, 0]),
        ({"words": [r"\bbotnet\b", "wall"], "kind": "patterns", "require": "all"}, [1, 0, 0, 1, 0]),
        ({"words": ["botnet"], "kind": "patterns", "require": "none"}, [0, 0, 1, 0, 1]),
    ],
)
def test_documents(options: dict[str, Any], expected: list[int]) -> None:
    assert kept(**options) == list(map(bool, expected))


def test_scores_name_the_first_keyword() -> None:
    settings = Keywords(words=["Firewall", "botnet", "absent"])
    scores = settings.open(StepContext()).scores(Batch.from_texts([*TEXTS, "botnet botnet"]))
    assert list(scores["first"]) == ["firewall", "", "", "botnet", "", "botnet"]
    assert list(scores["different"]) == [2, 0, 0, 2, 0, 1]
    assert list(scores["missing"]) == [1, 3, 3, 1, 3, 2]
    assert list(scores["matches"]) == [2, 0, 0, 2, 0, 2]


def test_a_file_of_keywords(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("\ufefffirewall\r\n\n  \nbotnet\n", "utf-8")
    settings = Keywords(file=str(file), require="all")
    assert first_failures(settings, TEXTS) == [None, "missing", "missing", None, "missing"]
    before = settings.fingerprint()
    file.write_text("firewall\n")
    assert settings.fingerprint() != before
    file.write_text("\n \n")
    with pytest.raises(UserError, match="no keyword"):
        settings.open(StepContext())
    absent = Keywords(file=str(tmp_path / "absent.txt"))
    for attempt in (absent.fingerprint, lambda: absent.open(StepContext())):
        with pytest.raises(UserError, match=r"keywords\.file does not exist"):
            attempt()
    file.write_bytes(b"\xff")
    with pytest.raises(UserError, match="cannot be read"):
        settings.open(StepContext())


@pytest.mark.parametrize("kind", ["words", "patterns"])
def test_lines(kind: str) -> None:
    settings = KeywordLines(words=["botnet", "firewall"], kind=kind)  # type: ignore[arg-type]
    batch = Batch.from_texts(["x", *TEXTS]).slice(1, len(TEXTS))
    edit = settings.open(StepContext()).transform(batch)
    expected = [TEXTS[0], TEXTS[1] if kind == "patterns" else "", "", "ÉCOLE, Botnet\nfirewall", ""]
    assert edit.texts.to_pylist() == expected
    assert edit.counts["lines"].tolist() == [0, int(kind == "words"), 1, 1, 0]


def test_lines_that_hold_none() -> None:
    edit = (
        KeywordLines(words=["botnet"], require="none").open(StepContext()).transform(Batch.from_texts(TEXTS))
    )
    assert edit.texts.to_pylist() == ["", "botnets only", "nothing", "no\nfirewall", ""]


def test_letters_that_change_their_length() -> None:
    # İ is two bytes and its small letter three (or one); ẞ three, ß two.
    texts = ["İİİİ\nSTRAẞE\nx", "K"]
    edit = KeywordLines(words=["straße", "k"]).open(StepContext()).transform(Batch.from_texts(texts))
    assert edit.texts.to_pylist() == ["STRAẞE", "K"]


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="no keywords"):
        Keywords()
    with pytest.raises(ValidationError, match="no keywords"):
        KeywordLines(words=[" "])
    with pytest.raises(ValidationError, match="1 or more"):
        Keywords(words=["a"], require=0)
    with pytest.raises(ValidationError, match="unit is document or line, found 'word'"):
        Keywords.model_validate({"words": ["a"], "unit": "word"})
    assert Keywords.variant({"unit": "line"}) is KeywordLines
    assert KeywordLines.model_validate({"words": ["a"], "unit": "line"}).words == ["a"]
    assert Keywords.model_validate({"words": ["a"], "unit": "document"}).words == ["a"]
    with pytest.raises(UserError, match="no regular expression"):
        Keywords(words=["(a"], kind="patterns").open(StepContext())


@pytest.mark.parametrize(
    "unit, kept",
    [("document", ["An apple.\nA stone."]), ("line", ["An apple.", ""])],
    ids=["document", "line"],
)
def test_a_keyword_file_from_a_recipe(tmp_path: Path, unit: str, kept: list[str]) -> None:
    """Row A3 of the course's crawler: whatever holds a keyword of a file, in any case."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.txt").write_text("An apple.\nA stone.")
    (tmp_path / "in/b.txt").write_text("Nothing of the kind.")
    (tmp_path / "words.txt").write_text("APPLE\npear\n")
    (tmp_path / "recipe.yaml").write_text(
        f"name: course\nsources: [{{files: {{paths: {tmp_path / 'in'}}}}}]\n"
        f"curate: [{{keywords: {{file: {tmp_path / 'words.txt'}, unit: {unit}}}}}]\nrun: {{engine: inline}}\n"
    )
    run = textmill.run(tmp_path / "recipe.yaml", tmp_path / "run")
    texts = [text for (text,) in run.documents.select("text").fetchall()]
    assert sorted(texts, reverse=True) == kept
