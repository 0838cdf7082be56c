"""What near_dedup removes, beside an exhaustive comparison of all documents with all others."""

from __future__ import annotations

import itertools
import json

import numpy as np

from benchmarks import corpus, dedup_corpus
from benchmarks.dedup_runs import near_dedup, removals, scratch
from benchmarks.dedup_truth import plain_similarity, similar_pairs
from textmill.documents import Batch
from textmill.text import band_keys, match_probability, text_signatures
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
