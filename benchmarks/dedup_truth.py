"""The exhaustive comparison that deduplication is judged by: all documents with all others, nothing sampled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from textmill.documents import Batch
from textmill.text import shingle_hashes


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
