"""Blocks as text and as Markdown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from tests.extract.page_oracle import squeezed
from tests.extract.test_construction import pages

from textmill.extract.methods import shown
from textmill.extract.rendering import TextFormat, render
from textmill.extract.tree import PageParser

parser = PageParser()

CASES = {
    "<h2>A <em>b</em></h2><p>c<p>d": ("A b\n\nc\n\nd", "## A b\n\nc\n\nd"),
    "<p>a<br>b": ("a\nb", "a  \nb"),
    "<ul><li>a<li>b<ul><li>c</ul></ul>d": ("- a\n- b\n  - c\n\nd", "- a\n- b\n  - c\n\nd"),
    "<ol><li>a<p>more<li>b</ol>": ("1. a\n   more\n2. b", "1. a\n   more\n2. b"),
    "<table><caption>t</caption><tr><th>a<th>b<tr><td>1<td>2|3</table>": (
        "t\n\na | b\n1 | 2|3",
        "t\n\n| a | b |\n| --- | --- |\n| 1 | 2\\|3 |",
    ),
    "<table><tr><td>a<td>b<tr><td>c</table>": ("a | b\nc", "| a | b |\n| --- | --- |\n| c |  |"),
    "<table><tr><td><h1>a</h1><p>b<td>c</table>": ("a\n\nb\n\nc", "# a\n\nb\n\nc"),
    "<table><tr><td>a<tr><td>b</table>": ("a\n\nb", "a\n\nb"),
    "<pre>a\n  b</pre>c": ("a\n  b\n\nc", "```\na\n  b\n```\n\nc"),
    "<pre><code>x ``` y</code></pre>": ("x ``` y", "````\nx ``` y\n````"),
    "<pre><div>a</div><div> b</div></pre>": ("a\n b", "```\na\n b\n```"),
    "<blockquote><p>a<p>b</blockquote>c": ("a\n\nb\n\nc", "> a\n>\n> b\n\nc"),
    "<dl><dt>a<dd>b</dl>": ("a\nb", "a\n\nb"),
    "<p>use <code>x</code> or <kbd>y </kbd>z": ("use x or y z", "use `x` or `y` z"),
    "<li><h3>a</h3><p>b": ("a\n\n- b", "### a\n\n- b"),
}


@pytest.mark.parametrize("page", CASES)
def test_formats(page: str) -> None:
    parsed = parser.parse(page.encode())
    everything = np.ones(len(parsed.blocks), np.bool_)
    assert (render(parsed, everything), render(parsed, everything, "markdown")) == CASES[page]


def test_a_list_of_articles_is_no_list() -> None:
    page = parser.parse(("<ul>" + "<li><p>a<p>b<p>c<p>d" * 2 + "</ul>").encode())
    assert render(page, np.ones(8, np.bool_)) == "\n\n".join("abcdabcd")


def test_links() -> None:
    page = parser.parse(
        b'<p>see <a href="/a (1)?x=1&amp;y=2"> this <code>one</code> </a>, <a href="#top">up</a>, '
        b'<a href="javascript:x()">no</a>, <a name=x>here</a>'
    )
    kept = np.ones(1, np.bool_)
    address = "https://example.org/a%20%281%29?x=1&y=2"
    assert render(page, kept, "markdown", links=True, url="https://example.org/b/") == (
        f"see [this]({address}) [`one`]({address}) , up, no, here"
    )
    assert render(page, kept, "markdown") == "see this `one` , up, no, here"


def test_only_what_is_kept() -> None:
    page = parser.parse(b"<p>a<p>b<p>c")
    assert render(page, np.array([True, False, True])) == "a\n\nc"
    assert render(page, np.zeros(3, np.bool_)) == ""


def test_hidden_blocks_are_not_shown() -> None:
    page = parser.parse(b"<p>a<p hidden>b<div style='display:none'><p>c</div><p>d")
    assert shown(page).tolist() == [True, False, False, True]


@settings(max_examples=300, deadline=None)
@given(pages)
def test_no_text_is_lost_or_added(page: str) -> None:
    parsed = parser.parse(page.encode())
    everything = np.ones(len(parsed.blocks), np.bool_)
    wanted = "".join(map(parsed.block_text, range(len(parsed.blocks))))
    formats: tuple[TextFormat, ...] = ("text", "markdown")
    for text_format in formats:
        letters = [character for character in render(parsed, everything, text_format) if character.isalpha()]
        assert letters == [character for character in squeezed(wanted) if character.isalpha()]
