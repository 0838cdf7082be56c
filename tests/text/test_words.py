"""Word boundaries of UAX #29: every rule by example, and the kernel against the literal reading of the rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import FRAGMENTS, hostile_documents
from tests.text import oracle

from textmill.text import segment_words
from textmill.text.words import LETTER, NUMBER, SYMBOL


def found(texts: list[str]) -> list[list[tuple[str, int, int]]]:
    """Tokens with kind and length, per document."""
    data, offsets = oracle.buffer(texts)
    words = segment_words(data, offsets)
    content = data.tobytes()
    borders = words.document_offsets
    return [
        [
            (content[words.starts[i] : words.ends[i]].decode(), int(words.kinds[i]), int(words.characters[i]))
            for i in range(first, last)
        ]
        for first, last in itertools.pairwise(borders)
    ]


def expected(texts: list[str]) -> list[list[tuple[str, int, int]]]:
    return [[(token, oracle.kind(token), len(token)) for token in oracle.tokens(text)] for text in texts]


@pytest.mark.parametrize(
    ("rule", "text", "tokens"),
    [
        ("WB1", "", []),
        ("WB3", "a\r\nb", ["a", "b"]),
        ("WB3a", "\n\u0301a", ["\u0301", "a"]),
        ("WB3b", "a\u0301\nb", ["a\u0301", "b"]),
        ("WB3c", "👩\u200d🔬!", ["👩\u200d🔬", "!"]),
        ("WB3c", "a\u200d©", ["a\u200d©"]),
        ("WB3d", "a   b", ["a", "b"]),
        ("WB4", "a\u00adb\u0301 \u0301!", ["a\u00adb\u0301", " \u0301", "!"]),
        ("WB4", "1\u200d.\u03012", ["1\u200d.\u03012"]),
        ("WB5", "été", ["été"]),
        ("WB6, WB7", "can't U.S.A. l’été a:b a.1", ["can't", "U.S.A", ".", "l’été", "a:b", "a", ".", "1"]),
        ("WB7a", "א' a'", ["א'", "a", "'"]),
        ("WB7b, WB7c", 'א"א א"a a"a', ['א"א', "א", '"', "a", "a", '"', "a"]),
        ("WB8", "123", ["123"]),
        ("WB9, WB10", "a1b2", ["a1b2"]),
        ("WB11, WB12", "3,141.59 1;2 1:2 1.a 1'2", ["3,141.59", "1;2", "1", ":", "2", "1", ".", "a", "1'2"]),
        ("WB13", "カナカナ", ["カナカナ"]),
        ("WB13a, WB13b", "a_1_カ_", ["a_1_カ_"]),
        ("WB15, WB16", "🇩🇪🇫🇷🇬a🇧", ["🇩🇪", "🇫🇷", "🇬", "a", "🇧"]),
        ("WB999", "你好 ไท", ["你", "好", "ไ", "ท"]),
    ],
)  # fmt: skip
def test_rule(rule: str, text: str, tokens: list[str]) -> None:
    assert [token for token, _, _ in found([text])[0]] == tokens, rule
    assert oracle.tokens(text) == tokens, rule


def test_kinds() -> None:
    kinds = {token: kind for token, kind, _ in found(["Abc 3.5 x1 ½ _ # 😀 … 你 Ⅷ e\u0301"])[0]}
    assert kinds == {
        **{"Abc": LETTER, "3.5": NUMBER, "x1": LETTER, "½": NUMBER, "_": SYMBOL, "#": SYMBOL, "😀": SYMBOL},
        **{"…": SYMBOL, "你": LETTER, "Ⅷ": NUMBER, "e\u0301": LETTER},
    }


@settings(max_examples=400, deadline=None)
@given(hostile_documents())
@example(["a'", "b"])
@example(["1.", "2"])
@example(["a\u200d", "©"])
@example(["🇩", "🇪🇫"])
@example([" ", "\u0301"])
@example(["a" * 100, "", "\n" * 50])
def test_equals_the_rules_and_stays_within_the_document(texts: list[str]) -> None:
    assert found(texts) == expected(texts)


def test_every_pair_and_many_triples_of_fragments() -> None:
    pairs = [one + two for one in FRAGMENTS for two in FRAGMENTS]
    assert found(pairs) == expected(pairs)
    few = [
        "a",
        "א",
        "1",
        "_",
        "カ",
        ".",
        ",",
        ":",
        "'",
        '"',
        "\u0301",
        "\u200d",
        "©",
        "Ⓜ",
        "🇩",
        " ",
        "\n",
        "你",
    ]
    triples = [
        one + two + three + four for one in few for two in few for three in few for four in "aא1\u0301"
    ]
    assert found(triples) == expected(triples)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=4))
def test_any_bytes_give_ascending_spans_within_their_document(content: bytes, cuts: list[int]) -> None:
    borders = sorted({0, len(content), *(min(cut, len(content)) for cut in cuts)})
    offsets = np.array(borders)
    words = segment_words(np.frombuffer(content, np.uint8), offsets)
    assert np.all(words.starts < words.ends)
    assert np.all(words.ends[:-1] <= words.starts[1:])
    for document in range(offsets.size - 1):
        first, last = words.document_offsets[document : document + 2]
        if last > first:
            assert words.starts[first] >= offsets[document]
            assert words.ends[last - 1] <= offsets[document + 1]


def test_bytes_after_the_document_do_not_matter() -> None:
    """Every prefix of a text gives the same tokens whether the buffer ends there or goes on."""
    text = "can't 3.14 l’été 👩\u200d🔬 🇩🇪 א\"א カ_a\u0301.b".encode()
    whole = np.frombuffer(text * 2, np.uint8)
    for end in range(len(text) + 1):
        alone = segment_words(whole[:end].copy(), np.array([0, end]))
        within = segment_words(whole, np.array([0, end]))
        for one, two in zip(vars(alone).values(), vars(within).values(), strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("offsets", [[0, 5], [2, 1], [-1, 2], []])
def test_refuses_borders_outside_the_buffer(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="offsets must ascend"):
        segment_words(np.zeros(4, np.uint8), np.array(offsets, np.int64))


def test_refuses_other_types() -> None:
    with pytest.raises(TypeError, match="uint8"):
        segment_words(np.zeros(4, np.int32), np.array([0, 4]))
    with pytest.raises(TypeError, match="whole numbers"):
        segment_words(np.zeros(4, np.uint8), np.array([0.0, 4.0]))


def test_memory_of_a_long_document_follows_its_tokens() -> None:
    words = segment_words(np.full(10_000_000, ord("a"), np.uint8), np.array([0, 10_000_000]))
    assert words.starts.size == 1
    assert sum(array.nbytes for array in vars(words).values()) < 100
