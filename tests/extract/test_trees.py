"""Padded trees against walking them by hand, and against LightGBM where it is installed."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.extract.trees import Trees

INFINITE = float("inf")


def by_hand(trees: Trees, row: list[float]) -> float:
    total = 0.0
    for columns, thresholds, leaves in zip(trees.columns, trees.thresholds, trees.leaves, strict=True):
        node = 0
        while node < len(columns):
            node = 2 * node + (1 if np.float32(row[columns[node]]) <= thresholds[node] else 2)
        total += float(leaves[node - len(columns)])
    return 1 / (1 + float(np.exp(-total)))


@given(st.data(), st.integers(1, 4), st.integers(0, 4), st.integers(0, 9))
def test_sums_of_leaves(data: st.DataObject, depth: int, count: int, height: int) -> None:
    inner = 2**depth - 1
    number = st.floats(-9, 9, width=32)
    table = st.lists(st.lists(number, min_size=3, max_size=3), min_size=height, max_size=height)
    rows = data.draw(table)
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    trees = Trees(
        draw.integers(0, 3, (count, inner)).astype(np.uint16),
        draw.choice(np.array([-1, 0, 1, INFINITE], np.float32), (count, inner)),
        draw.normal(size=(count, inner + 1)).astype(np.float32),
    )
    found = trees.probabilities(np.array(rows, np.float32).reshape(height, 3))
    assert found.tolist() == pytest.approx([by_hand(trees, row) for row in rows], abs=1e-6)


def test_rows_too_short_are_refused() -> None:
    trees = Trees(np.full((1, 1), 5, np.uint16), np.zeros((1, 1), np.float32), np.zeros((1, 2), np.float32))
    with pytest.raises(ValueError, match="rows have 3 features"):
        trees.probabilities(np.zeros((2, 3), np.float32))


@pytest.mark.skipif(importlib.util.find_spec("lightgbm") is None, reason="needs lightgbm")
def test_same_as_lightgbm() -> None:
    from benchmarks.extraction_trees import PARAMETERS, complete_trees, fit_trees

    draw = np.random.default_rng(3)
    rows = draw.normal(size=(3000, 8)).astype(np.float32)
    rows[:, 3] = np.rint(rows[:, 3])
    labels = 1 / (1 + np.exp(-rows[:, 0] * rows[:, 3] - (rows[:, 1] > 0.3)))
    booster = fit_trees(rows, labels, np.ones(3000, np.float32), PARAMETERS | {"trees": 20, "max_depth": 5})
    trees = complete_trees(booster, 5)
    assert trees.columns.shape == (20, 31)
    np.testing.assert_allclose(trees.probabilities(rows), booster.predict(rows), atol=2e-6)
    with pytest.raises(ValueError, match="deeper than 2"):
        complete_trees(booster, 2)
