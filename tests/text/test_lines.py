"""Lines and paragraphs against plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import Lines, hash_bytes, split_lines, split_paragraphs
from textmill.text.lines import BLANK, BULLET, ELLIPSIS

newlines = st.lists(
    st.lists(st.sampled_from(("\n", "\r\n", "\r", " ", "a", "é", "\u2028", "- ", "...")), max_size=15).map(
        "".join
    ),
    max_size=4,
)


def found(texts: list[str], lines: Lines) -> list[list[tuple[str, str, int, int, int]]]:
    content = "".join(texts).encode()
    return [
        [
            (
                content[lines.starts[i] : lines.ends[i]].decode(),
                content[lines.text_starts[i] : lines.text_ends[i]].decode(),
                int(lines.characters[i]),
                int(lines.flags[i]),
                int(lines.hashes[i]),
            )
            for i in range(first, last)
        ]
        for first, last in itertools.pairwise(lines.document_offsets)
    ]


def described(line: str) -> tuple[str, str, int, int, int]:
    text = oracle.strip(line)
    flags = (
        (0 if text else BLANK)
        | (BULLET if text.startswith(("-", "•")) else 0)
        | (ELLIPSIS if text.endswith(("...", "…")) else 0)
    )
    return line, text, len(line), flags, hash_bytes(line.encode())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("\n", [""]),
        ("a", ["a"]),
        ("a\n", ["a"]),
        ("a\n\nb", ["a", "", "b"]),
        ("a\r\nb\rc", ["a", "b\rc"]),
        ("\r\n\r\n", ["", ""]),
        ("a\u2028b\x85c", ["a\u2028b\x85c"]),
        ("\r", ["\r"]),
    ],
)
def test_lines_of(text: str, lines: list[str]) -> None:
    assert [line for line, *_ in found([text], split_lines(*oracle.buffer([text])))[0]] == lines
    assert oracle.lines(text) == lines


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("", []),
        (" \n\n ", []),
        ("a\nb", ["a\nb"]),
        ("\n\n a\n\n\nb \n\n", ["a", "b"]),
        ("a\r\n\r\nb\r\nc", ["a", "b\r\nc"]),
        ("a\n \nb", ["a\n \nb"]),
        ("a\n\n \n\nb", ["a", " ", "b"]),
        ("a\n\r\nb", ["a", "b"]),
    ],
)
def test_paragraphs_of(text: str, paragraphs: list[str]) -> None:
    assert [part for part, *_ in found([text], split_paragraphs(*oracle.buffer([text])))[0]] == paragraphs
    assert oracle.paragraphs(text) == paragraphs


@settings(max_examples=300, deadline=None)
@given(st.one_of(newlines, hostile_documents()))
@example(["a\r", "\nb"])
@example(["a\n", "\n", "\nb"])
def test_equals_plain_python(texts: list[str]) -> None:
    data, offsets = oracle.buffer(texts)
    assert found(texts, split_lines(data, offsets)) == [
        list(map(described, oracle.lines(text))) for text in texts
    ]
    assert found(texts, split_paragraphs(data, offsets)) == [
        list(map(described, oracle.paragraphs(text))) for text in texts
    ]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_stay_in_the_buffer(content: bytes) -> None:

    data, offsets = np.frombuffer(content, np.uint8), np.array([0, len(content)])
    for lines in (split_lines(data, offsets), split_paragraphs(data, offsets)):
        ascending = np.stack([lines.starts, lines.text_starts, lines.text_ends, lines.ends])
        assert np.all(np.diff(ascending, axis=0) >= 0)
        assert np.all(lines.starts >= 0)
        assert np.all(lines.ends <= len(content))
