"""Mixtures: weights kept in every stretch, every window of a source once per epoch, a function of the step."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.tokens.mixture import BLOCK, Mixture, shares

WEIGHTS = st.lists(st.floats(0.01, 10), min_size=1, max_size=5)


@given(WEIGHTS, st.integers(5, 20_000))
def test_shares_are_whole_and_near(weights: list[float], total: int) -> None:
    found = shares(weights, total)
    exact = np.array(weights) / sum(weights) * total
    assert found.sum() == total
    assert (found >= 1).all()
    big = exact >= 1
    assert (np.abs(found - exact)[big] < 1 + (~big).sum() * 2).all()


@settings(deadline=None, max_examples=40)
@given(WEIGHTS, st.integers(1, 40), st.integers(0, 2**32), st.data())
def test_every_stretch_has_the_weights(
    weights: list[float], batch: int, seed: int, data: st.DataObject
) -> None:
    sizes = [data.draw(st.integers(1, 60)) for _ in weights]
    mixture = Mixture(sizes, weights, seed)
    chosen = [mixture.of_step(step, batch) for step in range(16)]
    sources = np.concatenate([source for source, _ in chosen])
    windows = np.concatenate([window for _, window in chosen])
    for source, size in enumerate(sizes):
        mine = windows[sources == source]
        wanted = mixture.counts[source] / BLOCK * len(sources)
        assert abs(len(mine) - wanted) <= 1.5
        for epoch in range(len(mine) // size):
            assert sorted(mine[epoch * size : (epoch + 1) * size].tolist()) == list(range(size))


def test_batch_size_cuts_the_same_order_elsewhere_also_across_blocks() -> None:
    mixture = Mixture([5_000, 90], [3, 1], seed=4)
    start = BLOCK - 64
    small = [mixture.of_step(step, 8) for step in range(start // 8, start // 8 + 16)]
    large = mixture.of_step(start // 128, 128)
    assert start % 128 == 64 or start % 128 == 0
    offset = start - start // 128 * 128
    joined = [np.concatenate([part[i] for part in small]) for i in (0, 1)]
    for part, whole in zip(joined, large, strict=True):
        assert np.array_equal(part[: 128 - offset], whole[offset:])


def test_sources_of_one_size_have_orders_of_their_own() -> None:
    mixture = Mixture([64, 64], [1, 1], seed=0)
    sources, windows = mixture.of_step(0, 128)
    assert not np.array_equal(windows[sources == 0], windows[sources == 1])
