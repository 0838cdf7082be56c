"""Filling numbered shards to the brim: pieces of any length in, shards of exactly so many tokens out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from textmill.documents.shards import open_parquet_writer
from textmill.tokens.document_tables import NUMBERED_DOCUMENTS_SCHEMA, table_path
from textmill.tokens.numbered_shards import blocks, read_header, shard_name
from textmill.tokens.shard_writer import npy_header, sha256_of


@dataclass(frozen=True)
class FilledShard:
    """A finished shard: name, tokens, SHA-256; documents that start in it, and their tokens and bytes."""

    name: str
    sha256: str
    tokens: int
    documents: int
    text_bytes: int
    documents_sha256: str | None


class ShardFiller:
    """Writes ``train_%06d.npy`` and its table of documents; files appear when they are finished.

    Args:
        folder: where to.
        dtype: uint16 or uint32.
        shard_tokens: tokens of every shard but the last.
        finished: called with each finished shard, and the place in the piece where the next one begins.
        first: number of the first shard.
        tables: whether the pieces come with tables of documents.
    """

    def __init__(
        self,
        folder: Path,
        dtype: str,
        shard_tokens: int,
        finished: Callable[[FilledShard, int], None],
        *,
        first: int = 0,
        tables: bool = True,
    ) -> None:
        self.folder = folder
        self.number = first
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._shard_tokens = shard_tokens
        self._finished = finished
        self._tables = tables
        self._file: IO[bytes] | None = None
        self._table: Any = None
        self._filled = 0
        self._documents = 0
        self._text_bytes = 0

    def fill(self, piece: Path, start: int, stop: int, *, whole: bool = True) -> None:
        """Append tokens ``start`` to ``stop`` of a ``.npy`` file, and its documents that start there.

        Args:
            piece: the file; its table of documents lies beside it.
            start: first token.
            stop: end of the tokens to take.
            whole: every document of the piece ends in it, so that one which ``stop`` cuts is recorded with
                the tokens that are left of it; otherwise it goes on in the next piece.
        """
        header = read_header(piece)
        rows = pq.read_table(table_path(piece), use_threads=False) if self._tables else None
        position = start
        for block in blocks(header, start):
            position = self._pour(block[: stop - position], position, rows, stop if whole else 2**62)
            if position >= stop:
                break

    def add(self, tokens: npt.NDArray[Any], rows: pa.Table | None = None) -> None:
        """Append tokens from memory, and the documents that start in them.

        Args:
            tokens: one dimension.
            rows: a table of documents whose offsets count from the first of ``tokens``.
        """
        self._pour(tokens, 0, rows, 2**62)

    def _pour(self, block: npt.NDArray[Any], position: int, rows: pa.Table | None, limit: int) -> int:
        """Append a block that stands at ``position`` of its piece; returns where it ends."""
        while len(block):
            self._open()
            assert self._file is not None
            part = block[: self._shard_tokens - self._filled]
            self._file.write(np.ascontiguousarray(part, self._dtype).data)
            if rows is not None:
                self._add_rows(rows, position, position + len(part), limit)
            self._filled += len(part)
            position += len(part)
            block = block[len(part) :]
            if self._filled == self._shard_tokens:
                self._finish(position)
        return position

    def close(self) -> None:
        """Finish the last shard, however short."""
        if self._file is not None:
            self._finish(0)

    def _open(self) -> None:
        if self._file is None:
            self._file = self._partial().open("wb")
            self._file.write(npy_header(self._shard_tokens, self._dtype))
            if self._tables:
                self._table = open_parquet_writer(
                    table_path(self._partial().with_suffix("")).with_suffix(".partial"),
                    NUMBERED_DOCUMENTS_SCHEMA,
                )

    def _partial(self) -> Path:
        return self.folder / f"{shard_name(self.number)}.partial"

    def _add_rows(self, rows: pa.Table, start: int, stop: int, limit: int) -> None:
        offsets = rows.column("offset").to_numpy()
        first, last = np.searchsorted(offsets, [start, stop])
        if first == last:
            return
        chosen = rows.slice(first, last - first)
        lengths = np.minimum(chosen.column("length").to_numpy(), limit - offsets[first:last])
        columns = {
            "offset": pa.array(offsets[first:last] - start + self._filled),
            "length": pa.array(lengths),
        }
        for name, values in columns.items():
            place = NUMBERED_DOCUMENTS_SCHEMA.get_field_index(name)
            chosen = chosen.set_column(place, NUMBERED_DOCUMENTS_SCHEMA.field(name), values)
        self._table.write_table(chosen.cast(NUMBERED_DOCUMENTS_SCHEMA).combine_chunks())
        self._documents += len(lengths)
        self._text_bytes += int(chosen.column("bytes").to_numpy().sum())

    def _finish(self, position: int) -> None:
        assert self._file is not None
        self._file.seek(0)
        self._file.write(npy_header(self._filled, self._dtype))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        path = self.folder / shard_name(self.number)
        documents_sha256 = None
        if self._tables:
            self._table.close()
            table_path(self._partial().with_suffix("")).with_suffix(".partial").replace(table_path(path))
            documents_sha256 = sha256_of(table_path(path))
        self._partial().replace(path)
        shard = FilledShard(
            path.name, sha256_of(path), self._filled, self._documents, self._text_bytes, documents_sha256
        )
        self.number += 1
        self._file = self._table = None
        self._filled = self._documents = self._text_bytes = 0
        self._finished(shard, position)
