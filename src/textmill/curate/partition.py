"""The rows of one partition in any order, within a limit of memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from textmill.curate.earlier_runs import EarlierRun, earlier_rows
from textmill.steps.context import StepContext

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# DuckDB needs some memory for its buffers whatever the data.
_LEAST_MEMORY = 64 * 2**20
# Sorted rows looked at at once.
_ROWS = 65_536


@contextmanager
def sorted_rows(
    fingerprints: pa.RecordBatchReader,
    context: StepContext,
    columns: str,
    order: str,
    earlier: Sequence[EarlierRun] = (),
) -> Iterator[pa.RecordBatchReader]:
    """The fingerprints in a total order; DuckDB sorts them, on disk where they do not fit.

    Args:
        fingerprints: rows of one partition.
        context: how much memory, and where to spill.
        columns: SQL list of columns.
        order: SQL list of columns to sort by; must leave no two rows equal.
        earlier: runs whose fingerprints come in too, with ``shard`` -1 and priorities below 0.
    """
    with connection_within(context) as connection:
        connection.register("fingerprints", fingerprints)
        query = f"SELECT {columns} FROM fingerprints"
        if earlier:
            own = [name for name in fingerprints.schema.names if name not in ("shard", "priority")]
            rows = earlier_rows(connection, earlier, context, ", ".join(own))
            query = f"SELECT {columns} FROM (FROM fingerprints UNION ALL BY NAME {rows})"
        query = f"{query} ORDER BY {order}"
        yield connection.sql(query).to_arrow_reader(_ROWS)


@contextmanager
def connection_within(context: StepContext) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of its own that stays under the context's memory and spills into its scratch folder."""
    import duckdb

    with TemporaryDirectory(dir=context.scratch, prefix="sort-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{max(_LEAST_MEMORY, context.memory_bytes) // 2**20}MiB",
            "temp_directory": folder,
            "threads": 1,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with duckdb.connect(config=settings) as connection:
            yield connection
