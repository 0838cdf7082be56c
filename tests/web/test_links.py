"""Links of pages against lexbor's tree, on hostile pages and on real ones."""

from __future__ import annotations

import tarfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from tests.development_data import development_data
from textmill.web.links import (
    Link,
    PageLinks,
    Refresh,
    find_links,
    parse_refresh,
    resolve_entities,
    robots_directives,
)
from textmill.web.tags import _ELEMENTS_BY_NAME, find_tags


def urls(page: str | bytes) -> list[str]:
    return [link.url for link in find_links(page.encode() if isinstance(page, str) else page).links]


@pytest.mark.parametrize(
    ("page", "found"),
    [
        ("", []),
        ("<", []),
        ("<a", []),
        ("<a href=x", []),
        ('<a href="x', []),
        ('<a href="x"', []),
        ("<a href=x>", ["x"]),
        ("<A HREF = 'x' >", ["x"]),
        ("<a href=x/>", ["x/"]),
        ("<a/href=x>", ["x"]),
        ("<a title='>' href=x>", ["x"]),
        ("<a title='<a href=y>' href=x>", ["x"]),
        ("<a href=x href=y>", ["x"]),
        ("<a href>", [""]),
        ("<a =href=x>", []),
        ("<a href= >", [""]),
        ("<ab href=x>", []),
        ("< a href=x>", []),
        ("</a href=x>", []),
        ("<a\nhref\n=\n'x'\n>", ["x"]),
        ("<a href=&quot;x&quot;>", ['"x"']),
        ("<a\x00 href=x>", []),
        ("<a href=x\x00y>", ["x\ufffdy"]),
        ("<!-- <a href=c> --><a href=x>", ["x"]),
        ("<!--><a href=x>", ["x"]),
        ("<!---><a href=x>", ["x"]),
        ("<!-- --!><a href=x>", ["x"]),
        ("<!-- - -> <a href=c>", []),
        ("<!doctype html><a href=x>", ["x"]),
        ("<!x><a href=x>", ["x"]),
        ("<?xml version='1.0'?><a href=x>", ["x"]),
        ("</ <a href=c>><a href=x>", ["x"]),
        ("</><a href=x>", ["x"]),
        ("<title><a href=c></title><a href=x>", ["x"]),
        ("<textarea><a href=c></textarea x=y><a href=x>", ["x"]),
        ("<style><a href=c></styles></style/><a href=x>", ["x"]),
        ("<xmp><a href=c></XMP ><a href=x>", ["x"]),
        ("<script>'<a href=c>'</script><a href=x>", ["x"]),
        ("<script><!-- <script> </script> <a href=c> --></script><a href=x>", ["x"]),
        ("<script><!--><script></script><a href=x>", ["x"]),
        ("<script><!-- </script><a href=x>", ["x"]),
        ("<script", []),
        ("<plaintext><a href=c>", []),
        ("<svg><title><a href=s></title><style><a href=t></style></svg><style><a href=c>", ["s", "t"]),
        ("<svg><![CDATA[<a href=c>]]><a href=x></svg><![CDATA[<a href=y>]]>", ["x"]),
        ("<svg><p><style><a href=c></style>", []),
        ("<svg/><style><a href=c></style><a href=x>", ["x"]),
        ("<svg><foreignObject><style><a href=c></style></foreignObject><style><a href=x>", ["x"]),
        ("<area href=x><iframe src=y><a href=c></iframe><frame src=z>", ["x", "y", "z"]),
        ("<link rel=next href=n><link rel=stylesheet href=c><link href=d>", ["n"]),
        ("<noscript><a href=x></noscript>", ["x"]),
        ("<a href=x><a href=x><a href=y>", ["x", "y"]),
    ],
)
def test_links_are_tags_and_nothing_else(page: str, found: list[str]) -> None:
    assert urls(page) == found


def test_what_a_page_says_to_crawlers() -> None:
    page = (
        b"<base href='/b/'><base href='/c/'><link rel='CANONICAL' href='/page'>"
        b"<meta name=Robots content='NOINDEX, max-snippet:50'><meta name=textmill content=none>"
        b"<meta name=otherbot content=noai><meta name=TDM-Reservation content=' 1 '>"
        b"<meta content='https://example.com/policy.json' name=tdm-policy>"
        b"<meta http-equiv=REFRESH content='0;URL=next'>"
        b"<a href=x rel='external NoFollow'>x</a><a href=x>x</a>"
    )
    assert find_links(page) == PageLinks(
        links=(Link("x", "a", True), Link("x", "a", False)),
        base="/b/",
        canonical="/page",
        refresh=Refresh(0, "next"),
        robots=frozenset(("noindex", "max-snippet", "nofollow")),
        tdm_reservation=True,
        tdm_policy="https://example.com/policy.json",
    )
    assert find_links(page, agent="OtherBot").robots == {"noindex", "max-snippet", "noai"}
    assert find_links(b"<meta name=tdm-reservation content=0>").tdm_reservation is False
    assert find_links(b"<meta name=tdm-reservation content=maybe>").tdm_reservation is None


def test_directives_separated_by_blanks() -> None:
    assert robots_directives(" NoIndex  nofollow;noai ") == {"noindex", "nofollow", "noai"}


@pytest.mark.parametrize(
    ("content", "refresh"),
    [
        ("5", Refresh(5, "")),
        (" 5.7 ; url = 'a b' c", Refresh(5, "a b")),
        ('0,URL="x', Refresh(0, "x")),
        ("0 x", Refresh(0, "x")),
        (".5;x", Refresh(0, "x")),
        ("5x", None),
        ("soon", None),
        ("", None),
        ("0;url x", Refresh(0, "url x")),
    ],
)
def test_refresh(content: str, refresh: Refresh | None) -> None:
    assert parse_refresh(content) == refresh


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("?a=1&amp;b=2", "?a=1&b=2"),
        ("?a=1&copy=2&copyright=3&copy;&copy", "?a=1&copy=2&copyright=3©©"),
        ("&notit;&notin;", "&notit;∉"),
        ("&#233;&#xE9&#128;&#0;&#xD800;&#x110000;&#99999999999999999999;", "éé€\ufffd\ufffd\ufffd\ufffd"),
        ("&;&#;&#x;&", "&;&#;&#x;&"),
    ],
)
def test_entities_of_addresses(value: str, text: str) -> None:
    assert resolve_entities(value) == text


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "shift_jis", "gb18030", "utf-16-le", "iso2022_jp"])
def test_encodings(encoding: str) -> None:
    name = {"cp1252": "é", "utf-8": "é漢"}.get(encoding, "漢字")
    page = f"<p>{name}</p><a href='/{name}?q'>".encode(encoding)
    assert [link.url for link in find_links(page, encoding).links] == [f"/{name}?q"]


def test_names_differ_in_their_first_eight_letters_or_length() -> None:
    assert len({(name[:8], len(name)) for name in _ELEMENTS_BY_NAME}) == len(_ELEMENTS_BY_NAME)


def test_more_rows_than_expected() -> None:
    page = b"".join(b"<a href=%d>" % number for number in range(1000))
    rows = find_tags(page)
    assert rows.shape == (1000, 13)
    assert np.all(np.diff(rows[:, 1]) > 0)


pieces = st.sampled_from(
    (
        *"<>/='\"-! \t\n&;x\x00]?",
        *(
            "<a href=",
            "<a href='",
            '<a title="',
            "</a>",
            "<A\tHREF=1>",
            "<area href=2>",
            "<iframe src=3>",
            "</iframe>",
        ),
        *("<!--", "-->", "--!>", "<!-->", "<!", "<?", "</", "<![CDATA[", "]]>", "<!doctype html>"),
        *(
            "<script>",
            "</script>",
            "<SCRIPT ",
            "</script ",
            "<style>",
            "</style>",
            "<textarea>",
            "</textarea/>",
        ),
        *(
            "<title>",
            "</title>",
            "<xmp>",
            "</xmp>",
            "<noembed>",
            "</noembed>",
            "<div>",
            "</div>",
            "<p>",
            "<b>",
        ),
        *("href=4", "&amp;", "&copy=", "&#x41;", "é"),
    )
)
pages = st.lists(pieces, max_size=30).map("".join)


def by_tree(page: str) -> set[str]:
    tree = LexborHTMLParser(f"<!doctype html><body>{page}")
    nodes = tree.css("a[href],area[href],iframe[src]")
    return {(node.attributes.get("src" if node.tag == "iframe" else "href") or "") for node in nodes}


@given(pages)
@example("<script><!--<script></script><a href=1>--></script><a href=2>")
@example("<script><!--<script -->x</script><a href=2>")
@example("<!--a--<a href=x>")
def test_agrees_with_a_tree(page: str) -> None:
    found = {link.url for link in find_links(f"<!doctype html><body>{page}".encode()).links}
    assert found == by_tree(page)


@given(st.binary(max_size=300) | pages.map(str.encode))
def test_survives_any_bytes(page: bytes) -> None:
    rows = find_tags(page)
    values = rows[:, 1:]
    assert np.all(values[values >= 0] <= len(page))
    find_links(page)
    find_links(page, "utf-16-le")
    find_links(page, "shift_jis")


def test_agrees_with_a_tree_on_real_pages() -> None:
    archive = development_data("extraction/wcxb-dev.tar.xz")
    compared = 0
    with tarfile.open(archive) as members:
        for member in members:
            if not member.name.endswith(".html"):
                continue
            handle = members.extractfile(member)
            assert handle is not None
            # Contents of templates are no part of the tree that a selector searches; for us they are links.
            page = handle.read().replace(b"<template", b"<x-template").replace(b"</template", b"</x-template")
            tree = LexborHTMLParser(page)
            wanted = set()
            for node in tree.css("a[href],area[href],iframe[src],frame[src]"):
                wanted.add(node.attributes.get("href" if node.tag in ("a", "area") else "src") or "")
            links = [link for link in find_links(page).links if link.element != "link"]
            found = {link.url.replace("\r\n", "\n").replace("\r", "\n") for link in links}
            assert found == wanted, member.name
            compared += 1
            if compared == 150:
                break
