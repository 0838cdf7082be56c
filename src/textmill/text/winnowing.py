"""Winnowing: a few hashes of a text, such that long repeated spans are sure to share one.

    words      w0 w1 w2 w3 ...                        runs of non-white bytes, or normalised words
    runs       hash(w0 .. w24)  hash(w1 .. w25) ...   one per word: `run` = 25 words
    selected   of every 26 successive hashes the least

Schleimer, Wilkerson, Aiken, "Winnowing: Local Algorithms for Document Fingerprinting", SIGMOD 2003. With runs of k
words and windows of w hashes, every span of k + w - 1 words (`guarantee`) holds a full window, and what a window
selects depends on its words alone: two texts that share the span share a selected hash, of a run that lies
inside the span in both. Of a random text 2 / (w + 1) of the hashes are selected. Of equal least hashes the one
already selected stays, else the last counts ("robust winnowing", section 3.3 there), so that a word repeated over and
over yields one hash per window and not one per word. A hash proposes; whoever cuts text compares its bytes.

A document of fewer than `guarantee` words has none.

**Hashes.** A run has the hash of a shingle of its words (see `shingles`). A normalised word has the hash that it has
there, a raw word that of its bytes as they are (but for bytes of zero at its end, which are not told from none).
White space is what has the property White_Space.

Memory: 40 bytes per selected hash, and a fixed amount per word of `guarantee`.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.classes import WHITE_SPACE, class_table, classify
from textmill.text.compilation import borrowed, kernel
from textmill.text.folded_words import GOLDEN, bytes_below, folding_table, load_within, mix, next_words
from textmill.text.inputs import checked
from textmill.text.shingles import BASE, BUFFERED

LONGEST = 1 << 16


@dataclass(frozen=True)
class Selection:
    """The selected runs of words of a batch of documents, in the order of the text.

    Attributes:
        hashes: uint64[runs].
        starts: int32[runs], first byte of the run in the batch's buffer.
        ends: int32[runs], the byte after its last word.
        offsets: int64[documents + 1]: document d owns runs [offsets[d], offsets[d + 1]).
    """

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]


def winnow(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer],
    guarantee: int = 50,
    run: int = 25,
    normalized: bool = False,
) -> Selection:
    """Runs of words such that any two equal spans of `guarantee` words share the hash of one.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].
        guarantee: words of a span that is sure to share a hash; shorter ones, down to `run` words, may.
        run: words that are hashed together, 1 to `guarantee`. Longer ones meet less often by chance, shorter ones
            select less: about 2 in (guarantee - run + 2) words begin a selected run.
        normalized: words as in `shingles` (case, digits and punctuation make no difference; a character of a
            script without spaces is a word); else maximal runs of bytes without White_Space, byte for byte.

    Raises:
        ValueError: not 1 <= run <= guarantee <= 65,536; offsets do not ascend within the buffer, or the last
            document ends beyond 2 GiB.
    """
    data, offsets = checked(data, offsets)
    if not 1 <= run <= guarantee <= LONGEST:
        raise ValueError(f"expected 1 <= run <= guarantee <= {LONGEST:,}, found {run} and {guarantee}")
    hashes, starts, ends, borders = _select(
        data, offsets, run, guarantee - run + 1, normalized, *class_table(), *folding_table()
    )
    total = int(borders[-1])
    return Selection(hashes[:total].copy(), starts[:total].copy(), ends[:total].copy(), borders)


@kernel
def _select(data, offsets, run, window, normalized, index, blocks, word_index, word_blocks):
    """Selected runs of all documents; the arrays grow as they fill."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    word_index, word_blocks = borrowed(word_index), borrowed(word_blocks)
    tokens = np.empty(BUFFERED, np.uint64)
    places = np.empty((2, BUFFERED), np.int64)
    # Rings, of a power of two: the last words and where they stand, the last hashes of runs.
    slots = 1
    while slots < run + window:
        slots *= 2
    words = np.empty(slots, np.uint64)
    begins = np.empty(slots, np.int64)
    stops = np.empty(slots, np.int64)
    runs = np.empty(slots, np.uint64)
    mask = slots - 1
    # What the oldest word of a run counts for when it leaves: BASE ** run; and what all runs have in common.
    leaving = np.uint64(1)
    for _ in range(run):
        leaving *= BASE
    constant = np.uint64(run) * leaving
    hashes = np.empty(1024 + 4 * (offsets[-1] - offsets[0]) // (6 * (window + 1)), np.uint64)
    starts = np.empty(hashes.size, np.int32)
    ends = np.empty(hashes.size, np.int32)
    borders = np.zeros(offsets.size, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        seen = 0  # words
        state = np.uint64(0)
        least = 0  # the run that the last window selects
        selected = -1
        while at < end:
            if normalized:
                at, held = next_words(data, at, end, word_index, word_blocks, tokens, 0, places)
            else:
                at, held = _next_raw_words(data, at, end, index, blocks, tokens, places)
            if count + held > hashes.size:
                size = max(2 * hashes.size, count + held)
                hashes = _grown(hashes, count, size)
                starts = _grown(starts, count, size)
                ends = _grown(ends, count, size)
            for token in range(held):
                word = tokens[token]
                state = state * BASE + word
                if seen >= run:
                    state -= words[(seen - run) & mask] * leaving
                words[seen & mask] = word
                begins[seen & mask] = places[0, token]
                stops[seen & mask] = places[1, token]
                seen += 1
                newest = seen - run
                if newest < 0:
                    continue
                value = mix(state + constant)
                runs[newest & mask] = value
                oldest = newest - window + 1
                if newest == 0 or value < runs[least & mask] or (oldest <= 0 and value == runs[least & mask]):
                    least = newest
                elif least < oldest:
                    least = oldest
                    for other in range(oldest + 1, newest + 1):
                        if runs[other & mask] <= runs[least & mask]:
                            least = other
                if oldest >= 0 and least != selected:
                    selected = least
                    hashes[count] = runs[least & mask]
                    starts[count] = begins[least & mask]
                    ends[count] = stops[(least + run - 1) & mask]
                    count += 1
        borders[document + 1] = count
    return hashes, starts, ends, borders


@kernel
def _grown(array, used, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[:used] = array[:used]
    return larger


@kernel
def _next_raw_words(data, at, end, index, blocks, tokens, places):
    """Hashes and places of the runs of bytes without white space from `at` on, as `next_words` has them."""
    count = 0
    while at < end and count < tokens.size:
        first = data[at]
        if first == 0x20:
            at += 1
            continue
        if first < 0x20 or first >= 0xC2:
            size = _white_space(data, at, end, index, blocks)
            if size > 0:
                at += size
                continue
        places[0, count] = at
        at, tokens[count] = _raw_word(data, at, end, index, blocks)
        places[1, count] = at
        count += 1
    return at, count


@kernel
def _raw_word(data, at, end, index, blocks):
    """The end and the hash of the word that begins at `at`, eight bytes at a time."""
    high = np.uint64(0x8080808080808080)
    one = np.uint64(1)
    word = np.uint64(0)
    while at < end:
        bytes_ = load_within(data, at, end)
        visible = ((bytes_ & ~high) + np.uint64(0x5F5F5F5F5F5F5F5F)) & ~bytes_ & high  # 0x21 to 0x7F
        others = ~visible & high
        while others != 0:
            lowest = others & (~others + one)
            stop = at + bytes_below(lowest)
            if stop >= end or data[stop] == 0x20 or _white_space(data, stop, end, index, blocks) > 0:
                if stop > at:
                    word = mix((word + GOLDEN) ^ (bytes_ & ((lowest >> np.uint64(7)) - one)))
                return stop, word
            others ^= lowest
        word = mix((word + GOLDEN) ^ bytes_)
        at += 8
    return end, word


@kernel
def _white_space(data, at, end, index, blocks):
    """The bytes of the White_Space character at byte `at`; 0 if there is none."""
    first = data[at]
    if 0x20 < first < 0xC2 or first > 0xE3:
        return 0  # no white space begins so: classes need not be asked
    value, after = classify(data, at, end, index, blocks)
    return after - at if value & WHITE_SPACE else 0
