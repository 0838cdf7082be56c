"""Why documents were dropped, with documents to read; and which documents matched which.

Examples are chosen by document id, which is a hash: a sample without favourites that is the same every time. The
first is the one that came closest to being kept, for that is where a threshold is judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textmill.report.model import Copy, DuplicateGroup, Example, Reason

if TYPE_CHECKING:
    import duckdb

REASONS = 24
EXAMPLES = 3
GROUPS = 6
MEMBERS = 3
EXCERPT = 600

Rules = Sequence[Mapping[str, Any]]


def drop_reasons(
    connection: duckdb.DuckDBPyConnection, rules: Rules = ()
) -> tuple[tuple[Reason, ...], tuple[int, int]]:
    """Rules by the number of documents that they dropped, then why documents failed.

    Args:
        connection: to the ledger, with the views ``events`` and ``rejected``.
        rules: what is known of the rules: step, name or score, described.

    Returns:
        The most frequent reasons, and how many further ones there are and documents they concern.
    """
    described = {
        (one["step"], one.get("name") or one["score"]): one["described"]
        for one in rules
        if "described" in one
    }
    rows = connection.execute(
        "SELECT action = 'failed' AS failed, step, coalesce(rule, ''), count(*) FROM events "
        "WHERE action IN ('dropped', 'matched', 'failed') GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3"
    ).fetchall()
    reasons = tuple(
        Reason(
            step=step,
            rule=rule or step,
            documents=count,
            described=described.get((step, rule), ""),
            failed=failed,
            examples=_examples(connection, failed, step, rule),
        )
        for failed, step, rule, count in rows[:REASONS]
    )
    rest = rows[REASONS:]
    return reasons, (len(rest), sum(row[3] for row in rest))


def _examples(
    connection: duckdb.DuckDBPyConnection, failed: bool, step: str, rule: str
) -> tuple[Example, ...]:
    """Documents of which the text is stored come first; a failure may have none."""
    rows = connection.execute(
        f"""
        WITH stored AS (
            SELECT id, left(text, {EXCERPT + 1}) AS excerpt, length(text) AS characters
            FROM rejected WHERE step = $step AND coalesce(rule, '') = $rule
        ), candidates AS (
            SELECT e.id, e.source, e.locator, e.url, e.value, e.threshold, e.label, e.detail, e.matched_id,
                   s.excerpt, coalesce(s.characters, e.characters_before) AS characters,
                   abs(e.value - e.threshold) AS distance
            FROM events e LEFT JOIN stored s USING (id)
            WHERE e.step = $step AND coalesce(e.rule, '') = $rule
              AND (e.action = 'failed') = $failed AND e.action IN ('dropped', 'matched', 'failed')
        ), closest AS (
            SELECT *, 0 AS turn FROM candidates WHERE excerpt IS NOT NULL AND distance IS NOT NULL
            ORDER BY distance, id LIMIT 1
        ), others AS (
            SELECT *, 1 AS turn FROM candidates WHERE id NOT IN (SELECT id FROM closest)
            ORDER BY excerpt IS NULL, id LIMIT {EXAMPLES}
        )
        SELECT id, source, locator, url, value, threshold, label, detail, matched_id, excerpt, characters, turn
        FROM (FROM closest UNION ALL FROM others) ORDER BY turn, excerpt IS NULL, id LIMIT {EXAMPLES}
        """,
        {"step": step, "rule": rule, "failed": failed},
    ).fetchall()
    return tuple(
        Example(
            source=source,
            locator=locator,
            excerpt=_cut(excerpt),
            document_id=bytes(identifier).hex(),
            url=url,
            characters=characters,
            value=value,
            threshold=threshold,
            label=label or (detail if failed or value is None else None),
            note="closest to the threshold of those stored" if turn == 0 else "",
        )
        for (
            identifier, source, locator, url, value, threshold, label, detail, _matched, excerpt, characters, turn
        ) in rows
    )  # fmt: skip


def duplicate_groups(connection: duckdb.DuckDBPyConnection) -> tuple[DuplicateGroup, ...]:
    """The documents with most removed copies, each with some of those."""
    groups = connection.execute(
        "SELECT step, matched_id, count(DISTINCT id) AS copies FROM events "
        "WHERE action = 'matched' AND matched_id IS NOT NULL "
        f"GROUP BY step, matched_id ORDER BY copies DESC, step, matched_id LIMIT {GROUPS}"
    ).fetchall()
    kept = [bytes(group[1]) for group in groups]
    places = places_of(connection, kept)
    texts = _texts(connection, kept)
    found = []
    for step, matched, copies in groups:
        identifier = bytes(matched)
        members = connection.execute(
            "SELECT DISTINCT source, locator, id, similarity FROM events "
            f"WHERE step = ? AND matched_id = ?::BLOB ORDER BY id LIMIT {MEMBERS}",
            [step, identifier],
        ).fetchall()
        source, locator = places.get(identifier, ("", identifier.hex()))
        found.append(
            DuplicateGroup(
                step=step,
                kept=Copy(source, locator, identifier.hex()),
                copies=copies,
                members=tuple(
                    Copy(source, locator, bytes(member).hex(), similarity)
                    for source, locator, member, similarity in members
                ),
                excerpt=_cut(texts.get(identifier)),
            )
        )
    return tuple(found)


def places_of(connection: duckdb.DuckDBPyConnection, ids: Sequence[bytes]) -> dict[bytes, tuple[str, str]]:
    """Source and locator, from the verdicts of any pass (all passes name a document alike)."""
    if not ids:
        return {}
    rows = connection.execute(
        f"SELECT DISTINCT id, source, locator FROM verdicts WHERE id IN ({_marks(ids)})", list(ids)
    ).fetchall()
    return {bytes(identifier): (source, locator) for identifier, source, locator in rows}


def _texts(connection: duckdb.DuckDBPyConnection, ids: Sequence[bytes]) -> dict[bytes, str]:
    """How the texts begin: as finally kept, else as stored when a later step dropped them."""
    texts: dict[bytes, str] = {}
    for view in ("rejected", "documents"):
        if ids:
            rows = connection.execute(
                f"SELECT id, left(text, {EXCERPT + 1}) FROM {view} WHERE id IN ({_marks(ids)}) ORDER BY 1, 2",
                list(ids),
            ).fetchall()
            texts.update((bytes(identifier), text) for identifier, text in rows)
    return texts


def _marks(ids: Sequence[bytes]) -> str:
    return ", ".join("?::BLOB" for _ in ids)


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= EXCERPT else text[:EXCERPT] + " …"
