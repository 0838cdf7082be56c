"""Phrases against an oracle in plain Python, on hostile Unicode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import hostile_text

from textmill.text import class_of
from textmill.text.classes import CATEGORIES, CATEGORY_SHIFT, UNSPACED
from textmill.text.folded_words import FOLDING
from textmill.text.phrases import build_phrases, count_words, find_phrases

FOLDED = {
    point: point + int(difference)
    for first, last, step, difference in (
        line.split("\t") for line in FOLDING.read_text("utf-8").splitlines() if not line.startswith("#")
    )
    for point in range(int(first, 16), int(last, 16) + 1, int(step))
}


def words_of(text: str) -> list[tuple[str, int, int]]:
    """Folded word, first byte and byte after the last letter."""
    found: list[tuple[str, int, int]] = []
    open_, marks_only, at = False, False, 0
    for character in text:
        size = len(character.encode())
        value = class_of(ord(character))
        category = CATEGORIES[value >> CATEGORY_SHIFT]
        folded = character if category == "Nd" else chr(FOLDED.get(ord(character), ord(character)))
        if category == "Cf":
            pass
        elif category[0] == "M":
            if open_:
                word, start, _ = found[-1]
                found[-1] = (word + folded, start, at + size)
        elif category[0] in "LN":
            alone = bool(value & UNSPACED) and category != "Nd"
            if open_ and not alone and not marks_only:
                word, start, _ = found[-1]
                found[-1] = (word + folded, start, at + size)
            else:
                found.append((folded, at, at + size))
            open_, marks_only = True, alone
        else:
            open_ = marks_only = False
        at += size
    return found


def buffer(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    encoded = [text.encode() for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    return data, np.cumsum([0, *map(len, encoded)])


def oracle(
    wanted: list[str], sizes: list[int], documents: list[str]
) -> list[tuple[int, tuple[str, ...], int, int]]:
    phrases = set()
    for text, size in zip(wanted, sizes, strict=True):
        words = [word for word, _, _ in words_of(text)]
        if size:
            phrases |= {tuple(words[i : i + size]) for i in range(len(words) - size + 1)}
    found, base = [], 0
    for number, text in enumerate(documents):
        words = words_of(text)
        for last in range(len(words)):
            for size in sorted({len(phrase) for phrase in phrases}):
                first = last - size + 1
                run = tuple(word for word, _, _ in words[max(0, first) : last + 1])
                if first >= 0 and run in phrases:
                    found.append((number, run, base + words[first][1], base + words[last][2]))
        base += len(text.encode())
    return found


def kernel(
    wanted: list[str], sizes: list[int], documents: list[str]
) -> list[tuple[int, tuple[str, ...], int, int]]:
    phrases, numbers, borders = build_phrases(*buffer(wanted), np.array(sizes, np.int64))
    matches = find_phrases(*buffer(documents), phrases)
    names: dict[int, tuple[str, ...]] = {}
    for text, size, first, end in zip(wanted, sizes, borders[:-1], borders[1:], strict=True):
        words = [word for word, _, _ in words_of(text)]
        assert end - first == (max(0, len(words) - size + 1) if size else 0)
        for run, number in enumerate(numbers[first:end].tolist()):
            assert names.setdefault(number, tuple(words[run : run + size])) == tuple(words[run : run + size])
    assert len(set(names.values())) == len(names) == phrases.starts.size
    columns = (matches.documents, matches.phrases, matches.starts, matches.ends)
    return [
        (document, names[phrase], start, end)
        for document, phrase, start, end in zip(*(column.tolist() for column in columns), strict=True)
    ]


SHORT = st.lists(
    st.sampled_from(["a", "B", "b", "é", "1", "-", "’", " ", "好", "\u0301", "\xad"]), max_size=12
).map("".join)


@given(
    texts=st.lists(st.one_of(hostile_text(), SHORT), max_size=5),
    sizes=st.lists(st.integers(0, 4), min_size=5, max_size=5),
    documents=st.lists(st.one_of(hostile_text(), SHORT), max_size=4),
    planted=st.booleans(),
)
def test_the_kernel_finds_what_the_oracle_finds(
    texts: list[str], sizes: list[int], documents: list[str], planted: bool
) -> None:
    sizes = sizes[: len(texts)]
    if planted and texts:
        documents = [*documents, f"xx {' '.join(texts).upper()} yy {' '.join(documents)}"]
    assert kernel(texts, sizes, documents) == oracle(texts, sizes, documents)


@given(hostile_text())
def test_words_are_counted(text: str) -> None:
    assert count_words(*buffer([text, "one two"])).tolist() == [len(words_of(text)), 2]


def test_what_editors_change_makes_no_difference() -> None:
    document = "So:  THE «cell»—is the\nbasic unit, of life?"
    found = kernel(["The cell is the basic unit"], [6], [document])
    assert [document.encode()[start:end].decode() for _, _, start, end in found] == [
        "THE «cell»—is the\nbasic unit"
    ]
    assert kernel(["12 plus 3 makes 15"], [5], ["12 plus 3 makes 16"]) == []


def test_equal_hashes_of_other_words_are_no_match() -> None:
    phrases, _, _ = build_phrases(*buffer(["one two three"]), np.array([3]))
    # As if "one two tree" had the hash of the phrase: the table is given the letters of other words.
    forged = phrases.letters.copy()
    forged[-3] = ord("x")
    object.__setattr__(phrases, "letters", forged)
    assert find_phrases(*buffer(["one two three"]), phrases).phrases.size == 0


def test_many_phrases_and_a_full_table() -> None:
    random = np.random.default_rng(1)
    texts = [" ".join(f"w{n}" for n in random.integers(0, 2000, 40)) for _ in range(500)]
    documents = [" ".join(texts[n] for n in random.integers(0, 500, 3)) for _ in range(50)]
    sizes = [13] * 500
    assert kernel(texts, sizes, documents) == oracle(texts, sizes, documents)


@pytest.mark.parametrize("size", [-1, 257])
def test_sizes_out_of_range(size: int) -> None:
    with pytest.raises(ValueError, match="size from 0 to 256"):
        build_phrases(*buffer(["a"]), np.array([size]))


def test_nothing_to_look_for() -> None:
    phrases, numbers, borders = build_phrases(*buffer(["one two"]), np.array([3]))
    assert (numbers.size, borders.tolist()) == (0, [0, 0])
    assert find_phrases(*buffer(["one two"]), phrases).phrases.size == 0
    assert phrases.memory_bytes < 4096
