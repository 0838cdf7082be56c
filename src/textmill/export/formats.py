"""The formats of an exported corpus: one text per line, JSON lines, Parquet, documents ended by a line, raw pages."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from textmill.documents import DOCUMENT_SCHEMA, Batch, format_id

FORMATS = ("txt", "jsonl", "parquet", "enddoc", "raw_pages")
COMPRESSIONS = ("gz", "zst")

_ZSTD_LEVEL = 3
_GZIP_LEVEL = 6

# What str.splitlines and other programs take for the end of a line.
_LINE_ENDS = re.compile(r"[ \t]*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


class Writer(Protocol):
    """Takes batches and writes one file."""

    folded: int
    """Texts that are not written as they are: the format has one text per line, or a line in them would end them."""

    def write(self, batch: Batch) -> None:
        """Append the documents of ``batch``."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


def open_writer(path: Path, format: str, compress: str | None = None) -> Writer:
    """A writer of one of :data:`FORMATS` to a local file.

    Args:
        path: the file to write.
        format: ``txt``, ``jsonl``, ``parquet``, ``enddoc`` or ``raw_pages``.
        compress: ``gz`` or ``zst``; inside a Parquet file it is the codec of its pages (zstd if left out).
    """
    if format == "parquet":
        return _Parquet(path, "gzip" if compress == "gz" else "zstd")
    return _Lines(path, _LINES[format], compress)


def one_line(text: str) -> str:
    """The text on one line: each line break, with the white space around it, becomes one space."""
    return _LINE_ENDS.sub(" ", text).strip()


class _Lines:
    def __init__(
        self, path: Path, lines: Callable[[Batch], tuple[list[str], int]], compress: str | None
    ) -> None:
        self.folded = 0
        self._lines = lines
        self._file = path.open("wb")
        self._stream: IO[bytes] | Any = self._file
        if compress == "gz":
            # Neither name nor time in the header: the same texts, the same bytes.
            self._stream = gzip.GzipFile("", "wb", _GZIP_LEVEL, self._file, mtime=0)
        elif compress == "zst":
            import zstandard

            self._stream = zstandard.ZstdCompressor(_ZSTD_LEVEL).stream_writer(self._file, closefd=False)

    def write(self, batch: Batch) -> None:
        lines, folded = self._lines(batch)
        self.folded += folded
        if lines:
            self._stream.write(("\n".join(lines) + "\n").encode())

    def close(self) -> None:
        if self._stream is not self._file:
            self._stream.close()
        self._file.close()


def _line_of_text(batch: Batch) -> tuple[list[str], int]:
    texts = batch.texts
    lines = [one_line(text) for text in texts]
    return lines, sum(line != text.strip() for line, text in zip(lines, texts, strict=True))


def _json_lines(batch: Batch) -> tuple[list[str], int]:
    """id, text, source, locator, and url and metadata where there are some."""
    columns = {name: batch.records.column(name).to_pylist() for name in DOCUMENT_SCHEMA.names}
    lines = []
    for row, text in enumerate(columns["text"]):
        record: dict[str, Any] = {"id": format_id(columns["id"][row]), "text": text}
        record |= {name: columns[name][row] for name in ("source", "locator")}
        if columns["root"][row] != columns["id"][row]:
            record["root"] = format_id(columns["root"][row])
        if columns["url"][row]:
            record["url"] = columns["url"][row]
        if columns["metadata"][row]:
            record["metadata"] = json.loads(columns["metadata"][row])
        lines.append(json.dumps(record, ensure_ascii=False))
    return lines, 0


def _ended(batch: Batch) -> tuple[list[str], int]:
    """Each text, and the line that ends it."""
    return _with_end(batch.texts, [""] * len(batch))


def _raw_pages(batch: Batch) -> tuple[list[str], int]:
    """Each address, the page, and the line that ends it; the locator stands for an address that is missing."""
    urls = batch.records.column("url").to_pylist()
    locators = batch.records.column("locator").to_pylist()
    names = [f"URL: {one_line(url or locator)}\n" for url, locator in zip(urls, locators, strict=True)]
    return _with_end(batch.texts, names)


def _with_end(texts: list[str], heads: list[str]) -> tuple[list[str], int]:
    lines = []
    changed = 0
    for text, head in zip(texts, heads, strict=True):
        # A text that holds the end line itself would be two: a blank in front keeps it one.
        safe, count = _END_LINE.subn(" ---ENDDOC---", text)
        changed += count > 0
        lines.append(f"{head}{safe}\n---ENDDOC---")
    return lines, changed


_END_LINE = re.compile(r"^---ENDDOC---(?=\r?$)", re.MULTILINE)
_LINES: dict[str, Callable[[Batch], tuple[list[str], int]]] = {
    "txt": _line_of_text,
    "jsonl": _json_lines,
    "enddoc": _ended,
    "raw_pages": _raw_pages,
}


class _Parquet:
    folded = 0

    def __init__(self, path: Path, codec: str) -> None:
        repeated = ["source"]
        self._writer = pq.ParquetWriter(path, DOCUMENT_SCHEMA, compression=codec, use_dictionary=repeated)

    def write(self, batch: Batch) -> None:
        self._writer.write_table(pa.Table.from_batches([batch.records], schema=DOCUMENT_SCHEMA))

    def close(self) -> None:
        self._writer.close()
