"""MinHash signatures and the keys of their bands: which documents may be near-duplicates (Broder 1997).

    shingles of a document ─► least value under each of P hash functions ─► signature: uint32[P]
    signature ─► bands of r rows ─► a key of 16 bytes each; documents that share a key are compared

**Hash functions.** h_i(x) = ((a_i x + b_i) mod 2**64) >> 32 of the upper 32 bits x of a shingle's hash: multiply-shift
in its strongly universal form (Dietzfelbinger 1996; Thorup 2015, arXiv:1504.06804, section 3.3: 64 bits are enough
for 32 in and 32 out). a_0, b_0, a_1, b_1 ... are the numbers that SplitMix64 gives for the seed, so the first P
functions are the same however many there are. Two documents agree in a place of their signatures with a
probability that is their Jaccard similarity, up to collisions among 32 bits: 2 in 10**4 for a million shingles.

**Cost.** P multiplications, additions and comparisons per shingle and nothing else that counts: 128 make about
5 ns with 512-bit vectors, 25 ns with 256: less than reading the words does. One-permutation hashing (Li, Owen, Zhang
2012) would save this and give up that every place is a sample of its own in documents of few shingles, too.

**Bands** (Indyk and Motwani 1998; Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, section 3.4): a pair of
similarity s shares a key with probability 1 - (1 - s**rows)**bands.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel
from textmill.text.folded_words import folding_table
from textmill.text.hashing import xxhash64
from textmill.text.inputs import checked
from textmill.text.shingles import BUFFERED, check_words, next_shingles

EMPTY = 0xFFFFFFFF
"""Every place of the signature of a document without shingles."""

Signatures = npt.NDArray[np.uint32]


def text_signatures(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer],
    permutations: int = 128,
    seed: int = 1,
    words: int = 5,
) -> Signatures:
    """uint32[documents, permutations]: signatures straight from the text, in one pass and 100 kB of memory.

    The same as `signatures` of `shingle_hashes`. A document without words has EMPTY everywhere.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].
        permutations: hash functions, 1 to 4096.
        seed: which hash functions, 0 to 2**64 - 1.
        words: words in a shingle, 1 to 256.

    Raises:
        ValueError: a number is out of range, or offsets do not ascend within the buffer.
    """
    data, offsets = checked(data, offsets)
    check_words(words)
    factors, terms = hash_functions(permutations, seed)
    found: Signatures = _text_signatures(data, offsets, words, *folding_table(), factors, terms)
    return found


def signatures(
    hashes: npt.NDArray[np.uint64], offsets: npt.NDArray[np.integer], permutations: int = 128, seed: int = 1
) -> Signatures:
    """uint32[sets, permutations]: signatures of sets of 64-bit hashes; EMPTY everywhere for an empty set.

    Args:
        hashes: uint64[hashes], in any order; copies make no difference.
        offsets: int[sets + 1]: set d is hashes[offsets[d]:offsets[d + 1]].
        permutations: hash functions, 1 to 4096.
        seed: which hash functions, 0 to 2**64 - 1.

    Raises:
        ValueError: a number is out of range, or offsets do not ascend within the hashes.
    """
    borders = np.ascontiguousarray(offsets, np.int64)
    if borders.size == 0 or borders[0] < 0 or borders[-1] > hashes.size or bool(np.any(np.diff(borders) < 0)):
        raise ValueError(f"offsets must ascend from 0 or more to at most {hashes.size}, the number of hashes")
    factors, terms = hash_functions(permutations, seed)
    found: Signatures = _signatures(np.ascontiguousarray(hashes, np.uint64), borders, factors, terms)
    return found


def hash_functions(permutations: int, seed: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """The factors a and the terms b: uint64[permutations] each.

    Raises:
        ValueError: a number is out of range.
    """
    if not 1 <= permutations <= 4096:
        raise ValueError(f"a signature has 1 to 4096 places, found {permutations}")
    if not 0 <= seed < 2**64:
        raise ValueError(f"a seed is 0 to 2**64 - 1, found {seed}")
    numbers = []
    for step in range(1, 2 * permutations + 1):
        value = (seed + step * 0x9E3779B97F4A7C15) % 2**64
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) % 2**64
        numbers.append(value ^ (value >> 31))
    pairs = np.array(numbers, np.uint64).reshape(-1, 2)
    return np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])


def estimated_similarity(first: Signatures, second: Signatures) -> npt.NDArray[np.float64]:
    """float64[...]: the share of places in which signatures agree, along the last axis.

    Its standard deviation is sqrt(s (1 - s) / permutations): 0.035 at s = 0.8 and 128.
    """
    shares: npt.NDArray[np.float64] = np.mean(first == second, axis=-1)
    return shares


def band_keys(signatures: Signatures, bands: int, rows: int) -> npt.NDArray[np.uint8]:
    """uint8[documents, bands, 16]: a key for every band of every signature.

    The key of band b is XXH64 of the little-endian bytes of places [b rows, (b + 1) rows), with the seeds 2 b and
    2 b + 1: the same rows in another band give another key. Documents without shingles all have the same keys;
    whoever groups by them leaves those out.

    Raises:
        ValueError: fewer places than bands times rows, or none.
    """
    if bands < 1 or rows < 1 or signatures.ndim != 2 or bands * rows > signatures.shape[1]:
        raise ValueError(
            f"{bands} bands of {rows} rows need {bands * rows} places, found {signatures.shape[-1]}"
        )
    used = np.ascontiguousarray(signatures[:, : bands * rows], np.uint32)
    places = used.reshape(-1).view(np.uint8)
    keys: npt.NDArray[np.uint64] = _band_keys(places, used.shape[0], bands, 4 * rows)
    return keys.view(np.uint8).reshape(used.shape[0], bands, 16)


def match_probability(similarity: float, bands: int, rows: int) -> float:
    """The probability that two documents of this Jaccard similarity share the key of a band."""
    return 1.0 - (1.0 - similarity**rows) ** bands


def choose_bands(threshold: float, permutations: int, recall: float = 0.99) -> tuple[int, int]:
    """Bands and rows: as few candidates as can be while enough of the pairs sought are found.

    Of all numbers of rows, with as many bands as the signature has places for, the largest is taken whose expected
    recall, the mean of `match_probability` over similarities from `threshold` to 1, is at least `recall`. Since
    candidates are verified, too many cost time and nothing else; what is not found is lost. If no number of
    rows reaches the recall, one row it is.

    Raises:
        ValueError: a number is out of range.

    >>> choose_bands(0.8, 128)
    (16, 8)
    """
    if not 0 < threshold < 1 or not 0 < recall < 1:
        raise ValueError(f"threshold and recall lie between 0 and 1, found {threshold} and {recall}")
    if permutations < 1:
        raise ValueError(f"a signature has 1 to 4096 places, found {permutations}")
    for rows in range(permutations, 1, -1):
        bands = permutations // rows
        if mean_match_probability(threshold, 1.0, bands, rows) >= recall:
            return bands, rows
    return permutations, 1


def mean_match_probability(low: float, high: float, bands: int, rows: int, steps: int = 200) -> float:
    """The mean of `match_probability` between two similarities: its integral there, by the midpoint rule."""
    width = (high - low) / steps
    return sum(match_probability(low + (step + 0.5) * width, bands, rows) for step in range(steps)) / steps


@kernel
def _text_signatures(data, offsets, words, index, blocks, factors, terms):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    tokens = np.empty(BUFFERED + words - 1, np.uint64)
    shingles = np.empty(BUFFERED, np.uint64)
    least = np.empty(factors.size, np.uint64)
    found = np.empty((offsets.size - 1, factors.size), np.uint32)
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        held = 0
        is_first = True
        least[:] = ~np.uint64(0)
        while True:
            at, held, made = next_shingles(
                data, at, end, words, index, blocks, tokens, held, is_first, shingles
            )
            if made == 0:
                break
            is_first = False
            _lower(shingles[:made], factors, terms, least)
        for place in range(least.size):
            found[document, place] = least[place] >> np.uint64(32)
    return found


@kernel
def _signatures(hashes, offsets, factors, terms):
    hashes = borrowed(hashes)
    least = np.empty(factors.size, np.uint64)
    found = np.empty((offsets.size - 1, factors.size), np.uint32)
    for owner in range(offsets.size - 1):
        least[:] = ~np.uint64(0)
        _lower(hashes[offsets[owner] : offsets[owner + 1]], factors, terms, least)
        for place in range(least.size):
            found[owner, place] = least[place] >> np.uint64(32)
    return found


@kernel
def _lower(hashes, factors, terms, least):
    """Lower the least value of every function by these hashes; the shift is left to the end, it changes no order.

    Four hashes at a time, so that factors, terms and least values are read, and written, a fourth as often.
    """
    half = np.uint64(32)
    at = 0
    while at + 4 <= hashes.size:
        one, two = hashes[at] >> half, hashes[at + 1] >> half
        three, four = hashes[at + 2] >> half, hashes[at + 3] >> half
        for place in range(least.size):
            factor, term = factors[place], terms[place]
            first = min(factor * one + term, factor * two + term)
            second = min(factor * three + term, factor * four + term)
            least[place] = min(min(first, second), least[place])
        at += 4
    while at < hashes.size:
        one = hashes[at] >> half
        for place in range(least.size):
            least[place] = min(factors[place] * one + terms[place], least[place])
        at += 1


@kernel
def _band_keys(places, documents, bands, width):
    """Two uint64 per band: its bytes hashed with two seeds."""
    places = borrowed(places)
    keys = np.empty((documents * bands, 2), np.uint64)
    for row in range(documents * bands):
        seed = np.uint64(2 * (row % bands))
        keys[row, 0] = xxhash64(places, row * width, (row + 1) * width, seed)
        keys[row, 1] = xxhash64(places, row * width, (row + 1) * width, seed + np.uint64(1))
    return keys
