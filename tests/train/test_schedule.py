"""Learning-rate schedules."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.train.budget import warmup_steps
from textmill.train.schedule import Schedule, rate_factor

NAMES = st.sampled_from(["constant", "cosine", "linear", "wsd"])


@given(NAMES, st.integers(1, 300), st.integers(0, 400), st.floats(0.01, 1.0), st.floats(0, 0.9))
def test_rises_then_falls_and_never_reaches_zero(
    schedule: Schedule, steps: int, warmup: int, decay: float, floor: float
) -> None:
    rates = [
        rate_factor(step, steps, schedule=schedule, warmup=warmup, decay_fraction=decay, floor=floor)
        for step in range(steps)
    ]
    top = min(warmup, steps)
    assert all(0 < rate <= 1 + 1e-12 for rate in rates)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert all(rate >= floor for rate in rates[top:])


def test_cosine_is_half_way_down_in_the_middle() -> None:
    def at(step: int) -> float:
        return rate_factor(step, 100, schedule="cosine", warmup=20, floor=0.1)

    assert at(20) == 1
    assert at(60) == pytest.approx(0.1 + 0.9 * 0.5)
    assert at(99) == pytest.approx(0.1 + 0.9 * 0.5 * (1 - math.cos(math.pi / 80)))


def test_linear_and_wsd() -> None:
    assert rate_factor(55, 100, schedule="linear", warmup=10) == pytest.approx(0.5)
    assert rate_factor(59, 100, schedule="wsd", warmup=10, decay_fraction=0.4) == 1
    assert rate_factor(80, 100, schedule="wsd", warmup=10, decay_fraction=0.4) == pytest.approx(0.5)


def test_warmup_in_steps_or_as_a_share() -> None:
    assert warmup_steps(20, 1_000) == 20
    assert warmup_steps(0.03, 1_000) == 30
    assert warmup_steps(0, 1_000) == 0
