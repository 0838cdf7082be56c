"""Character references against Python's `html.unescape`, where the two are of one mind."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.extract.html.references import decode_attribute, decode_text
from textmill.extract.tree import PageParser

parser = PageParser()
names = st.sampled_from(sorted(html.entities.html5))
pieces = st.one_of(
    names.map(lambda name: "&" + name),
    names.map(lambda name: "&" + name[:-1]),
    st.integers(0, 0x120000).map(lambda number: f"&#{number};"),
    st.integers(0, 0x120000).map(lambda number: f"&#x{number:X}"),
    st.sampled_from(
        ("&", ";", "#", "&#", "&#x", "&amp", "x", "9", "=", " ", "&notin", "&ampamp;", "&#0000000000065;")
    ),
)
contents = st.lists(pieces, max_size=8).map("".join)


def oracle(content: str) -> str:
    """html.unescape, but that control characters and noncharacters stay, as in the standard."""
    parts = re.split(r"(&#(?:[xX][0-9a-fA-F]+|[0-9]+);?)", content)
    return "".join(_number(part) if place % 2 else html.unescape(part) for place, part in enumerate(parts))


def _number(written: str) -> str:
    digits = written[2:].rstrip(";")
    value = int(digits[1:], 16) if digits[0] in "xX" else int(digits)
    special = value in range(0x80, 0xA0) or value in (0, 0x0D) or value > 0x10FFFF or 0xD800 <= value < 0xE000
    return chr(value) if value == 0x0D or not special else html.unescape(written)


@settings(max_examples=500, deadline=None)
@given(contents)
def test_text_is_decoded_as_by_python(content: str) -> None:
    assert decode_text(content) == oracle(content)


@settings(max_examples=500, deadline=None)
@given(contents)
def test_kernels_decode_as_python_does(content: str) -> None:
    page = parser.parse(f"<pre>x{content}x</pre>".encode())
    wanted = decode_text(content).replace("\xa0", " ")
    wanted = re.sub("[\x00-\x08\x0b\x0e-\x1f\x7f\xad\ufeff]", "", wanted)
    assert page.block_text(0) == f"x{wanted}x"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("?a=1&copy=2", "?a=1&copy=2"),
        ("?a=1&copy2", "?a=1&copy2"),
        ("?a=1&copy;2", "?a=1©2"),
        ("a &copy b", "a © b"),
        ("&amp;&#38;&#x26;", "&&&"),
        ("&notit;", "&notit;"),
        ("&notin;", "∉"),
    ],
)
def test_attributes(written: str, meant: str) -> None:
    assert decode_attribute(written) == meant
