"""Shingles: the runs of n words by which near-duplicates are recognised (Broder 1997).

    "It’s 3 o'clock, Déjà-vu!"   words  it | s | 0 | o | clock | déjà | vu
                                 n = 5  it s 0 o clock · s 0 o clock déjà · 0 o clock déjà vu
    "東京に行く"                  words  東 | 京 | に | 行 | く

**Words** are those of `folded_words`, which also tells how a word is hashed.

**Hashes.** With w a word's hash, `mix` the finaliser of SplitMix64 and B = 0xD1342543DE82EF95, all modulo 2**64:

    s = n; for each word's hash w: s = s * B + w;  hash = mix(s)

*Collisions.* Two shingles collide if the sum of (v_i - w_i) * B**(n - 1 - i) is 0: never if a single word's hash
differs (B is odd), with probability 2**-64 if several do, and with at most 2**-60 if one is the other with two words
exchanged (up to n = 5: B**4 - 1 is divisible by 2**4 and by no more). Among 10**10 different shingles about three
pairs collide. Nobody is kept from building collisions on purpose.

A document of fewer words than n has one shingle, its words (with their number in the place of n); one of no words
has none.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel
from textmill.text.folded_words import folding_table, mix, next_words
from textmill.text.inputs import checked
from textmill.text.sorting import sort_unique

BASE = np.uint64(0xD1342543DE82EF95)

BUFFERED = 2048  # words, and shingles, of a document at a time: both fit into the first-level cache


@dataclass(frozen=True)
class Shingles:
    """The sets of shingles of a batch of documents.

    Attributes:
        hashes: uint64[shingles], ascending and unique within each document.
        offsets: int64[documents + 1]: document d owns hashes[offsets[d]:offsets[d + 1]].
    """

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]


def shingle_hashes(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], words: int = 5) -> Shingles:
    """The set of shingles of every document, as sorted unique hashes.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].
        words: words in a shingle, 1 to 256.

    Raises:
        ValueError: words is out of range, offsets do not ascend within the buffer, or the last document ends
            beyond 2 GiB.
    """
    data, offsets = checked(data, offsets)
    check_words(words)
    hashes, borders = _shingle_sets(data, offsets, words, *folding_table())
    return Shingles(hashes[: int(borders[-1])].copy(), borders)


def check_words(words: int) -> None:
    """Raise ValueError unless a shingle may have so many words."""
    if not 1 <= words <= 256:
        raise ValueError(f"a shingle has 1 to 256 words, found {words}")


@kernel
def _shingle_sets(data, offsets, words, index, blocks):
    """Sorted unique hashes of all documents, and their borders; the array grows as it fills."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    tokens = np.empty(BUFFERED + words - 1, np.uint64)
    hashes = np.empty((offsets[-1] - offsets[0]) // 5 + 2 * BUFFERED, np.uint64)
    scratch = np.empty(BUFFERED, np.uint64)
    borders = np.zeros(offsets.size, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        first = count
        held = 0
        while True:
            if count + BUFFERED > hashes.size:
                hashes = _grown(hashes, count, 2 * hashes.size)
            at, held, made = next_shingles(
                data, at, end, words, index, blocks, tokens, held, count == first, hashes[count:]
            )
            if made == 0:
                break
            count += made
        if count - first > scratch.size:
            scratch = np.empty(2 * (count - first), np.uint64)
        count = first + sort_unique(hashes[first:count], scratch)
        borders[document + 1] = count
    return hashes, borders


@kernel
def _grown(array, used, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[:used] = array[:used]
    return larger


@kernel
def next_shingles(data, at, end, words, index, blocks, tokens, held, is_first, shingles):
    """Up to BUFFERED more shingles of the document data[at:end], in the order of the text.

    `tokens` (uint64[BUFFERED + words - 1]) carries `held` words from call to call; begin with 0. Returns the
    position to go on from, the words held, and the number of shingles written into `shingles` (uint64, room for
    BUFFERED): 0 when there are no more.
    """
    at, held = next_words(data, at, end, index, blocks, tokens, held, None)
    if held < words:
        if not is_first or held == 0:
            return at, 0, 0
        _combine(tokens, held, 1, shingles)
        return at, 0, 1
    made = held - words + 1
    _combine(tokens, words, made, shingles)
    for word in range(words - 1):
        tokens[word] = tokens[made + word]
    return at, words - 1, made


@kernel
def _combine(tokens, words, made, shingles):
    """Hashes of runs of words, all runs at once, term by term: loops that a compiler can vectorise."""
    shingles = shingles[:made]
    shingles[:] = np.uint64(words)
    for word in range(words):
        terms = tokens[word : word + made]
        for run in range(made):
            shingles[run] = shingles[run] * BASE + terms[run]
    for run in range(made):
        shingles[run] = mix(shingles[run])
