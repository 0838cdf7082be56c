"""Words by dictionary: what ICU finds lands at the right bytes, whatever stands around it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import dictionary
from textmill.text.dictionary import dictionary_words, mostly_unspaced
from textmill.text.words import Words, segment_words

breakers = pytest.importorskip("icu4py.breakers", reason="the extra cjk is not installed")

Token = tuple[str, int, int]


def read(data: np.ndarray, words: Words) -> list[list[Token]]:
    content = data.tobytes()
    return [
        [
            (content[words.starts[i] : words.ends[i]].decode(), int(words.kinds[i]), int(words.characters[i]))
            for i in range(first, last)
        ]
        for first, last in itertools.pairwise(words.document_offsets)
    ]


def found(texts: Sequence[str]) -> list[list[Token]]:
    data, offsets = oracle.buffer(texts)
    base = segment_words(data, offsets)
    return read(data, dictionary_words(data, offsets).instead_of(base))


def expected(text: str) -> list[Token]:
    if not is_unspaced(text):
        data, offsets = oracle.buffer([text])
        return read(data, segment_words(data, offsets))[0]
    segments = list(breakers.WordBreaker(text, "root"))  # as strings: no offsets to get wrong
    return [(s, oracle.kind(s), len(s)) for s in segments if not all(map(oracle.is_white, s))]


def is_unspaced(text: str) -> bool:
    letters = [character for character in text if oracle.category(character).startswith("L")]
    return 2 * sum(map(oracle.is_unspaced, letters)) > len(letters)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("人人有权享有生命、自由", "人人 有权 享有 生命 、 自由"),
        ("人間が専制と圧迫", "人間 が 専制 と 圧迫"),
        ("คนทุกคนมีสิทธิ", "คน ทุก คน มี สิทธิ"),
        ("ບຸກຄົນທຸກຄົນມີສິດ", "ບຸກຄົນ ທຸກຄົນ ມີ ສິດ"),
        ("សិទ្ធិមនុស្សនិង", "សិទ្ធិមនុស្ស និង"),
        ("𠀀𠀁 是中国人 v2.0", "𠀀 𠀁 是 中国人 v2.0"),
        ("they're 中文", "they're 中 文"),
        ("", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert [token for token, _, _ in found([text])[0]] == words.split()


@given(hostile_documents())
@settings(max_examples=200, deadline=None)
def test_as_the_library_says_on_hostile_texts(texts: list[str]) -> None:
    assert found(texts) == [expected(text) for text in texts]


@given(
    st.lists(
        st.text(st.sampled_from("中国人民ひらカタไทยກຂ𠀀𝒜é e\n\r\u200d\u0301。"), max_size=30), max_size=4
    )
)
@settings(max_examples=200, deadline=None)
def test_as_the_library_says_where_scripts_mix(texts: list[str]) -> None:
    data, offsets = oracle.buffer(texts)
    assert mostly_unspaced(data, offsets).tolist() == [is_unspaced(text) for text in texts]
    assert found(texts) == [expected(text) for text in texts]


def test_long_documents_are_looked_up_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "人人有权享有生命。\n" * 50 + "𠀀" * 200
    whole = found([text])
    monkeypatch.setattr(dictionary, "PIECE", 301)
    pieces = found(["plain English words", text])
    assert pieces[1][:300] == whole[0][:300]
    assert "".join(token for token, _, _ in pieces[1]) == "".join(text.split())
    assert [token for token, _, _ in pieces[0]] == ["plain", "English", "words"]


def test_documents_in_other_scripts_keep_their_words() -> None:
    data, offsets = oracle.buffer(["Just English.", "한국어 문장", "ภาษาไทย"])
    base = segment_words(data, offsets)
    looked_up = dictionary_words(data, offsets)
    assert looked_up.unspaced.tolist() == [False, False, True]
    assert np.diff(looked_up.words.document_offsets).tolist() == [0, 0, 2]
    only_spaced = dictionary_words(data, offsets[:3])
    first = segment_words(data, offsets[:3])
    assert only_spaced.instead_of(first) is first
    assert looked_up.instead_of(base).starts.dtype == base.starts.dtype
