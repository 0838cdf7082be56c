"""Borders of sentences against plain Python and against their count."""

from __future__ import annotations

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_text
from tests.text import oracle
from tests.text.test_sentences import MARKED, count

from textmill.text.sentence_spans import find_sentences


def sentences(texts: list[str]) -> list[list[str]]:
    data, offsets = oracle.buffer(texts)
    starts, ends, owners = find_sentences(data, offsets[:-1], offsets[1:])
    return [
        [bytes(data[starts[n] : ends[n]]).decode() for n in range(owners[text], owners[text + 1])]
        for text in range(len(texts))
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        (" \n\u3000", []),
        ("Dr. Who came at 9 p.m. on foot. “Why?” he asked... No answer.",
         ["Dr. Who came at 9 p.m. on foot.", "“Why?”", "he asked... No answer."]),
        ("One!\n\nTwo?!  (Three.) four", ["One!", "Two?!", "(Three.)", "four"]),
        ("He left. “Yes,” she said.", ["He left.", "“Yes,” she said."]),
        ("雨です。「はい」と言った。雪", ["雨です。「", "はい」と言った。", "雪"]),
        ("! a", ["!", "a"]),
        ("a. ...", ["a. ..."]),
        ("no mark", ["no mark"]),
    ],
)  # fmt: skip
def test_by_hand(text: str, expected: list[str]) -> None:
    assert sentences([text]) == [expected]
    assert count([text]) == [len(expected)]


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(MARKED | hostile_text(), max_size=4))
@example(texts=["e.g. a. B.\u0301c"])
def test_each_sentence_begins_where_the_count_rises(texts: list[str]) -> None:
    found = sentences(texts)
    assert [len(one) for one in found] == count(texts)
    for text, parts in zip(texts, found, strict=True):
        # Nothing but white space is between sentences, and they keep the order of the text.
        assert _same(text, parts)
        at = 0
        for number, part in enumerate(parts):
            assert not regex.match(r"\p{White_Space}|.*\p{White_Space}$", part, regex.S)
            place = text.index(part, at)
            at = place + len(part)
            if number:
                # The letter, number or symbol that opens a sentence lies in it: before it the count is lower.
                assert count([text[:place]])[0] <= number
        assert count([text]) == [len(parts)]


def _same(text: str, parts: list[str]) -> bool:
    """Whether ``parts`` in order, with white space between them, are the text."""
    at = 0
    for part in parts:
        place = text.index(part, at)
        if regex.search(r"\P{White_Space}", text[at:place]):
            return False
        at = place + len(part)
    return not regex.search(r"\P{White_Space}", text[at:])


def test_spans_must_lie_in_the_buffer() -> None:
    data = np.frombuffer(b"a. b", np.uint8)
    for start, end in ((0, 5), (-1, 2), (3, 2)):
        with pytest.raises(ValueError, match="outside the buffer"):
            find_sentences(data, np.array([start]), np.array([end]))
    with pytest.raises(ValueError, match="1 starts but 2 ends"):
        find_sentences(data, np.array([0]), np.array([1, 2]))
