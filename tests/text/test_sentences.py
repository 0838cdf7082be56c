"""Sentence counts against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_text
from tests.text import oracle

from textmill.text.sentences import ABBREVIATIONS, LONGEST_ABBREVIATION, count_sentences, terminals

MARKED = st.lists(
    st.sampled_from(
        (*"Aa1 .!?\"'()…。।؟$", "Mr", "St", "e.g.", "U.S.", "don't", "It", "é", "É", "你", "\u0301", "Sept")
    ),
    max_size=20,
).map("".join)


def count(texts: list[str]) -> list[int]:
    data, offsets = oracle.buffer(texts)
    return count_sentences(data, offsets[:-1], offsets[1:]).tolist()


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("", 0),
        (" \t\u3000", 0),
        ("...", 1),
        ("One", 1),
        ("One.", 1),
        ("One. Two.", 2),
        ("“Why?” he asked.", 2),
        ("He paused... and went. Then came back!?", 2),
        ("Dr. Smith met J. Doe of the U.S. at 9 p.m. on Sept. 3.", 1),
        ("Pi is 3.14, see pi.py. Fine.", 2),
        ("I don't. You do.", 2),
        ("The end.Then more.", 2),
        ("She took a Ph.D. in Bonn. He did not.", 2),
        ("IT IS TRUE. IT IS.", 2),
        ("In 1999. Then", 2),
        ("什么？是的。好", 3),
        ("यह है। वह है।", 2),
        ("End. — ( 'quoted')", 2),
        ("End.) ... !", 1),
    ],
)
def test_by_hand(text: str, sentences: int) -> None:
    assert count([text]) == [sentences]
    assert oracle.sentences(text) == sentences


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(MARKED, hostile_text(25)), max_size=6))
@example(["", ".", "a.", "A.", "AB.", "aB.", "é.", ".a", "a.A", "xSt. b", "St. b", "(a. b", "'t. b"])
def test_equals_plain_python(texts: list[str]) -> None:
    assert count(texts) == [oracle.sentences(text) for text in texts]


def test_marks_are_those_of_unicode() -> None:
    pattern = regex.compile(r"\p{Sentence_Terminal}")
    assert terminals().tolist() == [
        point for point in range(128, 0x110000) if pattern.match(chr(point)) is not None
    ]


def test_abbreviations_fit_into_a_number() -> None:
    assert all(
        word.isascii() and word.isalpha() and len(word) <= LONGEST_ABBREVIATION for word in ABBREVIATIONS
    )
    assert len(set(ABBREVIATIONS)) == len(ABBREVIATIONS)


def test_refuses_spans_outside_of_the_buffer() -> None:
    data = np.zeros(3, np.uint8)
    for starts, ends in (([0], [4]), ([2], [1]), ([-1], [1]), ([0, 1], [2])):
        with pytest.raises(ValueError):
            count_sentences(data, np.array(starts), np.array(ends))
