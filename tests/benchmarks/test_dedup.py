"""The graded copies, and the exhaustive comparison that runs are judged by."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from benchmarks.dedup_corpus import SHINGLE, edited, graded, pairs_path, write
from benchmarks.dedup_runs import Truth
from benchmarks.dedup_truth import plain_similarity, similar_pairs
from tests.text.test_shingles import shingles

VOCABULARY = [a + b + c for a, b, c in itertools.product("bcdfg", "aeiou", "lmnrstv")]


def pages(count: int, words: int = 300) -> list[tuple[str, str]]:
    chance = random.Random(count)
    # Every word twice in a hundred: no two pages share five in a row.
    return [(str(page), " ".join(chance.choices(VOCABULARY, k=words))) for page in range(count)]


def similarity(first: str, second: str) -> float:
    left, right = set(shingles(first, SHINGLE)), set(shingles(second, SHINGLE))
    return len(left & right) / len(left | right)


@pytest.mark.parametrize("way", ["words", "block", "cut", "surface"])
@pytest.mark.parametrize("aim", [0.5, 0.7, 0.85, 0.99])
def test_copies_are_as_similar_as_they_are_meant_to_be(way: str, aim: float) -> None:
    chance = random.Random(3)
    for _, text in pages(3, words=1500):
        copy = " ".join(edited(text.split(" "), way, aim, VOCABULARY, chance))
        assert similarity(text, copy) == pytest.approx(1.0 if way == "surface" else aim, abs=0.02)


def test_the_same_call_makes_the_same_corpus_and_names_its_pairs(tmp_path: Path) -> None:
    found = pages(300)
    whole = list(graded(found, 0.7))
    assert whole == list(graded(found, 0.7))
    texts = {name: text for name, text, _ in whole}
    assert len(texts) == len(whole) > 500  # several rounds, every id once
    pairs = [pair for *_, pair in whole if pair]
    assert pairs
    for pair in pairs:
        # One word of three hundred is worth 0.03.
        assert similarity(texts[pair.first], texts[pair.second]) == pytest.approx(pair.similarity, abs=0.04)
    # Rounds have nothing in common.
    assert similarity(texts["0-0"], texts["1-0"]) < 0.02
    documents, size = write(found, 0.7, tmp_path / "corpus.jsonl")
    assert (documents, size) == (len(whole), sum(len(text) for text in texts.values()))
    assert len(pairs_path(tmp_path / "corpus.jsonl").read_text().splitlines()) == len(pairs)


def test_the_exhaustive_comparison_finds_all_pairs() -> None:
    chance = random.Random(1)
    texts = [text for _, text in pages(6)]
    texts += [" ".join(edited(text.split(" "), "words", 0.6, VOCABULARY, chance)) for text in texts * 2]
    texts += ["", "one", "one", texts[0]]
    expected = {
        (one, two): plain_similarity(texts[one], texts[two])
        for one, two in itertools.combinations(range(len(texts)), 2)
        if texts[one] and texts[two] and plain_similarity(texts[one], texts[two]) >= 0.4
    }
    found = {(int(one), int(two)): value for one, two, value in zip(*similar_pairs(texts, 0.4), strict=True)}
    assert found == pytest.approx(expected)
    assert len(found) > 12


def test_what_counts_as_false_and_as_missed() -> None:
    chance = random.Random(2)
    one, other = (text for _, text in pages(2))
    near = " ".join(edited(one.split(" "), "cut", 0.9, VOCABULARY, chance))
    truth = Truth(["one", "near", "other"], [one, near, other])
    assert (truth.false({"one", "other"}), truth.missed({"one", "other"})) == (0, 0)
    assert (truth.false({"one"}), truth.missed({"one"})) == (1, 0)  # nothing like `other` is left
    assert (truth.false({"other"}), truth.missed({"other"})) == (2, 0)  # nor like these two
    assert truth.missed({"one", "near", "other"}) == 1
