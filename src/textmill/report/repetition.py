"""What the steps that remove repetitions have done: near-duplicates reviewed, and what was cut out of texts.

Near-duplicates are reviewed by the step itself, whose pass notes losses by source, the largest groups and how many
pairs it compared. What was cut stands in the ledger: an event per edited document, whose ``detail`` counts the cuts
by rule and quotes the first of them (:mod:`textmill.pipeline.cutting`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textmill.report.model import Cutting, LargeGroup, NearReview, Share

if TYPE_CHECKING:
    import duckdb

    from textmill.workspace.manifest import Manifest

PASSAGES = 5
_DECIDES = re.compile(r"decide ([^:]+):")
# What apply_cuts writes: "repeated_line 3, repeated_run 1; cut «Home | About» (12 in all), …"
_CUT = "detail LIKE '%; cut «%'"


def near_reviews(manifest: Manifest, places: Mapping[bytes, tuple[str, str]]) -> Iterator[NearReview]:
    """What every ``near_dedup`` noted about itself.

    Args:
        manifest: of the run.
        places: source and locator of documents, by id (:func:`group_ids` names those that are wanted).
    """
    for record in manifest.passes:
        noted = record.description
        if "largest_groups" not in noted:
            continue
        step = _DECIDES.match(str(noted.get("does", "")))
        sources = noted.get("sources", {})
        yield NearReview(
            step=step[1] if step else record.name,
            documents=noted.get("documents", 0),
            removed=sum(one["removed"] for one in sources.values()),
            compared=noted.get("compared", 0),
            estimated=noted.get("estimated", 0),
            left_out=noted.get("left_out", 0),
            sources=tuple(
                Share(name, one["documents"], one["documents"] - one["removed"])
                for name, one in sources.items()
            ),
            groups=tuple(_group(one, places) for one in noted["largest_groups"] if one["removed"]),
            warnings=tuple(noted.get("warnings", ())),
        )


def _group(noted: Mapping[str, Any], places: Mapping[bytes, tuple[str, str]]) -> LargeGroup:
    # A document of an earlier run is known by its id alone.
    source, locator = places.get(bytes.fromhex(noted["kept"]), ("", noted["kept"]))
    return LargeGroup(source, locator, noted["removed"])


def group_ids(manifest: Manifest) -> list[bytes]:
    """Ids of the documents that the largest groups of near-duplicates were removed for."""
    groups: list[Any] = [
        one for record in manifest.passes for one in record.description.get("largest_groups", ())
    ]
    return sorted({bytes.fromhex(one["kept"]) for one in groups})


def cuttings(connection: duckdb.DuckDBPyConnection) -> Iterator[Cutting]:
    """Steps that cut spans out of texts: documents, characters, cuts by rule, and what was cut most often.

    Passages are those that the ledger quotes (the first of a document); one that itself holds guillemets is quoted
    in part.
    """
    for step, documents, characters in connection.execute(
        "SELECT step, count(*), sum(characters_before - characters_after)::BIGINT FROM events "
        f"WHERE action = 'edited' AND {_CUT} GROUP BY step, pass ORDER BY pass, step"
    ).fetchall():
        rules = connection.execute(
            "SELECT split_part(one, ' ', 1) AS rule, sum(split_part(one, ' ', 2)::BIGINT)::BIGINT AS cuts FROM ("
            "SELECT unnest(string_split(split_part(detail, '; cut «', 1), ', ')) AS one FROM events "
            f"WHERE action = 'edited' AND step = ? AND {_CUT}) GROUP BY rule ORDER BY cuts DESC, rule",
            [step],
        ).fetchall()
        passages = connection.execute(
            "SELECT regexp_extract(one, '«(.*)»', 1, 's') AS passage, "
            "max(replace(regexp_extract(one, '» \\(([0-9,]+) in all\\)', 1), ',', '')::BIGINT) AS times FROM ("
            "SELECT unnest(regexp_extract_all(detail, '«[^«»]*» \\([0-9,]+ in all\\)', 0, 's')) AS one "
            f"FROM events WHERE action = 'edited' AND step = ? AND {_CUT}) "
            f"GROUP BY passage ORDER BY times DESC, passage LIMIT {PASSAGES}",
            [step],
        ).fetchall()
        yield Cutting(step, documents, characters, tuple(rules), tuple(passages))
