"""Rules and settings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from textmill.steps import ByteSize, Count, Rule
from textmill.steps.settings import Settings, StepSettings


@given(st.floats(width=32, allow_nan=False), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_the_threshold_itself_is_kept(score: float, bound: float) -> None:
    assert Rule("x", minimum=bound).keeps([score]).tolist() == [score >= bound]
    assert Rule("x", maximum=bound).keeps([score]).tolist() == [score <= bound]


def test_a_stored_score_decides_as_the_first_time() -> None:
    """0.2 is no float32: compared as float64, the stored score would break its own threshold."""
    stored = np.array([0.2], np.float32)
    assert float(stored[0]) > 0.2
    assert Rule("x", maximum=0.2).keeps(stored).tolist() == [True]


def test_nan_keeps_and_labels_are_allowed() -> None:
    assert Rule("x", 0, 1).keeps([float("nan"), -1, 2, 0.5]).tolist() == [True, False, False, True]
    assert Rule("x", allowed=("en", "de")).keeps(["en", "fr", "de"]).tolist() == [True, False, True]


def test_the_broken_bound_is_named() -> None:
    rule = Rule("x", minimum=1, maximum=5)
    assert (rule.threshold(0), rule.threshold(6), rule.threshold(3)) == (1, 5, None)
    assert rule.describe() == "x >= 1 and x <= 5"


class Sizes(BaseModel):
    count: Count = 0
    size: ByteSize = 0


@pytest.mark.parametrize(
    "written,number",
    [("2.5B", 2_500_000_000), ("1_000k", 1_000_000), ("7", 7), (9, 9), ("3T", 3 * 10**12), ("0.5M", 500_000)],
)
def test_counts(written: str | int, number: int) -> None:
    assert Sizes(count=written).count == number  # type: ignore[arg-type]


@pytest.mark.parametrize("written,number", [("128MiB", 128 * 2**20), ("2 GB", 2 * 10**9), ("5b", 5), (6, 6)])
def test_sizes(written: str | int, number: int) -> None:
    assert Sizes(size=written).size == number  # type: ignore[arg-type]


@pytest.mark.parametrize("written", ["many", "1.5", "-3", "1Q", "1.0000001k", "", "k"])
def test_what_is_no_count_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        Sizes(count=written)  # type: ignore[arg-type]


class WithFile(StepSettings):
    name = "with_file"
    path: str
    loud: bool = False

    def files(self) -> list[str]:
        return [self.path]

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        return ("loud",)


def test_the_fingerprint_covers_contents_and_version_but_not_cosmetics(
    tmp_path: pytest.TempPathFactory,
) -> None:
    path = tmp_path / "words.txt"  # type: ignore[operator]
    path.write_text("a")
    first = WithFile(path=str(path)).fingerprint()
    assert WithFile(path=str(path), loud=True).fingerprint() == first
    path.write_text("b")
    assert WithFile(path=str(path)).fingerprint() != first
    assert WithFile(path=str(path), id="x").step_id == "x"

    class Newer(WithFile):
        version = 2

    assert Newer(path=str(path)).fingerprint() != WithFile(path=str(path)).fingerprint()


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        Settings(nonsense=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        WithFile(path="x").path = "y"  # type: ignore[misc]
