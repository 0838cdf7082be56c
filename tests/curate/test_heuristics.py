"""Bounds on what can be counted."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError
from tests.curate.verdicts import first_failures

from textmill.curate import Heuristics
from textmill.documents import Batch
from textmill.steps import StepContext

PROSE = "The clocks of the town have struck, and people come with lamps of all kinds. "


def test_numbers_by_hand() -> None:
    text = "One two, two 3!\n\n— é"
    scores = Heuristics(min_words=1).open(StepContext()).scores(Batch.from_texts([text, ""]))
    assert {name: float(values[0]) for name, values in scores.items()} == {
        "characters": 20,
        "words": 5,
        "mean_word_length": 11 / 5,
        "distinct_words": 4 / 5,
        "letters": 10 / 20,
        "letters_and_spaces": 16 / 20,
        "lines": 3,
    }
    assert [float(values[1]) for values in scores.values()] == [0.0] * 7


@pytest.mark.parametrize(
    "bounds, text, rule",
    [
        ({"min_words": 50, "max_words": 10_000}, PROSE * 4, None),
        ({"min_words": 50, "max_words": 10_000}, PROSE, "words"),
        ({"min_words": 50, "max_words": 10_000}, PROSE * 1000, "words"),
        ({"min_mean_word_length": 3}, "a b c", "mean_word_length"),
        ({"max_mean_word_length": 10}, "incomprehensibilities", "mean_word_length"),
        ({"min_letters": 0.7}, PROSE, None),
        ({"min_letters": 0.7}, "1918 2024 years", "letters"),
        ({"min_characters": 10}, "too short", "characters"),
        ({"min_characters": 9}, "too short", None),
        ({"max_characters": 8}, "too short", "characters"),
        ({"min_distinct_words": 0.3}, "ha " * 10 + "no", "distinct_words"),
        ({"min_distinct_words": 0.3}, "a b c d", None),
        ({"min_letters_and_spaces": 0.7}, "a b 12 34", "letters_and_spaces"),
        ({"min_letters_and_spaces": 0.5}, "a b 12 34", None),
        ({"min_lines": 2}, "one", "lines"),
        ({"max_lines": 2}, "one\n\nthree", "lines"),
        ({"min_words": 50, "min_mean_word_length": 3}, "四月间，天气寒冷晴朗，钟敲了十三下。", None),
    ],
)
def test_what_it_finds(bounds: dict[str, float], text: str, rule: str | None) -> None:
    assert first_failures(Heuristics(**bounds), [text]) == [rule]  # type: ignore[arg-type]


def test_scripts_without_spaces_are_not_judged_by_their_words() -> None:
    scores = Heuristics(min_words=1).open(StepContext()).scores(Batch.from_texts(["今日は雨です。"]))
    assert [name for name, values in scores.items() if math.isnan(values[0])] == [  # type: ignore[arg-type]
        "words",
        "mean_word_length",
        "distinct_words",
    ]


def test_only_what_is_set_is_a_rule() -> None:
    assert [rule.describe() for rule in Heuristics(min_words=3, min_letters=0.5).rules()] == [
        "words >= 3",
        "letters >= 0.5",
    ]
    with pytest.raises(ValidationError, match="no bound is set"):
        Heuristics()
    with pytest.raises(ValidationError, match="min_words is more than max_words"):
        Heuristics(min_words=5, max_words=4)
