"""HTTP responses as archives hold them: status, headers, and the body with its codings undone.

::

    status line, headers, body ─► parse_response ─► undo chunks ─► gzip, deflate, br, zstd ─► bytes

Crawlers differ in what they keep: the body as it came, or decoded under headers that still speak of codings. So a
coding is undone where the bytes have it, and left where they do not (RFC 9112, 7.1; RFC 9110, 8.4). Nothing unpacks to
more than the caller allows: neither in bytes nor in times its packed size.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_RATIO = 2000
"""Times its packed size that a body may unpack to; deflate reaches 1,032 (zlib, technical details), brotli more."""

MAX_HEAD = 2**18
"""Bytes of a head."""

_SMALL = 2**20  # a body that unpacks to no more than this is no bomb, whatever its ratio


class BodyError(Exception):
    """The body cannot be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Response:
    """Head of an HTTP response.

    Attributes:
        status: the three digits; None where there are none.
        headers: names in small letters; of a header that stands twice the first counts.
        body_start: where the body begins in the message.
        complete: whether the head ends, within 256 KiB as browsers have it.
    """

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body_start: int = 0
    complete: bool = True

    @property
    def media_type(self) -> str:
        """Type and subtype in small letters, without parameters; "" where none is given."""
        return media_type(self.headers.get("content-type", ""))


def media_type(content_type: str) -> str:
    """``text/html`` of ``Text/HTML; charset=utf-8``."""
    return content_type.partition(";")[0].partition(",")[0].strip().lower()


def parse_response(message: bytes) -> Response | None:
    """The head of a response, as far as ``message`` holds it; None where it is no HTTP response."""
    match = _STATUS_LINE.match(message)
    if match is None:
        return None
    end = _END_OF_HEAD.search(message, match.end(1), match.end(1) + MAX_HEAD)
    head = message[match.end() : end.start() if end else match.end() + MAX_HEAD]
    status = int(match[2]) if match[2] else None
    return Response(status, parse_headers(head), end.end() if end else len(message), end is not None)


def parse_headers(head: bytes) -> dict[str, str]:
    """Header lines by name in small letters; folded lines are joined, lines that are none are left out."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        text = head.decode("latin-1")
    headers: dict[str, str] = {}
    for name, value in _HEADER.findall(text):
        key = name.rstrip().lower()
        if key not in headers:
            headers[key] = (_FOLD.sub(" ", value) if "\n" in value else value).strip()
    return headers


def decode_body(body: bytes, headers: dict[str, str], max_bytes: int, max_ratio: int = MAX_RATIO) -> bytes:
    """The body with transfer and content codings undone.

    Args:
        body: as it stands behind the head.
        headers: of the response, by :func:`parse_headers`.
        max_bytes: the most that it may unpack to.
        max_ratio: times the packed size that it may unpack to, once that is over 1 MiB.

    Raises:
        BodyError: it breaks off, is damaged, unpacks to more than allowed, or has a coding that nobody knows.
    """
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body = undo_chunks(body)
    codings = [coding.strip().lower() for coding in headers.get("content-encoding", "").split(",")]
    for coding in reversed([coding for coding in codings if coding]):
        if not body:
            break
        limit = min(max_bytes, max(_SMALL, len(body) * max_ratio))
        body = _undo_coding(body, coding, limit)
    return body


def undo_chunks(body: bytes) -> bytes:
    """The body without its chunks; as it is where it does not begin with one (a crawler has undone them).

    Raises:
        BodyError: it breaks off, or something else stands where a chunk should begin.
    """
    parts: list[bytes] = []
    at = 0
    while True:
        match = _CHUNK.match(body, at)
        if match is None:
            if not parts:
                return body
            where = "breaks off" if at >= len(body) - 20 and b"\n" not in body[at:] else "is broken"
            raise BodyError(f"the chunked body {where} after {sum(map(len, parts)):,} bytes")
        size = int(match[1], 16)
        if size == 0:
            return b"".join(parts)
        start = match.end()
        if start + size > len(body):
            if not parts and not match[0].endswith(b"\r\n"):
                return body  # the first line of a body that was never chunked may look like a size
            raise BodyError(
                f"the chunked body breaks off after {sum(map(len, parts)) + len(body) - start:,} bytes"
            )
        end = _CHUNK_END.match(body, start + size)
        if end is None and start + size < len(body):
            if not parts:
                return body
            raise BodyError(f"the chunked body is broken after {sum(map(len, parts)):,} bytes")
        parts.append(body[start : start + size])
        at = end.end() if end else start + size


def _undo_coding(body: bytes, coding: str, limit: int) -> bytes:
    if coding in ("identity", "none", "utf-8", "utf8", "binary", "8bit", "7bit"):
        return body
    undo = _UNDO.get(coding)
    if undo is None:
        raise BodyError(f"a content coding that nobody here undoes: {coding[:40]!r}")
    return undo(body, coding, limit)


def _gunzip(body: bytes, coding: str, limit: int) -> bytes:
    if not body.startswith(b"\x1f\x8b"):
        return body  # undone by the crawler
    unpacked = b""
    while body.startswith(b"\x1f\x8b"):
        part, body = _inflate(body, 31, coding, limit - len(unpacked))
        unpacked += part
    return unpacked  # what stands behind the last member is ignored, as browsers do


def _undeflate(body: bytes, coding: str, limit: int) -> bytes:
    # RFC 9110 means zlib's format; many servers sent the bare stream.
    zlib_header = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    if zlib_header:
        return _inflate(body, 15, coding, limit)[0]
    try:
        return _inflate(body, -15, coding, limit)[0]
    except BodyError:
        if _looks_like_text(body):
            return body
        raise


def _inflate(body: bytes, wbits: int, coding: str, limit: int) -> tuple[bytes, bytes]:
    decoder = zlib.decompressobj(wbits)
    try:
        unpacked = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise BodyError(f"damaged {coding} body: {error}") from None
    if len(unpacked) > limit:
        raise _too_long(coding, len(body), limit)
    if not decoder.eof:
        raise BodyError(f"the {coding} body breaks off after {len(unpacked):,} bytes")
    return unpacked, decoder.unused_data


def _unbrotli(body: bytes, coding: str, limit: int) -> bytes:
    import brotli

    decoder = brotli.Decompressor()
    parts = []
    size = 0
    data = body
    try:
        while not decoder.is_finished():
            part = decoder.process(data, output_buffer_limit=_SMALL)
            data = b""
            parts.append(part)
            size += len(part)
            if size > limit:
                raise _too_long(coding, len(body), limit)
            if not part and decoder.can_accept_more_data():
                raise BodyError(f"the {coding} body breaks off after {size:,} bytes")
    except brotli.error as error:
        if _looks_like_text(body):
            return body  # brotli has no signature; undone by the crawler
        raise BodyError(f"damaged {coding} body: {error}") from None
    return b"".join(parts)


def _unzstd(body: bytes, coding: str, limit: int) -> bytes:
    import zstandard

    if not body.startswith(b"\x28\xb5\x2f\xfd"):
        return body
    parts = []
    size = 0
    try:
        # RFC 8878 lets a sender of HTTP ask for windows of 8 MiB at most.
        with zstandard.ZstdDecompressor(max_window_size=2**23).stream_reader(body) as reader:
            while part := reader.read(_SMALL):
                parts.append(part)
                size += len(part)
                if size > limit:
                    raise _too_long(coding, len(body), limit)
    except zstandard.ZstdError as error:
        raise BodyError(f"damaged {coding} body: {error}") from None
    return b"".join(parts)


def _too_long(coding: str, packed: int, limit: int) -> BodyError:
    return BodyError(f"a {coding} body of {packed:,} bytes unpacks to more than {limit:,}")


def _looks_like_text(body: bytes) -> bool:
    head = body[:512]
    return b"<" in head and not _CONTROLS.search(head)


_UNDO: dict[str, Callable[[bytes, str, int], bytes]] = {
    **dict.fromkeys(("gzip", "x-gzip"), _gunzip),
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
_STATUS_LINE = re.compile(
    rb"\s*(HTTP/?[0-9.]*[ \t]*(?:([0-9]{3})(?![0-9]))?[^\r\n]*)(?:\r?\n|$)", re.IGNORECASE
)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(r"^([^\s:][^:\r\n]*):[ \t]*([^\r\n]*(?:\r?\n[ \t]+[^\r\n]*)*)", re.MULTILINE)
_FOLD = re.compile(r"\s*\r?\n[ \t]+")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
_CHUNK_END = re.compile(rb"\r?\n")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a]")
