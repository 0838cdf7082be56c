"""Near-duplicates reviewed: what the corpus loses, and an alarm where it is more than can be meant."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from textmill.documents import format_id

if TYPE_CHECKING:
    from textmill.curate.near_dedup import NearDedup
    from textmill.steps.phases import PhaseWork

# Fewer removals than these alarm nobody: a share of a handful says little.
_FEWEST = 10
_REPORTED = 10


def review(work: PhaseWork, settings: NearDedup) -> None:
    """Note losses by source and the largest groups, and warn. Reads ``losses``, ``clusters`` and ``totals``."""
    documents: Counter[str] = Counter()
    for batch in work.rows("totals"):
        for row in batch.to_pylist():
            documents[row["source"]] += row["documents"]
    removed: Counter[str] = Counter()
    for batch in work.rows("losses"):
        for row in batch.to_pylist():
            removed[work.sources[row["priority"]]] += row["removed"]
    groups = [row for batch in work.rows("clusters") for row in batch.to_pylist()]
    groups.sort(key=lambda row: (-row["removed"], row["id"]))
    everything = documents.total()
    work.note(
        documents=everything,
        sources={
            name: {"documents": documents[name], "removed": removed[name]}
            for name in work.sources
            if documents[name]
        },
        largest_groups=[
            {
                "kept": format_id(row["id"]),
                "removed": row["removed"],
                "examples": [format_id(one) for one in row["examples"]],
            }
            for row in groups[:_REPORTED]
        ],
    )
    step = settings.step_id
    for row in groups[:_REPORTED]:
        if row["removed"] >= _FEWEST and row["removed"] > settings.alarm_cluster * everything:
            examples = ", ".join(format_id(one) for one in row["examples"])
            work.warn(
                f"{step} drops {row['removed']:,} of {everything:,} documents for the sake of one, "
                f"{format_id(row['id'])}; such as {examples}. If they are no copies, raise {step}.threshold; "
                f"textmill why tells more"
            )
    for name in work.sources:
        if removed[name] >= _FEWEST and removed[name] > settings.alarm_source * documents[name]:
            work.warn(
                f"{step} drops {removed[name]:,} of the {documents[name]:,} documents of {name}; "
                f"textmill why tells of which they are copies"
            )
