"""Writing one token shard and its table of documents, a batch at a time."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.documents.shards import open_parquet_writer

DOCUMENT_TABLE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(16), nullable=False, metadata={"about": "document id"}),
        pa.field("offset", pa.int64(), nullable=False, metadata={"about": "first token in this shard"}),
        pa.field("length", pa.int64(), nullable=False, metadata={"about": "tokens, with the EOS"}),
        pa.field("bytes", pa.int64(), nullable=False, metadata={"about": "UTF-8 bytes of the text"}),
    ]
)

# Row groups of a fixed number of documents: a reader finds a token's document by the groups' statistics
# and then holds 640 KiB, whatever the shard.
DOCUMENTS_PER_ROW_GROUP = 16_384


class TokenShardWriter:
    """A token shard (``.npy``, 1-D, little-endian) and its table of documents, both on this machine.

    Args:
        folder: existing folder for the two files.
        dtype: uint16 or uint32.
    """

    def __init__(self, folder: Path, dtype: npt.DTypeLike) -> None:
        self.tokens_path = folder / "tokens.npy"
        self.documents_path = folder / "documents.parquet"
        self.tokens = 0
        self.documents = 0
        self.text_bytes = 0
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._file: IO[bytes] = self.tokens_path.open("wb")
        self._file.write(npy_header(0, self._dtype))
        self._table = open_parquet_writer(self.documents_path, DOCUMENT_TABLE_SCHEMA)
        self._pending: list[pa.RecordBatch] = []
        self._pending_documents = 0

    def write(
        self,
        tokens: npt.NDArray[Any],
        lengths: npt.NDArray[np.int64],
        ids: list[bytes],
        text_bytes: npt.NDArray[np.int64],
    ) -> None:
        """Append documents.

        Args:
            tokens: their tokens, one document after the other, each with its EOS; shape (sum of lengths,).
            lengths: tokens of each document, shape (n,).
            ids: document ids.
            text_bytes: UTF-8 bytes of each text, shape (n,).
        """
        self._file.write(np.ascontiguousarray(tokens, self._dtype).data)
        offsets = self.tokens + np.cumsum(lengths) - lengths
        columns = [pa.array(ids, pa.binary(16)), pa.array(offsets), pa.array(lengths), pa.array(text_bytes)]
        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_TABLE_SCHEMA))
        self._pending_documents += len(ids)
        self.tokens += len(tokens)
        self.documents += len(ids)
        self.text_bytes += int(text_bytes.sum())
        if self._pending_documents >= DOCUMENTS_PER_ROW_GROUP:
            self._flush(everything=False)

    def close(self) -> None:
        """Finish both files."""
        self._flush(everything=True)
        self._table.close()
        self._file.seek(0)
        self._file.write(npy_header(self.tokens, self._dtype))
        self._file.close()

    def _flush(self, *, everything: bool) -> None:
        table = pa.Table.from_batches(self._pending, schema=DOCUMENT_TABLE_SCHEMA)
        start = 0
        while table.num_rows - start >= DOCUMENTS_PER_ROW_GROUP:
            self._table.write_table(table.slice(start, DOCUMENTS_PER_ROW_GROUP).combine_chunks())
            start += DOCUMENTS_PER_ROW_GROUP
        rest = table.slice(start)
        if everything and rest.num_rows:
            self._table.write_table(rest.combine_chunks())
            rest = rest.slice(0, 0)
        self._pending = rest.to_batches()
        self._pending_documents = rest.num_rows


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's contents, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def npy_header(tokens: int, dtype: np.dtype[Any]) -> bytes:
    """The header of a 1-D ``.npy`` file of so many tokens; its length is the same for every number."""
    # NumPy leaves room in the header for a growing first axis, so its length does not depend on the number
    # (numpy.lib.format, version 1.0 of the format): it can be written first and filled in last.
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": dtype.str, "fortran_order": False, "shape": (tokens,)}
    )
    return stream.getvalue()
