"""RFC 9309: its own examples, and what parsers of robots.txt are known to get wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.crawl.robots import MAX_BYTES, Robots, may_fetch

# RFC 9309, section 5.1
SIMPLE = b"""\
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""

# RFC 9309, section 5.2
LONGEST = b"User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n"

TWICE = b"User-agent: foobot\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: foobot\nDisallow: /b"


def allowed(robots: bytes, path: str, agent: str = "foobot") -> bool:
    return may_fetch(robots, agent, f"https://www.example.com{path}").allowed


@pytest.mark.parametrize(
    "agent, path, expected",
    [
        ("anybot", "/a/picture.gif", False),
        ("anybot", "/a/picture.gif?x", True),
        ("anybot", "/example/", False),
        ("anybot", "/publications/", True),
        ("anybot", "/", True),
        ("foobot", "/", False),
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("foobot", "/publications/", False),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/example/picture.gif", True),
        ("quxbot", "/example/picture.gif", True),
    ],
)
def test_simple_example_of_the_standard(agent: str, path: str, expected: bool) -> None:
    assert allowed(SIMPLE, path, agent) is expected


def test_longest_match_of_the_standard() -> None:
    assert allowed(LONGEST, "/example/page/")
    assert not allowed(LONGEST, "/example/page/disallowed.gif")


@pytest.mark.parametrize(
    "robots, path, expected",
    [
        # 2.2.1: groups
        (b"user-agent: FooBot\ndisallow: /", "/x", False),
        (b"User-agent: foobot/2.1\nDisallow: /", "/x", False),
        (b"User-agent: foobot-news\nDisallow: /", "/x", True),
        (b"User-agent: foo\nDisallow: /", "/x", True),
        (TWICE, "/b", False),
        (TWICE, "/a", False),
        (TWICE, "/c", True),
        (b"User-agent: *\nDisallow: /\nUser-agent: foobot\nDisallow: /only", "/x", True),
        (b"User-agent: *\nDisallow: /\nUser-agent: foobot\n", "/x", True),
        (b"User-agent: * baz\nDisallow: /", "/x", False),
        (b"Disallow: /\nUser-agent: foobot\nDisallow: /a", "/x", True),
        (b"User-agent: foobot\n\n\nDisallow: /", "/x", False),
        (b"User-agent: foobot # us\nDisallow: / # all", "/x", False),
        (b"User-agent: foobot\nCrawl-delay: 5\nUser-agent: bar\nDisallow: /", "/x", False),
        (b"User-agent: foobot\nSitemap: https://e.com/s.xml\nUser-agent: bar\nDisallow: /", "/x", False),
        (b"User-agent: foobot\nUnknown: 1\nDisallow: /", "/x", False),
        # 2.2.2: matching
        (b"User-agent: *\nDisallow: /fish", "/fish.html", False),
        (b"User-agent: *\nDisallow: /fish", "/Fish.asp", True),
        (b"User-agent: *\nDisallow: /fish/", "/fish", True),
        (b"User-agent: *\nDisallow:", "/x", True),
        (b"User-agent: *\nAllow: /p\nDisallow: /", "/page", True),
        (b"User-agent: *\nAllow: /folder\nDisallow: /folder", "/folder/page", True),
        (b"User-agent: *\nAllow: /page\nDisallow: /*.htm", "/page.htm", False),
        (b"User-agent: *\nDisallow: /\nAllow: /$", "/", True),
        (b"User-agent: *\nDisallow: /\nAllow: /$", "/page", False),
        (b"User-agent: *\nDisallow: /", "/robots.txt", True),
        (b"User-agent: *\nDisallow: /x?", "/x?y", False),
        # 2.2.3: special characters
        (b"User-agent: *\nDisallow: /fish*.php", "/fishheads/catfish.php?parameters", False),
        (b"User-agent: *\nDisallow: /*.php$", "/filename.php?parameters", True),
        (b"User-agent: *\nDisallow: /*.php$", "/folder/filename.php", False),
        (b"User-agent: *\nDisallow: /**/b", "/a/b", False),
        (b"User-agent: *\nDisallow: /a*", "/a", False),
        (b"User-agent: *\nDisallow: /a/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*x", "/a/" + "/" * 2000, True),
        # percent-encoding
        (b"User-agent: *\nDisallow: /foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", True),
        ("User-agent: *\nDisallow: /foo/bar/ツ".encode(), "/foo/bar/%E3%83%84", False),
        (b"User-agent: *\nDisallow: /foo/bar/%E3%83%84", "/foo/bar/%E3%83%84", False),
        (b"User-agent: *\nDisallow: /foo/bar/%e3%83%84", "/foo/bar/%E3%83%84", False),
        (b"User-agent: *\nDisallow: /foo/bar/%62%61%7A", "/foo/bar/baz", False),
        (b"User-agent: *\nDisallow: /path/file-with-a-%2A.html", "/path/file-with-a-*.html", False),
        (b"User-agent: *\nDisallow: /path/file-with-a-%2A.html", "/path/file-with-a-b.html", True),
        # bytes
        (b"\xef\xbb\xbfUser-agent: foobot\nDisallow: /", "/x", False),
        (b"User-agent: foobot\rDisallow: /\r", "/x", False),
        (b"User-agent: foobot\r\nDisallow: /\r\n", "/x", False),
        (b"User-agent: foobot\nDisallow: /\x0ba\n", "/x", True),
        (b"User-agent: foobot\nDisallow: /a b", "/x", True),
        (b"User-agent: foobot\nDisallow: /caf\xe9", "/caf%E9", False),
        (b"\x00\xff\xfe garbage \x00", "/x", True),
        (b"", "/x", True),
    ],
)  # fmt: skip
def test_rules(robots: bytes, path: str, expected: bool) -> None:
    assert allowed(robots, path) is expected


def test_half_a_megabyte_counts_and_no_line_is_cut() -> None:
    filler = b"# " + b"x" * 97 + b"\n"
    near = b"User-agent: *\n" + filler * ((MAX_BYTES - 100) // len(filler)) + b"Disallow: /near\n"
    beyond = near + filler * 200 + b"Disallow: /beyond\n"
    assert not allowed(beyond, "/near")
    assert allowed(beyond, "/beyond")
    # "Disallow: /a" would be all that is left of it.
    cut = b"User-agent: *\nAllow: /\n" + b"x" * (MAX_BYTES - 35) + b"\nDisallow: /abc\n"
    assert allowed(cut, "/a")


def test_whole_user_agents_and_others_rules() -> None:
    robots = (
        b"User-agent: textmill\nCrawl-delay: 2.5\nDisallow: /a\n"
        b"User-agent: GPTBot\nDisallow: /b\nSitemap: https://e.com/s.xml # x\n"
    )
    assert not may_fetch(robots, "textmill/1.0 (+https://example.org)", "https://e.com/a")
    assert may_fetch(robots, "textmill", "https://e.com/b")
    both = Robots(robots, "textmill", ("GPTBot",))
    assert both.may_fetch("https://e.com/b").reason == "robots.txt forbids it to gptbot"
    assert (both.crawl_delay, both.sitemaps) == (2.5, ["https://e.com/s.xml"])


@given(st.binary(max_size=400), st.text(max_size=40))
def test_no_bytes_are_too_strange(robots: bytes, path: str) -> None:
    assert may_fetch(robots, "textmill", f"https://example.com/{path}").reason
    assert may_fetch(b"User-agent: *\nDisallow: " + robots, "textmill", f"https://example.com/{path}").reason


@pytest.mark.parametrize(
    "lines, path, expected",
    [
        (b"Content-Signal: search=yes,ai-train=no,use=reference\nAllow: /", "/x", False),
        (b"Content-Signal: search=yes, ai-train=yes\nAllow: /", "/x", True),
        (b"content-signal:search=no", "/x", True),
        (b"Allow: /\nContent-Usage: train-ai=n", "/x", False),
        (b"Content-Usage: train-ai=n # please\nContent-Usage: /open/ train-ai=y", "/open/x", True),
        (b"Content-Usage: train-ai=n\nContent-Usage: /open/ train-ai=y", "/x", False),
        (b"Content-Usage: /shut/ search=y, train-ai=n", "/open", True),
        (b"Content-Usage: /shut/ search=y, train-ai=n", "/shut/x?y", False),
        (b"Content-Signal: ai-train=yes\nContent-Usage: train-ai=n", "/x", False),
        (b"User-agent: other\nContent-Signal: ai-train=no", "/x", True),
        (
            b"Disallow:\nUser-agent: foobot\nDisallow: /a\nUser-agent: other\nContent-Signal: ai-train=no",
            "/x",
            True,
        ),
    ],
)
def test_signals_about_training(lines: bytes, path: str, expected: bool) -> None:
    assert Robots(b"User-agent: *\nDisallow: /none\n" + lines, "foobot").may_train(path) is expected
