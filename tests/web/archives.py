"""Web archives made for tests, byte by byte."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable

import zstandard

PAGE = b"<!doctype html><title>A page</title><p>Some text of a page, long enough to be read.</p>"


def http(
    body: bytes = PAGE, status: str = "200 OK", content_type: str = "text/html", **headers: str
) -> bytes:
    """An HTTP response."""
    lines = (
        [f"HTTP/1.1 {status}", f"Content-Type: {content_type}"] if content_type else [f"HTTP/1.1 {status}"]
    )
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def warc(
    block: bytes,
    kind: str = "response",
    url: str = "http://example.com/",
    version: str = "1.0",
    length: int | str | None = None,
    content_type: str | None = None,
    **headers: str,
) -> bytes:
    """A WARC record."""
    lines = [f"WARC/{version}", f"WARC-Type: {kind}"]
    if url:
        lines.append(f"WARC-Target-URI: {url}")
    lines += ["WARC-Date: 2024-05-06T07:08:09Z", "WARC-Record-ID: <urn:uuid:1>"]
    if content_type is None:
        content_type = "application/http; msgtype=response" if kind == "response" else "text/plain"
    lines.append(f"Content-Type: {content_type}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(block) if length is None else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def arc(block: bytes, url: str = "http://example.com/", version: int = 1, length: int | None = None) -> bytes:
    """An ARC record."""
    size = len(block) if length is None else length
    middle = "text/html" if version == 1 else "text/html 200 sum - 0 file.arc"
    return f"{url} 127.0.0.1 20240506070809 {middle} {size}\n".encode() + block + b"\n"


def arc_head(version: int = 1) -> bytes:
    """The first record of an ARC file."""
    block = f"{version} 0 Test\nURL IP-address Archive-date Content-type Archive-length\n".encode()
    return f"filedesc://a.arc 0.0.0.0 20240506070809 text/plain {len(block)}\n".encode() + block + b"\n"


def per_record(records: Iterable[bytes]) -> bytes:
    """Each record a gzip member."""
    return b"".join(gzip.compress(record, mtime=0) for record in records)


def whole(records: Iterable[bytes]) -> bytes:
    """All records one gzip member."""
    return gzip.compress(b"".join(records), mtime=0)


def blocks(records: Iterable[bytes], size: int = 100) -> bytes:
    """Members that begin anywhere, as tools that cut by size write them."""
    data = b"".join(records)
    return b"".join(gzip.compress(data[at : at + size], mtime=0) for at in range(0, len(data), size))


def zstd_per_record(records: Iterable[bytes]) -> bytes:
    """Each record a zstd frame."""
    return b"".join(zstandard.compress(record) for record in records)


def plain(records: Iterable[bytes]) -> bytes:
    """Not compressed."""
    return b"".join(records)


LAYOUTS = {
    "per record": per_record,
    "whole": whole,
    "blocks": blocks,
    "zstd per record": zstd_per_record,
    "zstd whole": lambda records: zstandard.compress(b"".join(records)),
    "plain": plain,
}


def chunked(body: bytes, size: int = 7) -> bytes:
    """A body in chunks."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def raw_deflate(body: bytes) -> bytes:
    """A deflate stream without zlib's header."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()
