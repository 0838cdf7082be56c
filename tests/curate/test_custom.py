"""The filter ``custom``: functions of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from textmill.curate import Custom
from textmill.documents import Batch
from textmill.errors import UserError
from textmill.steps import StepContext

SOURCE = """
import numpy
def short(text): return len(text) < 5
def length(text): return len(text)
def several(text): return {"length": len(text), "spaces": text.count(" "), "extra": "ignored"}
def lengths(texts): return [len(text) for text in texts]
def array(texts): return numpy.array([len(text) < 5 for text in texts])
def too_few(texts): return [True]
def nothing(text): pass
def fails(text): return text[3] == "x"
not_a_function = 5
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in the current folder, under a name that no other test has imported."""
    name = f"custom_rules_{abs(hash(tmp_path)) % 10**9}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


TEXTS = ["abc", "a longer one", ""]


def verdicts(settings: Custom) -> list[list[bool]]:
    scores = settings.open(StepContext()).scores(Batch.from_texts(TEXTS))
    return [rule.keeps(scores[rule.score]).tolist() for rule in settings.rules()]


@pytest.mark.parametrize(
    "function, options, expected",
    [
        ("short", {}, [[True, False, True]]),
        ("array", {"unit": "batch"}, [[True, False, True]]),
        ("length", {"minimum": 1}, [[True, True, False]]),
        ("lengths", {"unit": "batch", "minimum": 1, "maximum": 5}, [[True, False, False]]),
        (
            "several",
            {"ranges": {"length": {"minimum": 1}, "spaces": {"maximum": 1}}},
            [[True, True, False], [True, False, True]],
        ),
    ],
)
def test_answers_of_every_kind(
    rules: str, function: str, options: dict[str, object], expected: list[list[bool]]
) -> None:
    assert verdicts(Custom(function=f"{rules}:{function}", **options)) == expected
    assert verdicts(Custom(function=f"{rules}.py:{function}", **options)) == expected


@pytest.mark.parametrize(
    "function, options, message",
    [
        ("nothing", {}, "returned None, expected True or False"),
        ("length", {}, "returned int 3, expected True or False"),
        ("nothing", {"minimum": 1}, "returned None, expected a number"),
        ("length", {"ranges": {"a": {"minimum": 1}}}, "expected a dict with a"),
        ("too_few", {"unit": "batch"}, "returned 1 answers for 3 texts"),
        ("short", {"unit": "batch"}, "returned bool True, expected a list"),
    ],
)
def test_wrong_answers_are_told(rules: str, function: str, options: dict[str, object], message: str) -> None:
    runner = Custom(function=f"{rules}:{function}", **options).open(StepContext())
    with pytest.raises(TypeError, match=message):
        runner.scores(Batch.from_texts(TEXTS))


def test_what_the_function_raises_comes_through(rules: str) -> None:
    runner = Custom(function=f"{rules}:fails").open(StepContext())
    with pytest.raises(IndexError):
        runner.scores(Batch.from_texts(TEXTS))
    assert runner.scores(Batch.from_texts(["a longer one"]))["keep"].tolist() == [0.0]  # type: ignore[union-attr]


def test_missing_functions_are_user_errors(rules: str, tmp_path: Path) -> None:
    for function, message in (
        (f"{rules}:absent", "found:    .*short"),
        (f"{rules}:not_a_function", "no function 'not_a_function'"),
        ("no.such.module:f", "no module 'no.such.module'"),
        ("absent.py:f", "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            Custom(function=function).open(StepContext())
    (tmp_path / "broken_at_import.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match="ZeroDivisionError"):
        Custom(function="broken_at_import.py:f").open(StepContext())
    with pytest.raises(UserError, match="no module"):
        Custom(function="no.such.module:f").fingerprint()


def test_the_source_is_part_of_the_fingerprint(rules: str, tmp_path: Path) -> None:
    settings = Custom(function=f"{rules}:short")
    before = settings.fingerprint()
    assert rules not in sys.modules
    assert settings.fingerprint() == before
    (tmp_path / f"{rules}.py").write_text(SOURCE.replace("< 5", "< 6"))
    assert settings.fingerprint() != before


def test_settings_are_checked() -> None:
    for options in (
        {"function": "no_colon"},
        {"function": "m:f", "minimum": 1, "ranges": {"a": {}}},
        {"function": "m:f", "ranges": {"a": {"least": 1}}},
        {"function": "m:f", "unit": "line"},
    ):
        with pytest.raises(ValidationError):
            Custom(**options)  # type: ignore[arg-type]
