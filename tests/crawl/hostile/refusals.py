"""What a site says about itself: robots.txt in every state, and the ways to opt out of text mining."""

from __future__ import annotations

import json

from tests.crawl.hostile.answers import (
    answer,
    bytes_as_they_are,
    endless,
    gzip_of_zeros,
    head,
    in_turn,
    page,
    redirect,
    reset_at_once,
    rules,
    stall,
)
from tests.crawl.hostile.outcomes import Outcome, archived, refused
from tests.crawl.hostile.server import Fault, Handler

ROBOTS = refused("robots")
UNREACHABLE = refused("robots_unreachable")
OPT_OUT = refused("tdm", "noai")
NOINDEX = refused("noindex")

# Two groups for one agent, in two spellings: they are one group, and that of all agents does not count.
_FOR_TEXTMILL = (
    "User-agent: *\nDisallow: /\n\nUser-Agent: TextMill\nDisallow: /a\nDisallow: *.mill$\n\n"
    "user-agent: textmill\nDisallow: /*?x=\n"
)
_PRIVATE = "User-agent: *\nDisallow: /private\n"


def _site(name: str, robots: Handler | None, **expected: Outcome) -> Fault:
    """A front page, a public and a private one; `root`, `public`, `private` say what becomes of them."""
    named = {{"root": "/"}.get(key, f"/{key}"): outcome for key, outcome in expected.items()}
    pages = {
        "/": page("front", "/public", "/private"),
        "/public": page("public"),
        "/private": page("private"),
    }
    closed = {path: 0 for path, outcome in named.items() if outcome.ends == ("refused",) and path != "/"}
    return Fault(name, pages, named, robots=robots, limits=closed)


def _rules_hold(name: str, robots: Handler) -> Fault:
    return _site(name, robots, root=archived(), public=archived(), private=ROBOTS)


def _all_open(name: str, robots: Handler) -> Fault:
    return _site(name, robots, root=archived(), public=archived(), private=archived())


def _all_shut(name: str, robots: Handler, why: Outcome = UNREACHABLE) -> Fault:
    return _site(name, robots, root=why)


ROBOTS_TXT = [
    # RFC 9309, 2.3.1.3: unavailable (4xx) means that everything may be archived …
    _all_open("robots_404", answer("no", 404)),
    _all_open("robots_403", answer("no", 403)),
    _all_open("robots_401", answer("no", 401)),
    # … 2.3.1.4: unreachable (5xx, network) that nothing may; 429 is the same for every large crawler.
    _all_shut("robots_429", answer("no", 429)),
    _all_shut("robots_503", answer("no", 503)),
    _all_shut("robots_500", answer("no", 500)),
    _all_shut("robots_reset", reset_at_once),
    _all_shut("robots_stall", stall()),
    _rules_hold("robots_503_heals", in_turn(answer("no", 503), rules(_PRIVATE))),
    _rules_hold("robots_plain", rules(_PRIVATE)),
    _rules_hold("robots_with_mark", rules(b"\xef\xbb\xbf" + _PRIVATE.encode())),
    _rules_hold("robots_lines_end_in_cr", rules(_PRIVATE.replace("\n", "\r"))),
    _rules_hold("robots_invalid_utf_8", rules(b"# caf\xe9 \xff\n" + _PRIVATE.encode())),
    _rules_hold("robots_typed_as_html", rules(_PRIVATE, kind="text/html")),
    _rules_hold("robots_of_600_kib", rules(_PRIVATE + "# and so on and so on\n" * 28_000)),
    _all_shut("robots_shuts_all", rules("User-agent: *\nDisallow: /\n"), ROBOTS),
    _all_open("robots_shuts_others", rules("User-agent: otherbot\nDisallow: /\n")),
    _all_open("robots_empty", rules("")),
    _all_open("robots_is_a_page", answer("<html><body>Disallow of sorts</body></html>")),
    _all_open("robots_is_binary", rules(bytes(range(256)) * 20)),
    _all_shut(
        "robots_is_endless",
        endless(head(200, {"Content-Type": "text/plain"}), b"User-agent: *\nDisallow: /\n" * 2000),
        ROBOTS,
    ),
    _all_shut(
        "robots_is_a_bomb", answer(gzip_of_zeros(48), headers={"Content-Encoding": "gzip"}, kind="text/plain")
    ),
    Fault(
        "robots_five_redirects",
        {
            "/": page("front", "/private"),
            "/private": page("private"),
            "/robots.txt": redirect("/r1"),
            **{f"/r{n}": redirect(f"/r{n + 1}") for n in (1, 2, 3)},
            "/r4": redirect("/r5"),
            "/r5": rules(_PRIVATE),
        },
        {"/": archived(), "/private": ROBOTS},
        limits={"/private": 0},
    ),
    Fault(
        "robots_elsewhere",
        {
            "/": page("front", "/private"),
            "/private": page("private"),
            "/robots.txt": redirect("{robots_plain}/robots.txt"),
        },
        {"/": archived(), "/private": ROBOTS},
        limits={"/private": 0},
    ),
    _all_open("robots_in_a_circle", redirect("/robots.txt")),
    Fault(
        "robots_for_textmill",
        {
            "/": page("front", "/a", "/b", "/c.mill", "/d?x=1"),
            **{path: page(path) for path in ("/a", "/b", "/c.mill", "/d?x=1")},
        },
        {"/": archived(), "/a": ROBOTS, "/b": archived(), "/c.mill": ROBOTS, "/d?x=1": ROBOTS},
        robots=rules(_FOR_TEXTMILL),
        limits={"/a": 0, "/c.mill": 0, "/d?x=1": 0},
    ),
    Fault(
        "crawl_delay",
        {"/": page("front", "/1", "/2"), "/1": page("one"), "/2": page("two")},
        {"/": archived(), "/1": archived(), "/2": archived()},
        robots=rules("User-agent: *\nCrawl-delay: 0.5\nDisallow:\n"),
    ),
]


def _opted_out(name: str, **answered: object) -> Fault:
    return Fault(name, {"/": page("front", "/next", **answered), "/next": page("next")}, {"/": OPT_OUT})  # type: ignore[arg-type]


def _front(name: str, outcome: Outcome, follow: bool = True, **answered: object) -> Fault:
    """A front page with headers or a meta tag, linking to another."""
    pages = {"/": page("front", "/next", **answered), "/next": page("next")}  # type: ignore[arg-type]
    expected = {"/": outcome, **({"/next": archived()} if follow else {})}
    return Fault(name, pages, expected, limits={} if follow else {"/next": 0})


def _meta(content: str, name: str = "robots") -> str:
    return f'<META NAME="{name}" CONTENT="{content}">'


_RESERVED = json.dumps(
    [{"location": "/private/*", "tdm-reservation": 1}, {"location": "/", "tdm-reservation": 0}]
)

OPT_OUTS = [
    _opted_out("tdm_header", headers={"TDM-Reservation": "1"}),
    _opted_out("tdm_meta", meta=_meta("1", "tdm-reservation")),
    _opted_out("x_robots_noai", headers={"X-Robots-Tag": "noai"}),
    _opted_out("x_robots_noimageai_noai", headers={"X-Robots-Tag": "noimageai, noai"}),
    _opted_out("x_robots_noai_for_textmill", headers={"X-Robots-Tag": "textmill: noai"}),
    _opted_out("meta_noai", meta=_meta("noai, noimageai")),
    _opted_out("meta_noai_for_textmill", meta=_meta("noai", "TextMill")),
    # One line speaks to another robot, the next one to all.
    Fault(
        "x_robots_in_two_headers",
        {
            "/": bytes_as_they_are(
                b"HTTP/1.1 200 OK\r\nX-Robots-Tag: otherbot: noindex\r\nX-Robots-Tag: noai\r\n"
                b"Content-Type: text/html\r\nContent-Length: 9\r\n\r\n<p>x</p>\n"
            )
        },
        {"/": OPT_OUT},
    ),
    _front("tdm_header_zero", archived(), headers={"TDM-Reservation": "0"}),
    _front(
        "x_robots_noindex_of_another", archived(), headers={"X-Robots-Tag": "otherbot: noindex, nofollow"}
    ),
    _front("x_robots_noindex", NOINDEX, headers={"X-Robots-Tag": "noindex"}),
    _front("meta_noindex", NOINDEX, meta=_meta("NOINDEX, follow")),
    _front("meta_noindex_of_another", archived(), meta=_meta("noindex", "googlebot")),
    _front("x_robots_none", NOINDEX, False, headers={"X-Robots-Tag": "none"}),
    _front("meta_nofollow", archived(), False, meta=_meta("nofollow")),
    _front("meta_none_for_textmill", NOINDEX, False, meta=_meta("none", "textmill")),
    Fault(
        "nofollow_on_a_link",
        {
            "/": answer('<a rel="ugc nofollow" href="/shut">x</a> <a rel=next href="/open">y</a>'),
            "/open": page("open"),
            "/shut": page("shut"),
        },
        {"/": archived(), "/open": archived()},
        limits={"/shut": 0},
    ),
    Fault(
        "tdmrep_json",
        {
            "/": page("front", "/public", "/private/x"),
            "/public": page("public"),
            "/private/x": page("private"),
            "/.well-known/tdmrep.json": answer(_RESERVED, kind="application/json"),
        },
        # It is asked for all the same: a page's own header and meta tag speak before the site's file.
        {"/": archived(), "/public": archived(), "/private/x": OPT_OUT},
    ),
    Fault(
        "tdmrep_json_is_broken",
        {"/": page("front"), "/.well-known/tdmrep.json": answer("[{", kind="application/json")},
        {"/": archived()},
    ),
    Fault(
        "tdmrep_json_is_of_another_shape",
        {"/": page("front"), "/.well-known/tdmrep.json": answer('{"a": [1, null]}', kind="application/json")},
        {"/": archived()},
    ),
]

FAULTS = [*ROBOTS_TXT, *OPT_OUTS]
