"""Learning merges from counted words: which two neighbouring symbols become one, again and again.

Byte-pair encoding (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016) over the
bytes of distinct words. The merges are those of the tokenizers library's trainer, one by one, with its choice
between pairs of the same count: the smaller ids. Decision 0022 tells what that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.bpe import merge_kernels as kernels
from textmill.tokenizer.bpe.merge_kernels import (
    EXHAUSTED,
    FREED,
    FULL,
    HEAP,
    MERGES,
    NEEDED,
    NO_CHANGES,
    NO_FOUND,
    NO_HEAP,
    NO_MERGES,
    NO_PAIRS,
    NO_PLACES,
    STATES,
    SYMBOLS,
    USED,
)

MERGES_PER_CALL = 256
NO_LIMIT = 2**31 - 1
_FACTOR = 0x100000001B3


@dataclass(frozen=True)
class CountedWords:
    """Distinct words and how often each occurs.

    Attributes:
        data: uint8: the bytes of all words, one after the other.
        starts: int64, shape (n + 1,): word w is ``data[starts[w]:starts[w + 1]]``.
        counts: int64, shape (n,), each at least 1.
    """

    data: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Learned:
    """A vocabulary.

    Attributes:
        entries: the bytes of each entry, in the order of their ids: single bytes, then what merges make.
        merges: pairs of ids, first the one to be merged first.
    """

    entries: list[bytes]
    merges: list[tuple[int, int]]


def learn_merges(
    words: CountedWords,
    *,
    entries: int,
    alphabet: Sequence[int],
    min_frequency: int = 2,
    max_token_length: int | None = None,
    merged: Callable[[int], None] = lambda merges: None,
) -> Learned:
    """The entries and merges; fewer than wanted when no pair is left that occurs ``min_frequency`` times.

    Args:
        words: distinct words with their counts.
        entries: symbols in all: 256 bytes and what merges make.
        alphabet: the 256 bytes in the order of their ids.
        min_frequency: smallest count of a pair that is merged.
        max_token_length: bytes of the longest entry that merges may make, at least 2; None: no limit.
        merged: called with the number of merges made so far, now and then.

    Raises:
        ValueError: the distinct words hold two gigabytes or more.
    """
    work = _Work(words, entries, alphabet)
    longest = NO_LIMIT if max_token_length is None else max_token_length
    while (outcome := work.merge(min_frequency, longest)) not in (EXHAUSTED, FULL):
        work.make_room(outcome)
        merged(int(work.state[MERGES]))
    merged(int(work.state[MERGES]))
    return work.learned()


class _Work:
    """The arrays that the kernels work on, and how they grow."""

    def __init__(self, words: CountedWords, entries: int, alphabet: Sequence[int]) -> None:
        sizes = np.diff(words.starts)
        long = sizes > 1  # a word of one byte has no pair
        size = int(sizes[long].sum())
        cells = 1 + size + np.count_nonzero(long)
        if cells >= 2**31:
            raise ValueError("the distinct words hold two gigabytes or more")
        self.entries = max(256, min(entries, size + 258))
        self._name_bytes(alphabet)
        self.cells = np.zeros((cells, 2), np.int32)
        self.text = np.zeros(cells, np.uint8)
        self.weights = np.zeros(np.count_nonzero(long), np.int64)
        kernels.fill_cells(
            words.data, words.starts, words.counts, self.byte_ids, self.cells, self.text, self.weights
        )
        counts = np.zeros(2**16, np.int64)
        numbers = np.zeros(2**16, np.int64)
        total = kernels.count_places(self.cells, self.weights, counts, numbers)
        pairs = int(np.count_nonzero(numbers))
        self.state = np.zeros(STATES, np.int64)
        self.state[SYMBOLS] = 256
        self.table = _empty_table(max(2**12, 2 * pairs))
        self.heap = np.zeros((max(2**12, 2 * pairs), 4), np.int64)
        self.places = np.zeros(max(2**12, total + total // 4), np.uint32)
        self.found = np.zeros(2**12, np.uint32)
        self.changes = np.zeros(2**12, np.int64)
        self.before_it = np.zeros((self.entries, 4), np.int64)
        self.behind_it = np.zeros((self.entries, 4), np.int64)
        self.touched = np.zeros((2, self.entries), np.int64)
        self.merges = np.zeros((self.entries, 2), np.int32)
        kernels.first_entries(self.cells, counts, numbers, self.table, self.heap, self.places, self.state)

    def merge(self, min_frequency: int, longest: int) -> int:
        """Merge for a while; returns why it stopped."""
        outcome: int = kernels.merge_pairs(
            self.cells,
            self.text,
            self.weights,
            self.lengths,
            self.mixes,
            self.powers,
            self.examples,
            self.symbols,
            self.table,
            self.heap,
            self.places,
            self.found,
            self.changes,
            self.before_it,
            self.behind_it,
            self.touched,
            self.merges,
            self.state,
            self.entries,
            min_frequency,
            longest,
            MERGES_PER_CALL,
        )
        return outcome

    def make_room(self, outcome: int) -> None:
        """Enlarge what the kernel found too small."""
        needed = int(self.state[NEEDED])
        larger = needed + needed // 4
        if outcome == NO_FOUND:
            self.found = np.zeros(needed, np.uint32)
        elif outcome == NO_CHANGES:
            self.changes = np.zeros(larger, np.int64)
        elif outcome == NO_MERGES:
            self.merges.resize((needed, 2), refcheck=False)
        elif outcome == NO_HEAP:
            # In place where the system can: there is never a copy of what is large.
            self.heap.resize((larger, 4), refcheck=False)
        elif outcome == NO_PAIRS:
            table = _empty_table(needed + needed // 3)
            kernels.copy_pairs(self.table, table)
            self.table = table
        elif outcome == NO_PLACES:
            if 4 * self.state[FREED] > self.state[USED]:
                size = int(self.state[HEAP])
                order = np.argsort(self.heap[:size, 2])
                self.state[USED] = kernels.pack_places(self.heap, size, order, self.places)
                self.state[FREED] = 0
            else:
                self.places.resize(larger, refcheck=False)

    def learned(self) -> Learned:
        """What was learned. A pair that was merged again takes its last place, as in the library."""
        size = int(self.state[SYMBOLS])
        entries = [bytes([byte]) for byte in self.alphabet]
        places = self.examples[256:size]
        ends = places + self.lengths[256:size]
        text = self.text.data
        entries += [bytes(text[a:b]) for a, b in zip(places.tolist(), ends.tolist(), strict=True)]
        merges = list(zip(*self.merges[: self.state[MERGES]].T.tolist(), strict=True))
        if len(set(merges)) < len(merges):
            merges = list(dict.fromkeys(reversed(merges)))[::-1]
        return Learned(entries, merges)

    def _name_bytes(self, alphabet: Sequence[int]) -> None:
        """Symbols 0 to 255, and room for the others."""
        self.alphabet = list(alphabet)
        self.byte_ids = np.zeros(256, np.int32)
        self.byte_ids[self.alphabet] = np.arange(256)
        self.lengths = np.ones(self.entries, np.int32)
        self.mixes = np.zeros(self.entries, np.uint64)
        self.powers = np.full(self.entries, _FACTOR, np.uint64)
        self.examples = np.zeros(self.entries, np.int64)
        # Symbols of one byte need not be found: no merge spells one.
        self.mixes[:256] = np.arange(1, 257, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        self.symbols = np.full(1 << (2 * self.entries).bit_length(), -1, np.int32)


def _empty_table(slots: int) -> npt.NDArray[np.uint64]:
    table = np.empty((slots, 2), np.uint64)
    table[:, kernels.PAIR] = kernels.NOTHING
    table[:, kernels.COUNT] = 0
    return table
