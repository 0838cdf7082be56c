"""Why is this document in the corpus, or why not?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from textmill.documents import format_id, parse_id
from textmill.errors import UserError
from textmill.workspace.ledger import connect
from textmill.workspace.ledger_tables import VERDICT_SCHEMA
from textmill.workspace.run_folder import Workspace

if TYPE_CHECKING:
    import duckdb

MOST_ANSWERS = 5
EXCERPT_CHARACTERS = 300
OUTCOMES = ("kept", "dropped", "duplicate", "failed")

_PLACE = "locator = $1 OR url = $1"
# A path as the user's shell knows it ends in the locator, or in its file without the record's number;
# a bare file name ends either.
_FILE = "regexp_replace(locator, ':[0-9]+([+][0-9]+)?$', '')"
_PATH = (
    f"ends_with($1, '/' || locator) OR ends_with($1, '/' || {_FILE}) OR {_FILE} = $1 "
    f"OR ends_with(locator, '/' || $1) OR ends_with({_FILE}, '/' || $1)"
)
# How each document of a place ended: the verdict of the last pass that it entered.
_ENDS = """
    WITH asked AS (SELECT id, locator FROM scores_0 WHERE {where}),
    twins AS (SELECT DISTINCT id FROM events WHERE matched_id IS NOT NULL AND action = 'matched')
    SELECT asked.id, any_value(asked.locator) AS locator,
           CASE WHEN any_value(twins.id) IS NULL THEN max_by(verdicts.verdict, verdicts.pass) ELSE 'duplicate' END
           AS outcome
    FROM asked JOIN verdicts ON verdicts.id = asked.id LEFT JOIN twins ON twins.id = asked.id
    GROUP BY asked.id
"""


def why(workspace: Workspace, query: str, most: int = MOST_ANSWERS) -> list[dict[str, Any]]:
    """The stories of the documents that ``query`` may mean.

    Args:
        workspace: the run.
        query: a document id (or its first eight digits or more), a URL, a locator or path, or a piece of text.
        most: how many documents to tell of at most.

    Returns:
        One dictionary per document: id, source, locator, url, outcome (kept, dropped, failed, duplicate), step,
        rule, value, threshold, label, matched (id, source, locator, similarity) or None, detail, events (in
        order), scores (name to value), characters, excerpt, found_by (id, place or text).

    Raises:
        UserError: no document answers to ``query``.
    """
    if not query.strip():
        raise UserError("nothing to look for", expected="an id, a URL, a path or a piece of text")
    connection = connect(workspace)
    ids, found_by = _find(connection, query.strip(), most)
    if not ids:
        raise UserError(
            "no document answers to this",
            found=query if len(query) < 200 else query[:200] + "…",
            expected="an id (32 hexadecimal digits), a URL, a locator, or words that stand in a text",
            where=workspace.url,
        )
    return [_story(workspace, connection, identifier, found_by) for identifier in ids]


def tally(workspace: Workspace, query: str) -> dict[str, int]:
    """How the documents of one place ended: kept, dropped, duplicate, failed, those that occur, with their numbers.

    Args:
        workspace: the run.
        query: a locator, a URL or a path, as ``why`` takes it; anything else is at no place and gives nothing.
    """
    connection = connect(workspace)
    where = _PLACE if _at(connection, _PLACE, query) else _PATH
    rows = connection.execute(
        f"SELECT outcome, count(*) FROM ({_ENDS.format(where=where)}) GROUP BY outcome", [query.strip()]
    ).fetchall()
    found = {outcome: int(count) for outcome, count in rows}
    return {outcome: found[outcome] for outcome in OUTCOMES if outcome in found}


def _at(connection: duckdb.DuckDBPyConnection, where: str, query: str) -> bool:
    return bool(
        connection.execute(f"SELECT 1 FROM scores_0 WHERE {where} LIMIT 1", [query.strip()]).fetchall()
    )


def _find(connection: duckdb.DuckDBPyConnection, query: str, most: int) -> tuple[list[bytes], str]:
    exact = parse_id(query)
    if exact is not None:
        rows = connection.execute("SELECT id FROM scores_0 WHERE id = ?::BLOB LIMIT 1", [exact]).fetchall()
        if rows:
            return [bytes(row[0]) for row in rows], "id"
    if 8 <= len(query) < 32 and all(digit in "0123456789abcdefABCDEF" for digit in query):
        rows = connection.execute(
            "SELECT id FROM scores_0 WHERE starts_with(hex(id), upper(?)) ORDER BY id LIMIT ?", [query, most]
        ).fetchall()
        if rows:
            return [bytes(row[0]) for row in rows], "id"
    for where in (_PLACE, _PATH):
        if _at(connection, where, query):
            # What failed is asked about most, and what was kept least.
            rows = connection.execute(
                f"SELECT id FROM ({_ENDS.format(where=where)}) "
                "ORDER BY list_position(['failed', 'duplicate', 'dropped', 'kept'], outcome), "
                "length(locator), locator, id LIMIT $2",
                [query, most],
            ).fetchall()
            return [bytes(row[0]) for row in rows], "place"
    for table in ("ingested", "documents"):
        rows = connection.execute(
            f"SELECT id FROM {table} WHERE contains(text, ?) ORDER BY id LIMIT ?", [query, most]
        ).fetchall()
        if rows:
            return [bytes(row[0]) for row in rows], "text"
    return [], ""


def _story(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, identifier: bytes, found_by: str
) -> dict[str, Any]:
    story: dict[str, Any] = {
        "id": format_id(identifier),
        "found_by": found_by,
        "outcome": "kept",
        "step": None,
        "rule": None,
        "value": None,
        "threshold": None,
        "label": None,
        "matched": None,
        "detail": None,
        "scores": {},
    }
    views = [
        name
        for (name,) in connection.execute(
            "SELECT view_name FROM duckdb_views() WHERE starts_with(view_name, 'scores_') "
            "AND NOT ends_with(view_name, '_empty') ORDER BY length(view_name), view_name"
        ).fetchall()
    ]
    for view in views:
        relation = connection.execute(f"SELECT * FROM {view} WHERE id = ?::BLOB", [identifier])
        names = [column[0] for column in relation.description or []]
        rows = relation.fetchall()
        if not rows:
            continue
        values = dict(zip(names, rows[0], strict=True))
        for name in ("source", "locator", "url", "characters"):
            story[name] = values[name]
        story["outcome"], story["step"], story["rule"] = values["verdict"], values["step"], values["rule"]
        for name in names[len(VERDICT_SCHEMA) :]:
            value = values[name]
            if value is not None and not (isinstance(value, float) and math.isnan(value)):
                story["scores"][name] = value
    story["events"] = _events(connection, identifier)
    for event in story["events"]:
        if event["action"] in ("dropped", "failed", "matched"):
            for name in ("value", "threshold", "label", "detail"):
                story[name] = event[name]
            if event["matched_id"]:
                story["outcome"] = "duplicate"
                story["matched"] = _matched(workspace, connection, event)
    story["excerpt"] = _excerpt(connection, identifier)
    return story


def _events(connection: duckdb.DuckDBPyConnection, identifier: bytes) -> list[dict[str, Any]]:
    relation = connection.execute(
        "SELECT * EXCLUDE (id, source, locator, url) FROM events WHERE id = ?::BLOB ORDER BY pass",
        [identifier],
    )
    names = [column[0] for column in relation.description or []]
    events = [dict(zip(names, row, strict=True)) for row in relation.fetchall()]
    for event in events:
        event["matched_id"] = format_id(bytes(event["matched_id"])) if event["matched_id"] else None
    return events


def _matched(
    workspace: Workspace, connection: duckdb.DuckDBPyConnection, event: dict[str, Any]
) -> dict[str, Any]:
    identifier = bytes.fromhex(event["matched_id"])
    place = _place(connection, identifier) or _place_in_earlier_run(workspace, event, identifier)
    source, locator, url = place or (None, None, None)
    return {
        "id": event["matched_id"],
        "source": source,
        "locator": locator,
        "url": url,
        "similarity": event["similarity"],
    }


def _place(connection: duckdb.DuckDBPyConnection, identifier: bytes) -> tuple[Any, ...] | None:
    rows = connection.execute(
        "SELECT source, locator, url FROM scores_0 WHERE id = ?::BLOB", [identifier]
    ).fetchall()
    return rows[0] if rows else None


def _place_in_earlier_run(
    workspace: Workspace, event: dict[str, Any], identifier: bytes
) -> tuple[Any, ...] | None:
    """Source, locator and URL in the earlier runs that a step was told of, as long as they are still there."""
    for record in workspace.manifest.passes:
        earlier = record.description.get("earlier", {})
        if earlier.get("step") != event["step"]:
            continue
        for folder in earlier["runs"]:
            try:
                found = _place(connect(Workspace.open(folder)), identifier)
            except (UserError, OSError):
                continue
            if found is not None:
                return found
    return None


def _excerpt(connection: duckdb.DuckDBPyConnection, identifier: bytes) -> str | None:
    # What was dropped is shown as it was when it was dropped, where its text was kept.
    for table in ("documents", "rejected", "ingested"):
        rows = connection.execute(
            f"SELECT left(text, {EXCERPT_CHARACTERS}) FROM {table} WHERE id = ?::BLOB", [identifier]
        ).fetchall()
        if rows:
            return str(rows[0][0])
    return None
