"""Folded words: the words of a text without what editors and crawlers change by habit, and their hashes.

    "It’s 3 o'clock, Déjà-vu!"   it | s | 0 | o | clock | déjà | vu
    "東京に行く"                  東 | 京 | に | 行 | く

Code point by code point, by General_Category:

- a decimal digit (Nd) counts as the digit 0; any other character as its simple case folding (CaseFolding.txt, C
  and S);
- format characters (Cf: soft hyphen, joiners, byte-order mark ...) are not there;
- a letter or number (L*, N*) goes on with the word before it, or begins one;
- a letter or number, other than a digit, of a script written without spaces (Han, Hiragana, Katakana, Thai, Lao,
  Khmer, Myanmar) is a word by itself. This is decided character by character, not document by document: mixed
  texts need no rule, and two versions of a text never fall on two sides of one;
- a mark (M*) belongs to the word before it; without one it is not there;
- everything else (punctuation, symbols, white space, controls) separates words.

The **hash** of a word is made of its UTF-8 bytes after that, in chunks of eight, little-endian, the last filled up
with zeros. With `mix` the finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection of 64-bit numbers, and
G = 0x9E3779B97F4A7C15, modulo 2**64:

    w = 0; for each chunk c: w = mix((w + G) ^ c)

Words of up to eight bytes never collide, since mix is a bijection; longer ones do as random numbers of 64 bits would.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

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
from textmill.text.compilation import kernel
from textmill.text.hashing import load_64

FOLDING = Path(__file__).with_name("unicode_folding.tsv")
GOLDEN = np.uint64(0x9E3779B97F4A7C15)

# What a code point is to a word; bits 0-2 of its entry. CHANGED: the code point it counts as stands above FOLDED.
SEPARATOR, IGNORED, LETTER, ALONE, MARK = 0, 1, 2, 3, 4
KIND, CHANGED, FOLDED = 7, 8, 8


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
def mix(value):
    """The finaliser of SplitMix64: every bit of the result depends on every bit given."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


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
