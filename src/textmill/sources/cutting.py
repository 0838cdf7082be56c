"""How files become splits: large ones cut at line ends and between row groups, small ones gathered.

A split's ``work`` is ``{"pieces": [...]}``; a piece is a whole file or a part of one:

``url, locator, format, compression``
    as in :class:`~textmill.sources.listing.InputFile`;
``start, end, line``
    for a part of a file of lines: bytes from, bytes to, number of its first line (from 1);
``groups, row``
    for a part of a Parquet file: row groups from and to, number of its first row (from 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, BinaryIO

from textmill.errors import UserError
from textmill.sources.ended_documents import END
from textmill.sources.json_values import holds_values
from textmill.sources.listing import InputFile
from textmill.sources.streams import byte_order_mark, newline_of, open_file
from textmill.steps.source import Split
from textmill.web.charset import charset_of_page

if TYPE_CHECKING:
    from textmill.sources.files import Files

# Text usually shrinks to about a quarter; it only balances splits and shows progress.
_EXPANSION = 4
# Keeps the plan of a million tiny files in small pieces.
_FILES_PER_SPLIT = 4096
_CHUNK = 2**20


def cut_files(settings: Files, files: list[InputFile], split_bytes: int) -> list[Split]:
    """Splits of about ``split_bytes`` bytes of text, in the order of ``files``.

    Depends on the files and on ``split_bytes`` alone. A file of lines larger than that is read once to count
    its lines; only then is a line's number known before the lines in front of it are read.

    Raises:
        UserError: a Parquet file has no text column.
    """
    splits: list[Split] = []
    bundle: list[tuple[InputFile, dict[str, Any], int]] = []

    def close() -> None:
        if bundle:
            splits.append(_split(bundle))
            bundle.clear()

    for file in files:
        pieces = list(_pieces(settings, file, split_bytes))
        if len(pieces) > 1:
            close()
            splits.extend(_split([(file, piece, size)]) for piece, size in pieces)
            continue
        piece, size = pieces[0]
        if bundle and (
            sum(size for _, _, size in bundle) + size > split_bytes or len(bundle) == _FILES_PER_SPLIT
        ):
            close()
        bundle.append((file, piece, size))
    close()
    if any(file.format == "html" for file in files):
        # The kernel that looks for declared encodings is compiled here, once, and not by every worker for itself.
        charset_of_page(b"<meta charset=utf-8>")
    return splits


def _split(parts: list[tuple[InputFile, dict[str, Any], int]]) -> Split:
    digest = hashlib.sha256()
    for file, piece, _ in parts:
        digest.update(
            repr((file.url, file.size, file.version, sorted(piece.items()))).encode("utf-8", "replace")
        )
    pieces = [piece for _, piece, _ in parts]
    return Split({"pieces": pieces}, digest.hexdigest(), sum(size for _, _, size in parts))


def _pieces(settings: Files, file: InputFile, split_bytes: int) -> Iterator[tuple[dict[str, Any], int]]:
    whole = {
        "url": file.url,
        "locator": file.locator,
        "format": file.format,
        "compression": file.compression,
    }
    if file.compression:
        yield whole, file.size * _EXPANSION
        return
    if file.format == "parquet":
        yield from _row_groups(settings, file, whole, split_bytes)
        return
    lines = file.format in ("jsonl", "json", "enddoc", "raw_pages") or (
        file.format == "text" and settings.unit != "file"
    )
    if not lines or file.size <= split_bytes:
        yield whole, file.size
        return
    try:
        with open_file(settings, file.url) as stream:
            borders = _borders(settings, file, stream, max(2, round(file.size / split_bytes)))
            line = 1
            for start, end in pairwise(borders):
                yield {**whole, "start": start, "end": end, "line": line}, end - start
                if end < file.size:
                    line += _count_newlines(stream, start, end)
    except OSError as error:
        raise UserError(f"input cannot be read: {error}", where=file.url) from error


def _borders(settings: Files, file: InputFile, stream: BinaryIO, parts: int) -> list[int]:
    """Offsets from 0 to the file's size, each at the start of a record."""
    head = stream.read(_CHUNK)
    mark, encoding = byte_order_mark(head)
    if newline_of(encoding or settings.encoding) != b"\n":
        return [0, file.size]  # UTF-16 and other rare ones are read in one piece
    if file.format == "json" and holds_values(head[len(mark) :]):
        return [0, file.size]
    borders = [0]
    for part in range(1, parts):
        wanted = file.size * part // parts
        if wanted <= borders[-1]:
            continue
        # From the byte before: a border that happens to stand at a line's start stays there.
        border = _after_line(stream, wanted - 1)
        if file.format == "text" and settings.unit == "paragraph":
            border = _after_blank_line(stream, border)
        elif file.format in ("enddoc", "raw_pages"):
            border = _after_end_line(stream, border, END.encode(settings.encoding))
        if border >= file.size:
            break
        if border > borders[-1]:
            borders.append(border)
    return [*borders, file.size]


def _after_line(stream: BinaryIO, position: int) -> int:
    """Offset behind the first newline at or after ``position``; the end of the file without one."""
    stream.seek(position)
    while chunk := stream.read(_CHUNK):
        found = chunk.find(b"\n")
        if found >= 0:
            return position + found + 1
        position += len(chunk)
    return position


def _after_blank_line(stream: BinaryIO, position: int) -> int:
    """Offset behind the first blank line at or after ``position``, which is the start of a line."""
    blank = True
    stream.seek(position)
    while chunk := stream.read(_CHUNK):
        start = 0
        while (found := chunk.find(b"\n", start)) >= 0:
            if blank and not chunk[start:found].strip():
                return position + found + 1
            blank = True
            start = found + 1
        blank = blank and not chunk[start:].strip()
        position += len(chunk)
    return position


def _after_end_line(stream: BinaryIO, position: int, end: bytes) -> int:
    """Offset behind the first line at or after ``position``, a line's start, that ends a document."""
    stream.seek(position)
    carry = b"\n"
    position -= 1
    while chunk := stream.read(_CHUNK):
        data = carry + chunk
        found = data.find(b"\n" + end)
        while found >= 0:
            rest = data[found + 1 + len(end) : found + 3 + len(end)]
            if rest.startswith((b"\n", b"\r\n")):
                return position + found + 1 + len(end) + rest.index(b"\n") + 1
            found = data.find(b"\n" + end, found + 1)
        carry = data[-len(end) - 3 :]
        position += len(data) - len(carry)
    return position + len(carry)


def _count_newlines(stream: BinaryIO, start: int, end: int) -> int:
    stream.seek(start)
    count = 0
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        count += chunk.count(b"\n")
        start += len(chunk)
    return count


def _row_groups(
    settings: Files, file: InputFile, whole: dict[str, Any], split_bytes: int
) -> Iterator[tuple[dict[str, Any], int]]:
    from textmill.sources.parquet import MissingColumnError, group_sizes

    try:
        with open_file(settings, file.url) as stream:
            groups = group_sizes(stream, settings)
    except MissingColumnError as error:
        raise UserError(
            "no column with the text",
            where=file.url,
            expected=error.expected,
            found=f"columns {', '.join(error.columns) or '(none)'}",
            hint="name the column with text_field:",
        ) from error
    except OSError as error:
        raise UserError(f"input cannot be read: {error}", where=file.url) from error
    if groups is None or len(groups) < 2:
        # A damaged file is one piece, and its reader tells the failure.
        yield whole, sum(size for _, size in groups) if groups else file.size
        return
    first, row, rows, size = 0, 1, 0, 0
    for number, (group_rows, group_size) in enumerate(groups):
        if number > first and size + group_size > split_bytes:
            yield {**whole, "groups": [first, number], "row": row}, size
            first, row, rows, size = number, row + rows, 0, 0
        rows += group_rows
        size += group_size
    yield {**whole, "groups": [first, len(groups)], "row": row}, size
