"""Stop words of many languages at once, against a plain count."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text.stop_words import NO_LIST, count_stop_words, stop_word_table
from textmill.text.words import segment_words

LISTS = [
    ["the", "of", "and", "of"],
    ["的", "和", "the"],
    [],
    ["a", "0", "é", ".", "#", "extraordinarily-long" * 4],
]


def plain(text: str, listed: list[str]) -> int:
    data, offsets = oracle.buffer([text])
    words = segment_words(data, offsets)
    content = data.tobytes()
    tokens = {content[a:b].decode() for a, b in zip(words.starts, words.ends, strict=True)}
    return len(tokens & set(listed))


@given(hostile_documents(), st.data())
@settings(max_examples=200, deadline=None)
def test_against_sets(texts: list[str], data: st.DataObject) -> None:
    which = [data.draw(st.integers(NO_LIST, len(LISTS) - 1)) for _ in texts]
    buffer, offsets = oracle.buffer(texts)
    counts = count_stop_words(
        buffer, segment_words(buffer, offsets), stop_word_table(LISTS), np.array(which, int)
    )
    assert counts.tolist() == [
        0 if number == NO_LIST else plain(text, LISTS[number])
        for text, number in zip(texts, which, strict=True)
    ]


def test_every_word_is_found_by_its_own_list_alone() -> None:
    lists = [[f"w{number}x{word}" for word in range(40)] for number in range(30)]
    texts = [" ".join(words) for words in lists]
    buffer, offsets = oracle.buffer(texts)
    words = segment_words(buffer, offsets)
    table = stop_word_table(lists)
    assert count_stop_words(buffer, words, table, np.arange(30)).tolist() == [40] * 30
    assert count_stop_words(buffer, words, table, (np.arange(30) + 1) % 30).tolist() == [0] * 30


def test_refuses_what_does_not_fit() -> None:
    buffer, offsets = oracle.buffer(["a", "b"])
    words = segment_words(buffer, offsets)
    for which in ([0], [0, len(LISTS)], [0, -2]):
        with pytest.raises(ValueError):
            count_stop_words(buffer, words, stop_word_table(LISTS), np.array(which))
    assert list(itertools.chain(stop_word_table([]).owners)) == []
