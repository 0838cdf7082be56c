"""What near_dedup removes, beside an exhaustive comparison of all documents with all others."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks import corpus, dedup_corpus
from benchmarks.dedup_runs import near_dedup, removals, scratch
from textmill.documents import Batch
from textmill.text import band_keys, match_probability, shingle_hashes, text_signatures
from textmill.text.minhash import choose_bands

THRESHOLD = 0.8
BINS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.82, 0.85, 0.9, 0.95, 1.0 + 1e-9)


def quality(found: list[corpus.Document], megabytes: float, workers: int) -> None:
    """Removals verified by other code; recall by pairs; and how often a pair was caught, by similarity."""
    with scratch() as folder:
        path = folder / "graded.jsonl"
        dedup_corpus.write(found, megabytes, path)
        _, run = near_dedup(path, folder, workers)
        gone = removals(run)
        with path.open(encoding="utf-8") as lines:
            texts = [json.loads(line)["text"] for line in lines]
    report(texts, gone)


def report(texts: list[str], gone: list[tuple[int, int, float]]) -> None:
    bands, rows = choose_bands(THRESHOLD, 128)
    first, second, similarity = similar_pairs(texts, BINS[0])
    print(
        f"\nquality: {len(texts):,} documents, {len(first):,} pairs at {BINS[0]} or more by exhaustive comparison"
    )
    wrong = [each for each in gone if abs(plain_similarity(texts[each[0]], texts[each[1]]) - each[2]) > 1e-6]
    low = min((each[2] for each in gone), default=1.0)
    removed = np.zeros(len(texts), np.bool_)
    removed[[each[0] for each in gone]] = True
    chained = sum(removed[each[1]] for each in gone)
    print(
        f"removed {len(gone):,}: similarity differs from plain Python's {len(wrong)} times, least {low:.4f},"
    )
    print(f"matched with a document that is itself removed {chained} times")
    # A pair is settled when one of the two is gone: both kept is what should not be.
    settled = removed[first] | removed[second]
    batch = Batch.from_texts(texts)
    keys = band_keys(text_signatures(batch.data, batch.offsets), bands, rows).view(np.uint64)[:, :, 0]
    proposed = (keys[first] == keys[second]).any(axis=1)
    print(
        f"{'similarity':>16}{'pairs':>9}{'share a band':>14}{'theory':>9}{'one removed':>13}{'by the rule':>13}"
    )
    for low, high in itertools.pairwise(BINS):
        here = (similarity >= low) & (similarity < high)
        if here.any():
            theory = np.mean([match_probability(float(value), bands, rows) for value in similarity[here]])
            print(
                f"{low:8.2f}-{min(high, 1):<7.2f}{here.sum():9,}{proposed[here].mean():14.4f}{theory:9.4f}"
                f"{settled[here].mean():13.4f}{float(low >= THRESHOLD):13.0f}"
            )
    for least in (THRESHOLD, 0.85):
        here = similarity >= least
        missed = int((~settled[here]).sum())
        print(f"recall at {least} or more: {settled[here].mean():.4f} ({missed} of {here.sum():,} missed)")


def similar_pairs(
    texts: Sequence[str], least: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """All pairs of at least this Jaccard similarity, by counting shared shingles: nothing is sampled or left out."""
    batch = Batch.from_texts(list(texts))
    sets = shingle_hashes(batch.data, batch.offsets)
    sizes = np.diff(sets.offsets)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(sets.hashes, kind="stable")
    hashes, owners = sets.hashes[order], owners[order]
    counted: dict[str, npt.NDArray[np.int64]] = {
        "pair": np.zeros(0, np.int64),
        "shared": np.zeros(0, np.int64),
    }
    pending: list[npt.NDArray[np.int64]] = []
    waiting = 0
    starts = np.arange(len(hashes))
    distance = 0
    while len(starts):
        # Documents that hold the same shingle stand side by side, in order: pair each with the one `distance` on.
        distance += 1
        starts = starts[starts + distance < len(hashes)]
        starts = starts[hashes[starts] == hashes[starts + distance]]
        pending.append(owners[starts] * len(sizes) + owners[starts + distance])
        waiting += len(starts)
        if waiting > 20_000_000 or not len(starts):
            pairs = np.concatenate([*pending, np.repeat(counted["pair"], counted["shared"])])
            counted["pair"], counted["shared"] = np.unique(pairs, return_counts=True)
            pending, waiting = [], 0
    first, second = np.divmod(counted["pair"], len(sizes))
    similarity = counted["shared"] / (sizes[first] + sizes[second] - counted["shared"])
    enough = similarity >= least
    return first[enough], second[enough], similarity[enough]


def plain_similarity(first: str, second: str) -> float:
    """Jaccard similarity by the tests' plain Python: sets of tuples of words, no hashes."""
    from tests.text.test_shingles import normalized

    left, right = (
        {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))}
        for words in map(normalized, (first, second))
    )
    return len(left & right) / len(left | right)
