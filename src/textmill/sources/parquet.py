"""Rows of Parquet files, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from textmill.sources.files import DEFAULT_TEXT_FIELDS
from textmill.sources.streams import DamagedStreamError

if TYPE_CHECKING:
    from textmill.sources.files import Files

# Rows and about as many bytes of text decoded at once, and bytes read ahead per column.
_ROWS = 64
_DECODED_BYTES = 32 * 2**20
_BUFFER = 2**20


class MissingColumnError(Exception):
    """The file has no column with the text."""

    def __init__(self, expected: str, columns: list[str]) -> None:
        super().__init__(f"no column {expected}; found {', '.join(columns) or 'none'}")
        self.expected = expected
        self.columns = columns


def group_sizes(stream: BinaryIO, settings: Files) -> list[tuple[int, int]] | None:
    """Rows and bytes of text (uncompressed) of each row group; None when the file's footer is damaged.

    Raises:
        MissingColumnError: there is no column with the text.
    """
    try:
        metadata = pq.read_metadata(stream)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError):
        return None
    column = _text_column(settings, metadata.schema.to_arrow_schema().names)
    sizes = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        sizes.append((int(group.num_rows), _text_bytes(group, column)))
    return sizes


def read_rows(stream: BinaryIO, settings: Files, groups: list[int] | None) -> Iterator[dict[str, Any]]:
    """The rows as records with the fields that the settings name; text as bytes, not yet checked.

    Args:
        groups: first row group and the one behind the last; None for all.

    Raises:
        DamagedStreamError: the file cannot be read on.
    """
    try:
        with pq.ParquetFile(stream, pre_buffer=False, buffer_size=_BUFFER) as file:
            names = file.schema_arrow.names
            column = _text_column(settings, names)
            columns = [column, settings.url_field, *settings.metadata_fields]
            columns = [name for name in dict.fromkeys(columns) if name in names]
            wanted = range(file.num_row_groups) if groups is None else range(*groups)
            for group in wanted:
                rows = _rows_at_once(file.metadata.row_group(group), column)
                for batch in file.iter_batches(rows, [group], columns, use_threads=False):
                    yield from _records(batch)
    except (pa.ArrowException, OSError, MissingColumnError) as error:
        raise DamagedStreamError(f"the Parquet file cannot be read: {error}") from error


def _rows_at_once(group: pq.RowGroupMetaData, column: str) -> int:
    """How many rows of a row group to decode at once: few of long ones."""
    return max(1, min(_ROWS, _DECODED_BYTES * int(group.num_rows) // max(_text_bytes(group, column), 1)))


def _text_bytes(group: pq.RowGroupMetaData, column: str) -> int:
    """Uncompressed bytes of the text in a row group."""
    chunks = [group.column(position) for position in range(group.num_columns)]
    return sum(int(chunk.total_uncompressed_size) for chunk in chunks if chunk.path_in_schema == column)


def _records(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    values = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        # Parquet's strings need not be UTF-8, and one bad value may not spoil its neighbours.
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.large_binary())
        values.append(column)
    for row in range(batch.num_rows):
        yield {name: column[row].as_py() for name, column in zip(batch.schema.names, values, strict=True)}


def _text_column(settings: Files, names: list[str]) -> str:
    wanted = (settings.text_field,) if settings.text_field else DEFAULT_TEXT_FIELDS
    for name in wanted:
        if name in names:
            return name
    raise MissingColumnError(" or ".join(wanted), names)
