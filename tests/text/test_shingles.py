"""Shingles against plain Python over strings."""

from __future__ import annotations

import itertools
import random
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents, hostile_text
from tests.text import oracle

from textmill.text import folded_words, shingle_hashes
from textmill.text.sorting import sort_unique

MASK = 2**64 - 1
GOLDEN, BASE = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95


def folding() -> dict[str, str]:
    mapping = {}
    for line in folded_words.FOLDING.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            first, last, step, difference = line.split("\t")
            for point in range(int(first, 16), int(last, 16) + 1, int(step)):
                mapping[chr(point)] = chr(point + int(difference))
    return mapping


FOLDING = folding()


def normalized(text: str) -> list[str]:
    """The words, as the module's docstring has them."""
    words: list[str] = []
    current, alone = "", False
    for character in text:
        category = oracle.category(character)
        if category == "Cf":
            continue
        if category[0] == "M":
            if current:
                current += FOLDING.get(character, character)
        elif category[0] in "LN":
            single = oracle.is_unspaced(character) and category != "Nd"
            if current and (single or alone):
                words.append(current)
                current = ""
            alone = single
            current += "0" if category == "Nd" else FOLDING.get(character, character)
        elif current:
            words.append(current)
            current, alone = "", False
    return [*words, current] if current else words


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def hash_word(word: str) -> int:
    content, value = word.encode(), 0
    for at in range(0, len(content), 8):
        value = mix((value + GOLDEN & MASK) ^ int.from_bytes(content[at : at + 8], "little"))
    return value


def hash_shingle(hashes: list[int]) -> int:
    value = len(hashes)
    for each in hashes:
        value = (value * BASE + each) & MASK
    return mix(value)


def shingles(text: str, words: int = 5) -> list[int]:
    """Hashes of all shingles, in the order of the text."""
    hashes = [hash_word(word) for word in normalized(text)]
    if not hashes:
        return []
    return [hash_shingle(hashes[at : at + words]) for at in range(max(1, len(hashes) - words + 1))]


def compare(texts: list[str], words: int = 5) -> None:
    found = shingle_hashes(*oracle.buffer(texts), words=words)
    assert found.hashes.dtype == np.uint64
    assert found.offsets.dtype == np.int64
    assert found.offsets[0] == 0
    assert found.offsets[-1] == found.hashes.size
    for text, first, last in zip(texts, found.offsets[:-1], found.offsets[1:], strict=True):
        assert found.hashes[first:last].tolist() == sorted(set(shingles(text, words)))


def same(left: str, right: str) -> bool:
    found = shingle_hashes(*oracle.buffer([left, right]))
    half = int(found.offsets[1])
    return found.hashes[:half].tolist() == found.hashes[half:].tolist() and half > 0


@settings(max_examples=400, deadline=None)
@given(hostile_documents(), st.integers(1, 7))
@example([], 5)
@example(["", " ", "...", "\u0301", "\xad"], 5)
@example(["a", "a b c d e", "a b c d e f", "abcdefgh", "abcdefghi", "abcdefghé"], 5)
@example(["a\xadb", "é\u0301東\u3099京", "1東2", "カーﾞ", "x" * 16 + "é", "İIı"], 2)
def test_equals_plain_python(texts: list[str], words: int) -> None:
    compare(texts, words)


@settings(max_examples=50, deadline=None)
@given(st.lists(hostile_text(), min_size=1, max_size=30), st.integers(60, 3000))
def test_long_documents_pass_through_the_buffer_in_pieces(parts: list[str], times: int) -> None:
    numbered = " ".join(f"{chr(97 + number % 26)}{chr(97 + number % 23)} " for number in range(times))
    compare(["".join(parts) + numbered, numbered + "".join(parts), numbered])


@pytest.mark.parametrize(
    "count", [2047, 2048, 2049, 2051, 2052, 2053, 2054, 4095, 4096, 4099, 4100, 4101, 9000]
)
def test_sizes_around_the_buffer(count: int) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = ["".join(pair) for pair in itertools.product(letters, letters, letters)]
    compare([" ".join(names[:count]), "x", " ".join(names[:count][::-1])])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=80))
def test_bytes_that_are_no_text_do_no_harm(content: bytes) -> None:
    text = content + b" a b c d e f"
    found = shingle_hashes(np.frombuffer(text, np.uint8), np.array([0, len(content), len(text)]))
    assert found.hashes[found.offsets[1] :].tolist() == sorted(set(shingles("a b c d e f")))


def test_what_makes_no_difference() -> None:
    assert same("Don’t stop -- THINKING\tabout, tomorrow!", "don't stop thinking (about) tomorrow")
    assert same("On 2026-11-21 we had 17 guests at home", "on 1999-01-02 we had 20 GUESTS at home")
    assert same("co\xadoperate with us on this one", "cooperate with us on this one")
    assert same("ΟΔΥΣΣΕΥΣ ήταν εδώ και πάλι χθες", "οδυσσευσ Ήταν εδώ και πάλι χθεσ")
    assert same("東京 に、行く。", "東京に行く")
    assert same("١٢ مرة في اليوم الواحد فقط", "34 مرة في اليوم الواحد فقط")
    assert not same("a b c d e", "a b c d e f")
    assert not same("a b c d e", "a b c e d")
    assert not same("ab c d e f", "a bc d e f")
    assert not same("one two", "two one")


def test_short_and_empty_documents() -> None:
    found = shingle_hashes(*oracle.buffer(["", "!?", "one", "one two", "one two three four five", "東京"]))
    assert np.diff(found.offsets).tolist() == [0, 0, 1, 1, 1, 1]
    assert np.unique(found.hashes).size == 4


def test_a_script_without_spaces_gives_words_of_one_character() -> None:
    assert normalized("私は2026年にGoogleへ") == ["私", "は", "0000", "年", "に", "google", "へ"]
    assert normalized("ที่นี่") == ["ที่", "นี่"]
    found = shingle_hashes(*oracle.buffer(["東京都に行く人々が多い"]))
    assert found.hashes.size == 11 - 4


@pytest.mark.parametrize("size", [0, 1, 2, 31, 32, 33, 100, 1000, 70_000])
def test_sorting(size: int) -> None:
    generator = np.random.default_rng(size)
    for hashes in (
        generator.integers(0, 2**64, size, np.uint64),
        generator.integers(0, 5, size, np.uint64),
        generator.integers(0, 2**20, size, np.uint64) << np.uint64(40),
        np.full(size, MASK, np.uint64),
        np.arange(size, dtype=np.uint64)[::-1].copy(),
    ):
        expected = np.unique(hashes)
        unique = sort_unique(hashes, np.empty(size, np.uint64))
        assert hashes[:unique].tolist() == expected.tolist()


def test_one_word_over_and_over_is_no_slower_than_other_text() -> None:
    """Two shingles, a million times each: their bucket must not be sorted by insertion (that took minutes)."""
    found = shingle_hashes(*oracle.buffer(["a b " * 1_000_000]))
    assert found.hashes.size == 2


def test_exchanged_words_do_not_collide() -> None:
    """All arrangements of seven words, five at a time, and all short runs: every hash different."""
    hashes = [hash_word(word) for word in ["a", "b", "ab", "ba", "abc", "cab", "the"]]
    seen = {
        hash_shingle(list(order))
        for size in (1, 2, 3, 4, 5)
        for order in itertools.product(hashes, repeat=size)
    }
    assert len(seen) == sum(7**size for size in (1, 2, 3, 4, 5))


def test_every_bit_of_the_hashes_is_fair() -> None:
    words = random.Random(4).choices([f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"], k=40_000)
    hashes = shingle_hashes(*oracle.buffer([" ".join(words)])).hashes
    ones = ((hashes[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(hashes.size)


def test_folding_is_that_of_unicode() -> None:
    """The frozen table beside the interpreter's own, on the code points that the interpreter knows."""
    full_only = 0
    for point in range(0x110000):
        character = chr(point)
        if unicodedata.category(character) in ("Cn", "Cs"):
            continue
        expected = character.casefold()
        if len(expected) == 1:
            assert FOLDING.get(character, character) == expected, hex(point)
        else:
            full_only += 1
    assert full_only == 104  # status F of CaseFolding.txt
    assert FOLDING["\u1e9e"] == "ß"
    assert FOLDING["ᾈ"] == "ᾀ"
    assert "İ" not in FOLDING


def test_refuses() -> None:
    data, offsets = oracle.buffer(["a"])
    for words in (0, 257):
        with pytest.raises(ValueError, match="1 to 256 words"):
            shingle_hashes(data, offsets, words=words)
    with pytest.raises(ValueError, match="offsets must ascend"):
        shingle_hashes(data, np.array([0, 2]))
