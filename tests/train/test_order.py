"""Data order: every sample once per epoch, from (seed, step) alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.train.order import permute, samples_of_step


def oracle_permute(place: int, size: int, seed: int, stream: int) -> int:
    """The same permutation in plain Python integers."""
    mask64 = (1 << 64) - 1

    def mix(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask64
        return x ^ (x >> 31)

    golden = 0x9E3779B97F4A7C15
    state = mix(seed & mask64) ^ mix((stream + golden) & mask64)
    keys = [mix((state + i * golden) & mask64) for i in range(1, 7)]
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    while True:
        left, right = place >> half, place & ((1 << half) - 1)
        for key in keys:
            left, right = right, left ^ (mix(right ^ key) & ((1 << half) - 1))
        place = (left << half) | right
        if place < size:
            return place


@settings(deadline=None)
@given(st.integers(1, 3_000), st.integers(0, 2**70), st.integers(0, 2**40))
def test_permutation_equals_its_oracle_and_is_one(size: int, seed: int, stream: int) -> None:
    found = permute(np.arange(size), size, seed, stream)
    assert sorted(found.tolist()) == list(range(size))
    some = range(0, size, max(1, size // 20))
    assert [int(found[i]) for i in some] == [oracle_permute(i, size, seed, stream) for i in some]


@settings(deadline=None, max_examples=40)  # it counts in Python, on a shared machine
@given(st.integers(1, 100), st.integers(1, 50), st.integers(0, 2**64))
def test_every_epoch_holds_every_sample_once(samples: int, batch_size: int, seed: int) -> None:
    epochs = 3
    steps = -(-epochs * samples // batch_size)
    order = np.concatenate([samples_of_step(seed, step, batch_size, samples) for step in range(steps)])
    for epoch in range(epochs):
        assert sorted(order[epoch * samples : (epoch + 1) * samples].tolist()) == list(range(samples))


def test_batch_size_cuts_the_same_order_elsewhere() -> None:
    small = np.concatenate([samples_of_step(3, step, 4, 1_000) for step in range(100)])
    large = np.concatenate([samples_of_step(3, step, 50, 1_000) for step in range(8)])
    assert np.array_equal(small, large)


GOLDEN = [
    [291, 865, 572, 886, 414, 28, 638, 707],
    [688, 695, 366, 487, 100, 978, 295, 581],
    [9961817, 48650194, 34992909, 27382476],
]


def test_order_never_changes() -> None:
    # Golden values: a resumed run of last year must see the samples it would have seen.
    assert samples_of_step(0, 0, 8, 1_000).tolist() == GOLDEN[0]
    assert samples_of_step(0, 125, 8, 1_000).tolist() == GOLDEN[1]
    assert samples_of_step(42, 10**9, 4, 78_643_200).tolist() == GOLDEN[2]


def test_epochs_and_seeds_look_independent() -> None:
    size = 4_096
    one, other, seeded = (permute(np.arange(size), size, *key) for key in ((0, 0), (0, 1), (1, 0)))
    for left, right in ((one, other), (one, seeded), (one, np.arange(size))):
        assert (left == right).sum() < 10  # one is expected by chance
        assert abs(np.corrcoef(left, right)[0, 1]) < 0.06  # 4 standard deviations
    # Neighbours do not stay near each other: the mean distance of a random order is a third of its size.
    assert np.abs(np.diff(one)).mean() == pytest.approx(size / 3, rel=0.05)
