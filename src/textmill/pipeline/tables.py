"""Tables of a global step's phases: Parquet files of which a unit of work reads its part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.documents.shards import open_parquet_writer
from textmill.workspace.storage import Storage

# What a writer collects before it writes a row group, and the most rows of one.
_GROUP_BYTES = 1 << 20
_GROUP_ROWS = 16_384


class TableWriter:
    """Writes a table whose columns the first rows decide; in row groups of about a mebibyte.

    Attributes:
        path: local file; not there before the first row.
        rows: how many were written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._bytes = 0

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Append rows."""
        table = pa.Table.from_batches([rows]) if isinstance(rows, pa.RecordBatch) else rows
        size = min(_GROUP_ROWS, max(1, table.num_rows * _GROUP_BYTES // max(1, table.nbytes)))
        for start in range(0, table.num_rows, size):
            piece = table.slice(start, size)
            self._pending.append(piece)
            self.rows += piece.num_rows
            self._bytes += piece.nbytes
            if self._bytes >= _GROUP_BYTES or sum(map(len, self._pending)) >= _GROUP_ROWS:
                self._flush()

    def close(self) -> None:
        """Write what is pending and finish the file."""
        self._flush()
        if self._writer:
            self._writer.close()

    def _flush(self) -> None:
        if self._pending:
            table = pa.concat_tables(self._pending)
            if self._writer is None:
                self._writer = open_parquet_writer(self.path, table.schema)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._pending, self._bytes = [], 0


def read_partition(
    storage: Storage, paths: Sequence[str], partition: int, count: int
) -> Iterator[pa.RecordBatch]:
    """The rows whose key falls into ``partition`` of ``count``: a range of the keys' first two bytes."""
    for path in paths:
        with storage.open(path) as stream, pq.ParquetFile(stream) as parquet:
            for group in _groups(parquet, "key", lambda key: partition_of(key, count), partition):
                for records in parquet.read_row_group(group, use_threads=False).to_batches():
                    keys = records.column("key")
                    start = 16 * keys.offset
                    raw = np.frombuffer(keys.buffers()[1], np.uint8)[start : start + 16 * len(keys)]
                    head = raw.reshape(-1, 16)[:, :2].astype(np.uint32)
                    mine = ((head[:, 0] << 8 | head[:, 1]) * count) >> 16 == partition
                    yield records.filter(pa.array(mine))


def read_shard(storage: Storage, paths: Sequence[str], shard: int) -> Iterator[pa.RecordBatch]:
    """The rows whose column ``shard`` is ``shard``."""
    for path in paths:
        with storage.open(path) as stream, pq.ParquetFile(stream) as parquet:
            for group in _groups(parquet, "shard", int, shard):
                for records in parquet.read_row_group(group, use_threads=False).to_batches():
                    yield records.filter(pc.equal(records.column("shard"), shard))


def read_all(storage: Storage, paths: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """All rows, a row group at a time."""
    for path in paths:
        with storage.open(path) as stream, pq.ParquetFile(stream) as parquet:
            for group in range(parquet.num_row_groups):
                yield from parquet.read_row_group(group, use_threads=False).to_batches()


def _groups(parquet: pq.ParquetFile, column: str, place: Any, wanted: int) -> Iterator[int]:
    """Row groups that may hold rows of the place ``wanted``; in a sorted file most do not."""
    position = parquet.schema_arrow.get_field_index(column)
    for group in range(parquet.num_row_groups):
        bounds = parquet.metadata.row_group(group).column(position).statistics
        if bounds is None or not bounds.has_min_max or place(bounds.min) <= wanted <= place(bounds.max):
            yield group


def partition_of(key: bytes, count: int) -> int:
    """The partition, of ``count``, that a key belongs to."""
    return (int.from_bytes(key[:2], "big") * count) >> 16
