"""An archive as members: gzip members, zstd frames, or the file itself, unpacked piece by piece.

::

    file ─► member (its offset in the file) ─► buffer of unpacked bytes, filled as it is read
      │                                            └─ damage: what comes after it is looked for in the file
      └─ start, end: members that begin there, wherever they end

Web archives are mostly compressed record by record, each a gzip member of its own (WARC 1.1, annex D); then a file can
be cut between members, and what is damaged loses one record. Nothing here holds more than a piece beyond what a reader
asked to keep. Members are unpacked by ISA-L, twice as fast as zlib.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, BinaryIO, cast

import zstandard
from isal import isal_zlib

PIECE = 2**18
"""Bytes read from the file at a time."""

_FEED = (
    2**14
)  # compressed bytes given to a decoder at a time: what is left of them when a member ends is copied
_UNPACKED = 2**20  # the most that may come out of that at a time
_InflateError = cast(type[Exception], isal_zlib.error)
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")  # zstd frames that hold no data, dictionaries among them
_GZIP_MEMBER = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)
_ZSTD_FRAME = re.compile(rb"\x28\xb5\x2f\xfd")
_TRIAL = 2**12


class DamagedMemberError(Exception):
    """The bytes of a member end or break here; all before has been handed out."""


class Members:
    """The members of a file, one after the other.

    Attributes:
        offset: where the open member begins in the file.
        inside: unpacked bytes of it in front of ``buffer[at]``.
        buffer: unpacked bytes that nobody took yet begin at ``at``.
        head: the first bytes of the file, as it is.
        compression: ``gzip``, ``zstd`` or None, of the whole file.
    """

    def __init__(
        self, file: BinaryIO, begins: Callable[[bytes], bool], start: int = 0, end: int | None = None
    ) -> None:
        """Open no member yet.

        Args:
            file: seekable.
            begins: whether unpacked bytes may be the beginning of a record.
            start: a member begins here.
            end: members that begin here or later are not opened.
        """
        self._file = file
        self._begins = begins
        self._end = end
        self._raw = b""  # read from the file; from _raw_at on not yet unpacked
        self._raw_at = 0
        self._raw_offset = start  # of the byte at _raw_at
        self._decoder: Any = None
        self._next: tuple[int, bytes] | None = (
            None  # a member that is open before anybody asked: offset and buffer
        )
        self._plain_done = False
        self.offset = start
        self.inside = 0
        self.buffer = b""
        self.at = 0
        file.seek(start)
        self._read()
        self.head = self._raw[:_TRIAL]
        self.compression = compression_of(self.head)

    def open_next(self) -> bool:
        """Go to the next member, past all that is left of this one; False where there is none."""
        self.at, self.inside = 0, 0
        if self._next is not None:
            (self.offset, self.buffer), self._next = self._next, None
            return True
        self.buffer = b""
        return self._open()

    def fill(self) -> bool:
        """Unpack more of the open member into the buffer; False at its end.

        Raises:
            DamagedMemberError: it does not hold what its checksum says, or the file ends inside it.
        """
        while self._next is None:
            if self.compression is None:
                piece = self._plain_piece()
            elif self._decoder is None:
                return False
            else:
                piece = self._unpacked_piece()
            if piece:
                self.buffer = self.buffer[self.at :] + piece if self.at < len(self.buffer) else piece
                self.at = 0
                return True
            if self.compression is None:
                return False
        return False

    def take(self, size: int) -> bytes:
        """The next bytes of the buffer, which holds that many."""
        data = self.buffer[self.at : self.at + size]
        self.at += size
        self.inside += size
        return data

    def give_back(self, data: bytes) -> None:
        """Put bytes that were taken in front of the buffer again: its end, if some after them are gone for good."""
        self.buffer = data + self.buffer[self.at :]
        self.at = 0
        self.inside -= len(data)

    def joins_next(self) -> bool:
        """Whether the record goes on in the next member, because none begins there; if so, that member is open."""
        if self._next is not None or self.compression is None:
            return False
        rest = self.buffer[self.at :]
        here, inside = self.offset, self.inside
        self.buffer, self.at = b"", 0
        try:
            if not self._open() or not self.fill():
                self.buffer, self.at = rest, 0
                return False
        except DamagedMemberError:
            # What was read before stands; the damage is met again by whoever opens the member next.
            self._go_to(self.offset)
            self.buffer, self.at, self.offset, self.inside = rest, 0, here, inside
            return False
        if self._begins(self.buffer):
            self._next = (self.offset, self.buffer)
            self.buffer, self.at, self.offset, self.inside = rest, 0, here, inside
            return False
        self.buffer, self.offset, self.inside = rest + self.buffer, here, inside
        return True

    def overran(self) -> bool:
        """Whether, all members being read, the last one ended behind the place where the next should begin."""
        return self.compression is not None and self._end is not None and self._raw_offset > self._end

    def resume_after_damage(self) -> int:
        """Give the open member up, and look for the next one that begins a record; returns where, or the end."""
        found = find_member(self._file, self.offset + 1, self._begins, self._end, self.compression)
        self._decoder, self._next = None, None
        self.buffer, self.at = b"", 0
        if found is None:
            self._file.seek(0, 2)
            size = self._file.tell()
            self._raw, self._raw_at, self._raw_offset = b"", 0, size
            return size if self._end is None else min(size, self._end)
        self._go_to(found)
        return found

    def _go_to(self, offset: int) -> None:
        self._file.seek(offset)
        self._raw, self._raw_at, self._raw_offset, self._decoder = b"", 0, offset, None

    def _open(self) -> bool:
        if self.compression is None:
            if self._plain_done or not self._has_raw():
                return False
            self._plain_done = True
            self.offset, self.inside = 0, self._raw_offset
            return True
        self._decoder = None
        while self._has_raw() and self._raw[self._raw_at] == 0:  # zeros may pad the last member
            padding = len(self._raw) - self._raw_at - len(self._raw[self._raw_at :].lstrip(b"\0"))
            self._raw_at += padding
            self._raw_offset += padding
        if not self._has_raw() or (self._end is not None and self._raw_offset >= self._end):
            return False
        self.offset = self._raw_offset
        self._decoder = _ZstdFrame() if self.compression == "zstd" else _GzipMember()
        return True

    def _plain_piece(self) -> bytes:
        if not self._has_raw():
            return b""
        piece = self._raw[self._raw_at :]
        if self._end is not None:
            piece = piece[: max(0, self._end - self._raw_offset)]
        self._raw_offset += len(self._raw) - self._raw_at
        self._raw_at = len(self._raw)
        return piece

    def _unpacked_piece(self) -> bytes:
        """Some bytes of the member, or none when it needs more, or has ended: then there is no decoder."""
        decoder = self._decoder
        if not decoder.holds_more and not self._has_raw():
            self._decoder = None
            raise DamagedMemberError("the file ends inside it")
        try:
            piece, used = decoder.feed(self._raw[self._raw_at : self._raw_at + _FEED])
        except (_InflateError, zstandard.ZstdError, ValueError) as error:
            self._decoder = None
            raise DamagedMemberError(f"damaged {self.compression} data: {error}") from None
        self._raw_at += used
        self._raw_offset += used
        if decoder.eof:
            self._decoder = None
        return bytes(piece)

    def _has_raw(self) -> bool:
        return self._raw_at < len(self._raw) or self._read()

    def _read(self) -> bool:
        try:
            data = self._file.read(PIECE)
        except OSError as error:
            raise DamagedMemberError(f"the file cannot be read on: {error}") from None
        self._raw = self._raw[self._raw_at :] + data
        self._raw_at = 0
        return bool(data)


def compression_of(head: bytes) -> str | None:
    """How a file is compressed, by its first bytes."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD) or _SKIPPABLE.match(head):
        return "zstd"
    return None


def find_member(
    file: BinaryIO,
    start: int,
    begins: Callable[[bytes], bool],
    end: int | None = None,
    compression: str | None = "gzip",
) -> int | None:
    """Where the first member at or behind ``start`` begins whose unpacked bytes begin a record; None if none does."""
    if compression is None:
        return None
    signature = _ZSTD_FRAME if compression == "zstd" else _GZIP_MEMBER
    file.seek(start)
    offset = start
    head = b""
    while True:
        try:
            data = file.read(PIECE)
        except OSError:
            return None
        whole = head + data
        for match in signature.finditer(whole):
            place = offset + match.start()
            if end is not None and place >= end:
                return None
            trial = whole[match.start() : match.start() + _TRIAL]
            if len(trial) < _TRIAL:
                back = file.tell()
                file.seek(place)
                trial = file.read(_TRIAL)
                file.seek(back)
            if begins(_trial(trial, compression)):
                return place
        if not data:
            return None
        head = whole[-3:]
        offset += len(whole) - len(head)


def _trial(data: bytes, compression: str) -> bytes:
    try:
        if compression == "zstd":
            return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data[:512]))
        return isal_zlib.decompressobj(wbits=31).decompress(data, 512)
    except (_InflateError, zstandard.ZstdError):
        return b""


class _GzipMember:
    """Feeds a decoder: unpacked bytes, and how many of ``data`` were used."""

    __slots__ = ("_decoder", "holds_more")

    def __init__(self) -> None:
        self._decoder = isal_zlib.decompressobj(wbits=31)
        self.holds_more = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        decoder = self._decoder
        piece = decoder.decompress(data, _UNPACKED)
        if decoder.eof:
            self.holds_more = False
            return piece, len(data) - len(decoder.unused_data)
        # A full piece may have left more behind, even when all input is used up.
        self.holds_more = len(piece) == _UNPACKED
        return piece, len(data) - len(decoder.unconsumed_tail)

    @property
    def eof(self) -> bool:
        return self._decoder.eof


class _ZstdFrame:
    # No bound on what comes out of one call: feed little, so that a bomb cannot unfold at once.
    _AT_ONCE = 2**11
    __slots__ = ("_decoder", "holds_more")

    def __init__(self) -> None:
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self.holds_more = False

    def feed(self, data: bytes) -> tuple[bytes, int]:
        part = data[: self._AT_ONCE]
        piece = self._decoder.decompress(part)
        return piece, len(part) - len(self._decoder.unused_data)

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)
