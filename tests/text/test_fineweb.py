"""FineWeb's line numbers against plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import segment_words, split_lines
from textmill.text.fineweb import STATISTICS, line_statistics


def statistics(texts: list[str], short_line: int = 30) -> dict[str, np.ndarray]:
    data, offsets = oracle.buffer(texts)
    return line_statistics(
        data, offsets, segment_words(data, offsets), split_lines(data, offsets), short_line
    )


def test_by_hand() -> None:
    found = statistics(["Menu\nMenu\n \nIt rained all day. \nYes。\n"], 4)
    assert {name: float(values[0]) for name, values in found.items()} == {
        "punctuated_lines": 1 / 4,
        "short_lines": 3 / 4,
        "duplicate_line_characters": pytest.approx(4 / 32),
        "newlines_per_word": 5 / 9,
    }


@settings(max_examples=300, deadline=None)
@given(hostile_documents(), st.integers(0, 40))
@example(["", " \n", "a", "a\r\na\r\n", "a\n\na\n", "…\n...\n。\n？"], 1)
@example([], 30)
def test_equals_plain_python(texts: list[str], short_line: int) -> None:
    found = statistics(texts, short_line)
    assert tuple(found) == STATISTICS
    assert all(values.dtype == np.float64 and values.shape == (len(texts),) for values in found.values())
    for document, text in enumerate(texts):
        assert {name: float(values[document]) for name, values in found.items()} == oracle.line_statistics(
            text, short_line
        )


def test_refuses_the_analysis_of_another_batch() -> None:
    data, offsets = oracle.buffer(["a", "b"])
    words, lines = segment_words(data, offsets), split_lines(data, offsets)
    with pytest.raises(ValueError, match="2 documents analysed, 1 given"):
        line_statistics(data, offsets[:2], words, lines)
