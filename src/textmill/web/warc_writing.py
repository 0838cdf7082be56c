"""Writes WARC 1.1 (ISO 28500:2017), every record a gzip member of its own.

A file made so can be read from any record on, and cut off behind any record. Compression is ISA-L's level 1: the ratio
of zlib's first level at four times its speed (docs/decisions/0032-warc-compression.md).
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO

from isal import isal_zlib

_LEVEL = 1
_GZIP = 31  # window of 32 KiB in a gzip frame
SERVER_NOT_MODIFIED = "http://netpreserve.org/warc/1.1/revisit/server-not-modified"
IDENTICAL_PAYLOAD = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: the name of the file, and the bytes of its gzip member."""

    file: str
    offset: int
    length: int


def record_id(*parts: str | bytes) -> str:
    """``<urn:uuid:…>`` from what makes a record unique (UUID version 8, RFC 9562)."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    name = digest.hexdigest()
    return f"<urn:uuid:{name[:8]}-{name[8:12]}-8{name[13:16]}-a{name[17:20]}-{name[20:]}>"


def payload_digest(payload: bytes) -> str:
    """A labelled digest: SHA-256 in base 32, as readers of WARC files verify it."""
    return "sha256:" + base64.b32encode(hashlib.sha256(payload).digest()).decode()


def warc_date(moment: float) -> str:
    """Seconds since 1970 as WARC 1.1 writes a moment: ``2026-11-28T12:00:00.123456Z``."""
    second = int(moment // 1)
    return f"{_second(second)}.{int((moment - second) * 1e6):06d}Z"


@lru_cache(64)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def warc_record(kind: str, fields: Iterable[tuple[str, str]], block: bytes | Sequence[bytes]) -> bytes:
    """One compressed record.

    Args:
        kind: ``response``, ``request``, ``metadata``, ``revisit``, ``warcinfo``.
        fields: named fields besides version, type and length, without line breaks.
        block: the block, whole or in pieces that follow one another.
    """
    pieces = (block,) if isinstance(block, bytes) else block
    length = sum(map(len, pieces))
    head = "".join(
        [f"WARC/1.1\r\nWARC-Type: {kind}\r\n", *(f"{name}: {value}\r\n" for name, value in fields)]
    )
    deflate = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    parts = [deflate.compress(f"{head}Content-Length: {length}\r\n\r\n".encode("utf-8", "replace"))]
    parts += [deflate.compress(piece) for piece in pieces]
    parts += [deflate.compress(b"\r\n\r\n"), deflate.flush()]
    return b"".join(parts)


def warc_info(file: str, moment: float, about: Iterable[tuple[str, str]]) -> bytes:
    """The record that a file begins with.

    Args:
        file: name of the file.
        moment: when it was begun.
        about: fields such as software, operator, http-header-user-agent.
    """
    block = "".join(f"{name}: {value}\r\n" for name, value in about).encode()
    fields = [
        ("WARC-Record-ID", record_id("warcinfo", file, str(moment))),
        ("WARC-Date", warc_date(moment)),
        ("WARC-Filename", file),
        ("Content-Type", "application/warc-fields"),
    ]
    return warc_record("warcinfo", fields, block)


class WarcFile:
    """A WARC file that grows by whole records.

    Args:
        path: the file; made if need be.
        length: how much of it counts: what stands behind is cut off. None for all of it.

    Raises:
        OSError: it cannot be opened, or is shorter than ``length``.
    """

    def __init__(self, path: Path, length: int | None = None) -> None:
        self.path = path
        self._stream: IO[bytes] = path.open("r+b" if path.exists() else "w+b")
        size = self._stream.seek(0, os.SEEK_END)
        if length is not None and size < length:
            self._stream.close()
            raise OSError(f"{path} holds {size:,} bytes, expected {length:,} at least")
        if length is not None and size > length:
            self._stream.truncate(length)
            self._stream.seek(length)
        self.length = size if length is None else length

    def append(self, record: bytes) -> Place:
        """Add a compressed record; nothing is promised before :meth:`sync`."""
        self._stream.write(record)
        place = Place(self.path.name, self.length, len(record))
        self.length += len(record)
        return place

    def sync(self) -> None:
        """Everything appended is on the disk when this returns."""
        self._stream.flush()
        os.fdatasync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> WarcFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
