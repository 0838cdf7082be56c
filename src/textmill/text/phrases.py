"""Phrases: runs of words of some texts, looked for in others.

    texts to look for   "The cell is the basic unit of life."     runs of 4 words: the cell is the · cell is the basic …
    a document          "... that THE CELL—is the basic unit!"    holds: the cell is the · cell is the basic · …

Words are those of `shingles`, except that digits are told apart: letters, numbers and the marks on them, by simple
case folding; everything else separates words; a character of a script written without spaces is a word by itself.

A document's words are hashed as they come; the hash of a run follows from that of the run before in one step
(Karp and Rabin 1987, modulo 2**64). A bit per phrase hash sends most runs away, a table with open addressing
(linear probing, at most half full) finds the rest, and the words themselves are compared: no collision of hashes
ever makes a match.

Memory: of the table, 12 bytes per slot, 24 to 48 per phrase; 16 bits per phrase or more for the bits; 4 bytes per
letter of the texts. Nothing grows with the documents but the list of matches, 20 bytes each.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.classes import BLOCK, CATEGORIES, CATEGORY_SHIFT, CODE_POINTS, class_table, decode
from textmill.text.compilation import borrowed, kernel
from textmill.text.folded_words import (
    ALONE,
    CHANGED,
    FOLDED,
    GOLDEN,
    IGNORED,
    KIND,
    MARK,
    SEPARATOR,
    folding_table,
    mix,
)
from textmill.text.inputs import checked

BASE = np.uint64(0xD1342543DE82EF95)
_LETTER_FACTOR = np.uint64(0x9FB21C651E98DF25)
LONGEST = 256


@dataclass(frozen=True)
class Phrases:
    """Phrases ready to be looked for.

    Attributes:
        letters: uint32[letters], the folded words of the texts, a 0 behind each word.
        starts: int64[phrases], where in `letters` a phrase begins.
        ends: int64[phrases], where it ends, its last 0 included.
        sizes: int32[phrases], its words.
        lengths: int64[different lengths], ascending.
        slots: int32[a power of two], a phrase's number or -1.
        hashes: uint64[as many], its hash.
        bits: uint64[a power of two], a bit for every hash.
    """

    letters: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int64]
    slots: npt.NDArray[np.int32]
    hashes: npt.NDArray[np.uint64]
    bits: npt.NDArray[np.uint64]

    @property
    def memory_bytes(self) -> int:
        """Bytes of all arrays together."""
        return sum(array.nbytes for array in vars(self).values())


@dataclass(frozen=True)
class Matches:
    """Places of phrases in documents, in the order of the text; at one place the shorter phrase first.

    Attributes:
        documents: int64[matches].
        phrases: int32[matches], numbers of phrases.
        starts, ends: int64[matches], first byte in the buffer and the byte after the last word.
    """

    documents: npt.NDArray[np.int64]
    phrases: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


def count_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """int64[texts], the words of each text.

    Raises:
        ValueError: offsets do not ascend within the buffer.
    """
    data, offsets = checked(data, offsets)
    _, _, _, borders = _folded_words(data, offsets, *letter_table())
    counts: npt.NDArray[np.int64] = np.diff(borders)
    return counts


def build_phrases(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], sizes: npt.NDArray[np.integer]
) -> tuple[Phrases, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """All runs of sizes[i] words of text i.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[texts + 1]: text i is data[offsets[i]:offsets[i + 1]].
        sizes: int[texts], words of a phrase; 0 leaves a text out.

    Returns:
        The phrases, each once; int32[runs], the number of the phrase of every run in the order of the texts; and
        int64[texts + 1], the borders of the texts in these.

    Raises:
        ValueError: a size is not from 0 to 256, or offsets do not ascend within the buffer.
    """
    data, offsets = checked(data, offsets)
    wanted = np.ascontiguousarray(sizes, np.int64)
    if wanted.shape != (offsets.size - 1,) or (
        wanted.size and not 0 <= wanted.min() <= wanted.max() <= LONGEST
    ):
        raise ValueError(f"a size from 0 to {LONGEST} for each of {offsets.size - 1} texts, found {wanted}")
    letters, places, words, borders = _folded_words(data, offsets, *letter_table())
    runs = np.where(wanted > 0, np.maximum(np.diff(borders) - wanted + 1, 0), 0)
    total = int(runs.sum())
    slots = np.full(1 << max(4, int(2 * total - 1).bit_length()), -1, np.int32)
    hashes = np.zeros(slots.size, np.uint64)
    bits = np.zeros(max(1, slots.size // 8), np.uint64)  # 8 bits per slot, so 16 or more per phrase
    numbers, starts, ends, lengths = _insert(
        letters, places, words, borders, wanted, total, slots, hashes, bits
    )
    phrases = Phrases(
        letters, starts, ends, lengths, np.unique(lengths).astype(np.int64), slots, hashes, bits
    )
    return phrases, numbers, np.concatenate([[0], np.cumsum(runs)]).astype(np.int64)


def find_phrases(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], phrases: Phrases) -> Matches:
    """Every place of every phrase.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].
        phrases: what to look for.

    Raises:
        ValueError: offsets do not ascend within the buffer, or the last document ends beyond 2 GiB.
    """
    data, offsets = checked(data, offsets)
    if not phrases.starts.size:
        nothing = np.zeros(0, np.int64)
        return Matches(nothing, np.zeros(0, np.int32), nothing, nothing)
    return Matches(
        *_find(
            data,
            offsets,
            *letter_table(),
            phrases.letters,
            phrases.starts,
            phrases.ends,
            phrases.sizes,
            phrases.lengths,
            phrases.slots,
            phrases.hashes,
            phrases.bits,
        )
    )


@lru_cache(maxsize=1)
def letter_table() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint32]]:
    """The two stages of `folding_table`, with every digit itself."""
    points = np.arange(CODE_POINTS)
    index, blocks = folding_table()
    entries = blocks[(index[points >> 7].astype(np.int64) << 7) | (points & 127)]
    index, classes = class_table()
    category = classes[(index[points >> 7].astype(np.int64) << 7) | (points & 127)] >> CATEGORY_SHIFT
    entries[category == CATEGORIES.index("Nd")] &= np.uint32(KIND)
    number: dict[bytes, int] = {}
    stages = [number.setdefault(block.tobytes(), len(number)) for block in entries.reshape(-1, BLOCK)]
    return np.array(stages, np.uint16), np.frombuffer(b"".join(number), np.uint32).copy()


@kernel
def _folded_words(data, offsets, index, blocks):
    """Letters with a 0 behind each word, the first letter of each word, its hash, and the texts' borders."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    texts = offsets.size - 1
    room = offsets[texts] - offsets[0]
    letters = np.empty(2 * room + 1, np.uint32)
    places = np.empty(room + 1, np.int64)
    words = np.empty(room + 1, np.uint64)
    borders = np.zeros(texts + 1, np.int64)
    used = 0
    count = 0
    for text in range(texts):
        at, end = offsets[text], offsets[text + 1]
        while True:
            start, stop, word, at = _next_word(data, at, end, index, blocks)
            if start < 0:
                break
            places[count] = used
            words[count] = word
            count += 1
            used = _copy_letters(data, start, stop, index, blocks, letters, used)
        borders[text + 1] = count
    places[count] = used
    return letters[:used].copy(), places[: count + 1].copy(), words[:count].copy(), borders


@kernel
def _copy_letters(data, at, stop, index, blocks, letters, used):
    """Folded letters of the word data[at:stop] and a 0, written from place `used` on; returns the place after."""
    while at < stop:
        entry, letter, at = _look(data, at, stop, index, blocks)
        if entry & KIND != IGNORED:
            letters[used] = letter
            used += 1
    letters[used] = 0
    return used + 1


@kernel
def _look(data, at, end, index, blocks):
    """The table's entry of the character at `at`, its folded code point, and the position after it."""
    if data[at] < 128:
        letter = np.int64(data[at])
        entry = blocks[letter]  # the first block is ASCII
        after = at + 1
    else:
        letter, after = decode(data, at, end)
        entry = blocks[(np.int64(index[letter >> 7]) << 7) | (letter & 127)]
    if entry & CHANGED:
        letter = np.int64(entry >> FOLDED)
    return entry, letter, after


@kernel
def _next_word(data, at, end, index, blocks):
    """First byte, byte after the last letter, hash, and where to go on; -1 as the first byte at the end."""
    start = np.int64(-1)
    stop = at
    word = GOLDEN
    while at < end:
        entry, letter, after = _look(data, at, end, index, blocks)
        kind = entry & KIND
        if kind == SEPARATOR or (kind == ALONE and start >= 0):
            if start >= 0:
                break
        elif kind != IGNORED and (kind != MARK or start >= 0):
            if start < 0:
                start = at
            word = (word ^ np.uint64(letter)) * _LETTER_FACTOR
            stop = after
            if kind == ALONE:
                # Marks on it belong to it; whatever else follows is another word.
                at = after
                while at < end:
                    entry, letter, after = _look(data, at, end, index, blocks)
                    if entry & KIND == MARK:
                        word = (word ^ np.uint64(letter)) * _LETTER_FACTOR
                        stop = after
                    elif entry & KIND != IGNORED:
                        break
                    at = after
                break
        at = after
    return start, stop, mix(word), at


@kernel
def _insert(letters, places, words, borders, sizes, total, slots, hashes, bits):
    """Every run into the table; the number of its phrase, and the phrases' places, ends and sizes."""
    numbers = np.empty(total, np.int32)
    starts = np.empty(total, np.int64)
    ends = np.empty(total, np.int64)
    lengths = np.empty(total, np.int32)
    count = 0
    run = 0
    mask = np.uint64(slots.size - 1)
    for text in range(sizes.size):
        size = sizes[text]
        if size == 0:
            continue
        for first in range(borders[text], borders[text + 1] - size + 1):
            value = np.uint64(size)
            for word in range(first, first + size):
                value = value * BASE + words[word]
            value = mix(value)
            start, end = places[first], places[first + size]
            slot = np.int64(value & mask)
            while slots[slot] >= 0:
                other = slots[slot]
                if (
                    hashes[slot] == value
                    and lengths[other] == size
                    and _same_letters(letters, starts[other], ends[other], start, end)
                ):
                    break
                slot = (slot + 1) & np.int64(mask)
            if slots[slot] < 0:
                slots[slot] = count
                hashes[slot] = value
                bit = value >> np.uint64(20)
                bits[np.int64((bit >> np.uint64(6)) & np.uint64(bits.size - 1))] |= np.uint64(1) << (
                    bit & np.uint64(63)
                )
                starts[count], ends[count], lengths[count] = start, end, size
                count += 1
            numbers[run] = slots[slot]
            run += 1
    return numbers, starts[:count].copy(), ends[:count].copy(), lengths[:count].copy()


@kernel
def _same_letters(letters, first, first_end, second, second_end):
    if first_end - first != second_end - second:
        return False
    for step in range(first_end - first):  # noqa: SIM110 (Numba knows no all())
        if letters[first + step] != letters[second + step]:
            return False
    return True


@kernel
def _find(data, offsets, index, blocks, letters, starts, ends, sizes, lengths, slots, hashes, bits):
    """Matches of all documents; the arrays grow as they fill."""
    data, index, blocks, letters = borrowed(data), borrowed(index), borrowed(blocks), borrowed(letters)
    starts, ends, sizes, lengths = borrowed(starts), borrowed(ends), borrowed(sizes), borrowed(lengths)
    slots, hashes, bits = borrowed(slots), borrowed(hashes), borrowed(bits)
    kinds = lengths.size
    longest = lengths[kinds - 1]
    # The last words seen: place w % longest holds word w.
    seen = np.empty(longest, np.uint64)
    begins = np.empty(longest, np.int64)
    rolling = np.empty(kinds, np.uint64)
    powers = np.empty(
        kinds, np.uint64
    )  # BASE ** length, what the oldest word and the length are multiplied by
    for kind in range(kinds):
        powers[kind] = np.uint64(1)
        for _ in range(lengths[kind]):
            powers[kind] *= BASE
    mask = np.uint64(slots.size - 1)
    bit_mask = np.uint64(bits.size - 1)
    documents = np.empty(64, np.int64)
    phrases = np.empty(64, np.int32)
    firsts = np.empty(64, np.int64)
    lasts = np.empty(64, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        rolling[:] = np.uint64(0)
        number = 0
        place = 0
        while True:
            start, stop, word, at = _next_word(data, at, end, index, blocks)
            if start < 0:
                break
            for kind in range(kinds):
                size = lengths[kind]
                value = rolling[kind] * BASE + word
                if number >= size:
                    old = place - size
                    if old < 0:
                        old += longest
                    value -= seen[old] * powers[kind]
                rolling[kind] = value
                if number + 1 < size:
                    continue
                value = mix(value + np.uint64(size) * powers[kind])
                bit = value >> np.uint64(20)
                if (
                    bits[np.int64((bit >> np.uint64(6)) & bit_mask)] >> (bit & np.uint64(63)) & np.uint64(1)
                    == 0
                ):
                    continue
                slot = np.int64(value & mask)
                while slots[slot] >= 0:
                    phrase = slots[slot]
                    if hashes[slot] == value and sizes[phrase] == size:
                        begin = start
                        if size > 1:
                            first = place - size + 1
                            begin = begins[first + longest if first < 0 else first]
                        if _same_words(
                            data, begin, stop, index, blocks, letters, starts[phrase], ends[phrase]
                        ):
                            if count == documents.size:
                                documents = _larger(documents)
                                phrases = _larger(phrases)
                                firsts = _larger(firsts)
                                lasts = _larger(lasts)
                            documents[count] = document
                            phrases[count] = phrase
                            firsts[count] = begin
                            lasts[count] = stop
                            count += 1
                            break
                    slot = (slot + 1) & np.int64(mask)
            seen[place] = word
            begins[place] = start
            number += 1
            place += 1
            if place == longest:
                place = 0
    return documents[:count].copy(), phrases[:count].copy(), firsts[:count].copy(), lasts[:count].copy()


@kernel
def _larger(array):
    grown = np.empty(2 * array.size, array.dtype)
    grown[: array.size] = array
    return grown


@kernel
def _same_words(data, at, stop, index, blocks, letters, place, place_end):
    """Whether the words of data[at:stop] are letters[place:place_end]."""
    while True:
        start, word_end, _, at = _next_word(data, at, stop, index, blocks)
        if start < 0:
            return place == place_end
        while start < word_end:
            entry, letter, start = _look(data, start, word_end, index, blocks)
            if entry & KIND == IGNORED:
                continue
            if place >= place_end or letters[place] != letter:
                return False
            place += 1
        if place >= place_end or letters[place] != 0:
            return False
        place += 1
