"""Numbers and texts as a page shows them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.report.numerals import beside, duration, number, percent, short, size, visible, whole


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (7, "7"), (999, "999"), (1000, "1k"), (1234, "1.23k"), (48_213, "48.2k"), (999_499, "999k"),
        (999_999, "1M"), (7_285_120, "7.29M"), (10**9, "1B"), (312_000_001, "312M"), (4 * 10**12, "4T"),
        (-1500, "−1.5k"), (None, "–"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_short(value, text):
    assert short(value) == text


@given(st.integers(0, 10**15))
def test_short_is_near_the_number(value):
    text = short(value)
    factor = {"k": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1], 1)
    assert float(text.rstrip("kMBT")) * factor == pytest.approx(value, rel=0.006)


@given(st.integers(0, 10**12), st.integers(1, 10**12))
def test_percent_never_says_none_or_all_of_some(part, total):
    part = min(part, total)
    text = percent(part, total)
    assert (text == "0%") == (part == 0)
    assert (text == "100%") == (part == total)


def test_percent_of_nothing():
    assert percent(0, 0) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (50.0, "50"), (0.2, "0.2"), (0.123456, "0.1235"), (100_000.0, "100,000"), (1234.5, "1,234.5"), (-0.5, "−0.5"),
        (math.inf, "∞"), (-math.inf, "−∞"), (math.nan, "–"), (None, "–"), (0.0, "0"), (1e-7, "1e−07"), (1e20, "1e+20"),
    ],
)  # fmt: skip
def test_number(value, text):
    assert number(value) == text


def test_a_value_shows_that_it_broke_its_threshold():
    assert beside(0.15002, 0.15) == "0.15002"
    assert beside(23.0, 50.0) == "23"
    assert beside(50.0, 50.0) == "50"
    assert beside(None, 1.0) == "–"


def test_whole_size_and_duration():
    assert whole(1_234_567) == "1,234,567"
    assert whole(None) == "–"
    assert [size(n) for n in (0, 999, 1500, 12_300_000, 2 * 10**9)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "12.3 MB",
        "2.0 GB",
    ]
    assert [duration(s) for s in (0.04, 59.96, 131, 7500)] == [
        "0.0 s",
        "1 min 0 s",
        "2 min 11 s",
        "2 h 5 min",
    ]


@given(st.text(alphabet=st.characters(codec=None)))
def test_visible_hides_nothing(text):
    shown = visible(text)
    shown.encode()
    for character in shown:
        code = ord(character)
        assert code >= 0x20 or character in "\t\n"
        assert not 0x7F <= code <= 0x9F
        assert not 0x202A <= code <= 0x202E
        assert not 0x2066 <= code <= 0x2069
        assert code & 0xFFFE != 0xFFFE
    assert visible(shown) == shown


def test_visible_keeps_what_people_write():
    kept = "Grüße, 你好 مرحبا\tcode\n👩‍👩‍👧 e\u0301 — “quotes” <b>&amp;"
    assert visible(kept) == kept
    assert visible("a\r\nb\rc") == "a\nb\nc"
    assert visible("x\u202ey") == "x[U+202E]y"
