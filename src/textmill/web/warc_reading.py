"""Web archives, record by record: WARC 0.17 to 1.1, WET, and ARC, however they are compressed.

::

    file ─► members ─► record header ─► ArchiveRecord: type, address, date, headers, content
                            │
                            └─ damage ─► LostStretch: from where to where, and why ─► the next record that can be read

No record is lost in silence: what is read, and what a lost stretch says it swallowed, is the whole file. After damage,
reading goes on at the next gzip member that begins a record, or, in a file that is not compressed record by record, at
the next line that looks like a record's first.

WARC: ISO 28500, versions 1.0 and 1.1. ARC: Burner and Kahle, "Arc File Format" (1996), versions 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from textmill.web.http_messages import parse_headers
from textmill.web.members import DamagedMemberError, Members, find_member

MAX_HEADER = 2**16
"""Bytes of a record's header; a longer one is none."""

DEFAULT_MAX_CONTENT = 2**26

_BAD_CUT = "the file was cut here inside a record, which holds an archive itself: read this file without cuts"


class Position(NamedTuple):
    """Where a record begins: its member's first byte in the file, and unpacked bytes behind it.

    In a file that is not compressed, the record's own first byte, and 0.
    """

    member: int
    inside: int

    def __str__(self) -> str:
        return f"{self.member}+{self.inside}" if self.inside else str(self.member)


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """A record of an archive.

    Attributes:
        position: where it begins.
        kind: ``response``, ``request``, ``conversion``, ``revisit`` …: WARC's types, small letters. A record of an ARC
            file is a ``response``, its first one ``warcinfo``.
        url: the address that it is about, as written; "" where it is about none.
        date: as written in WARC (``2008-04-30T20:48:25Z``), and the same of ARC.
        headers: of the record, names in small letters.
        content: its block: an HTTP message, a text, a page. Cut to ``max_content``.
        size: length of the block in bytes, as it is in the file.
    """

    position: Position
    kind: str
    url: str
    date: str
    headers: dict[str, str]
    content: bytes
    size: int


@dataclass(frozen=True, slots=True)
class LostStretch:
    """Bytes of a file that no record could be made of.

    Attributes:
        position: where they begin.
        reason: what is wrong with them.
        url: of the record that they hold, if its header could be read.
        resumes: byte of the file at which reading went on; None where only the record itself is lost.
    """

    position: Position
    reason: str
    url: str = ""
    resumes: int | None = None


def read_archive(
    file: BinaryIO, start: int = 0, end: int | None = None, max_content: int = DEFAULT_MAX_CONTENT
) -> Iterator[ArchiveRecord | LostStretch]:
    """The records of an archive in their order, and the stretches without any.

    Args:
        file: seekable, of bytes.
        start: a place from :func:`cut_archive`.
        end: records that begin here or later are left to others.
        max_content: of a longer block only so many bytes are kept; ``size`` tells.

    Raises:
        OSError: the file cannot be opened or sought in; faults of reading become lost stretches.
    """
    try:
        members = Members(file, begins_record, start, end)
        if members.compression is None and not begins_record(members.head.lstrip(b"\r\n")):
            # What is wrong with the beginning hides how the rest is compressed.
            found = _first_member(file, start, end)
            if found is not None:
                yield LostStretch(Position(start, 0), "no record where the file begins", resumes=found)
                members = Members(file, begins_record, found, end)
    except DamagedMemberError as error:
        yield LostStretch(Position(start, 0), str(error), resumes=None)
        return
    reader = _Reader(members, max_content)
    while True:
        try:
            if not members.open_next():
                if members.overran():
                    yield LostStretch(Position(end or 0, 0), _BAD_CUT)
                return
            yield from reader.records()
        except DamagedMemberError as error:
            place, url = reader.place, reader.url
            yield LostStretch(place, str(error), url, members.resume_after_damage())


def cut_archive(file: BinaryIO, size: int, span: int) -> list[int]:
    """Places of a file at which its reading can be cut, about ``span`` bytes apart; the first is 0.

    A file compressed record by record is cut at members that begin a record, one that is not compressed at its records,
    whose lengths are followed from its beginning; others are not cut.
    """
    members = Members(file, begins_record)
    if members.compression == "gzip":
        return _gzip_cuts(file, size, span)
    if members.compression is None and size > span:
        return _plain_cuts(file, span)
    return [0]


def begins_record(data: bytes) -> bool:
    """Whether unpacked bytes begin with a record's first line.

    Of an ARC file's schemes only usual ones count here: a member may begin with what is left of another's address.
    """
    return bool(_WARC_VERSION.match(data) or (_ARC_SCHEME.match(data) and _ARC_LINE.match(data)))


def _first_member(file: BinaryIO, start: int, end: int | None) -> int | None:
    """Where the first compressed member begins that begins a record."""
    places = [find_member(file, start, begins_record, end, kind) for kind in ("gzip", "zstd")]
    return min((place for place in places if place is not None), default=None)


class _Reader:
    """Takes records out of members.

    Attributes:
        url: of the record being read, once that is known.
    """

    def __init__(self, members: Members, max_content: int) -> None:
        self._members = members
        self._max_content = max_content
        self._missing = 0
        self._place: Position | None = None
        self.url = ""

    def records(self) -> Iterator[ArchiveRecord | LostStretch]:
        """The records of the open member, and of those after it into which one runs."""
        members = self._members
        while True:
            self._place, self.url = None, ""
            if not self._skip_blank_lines():
                return
            self._place = self._here()
            if members.buffer.startswith(b"WARC/", members.at) or self._at_least(5, b"WARC/"):
                yield self._warc_record()
            else:
                yield self._arc_record()

    @property
    def place(self) -> Position:
        """Where the record begins that is being read, or where the next one would."""
        return self._here() if self._place is None else self._place

    def _here(self) -> Position:
        members = self._members
        inside = members.inside
        return Position(inside, 0) if members.compression is None else Position(members.offset, inside)

    def _warc_record(self) -> ArchiveRecord | LostStretch:
        head = self._head()
        if head is None:
            return self._lost("a record header that does not end")
        headers = parse_headers(head)
        self.url = headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">")
        length = headers.get("content-length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 15:
            return self._lost(f"no Content-Length that is a number: {length[:40]!r}")
        size = int(length)
        place, url = self.place, self.url
        content = self._content(size)
        wrong = self._wrong_end(size)
        if wrong:
            return self._lost(wrong, content)
        kind = headers.get("warc-type", "").lower()
        if not kind:
            return LostStretch(place, "a record without WARC-Type", url)
        return ArchiveRecord(place, kind, url, headers.get("warc-date", ""), headers, content, size)

    def _arc_record(self) -> ArchiveRecord | LostStretch:
        line = self._line() or b""
        match = _ARC_LINE.match(line)
        if match is None:
            return self._lost("no record header where one should begin")
        url, ip, date, rest, length = ((part or b"").decode("utf-8", "replace") for part in match.groups())
        fields = rest.split()
        self.url, size = url, int(length)
        place = self.place
        self._members.take(len(line))
        content = self._content(size)
        wrong = self._wrong_end(size)
        if wrong:
            return self._lost(wrong, content)
        # Version 1: type and length. Version 2: type, status, checksum, location, offset, file name, length.
        named = fields if len(fields) < 6 else fields[:-5]
        headers = {"content-type": " ".join(named), "warc-ip-address": ip, "content-length": str(size)}
        kind = "warcinfo" if url.startswith("filedesc:") else "response"
        return ArchiveRecord(place, kind, url, _iso_date(date), headers, content, size)

    def _skip_blank_lines(self) -> bool:
        """Go to the next byte that ends no line; False at the end of the member."""
        members = self._members
        while True:
            buffer, at = members.buffer, members.at
            stop = len(buffer)
            if buffer.startswith(b"\r\n\r\n", at):
                at += 4
            while at < stop and buffer[at] in b"\r\n":
                at += 1
            members.inside += at - members.at
            members.at = at
            if at < stop:
                return True
            if not members.fill():
                return False

    def _head(self) -> bytes | None:
        """The header of a WARC record, taken; None where it does not end."""
        members = self._members
        searched = 0
        while True:
            found = _END_OF_HEAD.search(members.buffer, members.at + searched)
            if found:
                head = members.buffer[members.at : found.end()]
                members.take(len(head))
                return head
            have = len(members.buffer) - members.at
            if have > MAX_HEADER:
                return None
            searched = max(0, have - 3)
            if not members.fill() and not members.joins_next():
                return None

    def _line(self) -> bytes | None:
        """The line that begins here, with its newline, not taken; None where it does not end soon."""
        members = self._members
        while True:
            end = members.buffer.find(b"\n", members.at, members.at + MAX_HEADER)
            if end >= 0:
                return members.buffer[members.at : end + 1]
            if len(members.buffer) - members.at > MAX_HEADER or not (members.fill() or members.joins_next()):
                return None

    def _content(self, size: int) -> bytes:
        """The block, taken and cut to what is kept; ``self._missing`` tells how much of it the archive lacks."""
        members = self._members
        self._missing = 0
        if len(members.buffer) - members.at >= size:
            content = members.take(size)
            return content if size <= self._max_content else content[: self._max_content]
        parts, kept, left = [], 0, size
        while True:
            piece = members.take(min(left, len(members.buffer) - members.at))
            left -= len(piece)
            if kept < self._max_content:
                parts.append(piece[: self._max_content - kept])
                kept += len(parts[-1])
            if not left or not (members.fill() or members.joins_next()):
                self._missing = left
                return b"".join(parts)

    def _wrong_end(self, size: int) -> str | None:
        """What is wrong with the end of a block: after it come blank lines and the next record, or nothing."""
        if self._missing:
            have = size - self._missing
            return f"its length is given as {size:,} bytes, and the archive breaks off after {have:,}"
        if not self._skip_blank_lines():
            return None
        if self._at_least(5, b"WARC/"):
            return None
        line = self._line()
        if line is not None and _ARC_LINE.match(line):
            return None
        return f"its length is given as {size:,} bytes, but no record ends there"

    def _at_least(self, size: int, beginning: bytes) -> bool:
        """Whether so many bytes are left, of this member and of those that it runs into, and they begin so."""
        members = self._members
        while len(members.buffer) - members.at < size:
            if not members.fill() and not members.joins_next():
                return False
        return members.buffer.startswith(beginning, members.at)

    def _lost(self, reason: str, content: bytes = b"") -> LostStretch:
        """Give up this record and go to the next line of the member that begins one, or to the member's end.

        ``content`` was taken for its block, which may have swallowed the records that follow.
        """
        members = self._members
        lost = LostStretch(self.place, reason, self.url)
        swallowed = _NEXT_RECORD.search(content)
        if swallowed:
            members.give_back(content[swallowed.end() :])
            return lost
        while True:
            found = _NEXT_RECORD.search(members.buffer, members.at)
            if found:
                members.take(found.end() - members.at)
                return lost
            # What may be the beginning of a line that is not all here stays.
            keep = min(len(members.buffer) - members.at, MAX_HEADER)
            members.take(len(members.buffer) - members.at - keep)
            if not members.fill():
                members.take(len(members.buffer) - members.at)
                return lost


def _iso_date(digits: str) -> str:
    """``2008-04-30T20:48:25Z`` of ``20080430204825``; what is no date stays as it is."""
    match = re.match(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", digits)
    return "{}-{}-{}T{}:{}:{}Z".format(*match.groups()) if match else digits


def _gzip_cuts(file: BinaryIO, size: int, span: int) -> list[int]:
    cuts = [0]
    while cuts[-1] + span < size:
        found = find_member(file, cuts[-1] + span, begins_record)
        if found is None:
            break
        cuts.append(found)
    return cuts


def _plain_cuts(file: BinaryIO, span: int) -> list[int]:
    """Cuts of an archive that is not compressed, by the lengths that its records give."""
    cuts = [0]
    place = 0
    while True:
        file.seek(place)
        head = file.read(2**13)
        blank = len(head) - len(head.lstrip(b"\r\n"))
        if len(head) > blank and place + blank - cuts[-1] >= span:
            cuts.append(place + blank)
        length = _length_of(head[blank:])
        if length is None:
            return cuts
        place += blank + length


def _length_of(head: bytes) -> int | None:
    """Bytes of a record, header and block; None where the header does not tell."""
    if head.startswith(b"WARC/"):
        found = _END_OF_HEAD.search(head)
        if found is None:
            return None
        length = parse_headers(head[: found.end()]).get("content-length", "")
        return (
            found.end() + int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
        )
    match = _ARC_LINE.match(head)
    if match is None or b"\n" not in head:
        return None
    return head.index(b"\n") + 1 + int(match[5])


_WARC_VERSION = re.compile(rb"WARC/[0-9]+\.[0-9]+[ \t]*\r?\n")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
# URL, IP address, date of 12 to 17 digits, what follows, and the length.
_ARC_FIELDS = (
    rb"([A-Za-z][A-Za-z0-9+.-]*:[^\r\n]*) ",
    rb"([0-9A-Fa-f.:]{3,45}|-) ",
    rb"([0-9]{12,17}) ",
    rb"([^\r\n]{0,4096} )?",
    rb"([0-9]{1,15})[ \t]*\r?\n",
)
_ARC_LINE = re.compile(b"".join(_ARC_FIELDS))
_ARC_SCHEME = re.compile(
    rb"(?:https?|ftp|dns|filedesc|whois|gopher|news|nntp|mailto|rtsp|mms|file|urn|metadata):", re.IGNORECASE
)
_NEXT_RECORD = re.compile(
    rb"\n(?=WARC/[0-9]+\.[0-9]+[ \t]*\r?\n|"
    + b"".join(field.replace(b"(", b"(?:", 1) for field in _ARC_FIELDS)
    + rb")"
)
