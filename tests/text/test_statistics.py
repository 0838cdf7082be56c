"""Gopher's quality numbers against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import quality_statistics, segment_words, split_lines
from textmill.text.statistics import STATISTICS

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with", "a", "é", "你", "l’été", "x" * 70)


def statistics(texts: list[str], stop_words: tuple[str, ...] = STOP_WORDS) -> dict[str, np.ndarray]:
    data, offsets = oracle.buffer(texts)
    return quality_statistics(
        data, offsets, segment_words(data, offsets), split_lines(data, offsets), stop_words
    )


def test_by_hand() -> None:
    found = statistics(["- The cat, the hat...\n\n#1 of… the\n"])
    assert {name: float(values[0]) for name, values in found.items()} == {
        "words": 7,
        "tokens": 14,
        "mean_word_length": pytest.approx(18 / 7),
        "hash_ratio": pytest.approx(1 / 14),
        "ellipsis_ratio": pytest.approx(2 / 14),
        "bullet_lines_ratio": pytest.approx(1 / 3),
        "ellipsis_lines_ratio": pytest.approx(1 / 3),
        "alphabetic_words_ratio": pytest.approx(6 / 14),
        "stop_words": 2,
        "characters": 34,
        "letters": 17,
        "white_space": 9,
        "unspaced": 0,
        "lines": 3,
    }


@settings(max_examples=300, deadline=None)
@given(hostile_documents())
@example(["....", "..", ".", "......", ".…."])
@example(["x" * 70, "x" * 71, "the the", "The"])
@example([])
@example(["", "", "a"])
def test_equals_plain_python(texts: list[str]) -> None:
    found = statistics(texts)
    assert tuple(found) == STATISTICS
    assert all(values.dtype == np.float64 and values.shape == (len(texts),) for values in found.values())
    for document, text in enumerate(texts):
        assert {name: float(values[document]) for name, values in found.items()} == oracle.quality(
            text, STOP_WORDS
        )


@pytest.mark.parametrize("stop_words", [(), ("",), ("the", "the")])
def test_stop_word_lists_at_the_edge(stop_words: tuple[str, ...]) -> None:
    assert statistics(["the cat"], stop_words)["stop_words"][0] == len(set(stop_words) - {""})


def test_many_stop_words() -> None:
    stop_words = tuple(f"word{number}" for number in range(5000))
    assert statistics([" ".join(stop_words), "word4999 word5000"], stop_words)["stop_words"].tolist() == [
        5000,
        1,
    ]


def test_refuses_the_analysis_of_another_batch() -> None:
    data, offsets = oracle.buffer(["a", "b"])
    words, lines = segment_words(data, offsets), split_lines(data, offsets)
    with pytest.raises(ValueError, match="2 documents analysed, 1 given"):
        quality_statistics(data, offsets[:2], words, lines, STOP_WORDS)
