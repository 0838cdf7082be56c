"""The best cut against trying every set of blocks."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.extract.decoding import kept_blocks

BLOCKS = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 30)), min_size=1, max_size=7)


def expected_f(keep: tuple[bool, ...], blocks: list[tuple[float, int]], beta: float) -> float:
    overlap = sum(p * n for kept, (p, n) in zip(keep, blocks, strict=True) if kept)
    size = sum(n for kept, (_, n) in zip(keep, blocks, strict=True) if kept)
    text = sum(p * n for p, n in blocks)
    return (1 + beta**2) * overlap / (size + beta**2 * text + 1e-9)


@given(BLOCKS, st.sampled_from([0.5, 1.0, 2.0]))
def test_no_set_is_better(eighths: list[tuple[int, int]], beta: float) -> None:
    blocks = [(eighth / 8, length) for eighth, length in eighths]
    keep = kept_blocks(
        np.array([p for p, _ in blocks], np.float32), np.array([n for _, n in blocks], np.float64), beta, 0.0
    )
    best = max(expected_f(choice, blocks, beta) for choice in product((False, True), repeat=len(blocks)))
    assert expected_f(tuple(keep.tolist()), blocks, beta) == pytest.approx(best)


def test_precision_drops_the_doubtful() -> None:
    probabilities = np.array([0.9, 0.45, 0.1], np.float32)
    lengths = np.array([100.0, 50.0, 50.0])
    assert kept_blocks(probabilities, lengths).tolist() == [True, True, False]
    assert kept_blocks(probabilities, lengths, beta=0.5).tolist() == [True, False, False]


def test_a_page_without_text_is_empty() -> None:
    lengths = np.array([30.0, 9.0])
    assert not kept_blocks(np.array([0.3, 0.1], np.float32), lengths).any()
    assert kept_blocks(np.array([0.4, 0.1], np.float32), lengths).tolist() == [True, False]
    assert kept_blocks(np.zeros(0, np.float32), np.zeros(0)).tolist() == []
