"""Sitemaps of every form; hostile ones end in a fault."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from textmill.crawl.sitemaps import MAX_ADDRESSES, read_sitemap

NAMESPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def test_pages_and_indexes() -> None:
    pages = read_sitemap(
        f"\ufeff\n<urlset {NAMESPACE}><url><loc> https://e.com/a?x=1&amp;y=2 </loc><priority>1</priority></url>"
        "<url><image><loc>https://e.com/i.png</loc></image><loc><![CDATA[https://e.com/b]]></loc></url></urlset>".encode()
    )
    assert pages.pages == ["https://e.com/a?x=1&y=2", "https://e.com/b"]
    index = read_sitemap(
        b"<s:sitemapindex xmlns:s='x'><s:sitemap><s:loc>https://e.com/s.xml</s:loc></s:sitemap></s:sitemapindex>"
    )
    assert (index.pages, index.sitemaps) == ([], ["https://e.com/s.xml"])
    assert read_sitemap(b"https://e.com/a\r\nnonsense\nhttp://e.com/b").pages == [
        "https://e.com/a",
        "http://e.com/b",
    ]


def test_what_stands_before_a_fault_counts() -> None:
    broken = read_sitemap(b"<urlset><url><loc>https://e.com/a</loc></url><url><loc>https://e.c")
    assert broken.pages == ["https://e.com/a"]
    assert broken.fault


def test_entities_are_refused() -> None:
    laughs = (
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
        b"<urlset><url><loc>https://e.com/&b;</loc></url></urlset>"
    )
    assert read_sitemap(laughs).fault == "it declares entities"
    outside = (
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><urlset><url><loc>&a;</loc></url></urlset>'
    )
    assert read_sitemap(outside).pages == []


def test_no_more_addresses_than_the_protocol_allows() -> None:
    many = b"<urlset>" + b"<url><loc>https://e.com/</loc></url>" * (MAX_ADDRESSES + 5) + b"</urlset>"
    assert len(read_sitemap(many).pages) == MAX_ADDRESSES


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange(contents: bytes) -> None:
    read_sitemap(contents)
    read_sitemap(b"<urlset>" + contents)
