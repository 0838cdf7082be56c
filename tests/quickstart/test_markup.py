"""Texts of documentation as HTML: the forms that they share, and no text lost."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from textmill.quickstart.markup import to_html


def visible(markup: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_headings_rank_by_place_and_dots() -> None:
    page = to_html(
        "# json.decoder\n\nAbout it.\n\n# JSONDecoder\n\nA class.\n\n# JSONDecoder.decode\n\nA method."
    )
    assert re.findall(r"<(h\d)>", page) == ["h1", "h2", "h3"]


def test_underlined_headings_of_numpy_style() -> None:
    page = to_html("Parameters\n----------\nx : int\n    How many.\ny : float\n    How much.")
    assert page.startswith("<h3>Parameters</h3>\n<dl>")
    assert "<dt>x : int</dt>\n<dd>How many.</dd>" in page


def test_code_keeps_its_lines_and_loses_its_margin() -> None:
    assert to_html("    for x in y:\n        print(x)") == (
        "<pre><code>for x in y:\n    print(x)</code></pre>"
    )
    assert to_html("```python\na\n\nb\n```") == "<pre><code>a\n\nb</code></pre>"


def test_lists_take_their_continuation_lines() -> None:
    assert to_html("- one\n  goes on\n- two") == "<ul>\n<li>one goes on</li>\n<li>two</li>\n</ul>"
    assert to_html("1. one\n2. two").startswith("<ol>")


def test_markup_in_a_text_is_text() -> None:
    page = to_html("Use <script>alert(1)</script> & see http://example.org/a?b=1&c=2.")
    assert "<script>" not in page
    assert '<a href="http://example.org/a?b=1&amp;c=2">' in page


LINES = st.lists(
    st.sampled_from(
        [
            "# a.b",
            "Title",
            "-----",
            "=====",
            "- item",
            "* x",
            "1. y",
            "    code",
            ">>> 1",
            "```",
            "",
            "",
            "plain <b>",
            "  in",
        ]
    ),
    max_size=14,
)


@given(LINES)
def test_no_word_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    # Marks of the form itself (list numbers, fences) are what the elements now say.
    kept = words(visible(to_html(text)))
    assert [word for word in words(text) if not word.isdigit()] == [
        word for word in kept if not word.isdigit()
    ]
