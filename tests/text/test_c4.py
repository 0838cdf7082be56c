"""C4's rules against plain Python."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import split_lines
from textmill.text.c4 import CUTS, STATISTICS, LineRules, c4_statistics, cut_lines

PHRASES = (
    *("lorem ipsum", "Lorem IPSUM", "lorem  ipsum", "javascript", "JavaScript", "javascrip", "{", "}"),
    *("terms of use", "Terms of Use", "term of use", "privacy policy", "cookie policy", "policy", "of use"),
    *("uses cookies", "use of cookies", "use cookies", "cookies", "[1]", "[edit]", "[citation needed]", "[]"),
    *(
        "[12",
        "[٣]",
        "[edi]",
        "[[2]",
        "a",
        "It rained",
        " ",
        "\n",
        "\r\n",
        ".",
        "...",
        "?",
        '"',
        "'",
        "é",
        "\u3000",
    ),
)
PAGES = st.lists(st.sampled_from(PHRASES), max_size=25).map("".join)
RULES = st.builds(
    LineRules,
    max_word_length=st.sampled_from((-1, 0, 3, 9, 1000)),
    citations=st.booleans(),
    terminal_punctuation=st.booleans(),
    min_words=st.integers(0, 4),
    javascript=st.booleans(),
    policy=st.booleans(),
)


def cut(texts: list[str], rules: LineRules) -> list[tuple[str, list[int]]]:
    data, offsets = oracle.buffer(texts)
    left = cut_lines(data, split_lines(data, offsets), rules)
    assert left.counts.shape == (len(CUTS), len(texts))
    assert left.offsets.shape == (len(texts) + 1,)
    return [
        (bytes(left.data[left.offsets[i] : left.offsets[i + 1]]).decode(), left.counts[:, i].tolist())
        for i in range(len(texts))
    ]


@pytest.mark.parametrize(
    "text, left, rule",
    [
        ("It rained all day.", "It rained all day.", None),
        ("  It rained all day. \n\n", "It rained all day.", None),
        ("It rained all day.[12]", "It rained all day.", "citation"),
        ("It rained [citation needed]all day.[edit]", "It rained all day.", "citation"),
        ("Rain, rain and rain", "", "no_terminal_punctuation"),
        ("It rained all day...", "", "no_terminal_punctuation"),
        ("It rained.", "", "few_words"),
        ("Please turn on JavaScript.", "", "javascript"),
        ("We use cookies here.", "", "policy"),
        ("Our site uses cookies.", "", "policy"),
        ("Making use of cookies.", "", "policy"),
        ("See the Terms of Use.", "", "policy"),
        ("See our Privacy Policy.", "", "policy"),
        ("See our Cookie policy.", "", "policy"),
        ("It is " + "x" * 1001 + " all day.", "", "long_word"),
        ("It is " + "é" * 1000 + " all day.", "It is " + "é" * 1000 + " all day.", None),
        ("Lorem ipsum and javascript.", "Lorem ipsum and javascript.", None),
        ("Some { and our privacy policy.", "Some { and our privacy policy.", None),
        ("Some { and some javascript.", "", "javascript"),
    ],
)
def test_each_rule(text: str, left: str, rule: str | None) -> None:
    found, counts = cut([text], LineRules())[0]
    assert found == left
    assert [name for name, count in zip(CUTS, counts, strict=True) if count] == ([rule] if rule else [])
    assert oracle.cut_lines(text) == (found, counts)


@settings(max_examples=300, deadline=None)
@given(st.lists(PAGES, max_size=4) | hostile_documents(), RULES)
@example([], LineRules())
@example(["", "\n\n", "x[citation needed]y[citation needed]z."], LineRules(max_word_length=9, min_words=3))
@example(["[1] a b c.\n\n[2]", "[1]", "a b.[1] "], LineRules(terminal_punctuation=False, min_words=0))
def test_cutting_equals_plain_python(texts: list[str], rules: LineRules) -> None:
    assert cut(texts, rules) == [oracle.cut_lines(text, **dataclasses.asdict(rules)) for text in texts]


@settings(max_examples=200, deadline=None)
@given(st.lists(PAGES, max_size=4) | hostile_documents())
@example([])
def test_statistics_equal_plain_python(texts: list[str]) -> None:
    data, offsets = oracle.buffer(texts)
    found = c4_statistics(data, split_lines(data, offsets))
    assert tuple(found) == STATISTICS
    assert all(values.dtype == np.float64 and values.shape == (len(texts),) for values in found.values())
    for document, text in enumerate(texts):
        assert {name: float(values[document]) for name, values in found.items()} == oracle.c4_statistics(text)


def test_a_part_of_a_buffer() -> None:
    data, offsets = oracle.buffer(["Not this one.", "It rained all day.\nHome", "{"])
    left = cut_lines(data, split_lines(data, offsets[1:]), LineRules())
    assert (bytes(left.data), left.offsets.tolist()) == (b"It rained all day.", [0, 18, 18])
