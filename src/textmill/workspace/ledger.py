"""The ledger as DuckDB relations.

Views: ``documents`` (what the last document pass kept), ``ingested`` (what the sources gave), ``events`` (all
passes, with ``pass``), ``verdicts`` (all passes, without scores), ``scores_<n>`` (pass number n, one row per
document that entered it), ``rejected`` (texts of a sample of what was dropped, with step and rule).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from textmill.documents import DOCUMENT_SCHEMA
from textmill.workspace.ledger_tables import EVENT_SCHEMA, REJECTED_SCHEMA, VERDICT_SCHEMA
from textmill.workspace.run_folder import Workspace

if TYPE_CHECKING:
    import duckdb


def connect(workspace: Workspace) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection (in memory) with a view of each table of the run."""
    import duckdb

    connection = duckdb.connect(config={"autoinstall_known_extensions": False})
    passes = workspace.manifest.document_passes()
    final = workspace.final_documents()
    final_paths = [record.path for record in final.files("documents")] if final else []
    _create_view(connection, workspace, "documents", final_paths, DOCUMENT_SCHEMA)
    ingested = [record.path for record in passes[0].files("documents")] if passes else []
    _create_view(connection, workspace, "ingested", ingested, DOCUMENT_SCHEMA)
    rejected = [record.path for one in passes for record in one.files("rejected")]
    _create_view(connection, workspace, "rejected", rejected, REJECTED_SCHEMA)
    events, verdicts = [], []
    for number, one in enumerate(passes):
        event_paths = [record.path for record in one.files("events")]
        score_paths = [record.path for record in one.files("scores")]
        _create_view(connection, workspace, f"events_{number}", event_paths, EVENT_SCHEMA)
        _create_view(connection, workspace, f"scores_{number}", score_paths, VERDICT_SCHEMA)
        events.append(f"SELECT {number} AS pass, * FROM events_{number}")
        columns = ", ".join(f'"{name}"' for name in VERDICT_SCHEMA.names)
        verdicts.append(f"SELECT {number} AS pass, {columns} FROM scores_{number}")
    for name, parts, schema in (("events", events, EVENT_SCHEMA), ("verdicts", verdicts, VERDICT_SCHEMA)):
        if parts:
            connection.execute(f"CREATE VIEW {name} AS {' UNION ALL '.join(parts)}")
        else:
            _create_view(connection, workspace, name, [], schema)
    return connection


def _create_view(
    connection: duckdb.DuckDBPyConnection,
    workspace: Workspace,
    name: str,
    paths: list[str],
    schema: pa.Schema,
) -> None:
    if not paths:
        connection.register(f"{name}_empty", schema.empty_table())
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {name}_empty")
    elif workspace.storage.is_local:
        files = ", ".join(_quote(workspace.storage.full(path)) for path in paths)
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{files}], union_by_name = true)"
        )
    else:
        import pyarrow.dataset as ds

        files_remote = [workspace.storage.full(path) for path in paths]
        filesystem = workspace.storage.filesystem
        schemas = [ds.dataset(path, filesystem=filesystem, format="parquet").schema for path in files_remote]
        # Shards whose filters gave no score lack the column, so the first file's schema is not enough.
        dataset = ds.dataset(
            files_remote, schema=pa.unify_schemas(schemas), filesystem=filesystem, format="parquet"
        )
        connection.register(name, dataset)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
