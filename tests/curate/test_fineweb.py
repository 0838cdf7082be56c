"""FineWeb's rules: their order, their bounds, and what they find."""

from __future__ import annotations

import pytest
from tests.curate.verdicts import first_failures

from textmill.curate import FineWeb

PROSE = "It rained all day, and so we stayed at home.\nNobody came, which was just as well for us."


def test_rules_in_the_reference_order() -> None:
    assert [rule.describe() for rule in FineWeb().rules()] == [
        "punctuated_lines >= 0.12",
        "short_lines <= 0.67",
        "duplicate_line_characters <= 0.01",
        "newlines_per_word <= 0.3",
    ]
    assert len(FineWeb(max_newlines_per_word=None).rules()) == 3


@pytest.mark.parametrize(
    "text, rule",
    [
        (PROSE, None),
        ("", "punctuated_lines"),
        ("\n \n", "punctuated_lines"),
        (PROSE.replace(".", " "), "punctuated_lines"),
        ("It rained.\nWe stayed.\nNobody came.", "short_lines"),
        (PROSE + "\n" + PROSE, "duplicate_line_characters"),
        (PROSE.replace("\n", "\n" * 15), "newlines_per_word"),
        ("你好世界，这是一个很长的句子，没有任何空格，也没有换行，超过了三十个字符的限制。", None),
    ],
)
def test_what_it_finds(text: str, rule: str | None) -> None:
    assert first_failures(FineWeb(), [text]) == [rule]


def test_what_a_short_line_is() -> None:
    assert first_failures(FineWeb(short_line=9), ["It rained.\nWe stayed.\nAll of us."]) == [None]
