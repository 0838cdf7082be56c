"""Canonical addresses against a WHATWG parser, and by the examples of the standards."""

from __future__ import annotations

import re

import ada_url
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from textmill.web.urls import (
    ascii_host,
    canonical_url,
    host_of,
    is_below,
    registered_domain,
    split_url,
)

UNRESERVED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        (" HTTP://EXAMPLE.com:80/a/./b/../c%7e?q=é#top ", "http://example.com/a/c~?q=%C3%A9"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com?q", "https://example.com/?q"),
        ("https://example.com/?", "https://example.com/?"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("https://example.com:0443/x", "https://example.com/x"),
        ("https://example.com:80/x", "https://example.com:80/x"),
        ("https://example.com:/x", "https://example.com/x"),
        ("https://example.com:65536/", None),
        ("https://example.com:x/", None),
        ("http:\\\\example.com\\a\\..\\b", "http://example.com/b"),
        ("ht\ntp://exa\tmple.com/a\r\nb", "http://example.com/ab"),
        ("http:///example.com/", "http://example.com/"),
        ("http:example.com", "http://example.com/"),
        ("http://user:secret@example.com/", "http://example.com/"),
        ("http://a@b@example.com/", "http://example.com/"),
        ("http://user@/", None),
        ("http://", None),
        ("mailto:me@example.com", None),
        ("javascript:void(0)", None),
        ("example.com/page", None),
        ("", None),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://faß.example/", "http://xn--fa-hia.example/"),
        ("http://☕.example/", "http://xn--53h.example/"),
        ("http://ｅｘａｍｐｌｅ.com/", "http://example.com/"),
        ("http://xn--é/", None),
        ("http://%65xample.com/", "http://example.com/"),
        ("http://exa mple.com/", None),
        ("http://exam%2fple.com/", None),
        ("http://under_score.example/", "http://under_score.example/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0177.0.0.01/", "http://127.0.0.1/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://256.1.1.1/", None),
        ("http://1.2.3.4.5/", None),
        ("http://1.2.3.08/", None),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://[1:0:0:2:0:0:0:3]/", "http://[1:0:0:2::3]/"),
        ("http://[::ffff:1.2.3.4]/", "http://[::ffff:102:304]/"),
        ("http://[fe80::1%25eth0]/", None),
        ("http://[::1/", None),
        ("http://example.com/%7Euser/%e4%41%zz%", "http://example.com/~user/%E4A%25zz%25"),
        ("http://example.com/%2e%2E/a/%2e/b", "http://example.com/a/b"),
        ("http://example.com/a//../b", "http://example.com/a/b"),
        ("http://example.com/a/..", "http://example.com/"),
        ("http://example.com/a b", "http://example.com/a%20b"),
        ("http://example.com/?a b'c", "http://example.com/?a%20b%27c"),
        ("http://example.com/?/../x", "http://example.com/?/../x"),
        ("http://example.com/\ud800", "http://example.com/%EF%BF%BD"),
    ],
)
def test_absolute_addresses(url: str, canonical: str | None) -> None:
    assert canonical_url(url) == canonical


BASE = "http://a/b/c/d;p?q"


@pytest.mark.parametrize(
    ("url", "canonical"),
    [  # RFC 3986, 5.4; what browsers read differently is marked.
        ("g:h", None),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g/"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q"),
        ("g#s", "http://a/b/c/g"),
        (";x", "http://a/b/c/;x"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        (".g", "http://a/b/c/.g"),
        ("..g", "http://a/b/c/..g"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("http:g", "http://a/b/c/g"),  # browsers: relative, the scheme being the base's
        ("https:g", "https://g/"),
        ("\\g", "http://a/g"),
        ("/\\g", "http://g/"),
        ("a:b", None),
        ("./a:b", "http://a/b/c/a:b"),
    ],
)
def test_relative_addresses(url: str, canonical: str | None) -> None:
    assert canonical_url(url, BASE) == canonical


def test_the_page_s_encoding_writes_queries_but_not_paths() -> None:
    assert canonical_url("/é?é€", "http://a/", "iso8859-1") == "http://a/%C3%A9?%E9%26%238364%3B"
    assert canonical_url("?ソ", "http://a/", "shift_jis") == "http://a/?%83%5C"


def as_browsers_read_it(url: str, base: str | None) -> str | None:
    """The address by a WHATWG parser, then without what canonical addresses leave out."""
    try:
        parsed = ada_url.URL(url, base)
    except ValueError:
        return None
    if parsed.protocol not in ("http:", "https:"):
        return None
    origin = f"{parsed.protocol}//{parsed.host}"
    parsed.username = parsed.password = parsed.hash = ""
    path, mark, query = parsed.href.partition("?")
    return origin + normalised(path[len(origin) :]) + mark + normalised(query)


def normalised(text: str) -> str:
    out = ""
    at = 0
    while at < len(text):
        if text[at] != "%":
            out += text[at]
            at += 1
        elif re.fullmatch("[0-9A-Fa-f]{2}", text[at + 1 : at + 3]):
            byte = chr(int(text[at + 1 : at + 3], 16))
            out += byte if byte in UNRESERVED else text[at : at + 3].upper()
            at += 3
        else:
            out += "%25"
            at += 1
    return out


pieces = st.sampled_from(
    (
        *"/\\?#:@%.;&= \t\n[]'^|{}`\"<>!~_-aA0xé漢\u00df\u200d\u0301\x00\x7f",
        *("http:", "HTTPS://", "//", "..", "./", "%2e", "%2E%2e", "%41", "%c3%A9", "%zz", "example.com"),
        *(
            "127.1",
            "0x7f",
            "[::1]",
            ":80",
            ":443",
            "xn--",
            "xn--bcher-kva",
            "user:pw@",
            "bücher",
            "ＡＢ",
            "。",
        ),
        *("index.html", "?q=1", "../", "1.2.3.4", "?", "a/b", "mailto:", "www."),
    )
)
addresses = st.lists(pieces, max_size=8).map("".join)
whole_addresses = st.builds(
    "{}{}{}".format,
    st.sampled_from(("http://", "https://", "http:/", "http://example.com/")),
    addresses,
    addresses,
)
bases = st.sampled_from(
    (None, "http://example.com/a/b?c", "https://example.org", "http://[::1]:8080/x/../y/z")
)


@given(addresses | whole_addresses | st.text(max_size=20), bases)
@example("http://xn--a.com", None)
@example("http:..", "http://example.com/a/b?c")
@example("http://a/%%34%31", None)
@example("http://example.com?q=1//127.1", None)
@example("http://127.0.0.1:1234/", None)
@example("a#b/../c", "http://example.com/a/b?c")
@example("a\n#b ", "http://example.com/a/b?c")
@example("a #b ", "http://example.com/a/b?c")
def test_agrees_with_browsers(url: str, base: str | None) -> None:
    if any("\ud800" <= character <= "\udfff" for character in url):
        return  # the parser takes UTF-8
    assert canonical_url(url, base) == as_browsers_read_it(url, base)


@given(
    addresses | whole_addresses | st.text(max_size=20),
    bases,
    st.sampled_from(("utf-8", "shift_jis", "cp1252")),
)
def test_canonical_addresses_stay(url: str, base: str | None, encoding: str) -> None:
    canonical = canonical_url(url, base, encoding)
    if canonical is None:
        return
    assert canonical_url(canonical) == canonical
    assert canonical_url(canonical, "https://elsewhere.example/x/y") == canonical
    assert canonical.isascii()
    parts = split_url(canonical)
    query = "" if parts.query is None else f"?{parts.query}"
    assert f"{parts.origin}{parts.path}{query}" == canonical


def test_parts() -> None:
    parts = split_url("https://[::1]:8080/a/b?c=d?e")
    assert parts == ("https", "[::1]", 8080, "/a/b", "c=d?e")
    assert parts.origin == "https://[::1]:8080"
    assert host_of("http://example.com/") == "example.com"
    with pytest.raises(ValueError, match="canonical"):
        split_url("http://example.com")


@pytest.mark.parametrize(
    ("host", "domain", "below"),
    [
        ("example.com", "example.com", True),
        ("www.example.com", "example.com", True),
        ("www.example.com.", "Example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "www.example.com", False),
        ("1.127.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("[::1]", "[::1]", True),
    ],
)
def test_below(host: str, domain: str, below: bool) -> None:
    assert is_below(host, domain) is below


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.co.uk", "example.co.uk"),
        ("a.b.example.com.", "example.com"),
        ("www.me.github.io", "me.github.io"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "[::1]"),
    ],
)
def test_registered_domains(host: str, domain: str) -> None:
    assert registered_domain(host) == domain


def test_hosts_as_people_write_them() -> None:
    assert ascii_host("Bücher.Example") == "xn--bcher-kva.example"
    assert ascii_host("127.1") == "127.0.0.1"
    assert ascii_host("a b") is None
