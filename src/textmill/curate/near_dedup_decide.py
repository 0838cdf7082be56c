"""Near-duplicates decided: exact comparison, in order of priority, of the documents of whole clusters.

    for each document, the one of highest priority first:
        candidates = kept documents that share a band with it and whose signatures agree in enough places
        compare with them in order of priority: the first whose Jaccard similarity reaches the threshold displaces it
        if there is none, it is kept

Ten thousand near copies of a page are compared with the one that stays, once each. What is dropped displaces
nothing, so a chain A ~ B ~ C costs B alone when A and C differ.

*Enough places*: as many as a pair exactly at the threshold falls short of with probability 10**-6 at most (binomial
distribution). So this saves comparisons and loses one pair in a million of those nearest to the threshold. It is
an estimate of a sample already taken, and the same for everyone who computes it.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math

import numpy as np

from textmill.text.compilation import kernel

MISSED = 1e-6


@kernel
def decide(order, earlier, buckets, signatures, shingles, borders, threshold, agreement, most_compared):
    """Which document, of higher priority and kept, displaces each: see the module's docstring.

    Args:
        order: int64[n], rows of the evidence in order of priority.
        earlier: how many of the first are of earlier runs, and kept whatever they resemble.
        buckets: int64[n, bands], in that order.
        signatures, shingles, borders: by row of the evidence.
        threshold: Jaccard similarity.
        agreement: places of the signatures that must agree.
        most_compared: kept documents that a bucket compares with, those of highest priority.

    Returns:
        int64[n], places in the order, -1 where a document is kept; float64[n] similarity; and three counts: exact
        comparisons, pairs that the estimate excluded, pairs (per bucket) that `most_compared` left out.
    """
    count, bands = buckets.shape
    matched = np.full(count, -1, np.int64)
    similarity = np.zeros(count)
    counts = np.zeros(3, np.int64)
    number = 0
    for place in range(count):
        for band in range(bands):
            number = max(number, buckets[place, band] + 1)
    # The kept documents of each bucket, as chains in order of priority: first and last entry, length, all kept.
    first = np.full(number, -1, np.int64)
    last = np.full(number, -1, np.int64)
    held = np.zeros(number, np.int64)
    kept = np.zeros(number, np.int64)
    owner = np.empty(1024, np.int64)
    following = np.empty(1024, np.int64)
    used = 0
    seen = np.full(count, -1, np.int64)
    candidates = np.empty(bands * min(most_compared, count), np.int64)
    for place in range(count):
        if place >= earlier:
            found = 0
            for band in range(bands):
                bucket = buckets[place, band]
                counts[2] += kept[bucket] - held[bucket]
                entry = first[bucket]
                while entry >= 0:
                    if seen[owner[entry]] != place:
                        seen[owner[entry]] = place
                        candidates[found] = owner[entry]
                        found += 1
                    entry = following[entry]
            row = order[place]
            mine = shingles[borders[row] : borders[row + 1]]
            for other in np.sort(candidates[:found]):
                other_row = order[other]
                agree = 0
                for position in range(signatures.shape[1]):
                    agree += signatures[row, position] == signatures[other_row, position]
                if agree < agreement:
                    counts[1] += 1
                    continue
                counts[0] += 1
                value = jaccard(mine, shingles[borders[other_row] : borders[other_row + 1]], threshold)
                if value >= threshold:
                    matched[place] = other
                    similarity[place] = value
                    break
        if matched[place] >= 0:
            continue
        for band in range(bands):
            bucket = buckets[place, band]
            kept[bucket] += 1
            if held[bucket] == most_compared:
                continue
            held[bucket] += 1
            if used == owner.size:
                owner = np.append(owner, np.empty(used, np.int64))
                following = np.append(following, np.empty(used, np.int64))
            owner[used] = place
            following[used] = -1
            if first[bucket] < 0:
                first[bucket] = used
            else:
                following[last[bucket]] = used
            last[bucket] = used
            used += 1
    return matched, similarity, counts


@kernel
def jaccard(first, second, threshold):
    """Shared numbers of two ascending sets, divided by all; 0 as soon as `threshold` cannot be reached."""
    sizes = first.size + second.size
    # shared / (sizes - shared) >= threshold; one less, so that rounding excludes nothing.
    needed = threshold * sizes / (1.0 + threshold) - 1.0
    shared, at, to = 0, 0, 0
    while at < first.size and to < second.size:
        one, two = first[at], second[to]
        if one == two:
            shared += 1
        elif shared + min(first.size - at, second.size - to) < needed:
            return 0.0
        at += one <= two
        to += two <= one
    return shared / (sizes - shared)


def agreement(threshold: float, permutations: int) -> int:
    """Places in which signatures of a pair at the threshold agree, at least, but for one pair in a million."""
    missed = 0.0
    for places in range(permutations + 1):
        ways = (
            math.lgamma(permutations + 1) - math.lgamma(places + 1) - math.lgamma(permutations - places + 1)
        )
        chance = ways + places * math.log(threshold) + (permutations - places) * math.log1p(-threshold)
        missed += math.exp(chance)
        if missed > MISSED:
            return places
    return permutations
