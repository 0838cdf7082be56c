"""Heads and bodies of HTTP responses, as they should be and as they are."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.web.archives import chunked, http, raw_deflate
from textmill.web.http_messages import BodyError, decode_body, media_type, parse_response, undo_chunks

BODY = b"<p>" + b"Some text of a page. " * 20
LIMIT = 2**20


def test_heads() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=x\r\nX: 1\r\nx: 2\r\n"
    message = head + b"Folded: a\r\n\tb\r\nnone\r\n\r\nbody"
    response = parse_response(message)
    assert response is not None
    assert response.status == 200
    assert response.media_type == "text/html"
    assert response.headers["x"] == "1"
    assert response.headers["folded"] == "a b"
    assert message[response.body_start :] == b"body"


@pytest.mark.parametrize(
    ("message", "status", "body"),
    [
        (b"HTTP/1.1 404 Not Found\n\nx", 404, b"x"),
        (b"HTTP/1.0 200\r\n\r\n", 200, b""),
        (b"HTTP/2 200 \r\n\r\nx", 200, b"x"),
        (b"HTTP/1.1 OK\r\n\r\nx", None, b"x"),
        (b"HTTP/1.1 2000 OK\r\n\r\nx", None, b"x"),
        (b"HTTP/1.1 200 OK", 200, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html", 200, b""),
        (b"\r\nHTTP/1.1 200 OK\r\n\r\nx", 200, b"x"),
    ],
)
def test_odd_heads(message: bytes, status: int | None, body: bytes) -> None:
    response = parse_response(message)
    assert response is not None
    assert (response.status, message[response.body_start :]) == (status, body)


def test_what_is_no_response() -> None:
    assert parse_response(b"<html>HTTP/1.1 200 OK") is None
    assert parse_response(b"") is None
    assert media_type(" Text/Html ;charset=x, y") == "text/html"


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:], mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0) + b"junk"),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("br", brotli.compress(BODY)),
        ("zstd", zstandard.compress(BODY)),
        ("identity", BODY),
        ("", BODY),
        ("gzip, br", brotli.compress(gzip.compress(BODY, mtime=0))),
        # Undone by the crawler under headers that still name them.
        ("gzip", BODY),
        ("br", BODY),
        ("zstd", BODY),
        ("deflate", BODY),
    ],
)
def test_codings_are_undone(coding: str, packed: bytes) -> None:
    assert decode_body(packed, {"content-encoding": coding}, LIMIT) == BODY
    both = {"content-encoding": coding, "transfer-encoding": "chunked"}
    assert decode_body(chunked(packed), both, LIMIT) == BODY
    assert decode_body(packed, both, LIMIT) == BODY


@pytest.mark.parametrize(
    ("coding", "packed", "reason"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)[:-9], "breaks off"),
        ("gzip", gzip.compress(BODY, mtime=0)[:-8] + bytes(8), "damaged"),
        ("deflate", zlib.compress(BODY)[:-9], "breaks off"),
        ("deflate", b"\xff\xff\xff", "damaged"),
        ("br", brotli.compress(BODY)[:-3], "breaks off"),
        ("br", b"\x00\xff\xff\xff", "damaged"),
        ("zstd", b"\x28\xb5\x2f\xfd" + b"\xff" * 30, "damaged"),
        ("compress", BODY, "nobody here undoes"),
        ("gzip", gzip.compress(bytes(5 * LIMIT), mtime=0), "unpacks to more than"),
        ("br", brotli.compress(bytes(50 * LIMIT)), "unpacks to more than"),
        ("zstd", zstandard.compress(bytes(50 * LIMIT)), "unpacks to more than"),
        ("deflate", zlib.compress(bytes(5 * LIMIT)), "unpacks to more than"),
    ],
)
def test_bodies_that_cannot_be_had(coding: str, packed: bytes, reason: str) -> None:
    with pytest.raises(BodyError, match=reason):
        decode_body(packed, {"content-encoding": coding}, LIMIT)


def test_a_ratio_may_be_too_much_where_the_size_is_not() -> None:
    packed = brotli.compress(bytes(20 * LIMIT))
    with pytest.raises(BodyError, match="unpacks to more than"):
        decode_body(packed, {"content-encoding": "br"}, 100 * LIMIT)
    assert len(decode_body(packed, {"content-encoding": "br"}, 100 * LIMIT, max_ratio=10**7)) == 20 * LIMIT


@given(st.binary(max_size=300), st.integers(1, 50))
def test_chunks(body: bytes, size: int) -> None:
    assert undo_chunks(chunked(body, size)) == body


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"", b""),
        (b"0\r\n\r\n", b""),
        (b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", b"abc"),
        (b"3  \nabc\n0\n\n", b"abc"),
        (b"<p>never chunked", b"<p>never chunked"),
        (b"100\nbottles of beer", b"100\nbottles of beer"),
        (b"abc\r\nthat was no size, but a word", b"abc\r\nthat was no size, but a word"),
    ],
)
def test_chunks_and_what_only_looks_like_them(body: bytes, found: bytes) -> None:
    if body.startswith(b"abc"):
        with pytest.raises(BodyError, match="breaks off"):
            undo_chunks(body)
    else:
        assert undo_chunks(body) == found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"3\r\nabc\r\n", "breaks off after 3"),
        (b"3\r\nabc\r\n5\r\nab", "breaks off after 5"),
        (b"3\r\nabc\r\nxyz\r\n<p>something else", "broken after 3"),
        (b"3\r\nabc\r\n2\r\nabcdef\r\n0\r\n\r\n", "broken after 3"),
    ],
)
def test_broken_chunks(body: bytes, reason: str) -> None:
    with pytest.raises(BodyError, match=reason):
        undo_chunks(body)


@given(st.binary(max_size=200), st.sampled_from(("gzip", "deflate", "br", "zstd", "chunked")))
def test_any_bytes(body: bytes, coding: str) -> None:
    headers = {"transfer-encoding": coding} if coding == "chunked" else {"content-encoding": coding}
    with contextlib.suppress(BodyError):
        assert len(decode_body(body, headers, 10_000)) <= 10_000
    parse_response(http(body) + body)
    parse_response(b"HTTP/1.1 200 OK\r\n" + body)
