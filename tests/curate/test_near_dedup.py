"""The global step ``near_dedup`` against its semantics, read out by brute force."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.curate.near_documents import (
    brute_force,
    deduplicate,
    edited,
    page,
    recipe,
    removals,
    vocabulary,
)

from textmill.curate import NearDedup
from textmill.curate.near_dedup_decide import MISSED, agreement, jaccard
from textmill.pipeline import plan_recipe
from textmill.workspace import verify, why

BASES = st.lists(st.lists(st.integers(0, 9), min_size=0, max_size=30), min_size=1, max_size=4)


@st.composite
def corpora(draw: st.DrawFn) -> dict[str, list[str]]:
    """Texts made of a few others by small edits: chains and clusters of every shape."""
    bases = draw(BASES)
    texts: list[list[int]] = []
    for _ in range(draw(st.integers(1, 14))):
        words = list(draw(st.sampled_from([*bases, *texts])))
        for _ in range(draw(st.integers(0, 3))):
            if words:
                words[draw(st.integers(0, len(words) - 1))] = draw(st.integers(0, 9))
        texts.append(words[: draw(st.integers(0, 30))] if draw(st.booleans()) else words)
    cut = draw(st.integers(0, len(texts) - 1))
    # The files source takes no empty text: a text without words has other characters.
    lines = [vocabulary(words) or "—" for words in texts]
    return {name: part for name, part in (("a", lines[cut:]), ("b", lines[:cut])) if part}


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=corpora(),
    threshold=st.sampled_from([0.3, 0.5, 0.8]),
    shape=st.sampled_from([(16, 1), (8, 2), (4, 4), (2, 8)]),
    words=st.integers(1, 3),
    keep=st.sampled_from(["first", "longest"]),
)
def test_equals_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    texts: dict[str, list[str]],
    threshold: float,
    shape: tuple[int, int],
    words: int,
    keep: str,
) -> None:
    folder = tmp_path_factory.mktemp("near")
    step = NearDedup(
        threshold=threshold, permutations=16, bands=shape[0], rows=shape[1], words=words, keep=keep
    )
    run = deduplicate(folder, texts, step)
    assert removals(run) == brute_force(run, texts, step)
    assert verify(run.workspace) == []


def test_graded_copies_equal_brute_force_and_none_is_missed(tmp_path: Path) -> None:
    chance = random.Random(5)
    pages = [page(number, 120) for number in range(40)]
    texts = {
        "a": pages[:20],
        "b": [edited(one, chance.uniform(0, 0.06), chance) for one in pages for _ in range(4)],
    }
    step = NearDedup(threshold=0.7)
    run = deduplicate(tmp_path, texts, step, shard_bytes=20_000)
    found = removals(run)
    assert found == brute_force(run, texts, step)
    assert len(found) > 40
    assert all(similarity >= 0.7 for *_, similarity in found.values())


def test_a_chain_does_not_cost_its_far_end(tmp_path: Path) -> None:
    words = [f"w{vocabulary([number])}" for number in range(400)]
    texts = [" ".join(words[start : start + 200]) for start in (0, 20, 40)]
    sources = {"a": [texts[0]], "b": [texts[1]], "c": [texts[2]]}
    found = removals(deduplicate(tmp_path, sources, NearDedup(bands=64, rows=2)))
    assert set(found) == {("b", 0)}
    assert found["b", 0] == ("a", 0, np.float32(176 / 216))


def test_all_equal_none_equal_one_and_none(tmp_path: Path) -> None:
    assert len(removals(deduplicate(tmp_path, {"a": [page(1)] * 50}, to="equal"))) == 49
    assert removals(deduplicate(tmp_path, {"a": [page(n) for n in range(50)]}, to="none")) == {}
    assert removals(deduplicate(tmp_path, {"a": [page(1)]}, to="one")) == {}
    wordless = ["—", "…", "!!!", "---", "—"]
    run = deduplicate(tmp_path, {"a": wordless}, to="wordless")
    assert removals(run) == {}
    assert run.documents.count("*").fetchall() == [(5,)]


def test_documents_of_one_word(tmp_path: Path) -> None:
    texts = {"a": ["alpha", "beta", "Alpha!", "gamma", "beta.", "alpha beta", "(ALPHA  beta)", "alpha"]}
    run = deduplicate(tmp_path, texts)
    found = removals(run)
    assert found == brute_force(run, texts, NearDedup())
    assert len(found) == 4
    assert {one[2] for one in found.values()} == {1.0}


def test_ten_thousand_near_copies_cost_a_comparison_each(tmp_path: Path) -> None:
    chance = random.Random(3)
    original = page(0, 150)
    copies = [edited(original, 0.01, chance) for _ in range(9_999)]
    run = deduplicate(tmp_path, {"a": [original], "b": copies}, shard_bytes="4MiB")
    found = removals(run)
    assert len(found) == 9_999
    assert {one[:2] for one in found.values()} == {("a", 0)}
    record = run.workspace.manifest.find("2-near_dedup")
    assert record is not None
    assert record.description["compared"] == 9_999
    assert record.description["left_out"] == 0
    assert record.description["largest_groups"][0]["removed"] == 9_999
    assert record.description["sources"] == {
        "a": {"documents": 1, "removed": 0},
        "b": {"documents": 9_999, "removed": 9_999},
    }
    cluster, source = record.description["warnings"]
    assert cluster.startswith("near_dedup drops 9,999 of 10,000 documents for the sake of one")
    assert source.startswith("near_dedup drops 9,999 of the 9,999 documents of b")


def test_a_cap_leaves_pairs_out_and_counts_them(tmp_path: Path) -> None:
    # Every pair shares all bands of one row that the common half gives, and none is similar enough.
    half = page(0, 60)
    texts = {"a": [f"{half} {page(number, 60)}" for number in range(1, 40)]}
    numbers = []
    for most in (1000, 3):
        step = NearDedup(threshold=0.9, permutations=32, bands=32, rows=1, most_compared=most)
        run = deduplicate(tmp_path, texts, step, to=str(most))
        record = run.workspace.manifest.find("2-near_dedup")
        assert record is not None
        numbers.append(record.description)
        assert removals(run) == {}
    assert numbers[0]["left_out"] == 0
    assert numbers[0]["compared"] + numbers[0]["estimated"] > 600
    assert numbers[1]["left_out"] > 1000
    assert numbers[1]["compared"] + numbers[1]["estimated"] < 39 * 3 * 32


def test_the_longest_or_the_best_is_kept(tmp_path: Path) -> None:
    text = page(2)
    texts = {"a": [text], "b": [text + " and more"], "c": [text + " end"]}
    assert {kept[:2] for kept in removals(deduplicate(tmp_path, texts, to="first")).values()} == {("a", 0)}
    longest = deduplicate(tmp_path, texts, NearDedup(keep="longest"), to="longest")
    assert {kept[:2] for kept in removals(longest).values()} == {("b", 0)}

    def score(line: str) -> dict[str, Any]:
        return {"quality": 7} if line.endswith("end") else {"quality": "none"}

    best = deduplicate(tmp_path, texts, NearDedup(keep="metadata.quality"), to="best", metadata=score)
    assert {kept[:2] for kept in removals(best).values()} == {("c", 0)}


def test_why_names_the_document_that_is_kept_and_the_similarity(tmp_path: Path) -> None:
    text = page(3)
    run = deduplicate(tmp_path, {"a": [text], "b": [text + " something else"]})
    (story,) = why(run.workspace, "b.jsonl")
    assert story["outcome"] == "duplicate"
    assert (story["step"], story["rule"]) == ("near_dedup", "near_duplicate")
    assert story["matched"]["source"] == "a"
    assert story["matched"]["similarity"] == pytest.approx(196 / 198)


def test_the_plan_and_the_settings(tmp_path: Path) -> None:
    assert plan_recipe(recipe(tmp_path, {"a": ["x"]})).describe()[2] == (
        "2-near_dedup  decide near_dedup: propose (by partitions) > group (the whole) > gather (by shards) > "
        "verify (by partitions) > review (the whole)"
    )
    assert NearDedup().shape() == (16, 8)
    assert NearDedup(bands=9, rows=13).shape() == (9, 13)
    assert NearDedup(memory="1GiB").fingerprint() == NearDedup().fingerprint()
    assert NearDedup(threshold=0.7, bands=16, rows=8).index_digest() == NearDedup().index_digest()
    with pytest.raises(ValueError, match="go together"):
        NearDedup(bands=4)
    with pytest.raises(ValueError, match="need 200 permutations, found 128"):
        NearDedup(bands=20, rows=10)


@pytest.mark.parametrize("threshold,permutations", [(0.8, 128), (0.5, 64), (0.3, 16), (0.99, 256)])
def test_the_estimate_loses_one_pair_in_a_million(threshold: float, permutations: int) -> None:
    from math import comb

    def below(places: int) -> float:
        return sum(
            comb(permutations, k) * threshold**k * (1 - threshold) ** (permutations - k)
            for k in range(places)
        )

    least = agreement(threshold, permutations)
    assert below(least) <= MISSED
    assert below(least + 1) > MISSED * (1 - 1e-9)


@settings(max_examples=200, deadline=None)
@given(
    st.sets(st.integers(0, 40), max_size=30), st.sets(st.integers(0, 40), max_size=30), st.floats(0.05, 0.95)
)
def test_jaccard_is_exact_where_it_counts(first: set[int], second: set[int], threshold: float) -> None:
    if not first | second:
        return
    exact = len(first & second) / len(first | second)
    found = jaccard(np.array(sorted(first), np.uint64), np.array(sorted(second), np.uint64), threshold)
    assert found == exact if exact >= threshold else found < threshold
