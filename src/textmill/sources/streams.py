"""Bytes of a file: opened anywhere, decompressed in pieces, cut into lines, decoded.

Nothing here holds more than a chunk and one line; every fault keeps what was read before it.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    from textmill.sources.files import Files
    from textmill.sources.warc import Warc

_CHUNK = 2**20
# Compressed bytes fed at a time, and the most that may come out of them: a bomb unfolds in small pieces, and
# what a damaged archive loses is at most one such piece.
_COMPRESSED_CHUNK = 2**16


class DamagedStreamError(Exception):
    """The bytes end or break here; all before has been handed out."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file.

    Attributes:
        number: counted from 1 over the whole file.
        offset: bytes of the (decompressed) file in front of it.
        data: its bytes without the newline; None when there are more than allowed.
        size: its length in bytes.
    """

    number: int
    offset: int
    data: bytes | None
    size: int


def open_file(settings: Files | Warc, url: str) -> BinaryIO:
    """Open a local path or URL for reading.

    Raises:
        OSError: it cannot be opened.
    """
    if "://" not in url:
        return Path(url).open("rb")
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(url, **settings.storage_options)
    return cast(BinaryIO, fs.open(path, "rb"))


def read_chunks(stream: BinaryIO, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from ``start`` to ``end`` of an open file.

    Raises:
        DamagedStreamError: the file cannot be read on, or is shorter than ``end``.
    """
    position = start
    try:
        if start:
            stream.seek(start)
        while end is None or position < end:
            chunk = stream.read(_CHUNK if end is None else min(_CHUNK, end - position))
            if not chunk:
                break
            position += len(chunk)
            yield chunk
    except OSError as error:
        raise DamagedStreamError(f"reading stopped after {position} bytes: {error}") from error
    if end is not None and position < end:
        raise DamagedStreamError(
            f"the file ends after {position} bytes, expected {end}: it changed while it was read"
        )


def decompress(chunks: Iterator[bytes], compression: str | None) -> Iterator[bytes]:
    """The bytes that a compressed stream stands for, members and frames after one another.

    Raises:
        DamagedStreamError: it ends too early, or does not hold what its checksums say.
    """
    if compression is None:
        yield from chunks
        return
    decoder: Any = None
    count = 0
    try:
        for chunk in chunks:
            for start in range(0, len(chunk), _COMPRESSED_CHUNK):
                data = chunk[start : start + _COMPRESSED_CHUNK]
                while data:
                    if decoder is None:
                        if count and not data.strip(b"\0"):
                            break  # Zeros that pad the last member (gzip manual, "tapes").
                        decoder = _DECODERS[compression]()
                    for piece in decoder.feed(data):
                        count += len(piece)
                        yield piece
                    data = b""
                    if decoder.eof:
                        data = decoder.unused
                        decoder = None
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, _zstd_error()) as error:
        raise DamagedStreamError(
            f"damaged {compression} data after {count} bytes of text: {error}"
        ) from error
    if decoder is not None:
        raise DamagedStreamError(f"the {compression} data end too early, after {count} bytes of text")


def byte_order_mark(head: bytes) -> tuple[bytes, str | None]:
    """The byte-order mark that ``head`` begins with and the encoding that it means, or (b"", None)."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return mark, encoding
    return b"", None


def newline_of(encoding: str) -> bytes:
    """A newline's bytes in ``encoding``, without a byte-order mark."""
    return "\n".encode(plain_encoding(encoding))


def plain_encoding(encoding: str) -> str:
    """The same encoding as one that writes no byte-order mark."""
    return {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}.get(encoding, encoding)


def cut_lines(
    chunks: Iterator[bytes], newline: bytes, limit: int, number: int = 1, offset: int = 0
) -> Iterator[Line]:
    """The lines of a stream, blank ones too; ``number`` and ``offset`` are those of the first.

    Args:
        newline: its bytes; of more than one, only those count that stand at a multiple of their length.
        limit: a longer line is read over and comes without its data.

    Raises:
        DamagedStreamError: from ``chunks``; the line that it broke is not handed out.
    """
    width = len(newline)
    carry: list[bytes] = []  # the beginning of the current line, dropped when it grows over the limit
    carried = 0
    odd = b""  # of an encoding with wide characters: the bytes of one that the chunk's end cut
    for chunk in chunks:
        if width > 1:
            chunk = odd + chunk
            whole = len(chunk) - len(chunk) % width
            chunk, odd = chunk[:whole], chunk[whole:]
        parts = chunk.split(newline) if width == 1 else _split_aligned(chunk, newline)
        for part in parts[:-1]:
            size = carried + len(part)
            data = part if not carry else b"".join((*carry, part))
            yield Line(number, offset, data if size <= limit else None, size)
            carry, carried = [], 0
            number += 1
            offset += size + width
        carried += len(parts[-1])
        carry = [*carry, parts[-1]] if carried <= limit else []
    carried += len(odd)
    if carried:
        data = b"".join((*carry, odd))
        yield Line(number, offset, data if carried <= limit else None, carried)


def _split_aligned(data: bytes, newline: bytes) -> list[bytes]:
    width = len(newline)
    parts = []
    start = 0
    found = data.find(newline)
    while found >= 0:
        if found % width:
            found = data.find(newline, found + 1)
            continue
        parts.append(data[start:found])
        start = found + width
        found = data.find(newline, start)
    parts.append(data[start:])
    return parts


class _Zlib:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            piece = self._decoder.decompress(data, _CHUNK)
            yield piece
            data = self._decoder.unconsumed_tail
            # A full piece may have left more behind, even when all input is used up.
            if not data and len(piece) < _CHUNK:
                return

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused(self) -> bytes:
        return self._decoder.unused_data


class _Bounded:
    """bz2 and lzma decoders, which take ``max_length`` and say whether they need more."""

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield self._decoder.decompress(data, _CHUNK)
        while not self._decoder.eof and not self._decoder.needs_input:
            yield self._decoder.decompress(b"", _CHUNK)

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._decoder.unused_data)


class _Zstd:
    def __init__(self) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        # No bound on what comes out of one call: feed little, so that a bomb cannot unfold at once.
        view = memoryview(data)
        for start in range(0, len(view), _ZSTD_CHUNK):
            yield self._decoder.decompress(view[start : start + _ZSTD_CHUNK])
            if self._decoder.eof:
                self._rest = bytes(view[start + _ZSTD_CHUNK :])
                return

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    @property
    def unused(self) -> bytes:
        return bytes(self._decoder.unused_data) + self._rest


_ZSTD_CHUNK = 2**10

_DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": _Zlib,
    "bzip2": lambda: _Bounded(bz2.BZ2Decompressor()),
    "xz": lambda: _Bounded(lzma.LZMADecompressor()),
    "zstd": _Zstd,
}


def _zstd_error() -> type[Exception]:
    import zstandard

    return cast(type[Exception], zstandard.ZstdError)
