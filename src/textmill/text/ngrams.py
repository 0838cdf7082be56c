"""Repetition within a document, as Gopher measures it (Rae et al. 2021, arXiv:2112.11446, table A1).

    words   the cat sat on the cat sat
    level 1   0   1   2   3   0   1   2      every word gets a number: equal numbers, equal bytes
    level 2   0   1   -   -   0   1          (number of "the", number of "cat") -> number of "the cat"
    level 3   0   -   -   -   0              (number of "the cat", number of "sat") -> ...

An n-gram is numbered by the pair (number of its first n - 1 words, number of its last word). Both fit into
one 64-bit key, so numbers are exact without comparing text; only single words are hashed, and those are
compared byte by byte. An n-gram can occur twice only if both its (n - 1)-grams do, so each level looks only
at places where the level below repeats: on ordinary text almost nothing is left from five words on.

Memory while running: at most 68 bytes per word of the longest document and 16 bytes per line of it.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel
from textmill.text.hashing import hash_word, same_bytes, up_to_8_bytes
from textmill.text.inputs import checked
from textmill.text.lines import BLANK, Lines
from textmill.text.wide import count_leads, item, put
from textmill.text.words import SYMBOL, Words

TOP_N = (2, 3, 4)
DUPLICATE_N = (5, 6, 7, 8, 9, 10)
STATISTICS = (
    "duplicate_lines",
    "duplicate_line_characters",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    *(f"top_{n}_gram" for n in TOP_N),
    *(f"duplicate_{n}_grams" for n in DUPLICATE_N),
    "distinct_words_ratio",
)


def repetition_statistics(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer],
    words: Words,
    lines: Lines,
    paragraphs: Lines,
) -> dict[str, npt.NDArray[np.float64]]:
    """How much every document repeats itself: float64[documents] for each name in STATISTICS, 0 if empty.

    - duplicate_lines, duplicate_paragraphs: second and later copies / all; blank ones do not count.
    - duplicate_line_characters, duplicate_paragraph_characters: code points of those copies / of the text.
    - top_N_gram: occurrences of the most frequent n-gram times its length / code points of the text. Words
      are joined by one space; of equally frequent ones the first counts. A text in which no n-gram repeats
      has the length of its first n-gram here, as in the reference implementation (datatrove).
    - duplicate_N_grams: going through the words, an n-gram met before counts with the lengths of its words,
      and the next n - 1 words are passed over / code points of the text.
    - distinct_words_ratio: different words / words, without those of kind SYMBOL; case matters.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1], borders of the documents in `data`.
        words: from `segment_words` of the same buffer.
        lines: from `split_lines` of the same buffer.
        paragraphs: from `split_paragraphs` of the same buffer.

    Raises:
        ValueError: words, lines or paragraphs belong to another number of documents.
    """
    data, offsets = checked(data, offsets)
    for owner in (words, lines, paragraphs):
        if owner.document_offsets.size != offsets.size:
            raise ValueError(
                f"{owner.document_offsets.size - 1} documents analysed, {offsets.size - 1} given"
            )
    table = np.zeros((len(STATISTICS), offsets.size - 1), np.float64)
    text = _characters(data, offsets)
    count_duplicates(
        data,
        lines.starts,
        lines.ends,
        lines.characters,
        lines.flags,
        lines.hashes,
        lines.document_offsets,
        text,
        table[0:2],
    )
    count_duplicates(
        data,
        paragraphs.starts,
        paragraphs.ends,
        paragraphs.characters,
        paragraphs.flags,
        paragraphs.hashes,
        paragraphs.document_offsets,
        text,
        table[2:4],
    )
    _repeated_ngrams(
        data, words.starts, words.ends, words.kinds, words.characters, words.document_offsets, text, table[4:]
    )
    return dict(zip(STATISTICS, table, strict=True))


def distinct_words_ratio(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer], words: Words
) -> npt.NDArray[np.float64]:
    """float64[documents]: `distinct_words_ratio` of `repetition_statistics`, without the rest.

    Raises:
        ValueError: the words belong to another number of documents.
    """
    data, offsets = checked(data, offsets)
    if words.document_offsets.size != offsets.size:
        raise ValueError(f"{words.document_offsets.size - 1} documents analysed, {offsets.size - 1} given")
    ratios: npt.NDArray[np.float64] = _distinct_words(
        data, words.starts, words.ends, words.kinds, words.document_offsets
    )
    return ratios


@kernel
def _distinct_words(data, starts, ends, kinds, document_offsets):
    data, starts, ends = borrowed(data), borrowed(starts), borrowed(ends)
    longest = 0
    for document in range(document_offsets.size - 1):
        longest = max(longest, document_offsets[document + 1] - document_offsets[document])
    keys = np.empty(_slots_for(longest), np.uint64)
    slots = np.empty(keys.size, np.int32)
    numbers = np.empty(longest, np.int32)
    counts = np.empty(longest, np.int32)
    firsts = np.empty(longest, np.int32)
    ratios = np.zeros(document_offsets.size - 1, np.float64)
    for document in range(document_offsets.size - 1):
        first, last = document_offsets[document], document_offsets[document + 1]
        distinct = _number_words(
            data, starts[first:last], ends[first:last], keys, slots, numbers, counts, firsts
        )
        words = 0
        different = 0
        for number in range(distinct):
            if kinds[first + firsts[number]] != SYMBOL:
                words += counts[number]
                different += 1
        if words > 0:
            ratios[document] = different / words
    return ratios


@kernel
def _characters(data, offsets):
    """Code points of every document."""
    characters = np.empty(offsets.size - 1, np.int64)
    for document in range(offsets.size - 1):
        characters[document] = count_leads(data, offsets[document], offsets[document + 1])
    return characters


@kernel
def count_duplicates(data, starts, ends, characters, flags, hashes, document_offsets, text, table):
    """Fractions of lines (or paragraphs) that repeat an earlier one of the document; same of characters."""
    data = borrowed(data)
    longest = 0
    for document in range(text.size):
        longest = max(longest, document_offsets[document + 1] - document_offsets[document])
    slots = np.empty(_slots_for(longest), np.int32)
    for document in range(text.size):
        first, last = document_offsets[document], document_offsets[document + 1]
        mask = _slots_for(last - first) - 1
        slots[: mask + 1] = -1
        lines = 0
        copies = 0
        copied_characters = 0
        for line in range(first, last):
            if flags[line] & BLANK:
                continue
            lines += 1
            start, size = np.int64(starts[line]), np.int64(ends[line]) - starts[line]
            slot = np.int64(hashes[line] & np.uint64(mask))
            while True:
                other = slots[slot]
                if other < 0:
                    slots[slot] = line
                    break
                if (
                    hashes[other] == hashes[line]
                    and np.int64(ends[other]) - starts[other] == size
                    and same_bytes(data, np.int64(starts[other]), start, size)
                ):
                    copies += 1
                    copied_characters += characters[line]
                    break
                slot = (slot + 1) & mask
        if lines > 0:
            table[0, document] = copies / lines
            table[1, document] = copied_characters / text[document]


@kernel
def _slots_for(entries):
    """The power of two that leaves a table of open addressing at most half full."""
    slots = 8
    while slots < 2 * entries:
        slots *= 2
    return slots


@kernel
def _repeated_ngrams(data, starts, ends, kinds, characters, document_offsets, text, table):
    data, starts, ends, characters = borrowed(data), borrowed(starts), borrowed(ends), borrowed(characters)
    longest = 0
    for document in range(text.size):
        longest = max(longest, document_offsets[document + 1] - document_offsets[document])
    keys = np.empty(_slots_for(longest), np.uint64)
    slots = np.empty(keys.size, np.int32)
    met = np.empty(2 * keys.size, np.uint8)
    word_numbers = np.empty(longest, np.int32)
    numbers = np.empty(longest, np.int32)
    places = np.empty(longest, np.int32)
    counts = np.empty(longest, np.int32)
    firsts = np.empty(longest, np.int32)
    for document in range(text.size):
        first = document_offsets[document]
        size = document_offsets[document + 1] - first
        if size == 0:
            continue
        here_starts = starts[first : first + size]
        here_ends = ends[first : first + size]
        here_characters = characters[first : first + size]
        distinct = _number_words(
            data, here_starts, here_ends, keys, slots, word_numbers[:size], counts, firsts
        )
        words = 0
        for word in range(size):
            words += kinds[first + word] != SYMBOL
        distinct_words = 0
        for number in range(distinct):
            distinct_words += kinds[first + firsts[number]] != SYMBOL
        if words > 0:
            table[9, document] = distinct_words / words
        repeated = _repeated_places(size, word_numbers, counts, places, numbers)
        for n in range(2, 11):
            if size < n:
                break
            repeated, best, place = _next_level(
                n, word_numbers, keys, slots, met, places, numbers, repeated, counts, firsts
            )
            if n <= 4:
                length = n - 1
                for word in range(place, place + n):
                    length += here_characters[word]
                table[n - 2, document] = best * length / text[document]
            elif repeated > 0:
                copied = _copied_characters(n, places, numbers, repeated, here_characters, counts)
                table[n - 2, document] = copied / text[document]


@kernel
def _number_words(data, starts, ends, keys, slots, numbers, counts, firsts):
    """Number the words of a document by first occurrence; returns how many different ones there are."""
    mask = _slots_for(starts.size) - 1
    slots[: mask + 1] = -1
    distinct = 0
    for word in range(starts.size):
        start = np.int64(item(starts, word))
        size = np.int64(item(ends, word)) - start
        key = _word_key(data, start, size)
        slot = _slot(key, mask)
        while True:
            number = np.int64(item(slots, slot))
            if number < 0:
                put(keys, slot, key)
                put(slots, slot, distinct)
                put(firsts, distinct, word)
                put(counts, distinct, 1)
                put(numbers, word, distinct)
                distinct += 1
                break
            if item(keys, slot) == key:
                other = np.int64(item(firsts, number))
                # A key of seven bytes or less is the word itself.
                if size < 8 or (
                    np.int64(item(ends, other)) - item(starts, other) == size
                    and same_bytes(data, np.int64(item(starts, other)), start, size)
                ):
                    put(counts, number, item(counts, number) + 1)
                    put(numbers, word, number)
                    break
            slot = (slot + 1) & mask
    return distinct


@kernel
def _word_key(data, start, size):
    """A word's bytes and their number if they are seven or less, else a hash with 255 in place of the number."""
    if size < 8:
        return up_to_8_bytes(data, start, size) | (np.uint64(size) << np.uint64(56))
    return hash_word(data, start, size) | (np.uint64(255) << np.uint64(56))


@kernel
def _repeated_places(size, word_numbers, counts, places, numbers):
    """Places and numbers of the words that occur more than once; returns how many there are."""
    repeated = np.int64(0)
    for word in range(size):
        number = np.int64(item(word_numbers, word))
        put(places, repeated, word)
        put(numbers, repeated, number)
        repeated += item(counts, number) > 1
    return repeated


@kernel
def _next_level(n, word_numbers, keys, slots, met, places, numbers, repeated, counts, firsts):
    """From the places where (n - 1)-grams repeat to those where n-grams do; arrays are overwritten.

    Returns the number of such places, the occurrences of the most frequent n-gram, and where it first occurs.
    """
    candidates = np.int64(0)
    for entry in range(repeated - 1):
        # The next place must begin a repeated (n - 1)-gram too; so the n-gram ends within the text.
        place = np.int64(item(places, entry))
        following = item(places, entry + 1) == place + 1
        put(places, candidates, place)
        put(numbers, candidates, item(numbers, entry))
        candidates += following
    candidates = _met_twice(n, word_numbers, met, places, numbers, candidates)
    mask = _slots_for(candidates) - 1
    slots[: mask + 1] = -1
    distinct = 0
    best = np.int64(1)
    best_place = np.int64(0)
    for entry in range(candidates):
        place = np.int64(item(places, entry))
        key = _pair(numbers, entry, word_numbers, place + n - 1)
        slot = _slot(key, mask)
        while item(slots, slot) >= 0 and item(keys, slot) != key:
            slot = (slot + 1) & mask
        number = np.int64(item(slots, slot))
        if number < 0:
            number = distinct
            put(keys, slot, key)
            put(slots, slot, number)
            put(counts, number, 0)
            put(firsts, number, place)
            distinct += 1
        put(counts, number, item(counts, number) + 1)
        put(numbers, entry, number)
    for number in range(distinct):
        # They are in the order of their first places: of equally frequent ones the first counts.
        if item(counts, number) > best:
            best = np.int64(item(counts, number))
            best_place = np.int64(item(firsts, number))
    remaining = np.int64(0)
    for entry in range(candidates):
        number = np.int64(item(numbers, entry))
        put(places, remaining, item(places, entry))
        put(numbers, remaining, number)
        remaining += item(counts, number) > 1
    return remaining, best, best_place


@kernel
def _met_twice(n, word_numbers, met, places, numbers, candidates):
    """Leave out n-grams whose slot is met once only: they do not repeat. Some that do not repeat stay.

    No branch here depends on the text, so this is much cheaper than the table that counts what is left.
    """
    mask = 2 * _slots_for(candidates) - 1
    met[: mask + 1] = 0
    for entry in range(candidates):
        place = np.int64(item(places, entry))
        slot = _slot(_pair(numbers, entry, word_numbers, place + n - 1), mask)
        put(met, slot, (item(met, slot) << 1) | 1)
    remaining = np.int64(0)
    for entry in range(candidates):
        place = np.int64(item(places, entry))
        slot = _slot(_pair(numbers, entry, word_numbers, place + n - 1), mask)
        put(places, remaining, place)
        put(numbers, remaining, item(numbers, entry))
        remaining += item(met, slot) > 1
    return remaining


@kernel
def _pair(numbers, entry, word_numbers, last):
    """An n-gram's key: the number of its first words and the number of its last word."""
    return (np.uint64(item(numbers, entry)) << np.uint64(32)) | np.uint64(item(word_numbers, last))


@kernel
def _slot(key, mask):
    """A slot for a key: multiplication by 2**64 / golden ratio, upper bits folded down."""
    mixed = (key ^ (key >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@kernel
def _copied_characters(n, places, numbers, repeated, characters, counts):
    """Characters of n-grams met before, passing over the words of a hit; `counts` becomes their set."""
    for entry in range(repeated):
        counts[numbers[entry]] = 0
    copied = 0
    free = 0
    for entry in range(repeated):
        place = np.int64(places[entry])
        if place < free:
            continue
        number = numbers[entry]
        if counts[number] == 0:
            counts[number] = 1
        else:
            for word in range(place, place + n):
                copied += characters[word]
            free = place + n
    return copied
