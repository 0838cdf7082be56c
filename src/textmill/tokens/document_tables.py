"""Tables of documents beside numbered shards: where each document starts, and how long it is.

``train_000007.documents.parquet`` lists the documents that start in ``train_000007.npy``; ``offset`` counts
from the start of that shard, ``length`` goes on across its end. Joined, ``offset`` counts from the first
token of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from textmill.documents.shards import open_parquet_writer
from textmill.tokens.consolidated import DOCUMENTS, Part
from textmill.tokens.numbered_shards import NumberedShard
from textmill.tokens.shard_writer import DOCUMENTS_PER_ROW_GROUP, sha256_of

NUMBERED_DOCUMENTS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False, metadata={"about": "document id"}),
        pa.field("offset", pa.int64(), nullable=False, metadata={"about": "first token in this shard"}),
        pa.field("length", pa.int64(), nullable=False, metadata={"about": "tokens, with the EOS"}),
        pa.field("bytes", pa.int64(), nullable=False, metadata={"about": "UTF-8 bytes of the text"}),
        pa.field("source", pa.string(), metadata={"about": "name of the source"}),
        pa.field("language", pa.string(), metadata={"about": "where the record names one"}),
    ]
)


def table_path(shard: Path) -> Path:
    """Where the table of a shard's documents lies."""
    return shard.with_name(f"{shard.stem}.documents.parquet")


def join_tables(folder: Path, shards: Sequence[NumberedShard]) -> Part | None:
    """Write ``documents.parquet`` from the tables of all shards; None when a shard has none.

    Memory: one row group.
    """
    tables = [table_path(shard.path) for shard in shards]
    if not all(path.is_file() for path in tables):
        (folder / DOCUMENTS).unlink(missing_ok=True)
        return None
    partial = folder / f"{DOCUMENTS}.partial"
    rows = start = 0
    pending: list[pa.RecordBatch] = []
    with open_parquet_writer(partial, NUMBERED_DOCUMENTS_SCHEMA) as writer:

        def flush(*, everything: bool) -> None:
            table = pa.Table.from_batches(pending, schema=NUMBERED_DOCUMENTS_SCHEMA)
            first = 0
            while table.num_rows - first >= (1 if everything else DOCUMENTS_PER_ROW_GROUP):
                writer.write_table(table.slice(first, DOCUMENTS_PER_ROW_GROUP).combine_chunks())
                first += DOCUMENTS_PER_ROW_GROUP
            pending[:] = table.slice(first).to_batches()

        for shard, path in zip(shards, tables, strict=True):
            with pq.ParquetFile(path, pre_buffer=False) as parquet:
                for group in range(parquet.num_row_groups):
                    table = parquet.read_row_group(group, use_threads=False)
                    place = table.schema.get_field_index("offset")
                    moved = pc.add(table.column("offset"), start)
                    table = table.set_column(place, NUMBERED_DOCUMENTS_SCHEMA.field("offset"), moved)
                    pending += table.cast(NUMBERED_DOCUMENTS_SCHEMA).to_batches()
                    rows += table.num_rows
                    flush(everything=False)
            start += shard.tokens
        flush(everything=True)
    partial.replace(folder / DOCUMENTS)
    return Part(DOCUMENTS, rows, sha256_of(folder / DOCUMENTS))
