"""MinHash against plain Python, and its estimates against theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle
from tests.text.test_shingles import mix

from textmill.text import (
    band_keys,
    choose_bands,
    estimated_similarity,
    hash_bytes,
    match_probability,
    shingle_hashes,
    signatures,
    text_signatures,
)
from textmill.text.minhash import EMPTY, hash_functions, mean_match_probability

hash_sets = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=13), max_size=5)


def signature(hashes: list[int], permutations: int, seed: int) -> list[int]:
    """The definition, function by function."""
    numbers = [mix((seed + step * 0x9E3779B97F4A7C15) % 2**64) for step in range(1, 2 * permutations + 1)]
    return [
        min([((a * (value >> 32) + b) % 2**64) >> 32 for value in hashes], default=EMPTY)
        for a, b in zip(numbers[::2], numbers[1::2], strict=True)
    ]


def as_arrays(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, sets)])
    return np.array([value for each in sets for value in each], np.uint64), offsets


@settings(max_examples=300, deadline=None)
@given(hash_sets, st.integers(1, 40), st.integers(0, 2**64 - 1))
@example([[]], 128, 1)
@example([[0], [2**64 - 1], [], [1, 1, 1, 1, 1]], 3, 0)
def test_equals_plain_python(sets: list[list[int]], permutations: int, seed: int) -> None:
    found = signatures(*as_arrays(sets), permutations=permutations, seed=seed)
    assert found.dtype == np.uint32
    assert found.tolist() == [signature(each, permutations, seed) for each in sets]


@settings(max_examples=200, deadline=None)
@given(hostile_documents(), st.integers(1, 7))
@example(["", "...", "one", "a b c d e"], 5)
def test_straight_from_the_text_it_is_the_same(texts: list[str], words: int) -> None:
    data, offsets = oracle.buffer(texts)
    sets = shingle_hashes(data, offsets, words)
    direct = text_signatures(data, offsets, 20, 7, words)
    assert direct.tolist() == signatures(sets.hashes, sets.offsets, 20, 7).tolist()


def test_long_documents_straight_from_the_text() -> None:
    texts = [
        " ".join(f"{chr(97 + n % 26)}{chr(97 + n * n % 25)}" for n in range(size))
        for size in (9000, 0, 2052, 3)
    ]
    data, offsets = oracle.buffer(texts)
    sets = shingle_hashes(data, offsets)
    assert (text_signatures(data, offsets) == signatures(sets.hashes, sets.offsets)).all()


def test_a_document_alone_has_the_signature_that_it_has_among_others() -> None:
    texts = ["", "a b c d e f g", "x", "東京都に行く"]
    together = text_signatures(*oracle.buffer(texts))
    for text, row in zip(texts, together, strict=True):
        assert (text_signatures(*oracle.buffer([text]))[0] == row).all()
    assert (together[0] == EMPTY).all()
    assert (together[1:] != EMPTY).any(axis=1).all()


def test_fewer_functions_are_the_first_of_more() -> None:
    few, many = hash_functions(16, 5), hash_functions(128, 5)
    assert all((short == long[:16]).all() for short, long in zip(few, many, strict=True))
    assert (hash_functions(16, 6)[0] != few[0]).all()


@pytest.mark.parametrize("similarity", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("size", [40, 1000])
def test_estimates_are_unbiased_and_as_narrow_as_independent_samples(similarity: float, size: int) -> None:
    """1,500 pairs: the mean within 5 standard errors, the variance within a tenth of s (1 - s) / 128.

    A family of hash functions that depend on each other would show in the variance.
    """
    generator = np.random.default_rng(int(similarity * 100) + size)
    pairs, union = 1500, size
    shared = round(similarity * union)
    alone = (union - shared) // 2
    exact = shared / (shared + 2 * alone)
    values = generator.integers(0, 2**64, (pairs, shared + 2 * alone), np.uint64)
    left, right = values[:, : shared + alone], np.delete(values, slice(shared, shared + alone), axis=1)
    offsets = np.arange(pairs + 1) * (shared + alone)
    found = estimated_similarity(
        signatures(np.ascontiguousarray(left).reshape(-1), offsets),
        signatures(np.ascontiguousarray(right).reshape(-1), offsets),
    )
    variance = exact * (1 - exact) / 128
    assert abs(found.mean() - exact) < 5 * np.sqrt(variance / pairs)
    assert 0.85 < found.var() / variance < 1.15


def test_band_keys_by_definition() -> None:
    found = signatures(*as_arrays([[1 << 40, 2 << 50, 3], [], [4 << 60]]), permutations=10)
    keys = band_keys(found, bands=3, rows=3)
    assert keys.shape == (3, 3, 16)
    assert keys.dtype == np.uint8
    for document, row in enumerate(found):
        for band in range(3):
            content = row[3 * band : 3 * band + 3].astype("<u4").tobytes()
            expected = b"".join(
                hash_bytes(content, seed).to_bytes(8, "little") for seed in (2 * band, 2 * band + 1)
            )
            assert keys[document, band].tobytes() == expected
    assert len({key.tobytes() for key in keys.reshape(-1, 16)}) == 9  # equal rows differ from band to band


@pytest.mark.parametrize("similarity", [0.6, 0.75, 0.85])
def test_pairs_share_a_band_as_often_as_the_curve_says(similarity: float) -> None:
    generator = np.random.default_rng(3)
    pairs, shared, alone = 2000, round(similarity * 200), round((1 - similarity) * 100)
    values = generator.integers(0, 2**64, (pairs, shared + 2 * alone), np.uint64)
    offsets = np.arange(pairs + 1) * (shared + alone)
    left = np.ascontiguousarray(values[:, : shared + alone]).reshape(-1)
    right = np.ascontiguousarray(np.delete(values, slice(shared, shared + alone), axis=1)).reshape(-1)
    keys = [band_keys(signatures(side, offsets), 16, 8) for side in (left, right)]
    met = (keys[0] == keys[1]).all(axis=2).any(axis=1).mean()
    expected = match_probability(similarity, 16, 8)
    assert abs(met - expected) < 5 * np.sqrt(expected * (1 - expected) / pairs)


def test_choosing_bands() -> None:
    assert match_probability(0.8, 14, 8) == pytest.approx(0.924, abs=5e-4)  # as FineWeb's paper has it
    assert match_probability(0.0, 14, 8) == 0
    assert match_probability(1.0, 14, 8) == 1
    for threshold in (0.3, 0.5, 0.7, 0.8, 0.9, 0.95):
        for permutations in (16, 64, 128, 256):
            bands, rows = choose_bands(threshold, permutations)
            assert bands == permutations // rows
            reached = mean_match_probability(threshold, 1, bands, rows)
            assert reached >= 0.99 or rows == 1
            more = rows + 1
            if more <= permutations:
                assert mean_match_probability(threshold, 1, permutations // more, more) < 0.99
    assert choose_bands(0.8, 128, recall=0.999)[1] < choose_bands(0.8, 128)[1]
    assert choose_bands(0.01, 1) == (1, 1)


def test_the_mean_of_the_curve_is_its_integral() -> None:
    """With one band of r rows the integral from 0 to 1 is 1 / (r + 1)."""
    assert mean_match_probability(0, 1, 1, 3, steps=2000) == pytest.approx(1 / 4, abs=1e-6)
    assert mean_match_probability(0.5, 1, 1, 1) == pytest.approx(0.75)


def test_refuses() -> None:
    hashes, offsets = as_arrays([[1]])
    data, borders = oracle.buffer(["a"])
    with pytest.raises(ValueError, match="1 to 4096 places, found 0"):
        signatures(hashes, offsets, permutations=0)
    with pytest.raises(ValueError, match="seed"):
        text_signatures(data, borders, seed=-1)
    with pytest.raises(ValueError, match="1 to 256 words"):
        text_signatures(data, borders, words=0)
    with pytest.raises(ValueError, match="offsets must ascend"):
        signatures(hashes, np.array([0, 2]))
    with pytest.raises(ValueError, match="need 21 places, found 20"):
        band_keys(signatures(hashes, offsets, 20), 3, 7)
    for threshold, recall in ((0, 0.9), (1, 0.9), (0.8, 1)):
        with pytest.raises(ValueError, match="between 0 and 1"):
            choose_bands(threshold, 128, recall)
