"""Content codings undone, within bounds (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib

from textmill.crawl.outcomes import FAILED, REFUSED, Fault

ACCEPTED = "gzip, deflate"
"""What is asked for. A server that sends something else is not understood."""

_FREE = 2**20  # a ratio means nothing on little
_STEP = 2**18


def unpack(body: bytes, coding: str, max_bytes: int, max_ratio: float) -> bytes | Fault:
    """The content of a body.

    Args:
        body: as it was transferred.
        coding: the header ``Content-Encoding``; codings in the order in which they were applied.
        max_bytes: of the result.
        max_ratio: how many times longer than the body the result may be, above 1 MiB.
    """
    names = [name for part in coding.lower().split(",") if (name := part.strip()) and name != "identity"]
    if len(names) > 2:
        return Fault(REFUSED, "bomb", f"{len(names)} content codings, one in the other")
    most = int(min(max_bytes, max(_FREE, len(body) * max_ratio)))
    for name in reversed(names):
        if name in ("gzip", "x-gzip"):
            result = _inflate(body, 31, most)
        elif name == "deflate":
            # Meant is zlib's format; some servers send the bare stream.
            result = _inflate(body, 15, most)
            if isinstance(result, Fault) and result.reason == "coding":
                result = _inflate(body, -15, most)
        else:
            return Fault(FAILED, "coding", f"content coding {name[:40]!r}, which was not asked for")
        if isinstance(result, Fault):
            return result
        body = result
    return body


def _inflate(body: bytes, window: int, most: int) -> bytes | Fault:
    parts = []
    size = 0
    rest: bytes = body
    while rest:
        inflate = zlib.decompressobj(window)
        try:
            while rest and not inflate.eof:
                part = inflate.decompress(rest, min(_STEP, most - size + 1))
                size += len(part)
                if size > most:
                    return Fault(REFUSED, "bomb", f"{len(body):,} bytes grow to more than {most:,}")
                parts.append(part)
                rest = inflate.unconsumed_tail
            # Nothing is left to read, but something may be left to say.
            while not inflate.eof and (part := inflate.decompress(b"", most - size + 1)):
                size += len(part)
                if size > most:
                    return Fault(REFUSED, "bomb", f"{len(body):,} bytes grow to more than {most:,}")
                parts.append(part)
        except zlib.error as error:
            if parts and window == 31 and size:
                return Fault(FAILED, "coding", f"damaged after {size:,} bytes: {error}")
            return Fault(FAILED, "coding", f"no valid data: {error}")
        if not inflate.eof:
            return Fault(FAILED, "coding", f"the compressed data end too early, after {size:,} bytes")
        rest = inflate.unused_data
        if window != 31 or not rest.startswith(b"\x1f\x8b"):
            break  # bytes behind the end are passed over, as browsers do; another gzip member is read
    return b"".join(parts)
