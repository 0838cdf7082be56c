"""Faults of bodies: bombs, encodings that are not what they say, charsets, pages that no parser likes."""

from __future__ import annotations

import base64
import gzip
import zlib

import zstandard

from tests.crawl.hostile.answers import (
    answer,
    chunk,
    endless,
    gzip_of_zeros,
    head,
    page,
    text,
)
from tests.crawl.hostile.outcomes import archived, failed, lost, refused
from tests.crawl.hostile.server import Fault

_HTML = {"Content-Type": "text/html; charset=utf-8"}
_BODY = text("a body").encode()

# 64 MiB of zeros as brotli (quality 11) packs them.
_BROTLI_ZEROS = base64.b64decode(
    "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H//w/+"
    "CYA4LADQvf/j//8f/BMAcVgAoHv/Nw=="
)

BOMB = lost("bomb", "too_large")

BOMBS = [
    Fault("gzip_bomb", {"/": answer(gzip_of_zeros(48), headers={"Content-Encoding": "gzip"})}, {"/": BOMB}),
    Fault(
        "deflate_bomb",
        {"/": answer(zlib.compress(bytes(48 * 2**20), 9), headers={"Content-Encoding": "deflate"})},
        {"/": BOMB},
    ),
    Fault(
        "gzip_inside_gzip",
        {"/": answer(gzip.compress(gzip_of_zeros(48)), headers={"Content-Encoding": "gzip, gzip"})},
        {"/": lost("bomb", "too_large", "coding")},
    ),
    Fault(
        "zstd_bomb",
        {
            "/": answer(
                zstandard.ZstdCompressor(3).compress(bytes(48 * 2**20)), headers={"Content-Encoding": "zstd"}
            )
        },
        {"/": lost("bomb", "too_large", "coding")},
    ),
    Fault(
        "brotli_not_asked_for",
        {"/": answer(_BROTLI_ZEROS, headers={"Content-Encoding": "br"})},
        {"/": lost("bomb", "too_large", "coding")},
    ),
    Fault(
        "endless_body",
        {"/": endless(head(200, _HTML), b"<p>more and more</p>" * 4000)},
        {"/": lost("too_large", "timeout", "slow")},
    ),
    Fault(
        "endless_chunks",
        {"/": endless(head(200, _HTML | {"Transfer-Encoding": "chunked"}), chunk(b"<p>more</p>" * 4000))},
        {"/": lost("too_large", "timeout", "slow")},
    ),
    Fault(
        "endless_gzip",
        {"/": endless(head(200, _HTML | {"Content-Encoding": "gzip"}), gzip_of_zeros(4))},
        {"/": BOMB},
    ),
    Fault(
        "a_dense_but_honest_page",
        {"/": answer(gzip.compress(b"<p>same</p>" * 3000), headers={"Content-Encoding": "gzip"})},
        {"/": archived()},
    ),
]

ENCODINGS = [
    Fault(
        "says_gzip_is_plain",
        {"/": answer(_BODY, headers={"Content-Encoding": "gzip"})},
        {"/": failed("coding")},
    ),
    Fault(
        "gzip_cut_off",
        {"/": answer(gzip.compress(_BODY * 50)[:-40], headers={"Content-Encoding": "gzip"})},
        {"/": failed("coding", "truncated")},
    ),
    Fault(
        "unknown_encoding",
        {"/": answer(_BODY, headers={"Content-Encoding": "x-mill"})},
        {"/": failed("coding")},
    ),
    Fault("gzip_without_saying_so", {"/": answer(gzip.compress(_BODY))}, {"/": archived()}),
    Fault(
        "gzip_well",
        {
            "/": answer(
                gzip.compress(text("packed", "/second").encode()), headers={"Content-Encoding": "gzip"}
            ),
            "/second": page("second"),
        },
        {"/": archived(), "/second": archived()},
    ),
]

_KOREAN = text("방앗간은 물과 함께 돈다", "/한글?q=물")
_FRENCH = text("Le moulin tourne, l’été déjà passé", "/été?q=é")
_JAPANESE = text("水車小屋は水とともに回る", "/水")


def _charset(name: str, body: bytes, kind: str, linked: str) -> Fault:
    return Fault(
        name, {"/": answer(body, kind=kind), linked: page("linked")}, {"/": archived(), linked: archived()}
    )


CHARSETS = [
    # Paths are percent-encoded as UTF-8 whatever the page is in, queries in the page's own encoding (WHATWG URL).
    _charset(
        "euc_kr_in_header",
        _KOREAN.encode("euc-kr"),
        "text/html; charset=euc-kr",
        "/%ED%95%9C%EA%B8%80?q=%B9%B0",
    ),
    _charset(
        "euc_kr_in_meta",
        _KOREAN.replace("<head>", "<head><meta charset=euc-kr>").encode("euc-kr"),
        "text/html",
        "/%ED%95%9C%EA%B8%80?q=%B9%B0",
    ),
    _charset(
        "utf_8_labelled_latin_1", _FRENCH.encode(), "text/html; charset=utf-8", "/%C3%A9t%C3%A9?q=%C3%A9"
    ),
    _charset("utf_16_with_mark", ("\ufeff" + _JAPANESE).encode("utf-16-le"), "text/html", "/%E6%B0%B4"),
    _charset("utf_8_without_label", _JAPANESE.encode(), "text/html", "/%E6%B0%B4"),
    Fault(
        "utf_16_without_label",
        {"/": answer(_JAPANESE.encode("utf-16-le"), kind="text/html")},
        {"/": archived()},
    ),
    Fault(
        "unknown_charset",
        {"/": answer(_FRENCH.encode(), kind="text/html; charset=klingon-8")},
        {"/": archived()},
    ),
    Fault(
        "invalid_utf_8",
        {"/": answer(b"\xff\xfe\xfa" + _BODY + b"\x80\xc0", kind="text/html; charset=utf-8")},
        {"/": archived()},
    ),
    Fault("nul_bytes", {"/": answer(b"\x00\x00" + _BODY.replace(b"e", b"\x00e"))}, {"/": archived()}),
]

PAGES = [
    Fault(
        "no_content_type",
        {"/": answer(text("untyped", "/second"), kind=""), "/second": page("second")},
        {"/": archived(), "/second": archived()},
    ),
    Fault(
        "a_picture",
        {"/": answer(b"\x89PNG\r\n\x1a\n" + bytes(500), kind="image/png")},
        {"/": refused("content_type")},
    ),
    Fault("a_picture_called_html", {"/": answer(b"\x89PNG\r\n\x1a\n" + bytes(500))}, {"/": archived()}),
    Fault(
        "100_000_nested_tags",
        {"/": answer("<div>" * 100_000 + '<a href="/deep">deep</a>'), "/deep": page("deep")},
        {"/": archived()},
    ),
    Fault(
        "one_tag_of_a_megabyte",
        {"/": answer('<a title="' + "x" * 2**20 + '" href="/deep">y</a>'), "/deep": page("deep")},
        {"/": archived()},
    ),
    Fault(
        "20_000_links", {"/": answer(text("many", *(f"#part-{n}" for n in range(20_000))))}, {"/": archived()}
    ),
    Fault(
        "addresses_that_are_none",
        {
            "/": page(
                "nonsense",
                "http://",
                "http:///x",
                "http://[::1",
                "http://exa mple/",
                "http://%zz/",
                "//",
                "?",
                "#",
                "http://127.9.0.1:99999/",
                "http://user:password@127.9.0.1/",
                "mailto:a@example",
                "tel:123",
                "javascript:alert(1)",
                "data:text/html,x",
                "file:///etc/passwd",
                "ftp://127.9.0.1/x",
                "http://127.1/",
                "/" + "long" * 20_000,
                "/\x00nul",
                "/%00",
                "/good",
            ),
            "/good": page("good"),
        },
        {"/": archived(), "/good": archived()},
    ),
]

FAULTS = [*BOMBS, *ENCODINGS, *CHARSETS, *PAGES]
