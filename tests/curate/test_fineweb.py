"""FineWeb's rules: their order, their bounds, and what they find."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from tests.curate.verdicts import first_failures

from textmill.curate import FineWeb
from textmill.curate.language_profiles import SOURCE, language_profiles
from textmill.documents import Batch
from textmill.steps import StepContext

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


CHINESE = (
    "他在城里住了很多年,对那里的街道都很熟悉。\n天黑以后,灯光照在水面上。\n\n老人坐在门前说着过去的事情。"
)


def test_a_line_is_short_in_relation_to_its_language() -> None:
    assert first_failures(FineWeb(), [CHINESE]) == ["short_lines"]
    assert first_failures(FineWeb(language="en"), [CHINESE]) == ["short_lines"]
    for language in ("zh", "zho_Hans", "auto"):
        assert first_failures(FineWeb(language=language), [CHINESE, PROSE])[0] is None
    scores = FineWeb(language="auto").open(StepContext()).scores(Batch.from_texts([CHINESE, PROSE, ""]))
    assert scores["language"] == ["zh", "en", "unknown"]
    assert round(30 * language_profiles()["zh"].text_length) == 8
    assert FineWeb(language="auto").rules() == FineWeb().rules()


def test_thai_has_no_full_stop() -> None:
    thai = "ทุกคนมีสิทธิในการดำรงชีวิต ในเสรีธรรม และในความปลอดภัยแห่งร่างกาย"
    assert first_failures(FineWeb(), [thai]) == ["punctuated_lines"]
    assert first_failures(FineWeb(language="auto"), [thai, PROSE.replace(".", " ")]) == [
        None,
        "punctuated_lines",
    ]


def test_english_is_the_measure() -> None:
    batch = Batch.from_texts(
        [PROSE, CHINESE, "", "\n\n", "a\n" * 3 + PROSE, "\r\n \n" + "x" * 30 + "\n" + "x" * 31]
    )
    plain = FineWeb().open(StepContext()).scores(batch)
    for settings in (FineWeb(language="en"), FineWeb(language="eng_Latn")):
        for name, values in settings.open(StepContext()).scores(batch).items():
            assert np.array_equal(values, plain[name])


def test_languages_are_checked() -> None:
    with pytest.raises(ValidationError, match="nothing is known about the language 'xx'"):
        FineWeb(language="xx")
    assert FineWeb().files() == []
    assert FineWeb(language="zh").files() == [str(SOURCE)]
    assert len(FineWeb(language="auto").files()) == 2
