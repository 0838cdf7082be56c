"""From a recipe to passes.

Pass 0 reads the sources into shards. Consecutive filters and transforms are fused into one pass over each
shard; a global step ends a pass, is resolved over partitions of its fingerprints, and its removals are applied
at the start of the next pass. Stages follow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from textmill.steps import Filter, GlobalStep, SourceSettings, Stage
from textmill.steps.settings import StepSettings
from textmill.workspace.manifest import FORMAT, PassKind

if TYPE_CHECKING:
    from textmill.recipe import Recipe


_UNITS = {"partition": "by partitions", "shard": "by shards", "whole": "the whole"}


@dataclass(frozen=True)
class PassPlan:
    """One pass.

    Attributes:
        name: ``1-curate``; a stage has its own name.
        kind: ingest, curate, resolve or stage.
        fingerprint: of all settings that decide its results.
        sources: of an ingest pass.
        applies: the global step whose removals are applied first.
        steps: filters and transforms, in the user's order.
        prepares: the global step that is fingerprinted last, or resolved by a resolve pass.
        stage: of a stage pass.
    """

    name: str
    kind: PassKind
    fingerprint: str
    sources: tuple[SourceSettings, ...] = ()
    applies: GlobalStep | None = None
    steps: tuple[StepSettings, ...] = ()
    prepares: GlobalStep | None = None
    stage: Stage | None = None

    def describe(self) -> str:
        """One line for people."""
        if self.kind == "ingest":
            return "read " + ", ".join(source.source_name for source in self.sources)
        if self.kind == "resolve" and self.prepares:
            phases = self.prepares.phases()
            if phases:
                return f"decide {self.prepares.step_id}: " + " > ".join(
                    f"{phase.name} ({_UNITS[phase.per]})" for phase in phases
                )
            return f"resolve {self.prepares.step_id} over partitions of fingerprints"
        if self.stage:
            return " <- ".join([self.stage.name, ", ".join(self.stage.needs)])
        parts = [f"apply {self.applies.step_id}"] if self.applies else []
        parts += [step.step_id for step in self.steps]
        parts += [f"fingerprint for {self.prepares.step_id}"] if self.prepares else []
        return " > ".join(parts)

    def rules(self) -> list[dict[str, Any]]:
        """Every rule of every filter, as plain JSON values: the thresholds that the report draws."""
        return [
            {"step": step.step_id, **asdict(rule), "described": rule.describe()}
            for step in self.steps
            if isinstance(step, Filter)
            for rule in step.rules()
        ]


@dataclass(frozen=True)
class Plan:
    """All passes of a recipe, in order."""

    recipe: Recipe
    passes: tuple[PassPlan, ...]

    def describe(self) -> list[str]:
        """A line per pass."""
        width = max(len(one.name) for one in self.passes)
        return [f"{one.name:<{width}}  {one.describe()}" for one in self.passes]


def plan_recipe(recipe: Recipe) -> Plan:
    """The passes of ``recipe``."""
    knobs = {"format": FORMAT, "seed": recipe.seed}
    shape = {**knobs, "shard_bytes": recipe.run.shard_bytes}
    judging = {**knobs, "score": recipe.run.score, "rejected_per_rule": recipe.run.rejected_per_rule}
    passes = [
        PassPlan(
            "0-ingest",
            "ingest",
            _fingerprint(shape, [[source.source_name, source.fingerprint()] for source in recipe.sources]),
            sources=tuple(recipe.sources),
        )
    ]
    source_order = [source.source_name for source in recipe.sources]
    applies: GlobalStep | None = None
    fused: list[StepSettings] = []

    def end_pass(prepares: GlobalStep | None) -> None:
        members = [step for step in (applies, *fused, prepares) if step is not None]
        if members:
            roles = ["apply" if step is applies else "run" for step in members]
            prints = [
                [role, step.step_id, step.fingerprint()] for role, step in zip(roles, members, strict=True)
            ]
            passes.append(
                PassPlan(
                    f"{len(passes)}-curate",
                    "curate",
                    _fingerprint(judging, [prints, source_order, prepares is not None]),
                    applies=applies,
                    steps=tuple(fused),
                    prepares=prepares,
                )
            )

    for step in recipe.curate:
        if isinstance(step, GlobalStep):
            end_pass(step)
            fingerprint = _fingerprint(knobs, [step.fingerprint()])
            passes.append(PassPlan(f"{len(passes)}-{step.step_id}", "resolve", fingerprint, prepares=step))
            applies, fused = step, []
        else:
            fused.append(step)
    end_pass(None)
    for stage in stages(recipe):
        passes.append(PassPlan(stage.name, "stage", _fingerprint(knobs, [stage.fingerprint()]), stage=stage))
    return Plan(recipe, tuple(passes))


def stages(recipe: Recipe) -> Sequence[Stage]:
    """The sections of ``recipe`` that run after the documents, in order."""
    sections = (recipe.tokenizer, recipe.tokens, recipe.train, recipe.evaluate)
    return [section for section in sections if section is not None]


def _fingerprint(knobs: Mapping[str, object], parts: object) -> str:
    return hashlib.sha256(json.dumps([dict(knobs), parts], sort_keys=True).encode()).hexdigest()
