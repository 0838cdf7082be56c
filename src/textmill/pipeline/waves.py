"""The waves of a pass: items that can be worked on side by side, one wave after the other.

Most passes are one wave. A global step that decides in phases has one for each, and the items of a wave follow from
what the waves before it committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textmill.pipeline.items import Item, later_items
from textmill.pipeline.plan import PassPlan
from textmill.workspace.commits import Commit
from textmill.workspace.manifest import Manifest

if TYPE_CHECKING:
    from textmill.recipe import Recipe


@dataclass(frozen=True)
class Wave:
    """One wave.

    Attributes:
        label: what it does, for people.
        function: ``package.module:function`` that is called with each item.
        items: its items, given the commits of the waves before it.
        counts: what an item's size means, and what tasks report: bytes, documents, rows or fingerprints.
    """

    label: str
    function: str
    items: Callable[[Sequence[Commit]], list[Item]]
    counts: str


def waves(plan: PassPlan, recipe: Recipe, manifest: Manifest, splits: list[Item]) -> list[Wave]:
    """The waves of a document or resolve pass, at least one."""
    label = f"{plan.name}: {plan.describe()}"
    if plan.kind == "ingest":
        return [Wave(label, "textmill.pipeline.ingest:ingest_split", lambda _: splits, "bytes")]
    phases = plan.prepares.phases() if plan.kind == "resolve" and plan.prepares else ()
    if phases:
        from textmill.pipeline.phases import phase_units

        def units(number: int) -> Callable[[Sequence[Commit]], list[Item]]:
            return lambda before: [
                Item(**unit) for unit in phase_units(plan, number, recipe, manifest, before)
            ]

        function = "textmill.pipeline.phases:carry_out_phase"
        return [
            Wave(
                f"{plan.name} {number + 1}/{len(phases)} {phase.name}",
                function,
                units(number),
                "documents" if phase.per == "shard" else "rows",
            )
            for number, phase in enumerate(phases)
        ]
    whole, counts = {
        "curate": ("textmill.pipeline.curate:curate_shard", "bytes"),
        "resolve": ("textmill.pipeline.resolve:resolve_partition", "fingerprints"),
    }[plan.kind]
    return [Wave(label, whole, lambda _: later_items(plan, recipe, manifest), counts)]
