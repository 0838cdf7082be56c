"""Pages that are broken, or made to do harm: a text or a reason, in time that grows as the page does."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.extract.test_construction import HOSTILE, NAMES
from tests.extract.test_step import ARTICLE
from tests.extract.test_tree import check

from textmill.documents import Batch
from textmill.extract.html.nodes import NODE_COUNT, STEPS
from textmill.extract.metadata import page_metadata
from textmill.extract.methods import shown
from textmill.extract.rendering import render
from textmill.extract.step import Extract
from textmill.extract.tree import STEPS_PER_BYTE, PageParser
from textmill.steps import StepContext
from textmill.web.charset import decode_page

parser = PageParser(max_bytes=1 << 28)


def whole_way(page: bytes) -> str:
    """Everything that happens to a page, but for the choice of its blocks; checked on the way."""
    parsed = parser.parse(decode_page(page).text.encode())
    check(parsed)
    kept = np.ones(len(parsed.blocks), np.bool_)
    for value in page_metadata(parsed).values():
        value.encode()
    text = render(parsed, kept & shown(parsed))
    render(parsed, kept, "markdown", links=True, url="https://example.org/").encode()
    text.encode()
    return text


BAD = {
    "empty": (b"", ""),
    "blank": (b" \n\t\n", ""),
    "only comments": (b"<!-- a --><!-- b", ""),
    "a comment without end": (b"<p>a<!-- b <p>c", "a"),
    "NUL bytes": (b"<p>a\0b\0</p>\0<p>c", "ab\n\nc"),
    "NUL bytes in tags": (b"<\0p>a<p\0q>b<p c\0=d>e", "ab\n\ne"),
    "invalid UTF-8": (b"<meta charset=utf-8><p>caf\xc3\xa9 \xff\xfe b\xe9\xa0 \xf0\x9f", None),
    "Latin-1 labelled UTF-8": ("<meta charset=utf-8><p>où êtes-vous, élève ? à Noël".encode("latin-1"), None),
    "UTF-16 without a label": ("<p>hello world, this is it".encode("utf-16"), "hello world, this is it"),
    "a PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4, None),
    "random bytes": (random.Random(7).randbytes(20_000), None),
    "nothing but <": (b"<" * 5000, ""),
    "nothing but </": (b"</" * 5000, ""),
    "nothing but <!": (b"<!" * 5000, ""),
    "nothing but &": (b"&" * 5000, ""),
    "references without end": (b"<p>a" + b"&#x" * 3000 + b"&notin" * 3000, None),
    "one reference without end": (b"<p>a&#" + b"9" * 100_000, "a\ufffd"),
    "a long name": (b"<p>a&" + b"n" * 100_000 + b";", None),
    "a tag without end": (b"<p>a<div class='b" + b" c" * 50_000, "a"),
    "attributes without end": (b"<p>a<div " + b"a=b " * 50_000 + b">c", "a\n\nc"),
    "one attribute again and again": (b"<p>a<div " + b"class=b " * 50_000 + b">c", "a\n\nc"),
    "a megabyte of class": (b"<p>a<div class='" + b"navBar " * 150_000 + b"'>c", "a\n\nc"),
    "a megabyte of a name": (b"<p>a<" + b"x" * 1_000_000 + b">c", "ac"),
    "100,000 nested tags": (b"<div>" * 100_000 + b"a" + b"</div>" * 100_000 + b"b", "a\n\nb"),
    "100,000 nested inline tags": (b"<i>" * 100_000 + b"a" + b"</i>" * 100_000 + b"b", None),
    "everything unclosed": (b"<table><tr><td><ul><li><a><b><pre><select><option>a<svg><math><mi>b", "a"),
    "a script without end": (b"<p>a<script>b</scr <p>c", "a"),
    "a script that hides its end": (b"<p>a<script><!--<script></script><p>b", "a"),
    "plaintext": (b"<p>a<plaintext><p>b</plaintext>", "a\n\n<p>b</plaintext>"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pages(name: str) -> None:
    page, text = BAD[name]
    found = whole_way(page)
    if text is not None:
        assert found == text


def test_truncated_anywhere() -> None:
    page = ARTICLE.encode()
    last = ""
    for end in range(0, len(page) + 1, 7):
        text = whole_way(page[:end])
        # What has been read stays, but for the word at hand and what markup still changes.
        assert len(text) + 40 >= len(last)
        last = text


def test_bad_pages_in_a_step() -> None:
    texts = [page.decode("utf-8", "replace") for page, _ in BAD.values() if len(page) < 300_000]
    edit = Extract(pages="all").open(StepContext()).transform(Batch.from_texts(texts))
    assert len(edit.texts) == len(texts)


FAMILIES = {
    "formatting elements that are never closed": "<b id={}>",
    "and paragraphs in them": "<b id={}><p>",
    "links in links": "<a href={}><div>",
    "misnested formatting": "<b><i><p></b></i>",
    "tables in tables": "<table><tr><td>",
    "text in tables": "<table>a<b>",
    "tables without cells": "<table>",
    "templates": "<template>",
    "foreign elements": "<svg><g>",
    "end tags of nothing": "</x{}>",
    "end tags of p": "</p>",
    "items": "<li><a>",
    "definitions": "<dd><b>",
    "headings": "<h1>",
    "buttons": "<button><b>",
    "nobr": "<nobr>",
    "ruby": "<ruby><rt>",
    "forms": "<form><div></form>",
    "options": "<select><option>",
    "marked blocks": "<div><b>",
    "hidden": "<div style='a:b;c:d;display:none' class='a b c'>x",
    "JSON-LD": '<script type=application/ld+json>{{"@type":"</script>',
    "comments": "<!-- - -- -->",
    "references": "&#x41;&amp&notin",
    "custom elements": "<x-{}>",
    "frames": "<frameset><frame>",
    "breaks": "a<br>",
    "preformatted": "<pre>\n",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_grow_as_the_page_does(name: str) -> None:
    part = FAMILIES[name]
    costs = []
    for count in (1000, 4000):
        page = "".join(part.format(number) for number in range(count)).encode()
        parsed = parser.parse(page)
        costs.append((int(parser.state[STEPS]) + int(parser.state[NODE_COUNT])) / len(page))
        assert len(parsed.elements) <= int(parser.state[NODE_COUNT])
    # The list of open elements is walked through to its end for a tag, but it has an end.
    assert costs[1] < STEPS_PER_BYTE


def mutated(source: random.Random, page: bytes) -> bytes:
    """A page with some of its bytes changed, cut out, doubled or replaced by markup."""
    content = bytearray(page)
    for _ in range(source.randint(1, 12)):
        at = source.randrange(len(content) + 1)
        kind = source.randrange(6)
        if kind == 0 and content:
            content[at % len(content)] = source.randrange(256)
        elif kind == 1:
            del content[at : at + source.choice((1, 3, 30, 300))]
        elif kind == 2:
            content[at:at] = content[at : at + source.choice((5, 50, 500))]
        elif kind == 3:
            content[at:at] = source.choice(HOSTILE).encode()
        elif kind == 4:
            name = source.choice(NAMES).encode()
            content[at:at] = (b"<" if source.random() < 0.6 else b"</") + name + b">"
        else:
            content[at:at] = source.choice(
                (b"<", b">", b"&", b"'", b'"', b"<!--", b"\0", b"\xff", b"</", b"=", b"]]>")
            )
    return bytes(content)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_damaged_pages(seed: int) -> None:
    whole_way(mutated(random.Random(seed), ARTICLE.encode()))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(page: bytes) -> None:
    whole_way(page)


@pytest.mark.slow
def test_many_damaged_pages() -> None:
    source = random.Random(20_261_128)
    pages = [ARTICLE.encode(), *(page for page, _ in BAD.values() if len(page) < 50_000)]
    for _ in range(5000):
        whole_way(mutated(source, source.choice(pages)))


@pytest.mark.slow
def test_100_megabytes_in_one_line() -> None:
    assert len(whole_way(b"<p>" + b"word &amp; " * 9_000_000)) > 60_000_000
