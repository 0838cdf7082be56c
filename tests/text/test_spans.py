"""Cutting spans against plain Python."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_text

from textmill.text.spans import cut_spans, merge_spans

WHITE = " \t\n\r\v\f"


@pytest.mark.parametrize(
    "text, left",
    [
        ("[Home]\n\nOne.\n", "One.\n"),
        ("One.\n\n[Home]\n\nTwo.\n", "One.\n\nTwo.\n"),
        ("One.\n[Home]\nTwo.\n", "One.\nTwo.\n"),
        ("One.\n\n[Home]\nTwo.\n", "One.\n\nTwo.\n"),
        ("One.\n[Home]\n\nTwo.\n", "One.\n\nTwo.\n"),
        ("One.\n[Home]\n\n[Back]\nTwo.\n", "One.\n\nTwo.\n"),
        ("One. [Home] Two.", "One. Two."),
        ("One [Home], two.", "One , two."),
        ("One.\n\n[Home]", "One."),
        ("One.\n\n[Home]\n", "One.\n"),
        ("  [Home] One.", "  One."),
        ("def f():\n    [x = 1]\n    return\n", "def f():\n    return\n"),
        ("One.\n\n    [x]\n  two", "One.\n\n  two"),
        ("para\n\n  [One.] Two.", "para\n\n  Two."),
        ("one[ and ]two", "one two"),
        ("漢字[と]仮名。[「]", "漢字 仮名。"),
        ("a.[b]c", "a.c"),
        ("[all]", ""),
        (" [all]\n", ""),
        ("One.\r\n\r\n[Home]\r\nTwo.", "One.\r\n\r\nTwo."),
        ("no cut", "no cut"),
    ],
)
def test_by_hand(text: str, left: str) -> None:
    """Square brackets mark what is cut."""
    assert cut(text) == left


def cut(text: str) -> str:
    plain, starts, ends = b"", [], []
    for piece in re.split(r"([\[\]])", text):
        if piece == "[":
            starts.append(len(plain))
        elif piece == "]":
            ends.append(len(plain))
        else:
            plain += piece.encode()
    return cut_spans(plain, starts, ends).decode()


@st.composite
def marked(draw: st.DrawFn) -> tuple[str, list[tuple[int, int]]]:
    text = draw(hostile_text())
    places = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(places, places).map(sorted), max_size=6))
    return text, sorted((start, end) for start, end in pairs if start < end)


@settings(max_examples=400, deadline=None)
@given(marked())
def test_nothing_but_the_spans_and_white_space_beside_them_goes(
    case: tuple[str, list[tuple[int, int]]],
) -> None:
    text, spans = case
    covered = [any(start <= place < end for start, end in spans) for place in range(len(text))]
    sizes = [0, *np.cumsum([len(character.encode()) for character in text]).tolist()]
    starts, ends = merge_spans(
        np.array([sizes[start] for start, _ in spans], np.int64),
        np.array([sizes[end] for _, end in spans], np.int64),
    )
    assert sum(ends - starts) == sum(len(c.encode()) for c, gone in zip(text, covered, strict=True) if gone)
    assert all(ends[:-1] < starts[1:])
    left = cut_spans(text.encode(), starts, ends).decode()
    kept = "".join(c for c, gone in zip(text, covered, strict=True) if not gone)
    table = str.maketrans("", "", WHITE)
    assert left.translate(table) == kept.translate(table)
    if not spans:
        assert left == text


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(
        st.tuples(st.sampled_from([" ", "\n", "\n\n", "\n\n\n", "\r\n", "\n  "]), st.booleans()), min_size=1
    )
)
def test_what_was_apart_stays_apart(parts: list[tuple[str, bool]]) -> None:
    """Between two words that are left stand as many newlines as the most that stood between two before."""
    text, starts, ends = b"", [], []
    for number, (space, gone) in enumerate(parts):
        if gone:
            starts.append(len(text))
        text += f"w{number}.".encode()
        if gone:
            ends.append(len(text))
        text += space.encode()
    left = cut_spans(text, starts, ends).decode()
    kept = [number for number, (_, gone) in enumerate(parts) if not gone]
    assert [int(word) for word in re.findall(r"w(\d+)\.", left)] == kept
    spaces = re.split(r"w\d+\.", left)
    for space, before, after in zip(spaces[1:-1], kept, kept[1:], strict=False):
        between = [space for space, _ in parts[before:after]]
        assert space.count("\n") == max(one.count("\n") for one in between)
        # The next word keeps its indentation.
        assert not space.strip()
        tails = [one.rpartition("\n")[2] for one in between]
        assert space.rpartition("\n")[2] in (tails[-1:] if "\n" in between[-1] else tails)
    if kept:
        assert spaces[-1] == parts[-1][0]
        assert spaces[0] == ""
