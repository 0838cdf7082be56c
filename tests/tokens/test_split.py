from hypothesis import given
from hypothesis import strategies as st

from textmill.tokens.split import SplitRule


def test_fractions_come_out_as_asked() -> None:
    rule = SplitRule(seed=3, validation=0.1, test=0.25)
    found = [rule.of(i.to_bytes(16, "big")) for i in range(8000)]
    assert 0.08 < found.count("validation") / 8000 < 0.12
    assert 0.23 < found.count("test") / 8000 < 0.27


def test_the_seed_decides() -> None:
    roots = [i.to_bytes(16, "big") for i in range(200)]
    one, other = SplitRule(1, 0.5), SplitRule(-1, 0.5)
    assert [one.of(root) for root in roots] != [other.of(root) for root in roots]


def test_known_families_never_change_sides() -> None:
    # Fixed for good: models have been trained on one side and measured on the other.
    rule = SplitRule(seed=42, validation=0.3, test=0.3)
    assert [rule.of(bytes([i]) * 16) for i in range(8)] == [
        "test",
        "test",
        "train",
        "test",
        "train",
        "train",
        "test",
        "test",
    ]


@given(
    root=st.binary(min_size=16, max_size=16),
    seed=st.integers(-(2**63), 2**63),
    fractions=st.tuples(*[st.floats(0, 0.25)] * 4),
)
def test_more_held_out_only_takes_from_train(root: bytes, seed: int, fractions: tuple[float, ...]) -> None:
    validation, test, more_validation, more_test = fractions
    before = SplitRule(seed, validation, test).of(root)
    after = SplitRule(seed, validation + more_validation, test + more_test).of(root)
    assert after == before or before == "train"


@given(root=st.binary(min_size=16, max_size=16))
def test_no_fraction_means_no_document(root: bytes) -> None:
    assert SplitRule(0).of(root) == "train"
    assert SplitRule(0).names == ["train"]
