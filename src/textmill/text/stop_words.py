"""Stop words of many languages at once: each document is looked through for those of its own."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel
from textmill.text.hashing import hash_word
from textmill.text.words import Words

LIST_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # keeps the same word of two lists apart in the table
NO_LIST = -1


@dataclass(frozen=True)
class StopWordTable:
    """Lists of stop words as the kernel reads them.

    Attributes:
        data: uint8, all words one after another; offsets: int64[words + 1], their borders.
        owners: int32[words], the list of each word.
        slots: int32, a hash table of positions of words, -1 where free.
        lengths: uint64[lists, 256]: by first byte, a bit for every length in bytes (63: or more).
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int32]
    slots: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.uint64]


def stop_word_table(lists: Sequence[Sequence[str]]) -> StopWordTable:
    """Prepare lists of words, each word a single token; one that is listed twice counts once."""
    pairs = [
        (number, word.encode()) for number, words in enumerate(lists) for word in dict.fromkeys(words) if word
    ]
    data = np.frombuffer(b"".join(word for _, word in pairs), np.uint8).copy()
    offsets = np.cumsum([0, *(len(word) for _, word in pairs)], dtype=np.int64)
    owners = np.array([number for number, _ in pairs], np.int32)
    lengths = np.zeros((len(lists), 256), np.uint64)
    for number, word in pairs:
        lengths[number, word[0]] |= np.uint64(1) << np.uint64(min(len(word), 63))
    return StopWordTable(data, offsets, owners, _fill(data, offsets, owners), lengths)


def count_stop_words(
    data: npt.NDArray[np.uint8], words: Words, table: StopWordTable, which: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """How many different words of its list each document holds: float64[documents].

    Args:
        data: uint8[bytes], UTF-8.
        words: tokens of the same buffer.
        table: the lists; case matters.
        which: int[documents], the number of each document's list, or NO_LIST, which counts 0.

    Raises:
        ValueError: ``which`` has another number of documents or names a list that is not there.
    """
    which = np.asarray(which, np.int64)
    if which.size != words.document_offsets.size - 1:
        raise ValueError(f"{words.document_offsets.size - 1} documents analysed, {which.size} given")
    if which.size and not (which.min() >= NO_LIST and which.max() < table.lengths.shape[0]):
        raise ValueError(f"lists are numbered from 0 to {table.lengths.shape[0] - 1}")
    view = np.ascontiguousarray(data).view()
    view.flags.writeable = False
    return _count(  # type: ignore[no-any-return]
        view,
        words.starts,
        words.ends,
        words.document_offsets,
        table.data,
        table.offsets,
        table.owners,
        table.slots,
        table.lengths,
        which,
    )


@kernel
def _fill(data, offsets, owners):
    size = 8
    while size < 4 * offsets.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    for word in range(owners.size):
        slot = _slot(data, offsets[word], offsets[word + 1] - offsets[word], owners[word], size)
        while slots[slot] >= 0:
            slot = (slot + 1) & (size - 1)
        slots[slot] = word
    return slots


@kernel
def _slot(data, start, size, owner, slots):
    key = hash_word(data, start, size) + np.uint64(owner) * LIST_FACTOR
    return np.int64((key ^ (key >> np.uint64(29))) & np.uint64(slots - 1))


@kernel
def _count(data, starts, ends, document_offsets, stop_data, stop_offsets, owners, slots, lengths, which):
    data, stop_data, stop_offsets = borrowed(data), borrowed(stop_data), borrowed(stop_offsets)
    owners, slots = borrowed(owners), borrowed(slots)
    counts = np.zeros(which.size, np.float64)
    met = np.full(owners.size, -1, np.int64)  # the document in which each stop word was met last
    for document in range(which.size):
        owner = which[document]
        if owner < 0:
            continue
        found = 0
        for token in range(document_offsets[document], document_offsets[document + 1]):
            start, end = np.int64(starts[token]), np.int64(ends[token])
            if (lengths[owner, data[start]] >> np.uint64(min(end - start, 63))) & np.uint64(1) == 0:
                continue
            word = _find(data, start, end - start, owner, stop_data, stop_offsets, owners, slots)
            if word >= 0 and met[word] != document:
                met[word] = document
                found += 1
        counts[document] = found
    return counts


@kernel
def _find(data, start, size, owner, stop_data, stop_offsets, owners, slots):
    """Position of data[start:start + size] in the list of an owner, or -1."""
    slot = _slot(data, start, size, owner, slots.size)
    while slots[slot] >= 0:
        word = slots[slot]
        at = stop_offsets[word]
        if owners[word] == owner and stop_offsets[word + 1] - at == size:
            same = True
            for byte in range(size):
                if stop_data[at + byte] != data[start + byte]:
                    same = False
                    break
            if same:
                return np.int64(word)
        slot = (slot + 1) & (slots.size - 1)
    return np.int64(-1)
