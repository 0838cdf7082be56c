"""Shards: Parquet files of documents, written and read in pieces of bounded size.

Row groups are cut by the documents alone (never by the batches in which they arrive), so that the same
documents always give the same bytes, and no reader needs more memory than one row group or one document.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from textmill.documents.batch import Batch
from textmill.documents.schema import DOCUMENT_SCHEMA

# A row group is what a worker holds at once. 4 MiB of text keep the kernels near the cache and a worker
# under its ceiling; 4,096 documents keep the per-batch overhead of tiny texts below one per cent.
ROW_GROUP_TEXT_BYTES = 4 * 2**20
ROW_GROUP_DOCUMENTS = 4096
ZSTD_LEVEL = 3


class ShardWriter:
    """Writes documents to one Parquet file (zstd), cutting row groups by size of text.

    Use as a context manager, or call :meth:`close`; the file is complete after that.

    Args:
        path: local file to write; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.documents = 0
        self.text_bytes = 0
        self._writer = open_parquet_writer(path, DOCUMENT_SCHEMA)
        self._pending: list[pa.RecordBatch] = []
        self._pending_documents = 0
        self._pending_bytes = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()

    def close(self) -> None:
        """Write what is pending and finish the file."""
        self._flush()
        self._writer.close()

    def write(self, batch: Batch) -> None:
        """Append the documents of ``batch``."""
        offsets = batch.offsets
        start = 0
        for position in range(len(batch)):
            size = int(offsets[position + 1] - offsets[position])
            over_bytes = self._pending_bytes + size > ROW_GROUP_TEXT_BYTES
            if self._pending_documents and (over_bytes or self._pending_documents == ROW_GROUP_DOCUMENTS):
                if position > start:
                    self._pending.append(batch.records.slice(start, position - start))
                start = position
                self._flush()
            self._pending_documents += 1
            self._pending_bytes += size
        if len(batch) > start:
            self._pending.append(batch.records.slice(start, len(batch) - start))
        self.documents += len(batch)
        self.text_bytes += batch.text_bytes

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, schema=DOCUMENT_SCHEMA).combine_chunks()
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self._pending = []
        self._pending_documents = 0
        self._pending_bytes = 0


def open_parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """A Parquet writer with the settings that every table of a run shares.

    Dictionary pages pay for columns that repeat (source, step, rule) and are wasted on texts and hashes;
    statistics let readers skip row groups by id.
    """
    repeated = {"source", "step", "rule", "action", "verdict", "label"}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=[name for name in schema.names if name in repeated],
        write_statistics=[name for name in schema.names if name != "text"],
        store_schema=True,
    )


def read_batches(file: Any) -> Iterator[Batch]:
    """The batches of one shard, a row group at a time.

    Args:
        file: a local path or an open binary file.
    """
    with pq.ParquetFile(file, pre_buffer=False) as parquet:
        for group in range(parquet.num_row_groups):
            table = parquet.read_row_group(group, columns=DOCUMENT_SCHEMA.names, use_threads=False)
            batches = table.combine_chunks().to_batches()
            for records in batches:
                yield Batch(records)
