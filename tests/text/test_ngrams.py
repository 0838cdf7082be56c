"""Gopher's repetition statistics against plain Python."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import (
    distinct_words_ratio,
    repetition_statistics,
    segment_words,
    split_lines,
    split_paragraphs,
)
from textmill.text import ngrams as module

# Few different words and lines, so that n-grams of every length repeat, overlap and tie.
pieces = st.sampled_from(("a ", "b ", "ab ", "é ", ". ", "\n", "\n\n", "a b c d e f ", "a a "))
repetitive = st.lists(st.lists(pieces, max_size=60).map("".join), max_size=4)


def statistics(texts: list[str]) -> dict[str, np.ndarray]:
    data, offsets = oracle.buffer(texts)
    return repetition_statistics(
        data,
        offsets,
        segment_words(data, offsets),
        split_lines(data, offsets),
        split_paragraphs(data, offsets),
    )


def compare(texts: list[str]) -> None:
    found = statistics(texts)
    assert tuple(found) == module.STATISTICS
    for document, text in enumerate(texts):
        assert {name: float(values[document]) for name, values in found.items()} == oracle.repetition(text)
    data, offsets = oracle.buffer(texts)
    alone = distinct_words_ratio(data, offsets, segment_words(data, offsets))
    assert alone.tolist() == found["distinct_words_ratio"].tolist()


def test_by_hand() -> None:
    text = "one two three four five\none two three four five\n\nx y\n\nx y"
    found = {name: float(values[0]) for name, values in statistics([text]).items()}
    size = len(text)
    assert found["duplicate_lines"] == 2 / 4
    assert found["duplicate_line_characters"] == (23 + 3) / size
    assert found["duplicate_paragraphs"] == 1 / 3
    assert found["duplicate_paragraph_characters"] == 3 / size
    assert found["top_2_gram"] == 2 * len("one two") / size
    assert found["top_3_gram"] == 2 * len("one two three") / size
    assert found["top_4_gram"] == 2 * len("one two three four") / size
    assert found["duplicate_5_grams"] == len("onetwothreefourfive") / size
    assert found["duplicate_6_grams"] == 0
    assert found["distinct_words_ratio"] == 7 / 14


def test_words_of_a_hit_are_passed_over() -> None:
    text = " ".join("a" * 11)
    assert statistics([text])["duplicate_5_grams"][0] == 10 / len(text)  # places 1 and 6, five words each


def test_of_equally_frequent_ngrams_the_first_counts() -> None:
    text = "first pair x y z x y first pair"
    assert statistics([text])["top_2_gram"][0] == 2 * len("first pair") / len(text)


@settings(max_examples=400, deadline=None)
@given(st.one_of(repetitive, hostile_documents()))
@example([])
@example(["", "a", "a b", "\n\n", "a\n\na"])
@example(["a b c d e f g h i j " * 5])
@example(["a b", "a b a b", "b a"])
def test_equals_plain_python(texts: list[str]) -> None:
    compare(texts)


def test_many_documents_of_all_sizes_share_the_tables() -> None:
    """Tables are cleared only as far as a document needs them: long and short ones in turn."""
    texts = []
    for size in (500, 1, 0, 37, 500, 2, 10):
        texts.append(" ".join(f"w{(number * number) % 23}" for number in range(size)))
        texts.append("\n".join(f"line {number % 7}" for number in range(size)))
    compare(texts)


def recompiled(folder: Path, old: str, new: str) -> ModuleType:
    """The kernels' module with one expression replaced."""
    source = Path(module.__file__).read_text()
    assert source.count(old) == 1
    path = folder / "recompiled_ngrams.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_equal_hashes_do_not_make_equal_texts(tmp_path: Path) -> None:
    """With every hash equal, bytes alone decide: the results must not change."""
    texts = ["a b c a b d a b c\na b c\n\nx\n\na b c", "p q r p q r", "one\ntwo\none"]
    data, offsets = oracle.buffer(texts)
    lines, paragraphs = split_lines(data, offsets), split_paragraphs(data, offsets)
    lines.hashes[:] = 7
    paragraphs.hashes[:] = 7
    words = segment_words(data, offsets)
    found = repetition_statistics(data, offsets, words, lines, paragraphs)
    expected = statistics(texts)
    for name in module.STATISTICS:
        np.testing.assert_array_equal(found[name], expected[name], name)
    # The words' hashes are made inside the kernel: compile it anew with a constant hash.
    long_texts = [" ".join(word * 9 if word.isalpha() else word for word in text.split()) for text in texts]
    data, offsets = oracle.buffer(long_texts)
    words = segment_words(data, offsets)
    colliding = recompiled(tmp_path, "hash_word(data, start, size) |", "np.uint64(7) |")
    slots, keys = np.empty(64, np.int32), np.empty(64, np.uint64)
    numbers, counts, firsts = (np.empty(32, np.int32) for _ in range(3))
    size = int(words.document_offsets[1])
    distinct = colliding._number_words(
        data, words.starts[:size], words.ends[:size], keys, slots, numbers, counts, firsts
    )
    tokens = oracle.tokens(long_texts[0])
    order = list(dict.fromkeys(tokens))
    assert distinct == len(order)
    assert numbers[:size].tolist() == [order.index(token) for token in tokens]
    assert counts[:distinct].tolist() == [tokens.count(token) for token in order]


def test_refuses_the_analysis_of_another_batch() -> None:
    data, offsets = oracle.buffer(["a", "b"])
    words, lines = segment_words(data, offsets), split_lines(data, offsets)
    with pytest.raises(ValueError, match="2 documents analysed, 1 given"):
        repetition_statistics(data, offsets[:2], words, lines, lines)
