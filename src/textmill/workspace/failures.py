"""Why documents failed, step by step: what a reader of a summary wants to know before asking about one of them."""

from __future__ import annotations

from dataclasses import dataclass

from textmill.workspace.ledger import connect
from textmill.workspace.manifest import PassRecord
from textmill.workspace.run_folder import Workspace


@dataclass(frozen=True)
class Failed:
    """The documents that failed in one step.

    Attributes:
        step: the step (``ingest`` for records that could not be read).
        documents: how many.
        reason: the most frequent kind of reason, as it was given for the first document that has it.
        source: the source of that document.
        locator: its place.
    """

    step: str
    documents: int
    reason: str
    source: str
    locator: str


def failures(workspace: Workspace) -> list[Failed]:
    """The steps in which documents failed, in the order of the run.

    Reasons that differ in numbers alone (``at byte 17``, ``at byte 408``) are one kind, and so are those to which a
    source gave one name (``robots``).
    """
    rows = (
        connect(workspace)
        .execute(
            """
            WITH failed AS (
                SELECT pass, step, source, locator, coalesce(detail, rule, '') AS reason,
                       CASE WHEN step = 'ingest' AND rule <> 'unreadable' THEN rule
                            ELSE regexp_replace(coalesce(detail, rule, ''), '0x[0-9a-f]+|[0-9]+', '0', 'g')
                            END AS kind
                FROM events WHERE action = 'failed'
            ), kinds AS (
                SELECT pass, step, kind, count(*) AS documents,
                       min_by({'reason': reason, 'source': source, 'locator': locator},
                              (source, length(locator), locator)) AS first
                FROM failed GROUP BY pass, step, kind
            )
            SELECT step, sum(documents)::BIGINT, max_by(first, (documents, kind))
            FROM kinds GROUP BY pass, step ORDER BY pass, step
            """
        )
        .fetchall()
    )
    return [
        Failed(step, count, first["reason"], first["source"], first["locator"]) for step, count, first in rows
    ]


def first_failure(workspace: Workspace, record: PassRecord, step: str) -> tuple[str, str]:
    """Reason and locator of a document that failed in a step, also of a pass that is not in the manifest yet.

    Of those in the pass's first table with one it is the one with the smallest id.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for file in record.files("events"):
        found = pq.read_table(
            workspace.storage.full(file.path),
            filesystem=None if workspace.storage.is_local else workspace.storage.filesystem,
            columns=["detail", "locator"],
            filters=(pc.field("action") == "failed") & (pc.field("step") == step),
        )
        if found.num_rows:
            return str(found["detail"][0]), str(found["locator"][0])
    return "no reason is known", "-"
