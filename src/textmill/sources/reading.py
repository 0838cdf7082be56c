"""Reads the pieces of a split: documents, or failures with their reason, in the order of the file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO

from textmill.documents import Document, Failure
from textmill.sources.ended_documents import ended_documents
from textmill.sources.json_values import array_values, holds_values
from textmill.sources.page_text import NoTextError, remarks, text_of_page
from textmill.sources.records import BadRecordError, document_of_json, document_of_record, too_long
from textmill.sources.streams import (
    DamagedStreamError,
    byte_order_mark,
    cut_lines,
    decompress,
    newline_of,
    open_file,
    plain_encoding,
    read_chunks,
)
from textmill.steps.context import StepContext
from textmill.steps.source import Split

if TYPE_CHECKING:
    from textmill.sources.files import Files

Record = Document | Failure


class FilesReader:
    """Reader of the source ``files``; holds one record and a chunk of bytes at a time."""

    def __init__(self, settings: Files, context: StepContext) -> None:
        self._settings = settings
        self._context = context

    def read(self, split: Split) -> Iterator[Record]:
        """The records of ``split``, in the order of its files."""
        for piece in split.work["pieces"]:
            try:
                if piece["format"] == "parquet":
                    yield from self._read_parquet(piece)
                else:
                    records = self._read_text(piece)
                    first = next(records, None)
                    if first is not None:
                        yield first
                        yield from records
                    elif self._is_empty(piece):
                        # Without a record of its own it would leave no trace at all.
                        yield Failure(piece["locator"], "the file is empty")
            except OSError as error:
                # Only opening can still raise: reading tells its faults as DamagedStreamError.
                yield Failure(piece["locator"], f"the file cannot be opened: {error}")

    def _read_text(self, piece: dict[str, Any]) -> Iterator[Record]:
        settings = self._settings
        with open_file(settings, piece["url"]) as stream:
            start = piece.get("start", 0)
            chunks = read_chunks(stream, start, piece.get("end"))
            if piece["format"] == "html":
                yield _page(decompress(chunks, piece["compression"]), piece["locator"], settings)
                return
            body, encoding, skipped = _without_mark(
                decompress(chunks, piece["compression"]), settings.encoding
            )
            if start:
                # Only a file whose newline is one ASCII byte is cut; it has its mark in the first part.
                encoding = plain_encoding(settings.encoding)
            text = _Text(body, encoding, start + skipped, piece.get("line", 1), settings.max_document_bytes)
            locator = piece["locator"]
            if piece["format"] in ("jsonl", "json"):
                # Only a file of lines is ever cut: what does not begin at the file's beginning is lines.
                if piece["format"] == "json" and not start and text.holds_values():
                    yield from _values(text, locator, settings)
                else:
                    yield from _json_lines(text, locator, settings)
            elif piece["format"] in ("enddoc", "raw_pages"):
                yield from text.ended(locator, pages=piece["format"] == "raw_pages")
            elif piece["format"] == "markdown" or settings.unit == "file":
                yield text.whole(locator)
            elif settings.unit == "line":
                yield from _text_lines(text, locator)
            else:
                yield from _paragraphs(text, locator, settings.max_document_bytes)

    def _is_empty(self, piece: dict[str, Any]) -> bool:
        """Whether a file holds no byte (unpacked): such a file is never cut, as a blank one may be."""
        with open_file(self._settings, piece["url"]) as stream:
            return next(decompress(read_chunks(stream), piece["compression"]), None) is None

    def _read_parquet(self, piece: dict[str, Any]) -> Iterator[Record]:
        from textmill.sources.parquet import read_rows

        with self._seekable(piece) as stream:
            number = piece.get("row", 1)
            try:
                for row in read_rows(stream, self._settings, piece.get("groups")):
                    locator = f"{piece['locator']}:{number}"
                    try:
                        yield document_of_record(row, locator, self._settings)
                    except BadRecordError as error:
                        yield Failure(locator, str(error))
                    number += 1
            except DamagedStreamError as error:
                yield Failure(f"{piece['locator']}:{number}", str(error))

    @contextmanager
    def _seekable(self, piece: dict[str, Any]) -> Iterator[BinaryIO]:
        """The file; a compressed Parquet file, whose end must be read first, unpacked on local disk."""
        with open_file(self._settings, piece["url"]) as stream:
            if not piece["compression"]:
                yield stream
                return
            import tempfile

            with tempfile.TemporaryFile(dir=self._context.scratch) as unpacked:
                try:
                    for chunk in decompress(read_chunks(stream), piece["compression"]):
                        unpacked.write(chunk)
                except DamagedStreamError:
                    unpacked.truncate(0)  # Its footer is lost; the reader says so.
                unpacked.seek(0)
                yield unpacked


class _Text:
    """A stream of bytes in one encoding, and where in the file it starts."""

    def __init__(self, body: Iterator[bytes], encoding: str, offset: int, line: int, limit: int) -> None:
        self._body = body
        self._encoding = encoding
        self._offset = offset
        self._limit = limit
        self.next_line = line

    def lines(self) -> Iterator[tuple[int, str | BadRecordError]]:
        """Numbers and texts of the lines that are not blank; when bytes run out early, next_line is broken."""
        newline = newline_of(self._encoding)
        for line in cut_lines(self._body, newline, self._limit, self.next_line, self._offset):
            self.next_line = line.number + 1
            if line.data is None:
                yield line.number, too_long("line", line.size, self._limit)
                continue
            try:
                text = line.data.decode(self._encoding)
            except UnicodeDecodeError as error:
                yield line.number, _bad_bytes(error, line.offset, self._encoding)
                continue
            text = text.removesuffix("\r")
            if text and not text.isspace():
                yield line.number, text
            else:
                yield line.number, ""

    def whole(self, locator: str) -> Record:
        """Everything as one document."""
        data = _joined(self._body, locator, self._limit)
        if isinstance(data, Failure):
            return data
        try:
            return Document(locator, data.decode(self._encoding))
        except UnicodeDecodeError as error:
            return Failure(locator, str(_bad_bytes(error, self._offset, self._encoding)))

    def ended(self, locator: str, pages: bool) -> Iterator[Record]:
        """Documents that a line ends."""
        return ended_documents(
            self._body,
            locator,
            self._encoding,
            newline_of(self._encoding),
            self.next_line,
            self._offset,
            self._limit,
            pages,
        )

    def holds_values(self) -> bool:
        """Whether a ``.json`` file holds one array or one spread-out record rather than lines."""
        head = b""
        try:
            for chunk in self._body:
                head += chunk
                if head.strip():
                    break
        except DamagedStreamError as error:
            self._body = _then_raise(head, error)
        else:
            self._body = chain([head], self._body)
        return holds_values(head if newline_of(self._encoding) == b"\n" else head.replace(b"\0", b""))

    def values(self) -> Iterator[Any]:
        """The records of a JSON array."""
        return array_values(self._body, self._encoding, self._limit)


def _joined(body: Iterator[bytes], locator: str, limit: int) -> bytes | Failure:
    """All bytes of a file that is one document."""
    parts: list[bytes] = []
    size = 0
    try:
        for chunk in body:
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                return Failure(locator, str(too_long("file", None, limit)))
    except DamagedStreamError as error:
        return Failure(locator, str(error))
    return b"".join(parts)


def _page(body: Iterator[bytes], locator: str, settings: Files) -> Record:
    """A file of HTML as one document."""
    data = _joined(body, locator, settings.max_document_bytes)
    if isinstance(data, Failure):
        return data
    try:
        page = text_of_page(data, kind="text/html")
    except NoTextError as error:
        return Failure(locator, str(error))
    return Document(locator, page.text, None, json.dumps(remarks(page)))


def _json_lines(text: _Text, locator: str, settings: Files) -> Iterator[Record]:
    try:
        for number, line in text.lines():
            if line == "":
                continue
            place = f"{locator}:{number}"
            try:
                if isinstance(line, BadRecordError):
                    raise line
                yield document_of_json(line, place, settings)
            except BadRecordError as error:
                yield Failure(place, str(error))
    except DamagedStreamError as error:
        yield Failure(f"{locator}:{text.next_line}", str(error))


def _values(text: _Text, locator: str, settings: Files) -> Iterator[Record]:
    number = 1
    try:
        for value in text.values():
            place = f"{locator}:{number}"
            number += 1
            try:
                yield document_of_record(value, place, settings)
            except BadRecordError as error:
                yield Failure(place, str(error))
    except (DamagedStreamError, BadRecordError) as error:
        yield Failure(f"{locator}:{number}", str(error))


def _text_lines(text: _Text, locator: str) -> Iterator[Record]:
    try:
        for number, line in text.lines():
            if isinstance(line, BadRecordError):
                yield Failure(f"{locator}:{number}", str(line))
            elif line:
                yield Document(f"{locator}:{number}", line)
    except DamagedStreamError as error:
        yield Failure(f"{locator}:{text.next_line}", str(error))


def _paragraphs(text: _Text, locator: str, limit: int) -> Iterator[Record]:
    """Runs of lines that are not blank; one bad line makes its paragraph a failure."""
    first = 0
    lines: list[str] = []
    size = 0
    fault: BadRecordError | None = None
    try:
        for number, line in chain(text.lines(), [(0, "")]):
            if line == "":
                if first:
                    place = f"{locator}:{first}"
                    yield Failure(place, str(fault)) if fault else Document(place, "\n".join(lines))
                first, lines, size, fault = 0, [], 0, None
                continue
            first = first or number
            if isinstance(line, BadRecordError):
                fault = fault or line
            else:
                size += len(line) + 1
                if size > limit:
                    fault = fault or too_long("paragraph", None, limit)
                lines.append(line)
            if fault:
                lines.clear()
    except DamagedStreamError as error:
        # The paragraph that the damage cut short is not a whole one.
        yield Failure(f"{locator}:{first or text.next_line}", str(error))


def _without_mark(chunks: Iterator[bytes], encoding: str) -> tuple[Iterator[bytes], str, int]:
    """The stream without its byte-order mark, the encoding to use, and the length of the mark."""
    head = b""
    try:
        while len(head) < 4 and (chunk := next(chunks, None)) is not None:
            head += chunk
    except DamagedStreamError as error:
        chunks = _then_raise(b"", error)
    mark, found = byte_order_mark(head)
    rest: Iterable[bytes] = chain([head[len(mark) :]], chunks)
    return iter(rest), found or plain_encoding(encoding), len(mark)


def _then_raise(data: bytes, error: DamagedStreamError) -> Iterator[bytes]:
    yield data
    raise error


def _bad_bytes(error: UnicodeDecodeError, offset: int, encoding: str) -> BadRecordError:
    wrong = error.object[error.start : error.start + 1].hex()
    return BadRecordError(f"no valid {encoding} at byte {offset + error.start} (0x{wrong}): {error.reason}")
