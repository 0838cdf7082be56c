"""Keywords found against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents, hostile_text
from tests.text import oracle

from textmill.text import keywords as module
from textmill.text.keywords import build_automaton, count_keywords

SMALL = st.text(st.sampled_from("ab é你"), min_size=1, max_size=4)
WORDS = st.lists(SMALL | hostile_text(2).filter(bool), max_size=8, unique=True)
TEXTS = st.lists(st.text(st.sampled_from("ab é你.\u0301"), max_size=20), max_size=4) | hostile_documents()


def find(texts: list[str], keywords: list[str], whole_words: bool) -> list[tuple[int, int, int]]:
    data, offsets = oracle.buffer(texts)
    found = count_keywords(data, offsets[:-1], offsets[1:], build_automaton(keywords), whole_words)
    assert [numbers.dtype for numbers in found] == [np.int32, np.int64, np.int32]
    return list(zip(*(numbers.tolist() for numbers in found), strict=True))


def by_search(text: str, keywords: list[str], whole_words: bool) -> tuple[int, int, int]:
    matches = []
    for number, keyword in enumerate(keywords):
        at = text.find(keyword)
        while at >= 0:
            end = at + len(keyword)
            if not whole_words or not (
                (at and goes_on(text[at - 1], text[at]))
                or (end < len(text) and goes_on(text[end - 1], text[end]))
            ):
                matches.append((end, at, number))
            at = text.find(keyword, at + 1)
    first = min(matches)[2] if matches else -1
    return len({number for _, _, number in matches}), len(matches), first


def goes_on(one: str, other: str) -> bool:
    return not any(map(oracle.is_unspaced, (one, other))) and all(
        oracle.category(character)[0] in "LMN" for character in (one, other)
    )


def test_by_hand() -> None:
    assert find(["ushers"], ["he", "she", "hers"], False) == [(3, 3, 1)]
    assert find(["ushers", "he, she: hers"], ["he", "she", "hers"], True) == [(0, 0, -1), (3, 3, 0)]
    assert find(["c++ and C", "你好世界", "the .net"], ["c++", "世", ".net"], True) == [
        (1, 1, 0),
        (1, 1, 1),
        (1, 1, 2),
    ]


@settings(max_examples=300, deadline=None)
@given(TEXTS, WORDS, st.booleans())
@example(["aaaa", "", "b"], ["a", "aa", "aaa", "ba"], False)
@example(["e\u0301", "é"], ["e", "é"], True)
@example([], [], True)
def test_equals_plain_python(texts: list[str], keywords: list[str], whole_words: bool) -> None:
    assert find(texts, keywords, whole_words) == [by_search(text, keywords, whole_words) for text in texts]


def test_many_keywords() -> None:
    keywords = [f"word{number}" for number in range(20_000)]
    text = " ".join(keywords[::7])
    assert find([text], keywords, True) == [(len(keywords[::7]), len(keywords[::7]), 0)]


def test_refuses_what_it_cannot_look_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="empty"):
        build_automaton(["a", ""])
    with pytest.raises(ValueError, match="twice"):
        build_automaton(["a", "b", "a"])
    monkeypatch.setattr(module, "MEMORY_LIMIT", 100)
    with pytest.raises(ValueError, match="256 MiB"):
        build_automaton(["abcdef"])


def test_refuses_spans_outside_of_the_buffer() -> None:
    automaton = build_automaton(["a"])
    for starts, ends in (([0], [4]), ([2], [1]), ([-1], [1]), ([0, 1], [2])):
        with pytest.raises(ValueError):
            count_keywords(np.zeros(3, np.uint8), np.array(starts), np.array(ends), automaton)
