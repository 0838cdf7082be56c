"""Shingles: the runs of n words by which near-duplicates are recognised (Broder 1997).

    "It’s 3 o'clock, Déjà-vu!"   words  it | s | 0 | o | clock | déjà | vu
                                 n = 5  it s 0 o clock · s 0 o clock déjà · 0 o clock déjà vu
    "東京に行く"                  words  東 | 京 | に | 行 | く

**Words**, so that what editors and crawlers change by habit makes no difference. Code point by code point, by
General_Category:

- a decimal digit (Nd) counts as the digit 0; any other character as its simple case folding (CaseFolding.txt, C
  and S);
- format characters (Cf: soft hyphen, joiners, byte-order mark ...) are not there;
- a letter or number (L*, N*) goes on with the word before it, or begins one;
- a letter or number, other than a digit, of a script written without spaces (Han, Hiragana, Katakana, Thai, Lao,
  Khmer, Myanmar) is a word by itself. This is decided character by character, not document by document: mixed
  texts need no rule, and two versions of a text never fall on two sides of one;
- a mark (M*) belongs to the word before it; without one it is not there;
- everything else (punctuation, symbols, white space, controls) separates words.

**Hashes.** A word is its UTF-8 bytes after that, in chunks of eight, little-endian, the last filled up with zeros.
With `mix` the finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection of 64-bit numbers, G = 0x9E3779B97F4A7C15
and B = 0xD1342543DE82EF95, all modulo 2**64:

    word     w = 0; for each chunk c:       w = mix((w + G) ^ c)
    shingle  s = n; for each word's hash w: s = s * B + w;  hash = mix(s)

*Collisions.* Words of up to eight bytes never collide, since mix is a bijection; longer ones do as random numbers
of 64 bits would. Two shingles collide if the sum of (v_i - w_i) * B**(n - 1 - i) is 0: never if a single word's hash
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
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textmill.text.classes import (
    BLOCK,
    CATEGORIES,
    CATEGORY_SHIFT,
    CODE_POINTS,
    LETTERS,
    MARKS,
    NUMBERS,
    UNSPACED,
    class_table,
    decode,
)
from textmill.text.compilation import borrowed, kernel
from textmill.text.hashing import load_64
from textmill.text.inputs import checked

FOLDING = Path(__file__).with_name("unicode_folding.tsv")
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
BASE = np.uint64(0xD1342543DE82EF95)

# What a code point is to a word; bits 0-2 of its entry. CHANGED: the code point it counts as stands above FOLDED.
SEPARATOR, IGNORED, LETTER, ALONE, MARK = 0, 1, 2, 3, 4
KIND, CHANGED, FOLDED = 7, 8, 8

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


@lru_cache(maxsize=1)
def folding_table() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint32]]:
    """Two stages as in `classes`: uint16[8704] and uint32[128 x blocks], what a code point is to a word."""
    index, blocks = class_table()
    points = np.arange(CODE_POINTS)
    classes = blocks[(index[points >> 7].astype(np.int64) << 7) | (points & 127)]
    category = classes >> CATEGORY_SHIFT
    letter = _between(category, LETTERS) | _between(category, NUMBERS)
    digit = category == CATEGORIES.index("Nd")
    entries = np.where(letter, LETTER, SEPARATOR).astype(np.uint32)
    entries[letter & ~digit & (classes & UNSPACED != 0)] = ALONE
    entries[_between(category, MARKS)] = MARK
    entries[category == CATEGORIES.index("Cf")] = IGNORED
    folded = _folded()
    folded[digit] = ord("0")
    changed = (folded != points) & (entries != SEPARATOR) & (entries != IGNORED)
    entries[changed] |= (CHANGED | (folded[changed] << FOLDED)).astype(np.uint32)
    number: dict[bytes, int] = {}
    stages = [number.setdefault(block.tobytes(), len(number)) for block in entries.reshape(-1, BLOCK)]
    return np.array(stages, np.uint16), np.frombuffer(b"".join(number), np.uint32).copy()


def _folded() -> npt.NDArray[np.int64]:
    """What every code point folds to, from the ranges in the file."""
    folded = np.arange(CODE_POINTS)
    for line in FOLDING.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            first, last, step, difference = line.split("\t")
            folded[int(first, 16) : int(last, 16) + 1 : int(step)] += int(difference)
    return folded


def _between(category: npt.NDArray[np.uint16], limits: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return (category >= limits[0]) & (category <= limits[1])


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


@kernel
def mix(value):
    """The finaliser of SplitMix64: every bit of the result depends on every bit given."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def next_words(data, at, end, index, blocks, tokens, count, places):
    """Hashes of the words from `at` on, written from place `count`, until the text ends or `tokens` is full.

    `places` (int64[2, tokens], or None) receives the first byte of each word and the byte after it.
    Returns the position to go on from, and the words now in `tokens`. What ASCII alone decides is decided here,
    eight bytes at a time; a word that another character touches is left to `_any_word`.
    """
    while at < end and count < tokens.size:
        bytes_, letters, lowered = _ascii_letters(data, at, end)
        others = ~letters & np.uint64(0x8080808080808080)
        first_other = others & (~others + np.uint64(1))
        if bytes_ & first_other:
            at, word, start, stop = _any_word(data, at, end, index, blocks)
            if start < 0:
                continue
        elif others == 0:
            start = at
            stop, word = _long_word(data, at, end, mix(lowered ^ GOLDEN))
            at = stop
            if stop < 0:
                at, word, start, stop = _any_word(data, start, end, index, blocks)
        elif letters & (first_other - np.uint64(1)):
            # All bits below the first byte that is no letter: 0x80 << 8 k leaves the k bytes before it.
            kept = (first_other >> np.uint64(7)) - np.uint64(1)
            word = mix((lowered & kept) ^ GOLDEN)
            start = at
            stop = at + bytes_below(first_other)
            at = stop + 1
        else:
            stops = letters | (bytes_ & np.uint64(0x8080808080808080))
            at += 8 if stops == 0 else bytes_below(stops & (~stops + np.uint64(1)))
            continue
        tokens[count] = word
        if places is not None:
            places[0, count] = start
            places[1, count] = stop
        count += 1
    return min(at, end), count


@kernel
def _ascii_letters(data, at, end):
    """The eight bytes from `at` on; 0x80 for every letter or digit of ASCII; those in lower case, digits as 0.

    Bytes beyond `end` are zeros. Letters and digits are found by carries into the highest bit of each byte,
    eight at once (Lamport 1975, "Multiple byte processing with full-word instructions").
    """
    bytes_ = load_within(data, at, end)
    high = np.uint64(0x8080808080808080)
    low = bytes_ & ~high
    lowered = low | np.uint64(0x2020202020202020)
    letters = (lowered + np.uint64(0x1F1F1F1F1F1F1F1F)) & ~(lowered + np.uint64(0x0505050505050505))
    digits = (low + np.uint64(0x5050505050505050)) & ~(low + np.uint64(0x4646464646464646))
    letters &= high & ~bytes_
    digits &= high & ~bytes_
    # 0x30 has no bits that a digit lacks: clearing the lower four makes any digit 0.
    lowered &= ~((digits >> np.uint64(7)) * np.uint64(0x0F))
    return bytes_, letters | digits, lowered


@kernel
def load_within(data, at, end):
    """The eight bytes from `at` on as one little-endian number, zeros for those at or beyond `end`."""
    if at + 8 <= data.size:
        bytes_ = load_64(data, at)
        if at + 8 > end:
            bytes_ &= (np.uint64(1) << np.uint64(8 * (end - at))) - np.uint64(1)
        return bytes_
    bytes_ = np.uint64(0)
    for byte in range(min(8, end - at)):
        bytes_ |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
    return bytes_


@kernel
def bytes_below(bit):
    """k, of 0x80 << 8 k."""
    return np.int64(((bit >> np.uint64(7)) * np.uint64(0x0001020304050607)) >> np.uint64(56))


@kernel
def _long_word(data, at, end, word):
    """The end and the hash of an ASCII word whose first eight bytes, at `at`, are hashed already.

    The end is -1 where a character beyond ASCII has a say.
    """
    at += 8
    while at < end:
        bytes_, letters, lowered = _ascii_letters(data, at, end)
        others = ~letters & np.uint64(0x8080808080808080)
        if others != 0:
            first_other = others & (~others + np.uint64(1))
            if bytes_ & first_other:
                return -1, word
            kept = (first_other >> np.uint64(7)) - np.uint64(1)
            if kept != 0:
                word = mix((word + GOLDEN) ^ (lowered & kept))
            return at + bytes_below(first_other), word
        word = mix((word + GOLDEN) ^ lowered)
        at += 8
    return end, word


@kernel
def _any_word(data, at, end, index, blocks):
    """The position to go on from, the hash of the word that begins at `at`, its first byte and the byte after.

    The first byte is -1 if a separator comes first: there is no word.
    """
    start, stop = -1, -1
    word = np.uint64(0)
    chunk = np.uint64(0)
    filled = 0
    alone = False
    while at < end:
        code_point, after = decode(data, at, end)
        entry = np.int64(blocks[(np.int64(index[code_point >> 7]) << 7) | (code_point & 127)])
        kind = entry & KIND
        if kind == SEPARATOR:
            if start < 0:
                at = after
            break
        if kind == IGNORED or (kind == MARK and start < 0):
            at = after
            continue
        if start >= 0 and (kind == ALONE or (kind == LETTER and alone)):
            break
        if start < 0:
            start = at
        alone = alone or kind == ALONE
        if entry & CHANGED:
            encoded, size = _utf8(entry >> FOLDED)
        else:
            size = after - at
            encoded = np.uint64(0)
            for byte in range(size):
                encoded |= np.uint64(data[at + byte]) << np.uint64(8 * byte)
        chunk |= encoded << np.uint64(8 * filled)
        filled += size
        if filled >= 8:
            word = mix((word + GOLDEN) ^ chunk)
            filled -= 8
            chunk = encoded >> np.uint64(8 * (size - filled)) if filled > 0 else np.uint64(0)
        at = after
        stop = at
    if filled > 0:
        word = mix((word + GOLDEN) ^ chunk)
    return at, word, start, stop


@kernel
def _utf8(code_point):
    """The UTF-8 bytes of a code point as one little-endian number, and how many they are."""
    point = np.uint64(code_point)
    last = np.uint64(0x80) | (point & np.uint64(0x3F))
    if code_point < 0x80:
        return point, 1
    if code_point < 0x800:
        return (np.uint64(0xC0) | (point >> np.uint64(6))) | (last << np.uint64(8)), 2
    middle = np.uint64(0x80) | ((point >> np.uint64(6)) & np.uint64(0x3F))
    if code_point < 0x10000:
        first = np.uint64(0xE0) | (point >> np.uint64(12))
        return first | (middle << np.uint64(8)) | (last << np.uint64(16)), 3
    upper = np.uint64(0x80) | ((point >> np.uint64(12)) & np.uint64(0x3F))
    first = np.uint64(0xF0) | (point >> np.uint64(18))
    return first | (upper << np.uint64(8)) | (middle << np.uint64(16)) | (last << np.uint64(24)), 4


@kernel
def sort_unique(hashes, scratch):
    """Sort hashes in place, the different ones first; returns how many they are.

    Good hashes are spread evenly: their highest bits say where they belong, and what is left to do within a
    bucket is little. A bucket that is large all the same (equal hashes) is sorted by comparisons. `scratch`
    has room for as many hashes.
    """
    size = hashes.size
    if size > 32:
        bits = 1
        while (4 << bits) < size and bits < 20:
            bits += 1
        shift = np.uint64(64 - bits)
        ends = np.zeros((1 << bits) + 1, np.int64)
        for place in range(size):
            scratch[place] = hashes[place]
            ends[np.int64(hashes[place] >> shift) + 1] += 1
        for bucket in range(1 << bits):
            ends[bucket + 1] += ends[bucket]
        # From here on ends[b] is where the next hash of bucket b goes; at last, where the bucket ends.
        for place in range(size):
            bucket = np.int64(scratch[place] >> shift)
            hashes[ends[bucket]] = scratch[place]
            ends[bucket] += 1
        first = 0
        for bucket in range(1 << bits):
            _sort(hashes[first : ends[bucket]])
            first = ends[bucket]
    else:
        _sort(hashes)
    unique = min(size, 1)
    for place in range(1, size):
        if hashes[place] != hashes[place - 1]:
            hashes[unique] = hashes[place]
            unique += 1
    return unique


@kernel
def _sort(hashes):
    if hashes.size > 40:
        hashes.sort()
        return
    for place in range(1, hashes.size):
        value = hashes[place]
        at = place
        while at > 0 and hashes[at - 1] > value:
            hashes[at] = hashes[at - 1]
            at -= 1
        hashes[at] = value
