"""Thousands of keywords found in one pass (Aho and Corasick 1975, doi:10.1145/360825.360855).

    keywords  he, she, hers          text  "ushers"  ->  she, he, hers: three matches of three keywords

The keywords become one automaton over bytes, with its failures resolved: each byte of the text costs one look
into a table, however many keywords there are. Bytes that no keyword holds share one column, so that the table
stays small: four bytes per state and column, states being at most the bytes of all keywords.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.classes import CATEGORY_SHIFT, UNSPACED, class_table, classify
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked_spans

MEMORY_LIMIT = 2**28


@dataclass(frozen=True)
class Automaton:
    """Keywords, ready to be looked for.

    Attributes:
        columns: uint8[256], the column of every byte; 0 for bytes that no keyword holds.
        states: int32[states, columns], the state that follows.
        found: int32[states], the longest keyword that ends in a state, by number; -1 for none.
        shorter: int32[states], the state whose keyword is the next shorter one that ends here too; 0 for none.
        sizes: int32[keywords], bytes of every keyword.
    """

    columns: npt.NDArray[np.uint8]
    states: npt.NDArray[np.int32]
    found: npt.NDArray[np.int32]
    shorter: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int32]


def build_automaton(keywords: Sequence[str]) -> Automaton:
    """The automaton of some keywords.

    Raises:
        ValueError: a keyword is empty or comes twice, or the table would take more than 256 MiB.
    """
    encoded = [keyword.encode() for keyword in keywords]
    if not all(encoded):
        raise ValueError("a keyword is empty")
    if len(set(encoded)) < len(encoded):
        raise ValueError("a keyword comes twice")
    data = np.frombuffer(b"".join(encoded), np.uint8)
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    columns = np.zeros(256, np.uint8)
    held = np.unique(data)
    # UTF-8 has no byte above 0xF4, so that one column is always left for what no keyword holds.
    columns[held] = np.arange(1, held.size + 1)
    if 4 * (data.size + 1) * (held.size + 1) > MEMORY_LIMIT:
        raise ValueError(
            f"{len(encoded):,} keywords of {data.size:,} bytes would need a table of more than 256 MiB"
        )
    states, found, shorter = _build(data, offsets, columns, held.size + 1)
    return Automaton(columns, states, found, shorter, np.diff(offsets).astype(np.int32))


def count_keywords(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.integer],
    ends: npt.NDArray[np.integer],
    automaton: Automaton,
    whole_words: bool = True,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """How many keywords each of data[starts[i]:ends[i]] holds.

    Matches may overlap and lie in each other. With `whole_words`, a match that begins (ends) with a letter, a
    number or a mark must not have another one of these before (behind) it; characters of scripts that are
    written without spaces stand wherever they like.

    Returns:
        int32[spans], different keywords; int64[spans], matches; int32[spans], the number of the keyword whose
        match ends first (of several, the longest), -1 if there is none.

    Raises:
        ValueError: a span lies outside the buffer or ends before it starts.
    """
    buffer, first, last = checked_spans(data, starts, ends)
    index, blocks = class_table()
    different, matches, firsts = _count(
        buffer,
        first,
        last,
        automaton.columns,
        automaton.states,
        automaton.found,
        automaton.shorter,
        automaton.sizes,
        whole_words,
        index,
        blocks,
    )
    return different, matches, firsts


@kernel
def _build(data, offsets, columns, width):
    """Transitions of the trie, breadth first completed by what their failures would do."""
    states = np.zeros((data.size + 1, width), np.int32)
    found = np.full(data.size + 1, -1, np.int32)
    count = 1
    for keyword in range(offsets.size - 1):
        state = np.int64(0)
        for at in range(offsets[keyword], offsets[keyword + 1]):
            column = columns[data[at]]
            if states[state, column] == 0:
                states[state, column] = count
                count += 1
            state = np.int64(states[state, column])
        found[state] = keyword
    states = states[:count].copy()
    found = found[:count].copy()
    failure = np.zeros(count, np.int32)
    shorter = np.zeros(count, np.int32)
    queue = np.empty(count, np.int32)
    head = 0
    tail = 0
    for column in range(width):
        if states[0, column]:
            queue[tail] = states[0, column]
            tail += 1
    while head < tail:
        state = queue[head]
        head += 1
        back = failure[state]
        shorter[state] = back if found[back] >= 0 else shorter[back]
        for column in range(width):
            following = states[state, column]
            if following:
                failure[following] = states[back, column]
                queue[tail] = following
                tail += 1
            else:
                states[state, column] = states[back, column]
    return states, found, shorter


@kernel
def _count(data, starts, ends, columns, states, found, shorter, sizes, whole_words, index, blocks):
    data, index, blocks, columns = borrowed(data), borrowed(index), borrowed(blocks), borrowed(columns)
    states, found, shorter = borrowed(states), borrowed(found), borrowed(shorter)
    different = np.zeros(starts.size, np.int32)
    matches = np.zeros(starts.size, np.int64)
    firsts = np.full(starts.size, -1, np.int32)
    met = np.full(sizes.size, -1, np.int64)
    for span in range(starts.size):
        start, end = starts[span], ends[span]
        state = np.int64(0)
        at = start
        while at < end:
            state = np.int64(states[state, columns[data[at]]])
            at += 1
            if state == 0:
                continue
            ending = state if found[state] >= 0 else np.int64(shorter[state])
            while ending > 0:
                keyword = found[ending]
                begin = at - sizes[keyword]
                if not whole_words or _stands_alone(data, start, begin, at, end, index, blocks):
                    matches[span] += 1
                    if met[keyword] != span:
                        met[keyword] = span
                        different[span] += 1
                    if firsts[span] < 0:
                        firsts[span] = keyword
                ending = np.int64(shorter[ending])
    return different, matches, firsts


@kernel
def _stands_alone(data, start, begin, stop, end, index, blocks):
    """Whether no word goes on over either end of data[begin:stop]."""
    if begin > start:
        before = _last_class(data, start, begin, index, blocks)
        if _goes_on(before, classify(data, begin, stop, index, blocks)[0]):
            return False
    if stop < end:
        return not _goes_on(
            _last_class(data, begin, stop, index, blocks), classify(data, stop, end, index, blocks)[0]
        )
    return True


@kernel
def _last_class(data, start, stop, index, blocks):
    """The class of the last character of data[start:stop]."""
    place = stop - 1
    while place > start and data[place] & 0xC0 == 0x80:
        place -= 1
    return classify(data, place, stop, index, blocks)[0]


@kernel
def _goes_on(one, other):
    """Whether two neighbours are of one word: letters, marks or numbers, none of them of an unspaced script."""
    if (one | other) & UNSPACED:
        return False
    return 1 <= one >> CATEGORY_SHIFT <= 11 and 1 <= other >> CATEGORY_SHIFT <= 11
