"""Winnowing against plain Python, and its guarantee."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents, hostile_text
from tests.text import oracle
from tests.text.test_shingles import FOLDING, GOLDEN, MASK, hash_shingle, hash_word, mix

from textmill.text import winnow

Word = tuple[int, int, int]  # hash, first byte, byte after


def raw_words(text: str) -> list[Word]:
    found: list[Word] = []
    at, pending = 0, ""
    for character in [*text, " "]:
        if oracle.is_white(character):
            if pending:
                content = pending.encode()
                found.append((hash_raw(content), at - len(content), at))
            pending = ""
        else:
            pending += character
        at += len(character.encode())
    return found


def hash_raw(content: bytes) -> int:
    value = 0
    for at in range(0, len(content), 8):
        value = mix((value + GOLDEN & MASK) ^ int.from_bytes(content[at : at + 8], "little"))
    return value


def normalized_words(text: str) -> list[Word]:
    """As in the tests of shingles, with places."""
    found: list[Word] = []
    word, first, last, alone, at = "", 0, 0, False, 0

    def end() -> None:
        nonlocal word
        if word:
            found.append((hash_word(word), first, last))
        word = ""

    for character in text:
        here, at = at, at + len(character.encode())
        category = oracle.category(character)
        if category == "Cf" or (category[0] == "M" and not word):
            continue
        if category[0] not in "LNM":
            end()
            continue
        if category[0] != "M":
            single = oracle.is_unspaced(character) and category != "Nd"
            if single or alone:
                end()
            alone = single
        if not word:
            first = here
        word += "0" if category == "Nd" else FOLDING.get(character, character)
        last = at
    end()
    return found


def selected(words: list[Word], guarantee: int, run: int) -> list[Word]:
    """The definition, window by window."""
    hashes = [hash_shingle([each[0] for each in words[at : at + run]]) for at in range(len(words) - run + 1)]
    window = guarantee - run + 1
    chosen: list[int] = []
    for first in range(len(hashes) - window + 1):
        here = range(first, first + window)
        least = min(hashes[at] for at in here)
        if chosen and chosen[-1] in here and hashes[chosen[-1]] == least:
            continue
        chosen.append(max(at for at in here if hashes[at] == least))
    return [(hashes[at], words[at][1], words[at + run - 1][2]) for at in chosen]


def compare(texts: list[str], guarantee: int, run: int) -> None:
    data, offsets = oracle.buffer(texts)
    for normalized, words in ((False, raw_words), (True, normalized_words)):
        found = winnow(data, offsets, guarantee, run, normalized)
        assert (found.hashes.dtype, found.starts.dtype, found.ends.dtype) == (np.uint64, np.int32, np.int32)
        assert found.offsets[-1] == found.hashes.size == found.starts.size == found.ends.size
        for document, text in enumerate(texts):
            here = slice(found.offsets[document], found.offsets[document + 1])
            begin = int(offsets[document])
            expected = selected(words(text), guarantee, run)
            rows = zip(found.hashes[here], found.starts[here], found.ends[here], strict=True)
            assert [(int(value), first - begin, last - begin) for value, first, last in rows] == expected


@settings(max_examples=300, deadline=None)
@given(hostile_documents(), st.integers(1, 9), st.integers(0, 9))
@example([], 1, 0)
@example(["", " ", "a", "a b", "a\x00 a"], 1, 0)
@example(["a b c d " * 9, "a " * 30, "\u3000東 京\u2003\u1680x\x85"], 3, 4)
def test_equals_plain_python(texts: list[str], run: int, more: int) -> None:
    compare(texts, run + more, run)


@pytest.mark.parametrize(("guarantee", "run"), [(50, 25), (50, 50), (5, 1), (700, 3), (65_536, 1)])
def test_long_documents(guarantee: int, run: int) -> None:
    generator = np.random.default_rng(guarantee)
    texts = [
        " ".join(f"w{number}" for number in generator.integers(0, kinds, size))
        for kinds, size in ((3000, 5000), (2, 2500), (1, 400), (50, 0))
    ]
    compare(texts, guarantee, run)


vocabulary = st.sampled_from(("a", "b", "c", "dd", "é", "42", "the"))
few_words = st.lists(vocabulary, max_size=40)


@settings(max_examples=300, deadline=None)
@given(few_words, few_words, few_words, few_words, st.data(), st.booleans())
def test_a_shared_span_shares_a_selected_run_inside_it(
    before: list[str],
    after: list[str],
    ahead: list[str],
    behind: list[str],
    data: st.DataObject,
    normalized: bool,
) -> None:
    """The guarantee: whatever stands around it, and whatever else the texts repeat."""
    run = data.draw(st.integers(1, 6))
    guarantee = run + data.draw(st.integers(0, 6))
    span = data.draw(st.lists(vocabulary, min_size=guarantee, max_size=30))
    found = []
    for left, right in ((before, after), (ahead, behind)):
        text = " ".join([*left, *span, *right])
        first = len(" ".join([*left, ""]).encode())
        selection = winnow(*oracle.buffer([text]), guarantee, run, normalized)
        inside = (selection.starts >= first) & (selection.ends <= first + len(" ".join(span).encode()))
        found.append(set(selection.hashes[inside].tolist()))
    assert found[0] & found[1]


@settings(max_examples=100, deadline=None)
@given(hostile_text(), hostile_text(), st.integers(1, 8))
def test_equal_runs_equal_hashes(left: str, right: str, run: int) -> None:
    """With a window of one hash every run is selected; equal words, and they alone, give equal hashes."""
    data, offsets = oracle.buffer([left, right])
    found = winnow(data, offsets, run, run)
    content = data.tobytes()
    texts = [
        tuple(padded(word.encode()) for word in split(content[first:last].decode()))
        for first, last in zip(found.starts, found.ends, strict=True)
    ]
    assert all(len(words) == run for words in texts)
    assert len(set(texts)) == len(set(found.hashes.tolist()))


def padded(word: bytes) -> bytes:
    """Bytes of zero at the end of a word count for nothing."""
    return word.ljust(-(-len(word) // 8) * 8, b"\0")


def split(text: str) -> list[str]:
    return [word for word in oracle.split_white(text) if word]


def test_about_two_in_a_window_are_selected() -> None:
    words = np.random.default_rng(1).integers(0, 10**6, 100_000)
    found = winnow(*oracle.buffer([" ".join(map(str, words))]), guarantee=50, run=25)
    assert found.hashes.size / words.size == pytest.approx(2 / 27, rel=0.03)


def test_bytes_that_are_no_text_do_no_harm() -> None:
    content = bytes(range(256)) * 4 + b"\xc2" + b"\xe2\x80"
    for normalized in (False, True):
        found = winnow(np.frombuffer(content, np.uint8), np.array([0, len(content)]), 3, 2, normalized)
        assert found.hashes.size > 0
        assert found.ends.max() <= len(content)


def test_refuses() -> None:
    data, offsets = oracle.buffer(["a b"])
    for guarantee, run in ((5, 0), (5, 6), (65_537, 5)):
        with pytest.raises(ValueError, match="1 <= run <= guarantee <= 65,536"):
            winnow(data, offsets, guarantee, run)
