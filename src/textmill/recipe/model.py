"""The typed recipe, and the registry of what a recipe can hold."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from textmill.steps.settings import ByteSize, Settings, StepSettings
from textmill.steps.source import SourceSettings
from textmill.steps.stage import Stage

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"


class RunSection(Settings):
    """How a recipe is carried out: section ``run:``. Of these, only ``score``, ``shard_bytes`` and
    ``rejected_per_rule`` change what a run folder holds; none changes which documents are kept.
    """

    name = "run"

    workers: int = Field(
        default=0, ge=0, description="Worker processes; 0 takes 75 % of the cores, at least one."
    )
    shard_bytes: ByteSize = Field(
        default=128 * 2**20, ge=1024, description="Text per shard, in bytes; parallelism is by shard."
    )
    score: Literal["all", "survivors"] = Field(
        default="all",
        description="Which documents the cheap filters score: all of them (thresholds can be judged later "
        "without running again) or those that passed the filters before (faster).",
    )
    rejected_per_rule: int = Field(
        default=20, ge=0, description="How many dropped documents per rule keep their text, per pass."
    )
    memory_per_worker: ByteSize = Field(
        default=2 * 2**30, ge=256 * 2**20, description="Memory that a worker should stay under, in bytes."
    )

    silence_seconds: float = Field(
        default=900.0,
        gt=0,
        description="A worker that reports nothing for so long is taken for hung: it is killed, the document "
        "that it hung on is found and quarantined.",
    )
    engine: Literal["local", "inline", "ray"] = Field(
        default="local",
        description="Where tasks run: worker processes on this machine, this very process (to debug a step), "
        "or a Ray cluster.",
    )
    ray_address: str | None = Field(
        default=None, description="Address of the Ray cluster; none starts one on this machine."
    )

    @classmethod
    def cosmetic_fields(cls) -> tuple[str, ...]:
        """Fields that change no result."""
        return ("workers", "memory_per_worker", "silence_seconds", "engine", "ray_address")

    def worker_count(self) -> int:
        """The number of worker processes on this machine: ``workers``, or 75 % of the usable cores."""
        return self.workers or max(1, int(usable_cores() * 0.75 + 0.5))


class Recipe(BaseModel):
    """A recipe: what a run is made of. Frozen; made by :func:`textmill.recipe.load_recipe`.

    Attributes:
        name: what the run is called; by default its folder is ``runs/<name>``.
        seed: the one number behind every random choice.
        sources: where documents come from, in order of priority.
        curate: filters, transforms and global steps, in the order in which they run.
        tokenizer: section that trains or loads a tokenizer.
        tokens: section that turns documents into token files.
        train: section that trains a model.
        evaluate: section that measures it.
        run: how the recipe is carried out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME_PATTERN, description="Name of the run: letters, digits, dots, dashes.")
    seed: int = Field(default=0, ge=0, lt=2**63, description="The one number behind every random choice.")
    sources: tuple[SerializeAsAny[SourceSettings], ...] = ()
    curate: tuple[SerializeAsAny[StepSettings], ...] = ()
    tokenizer: SerializeAsAny[Stage] | None = None
    tokens: SerializeAsAny[Stage] | None = None
    train: SerializeAsAny[Stage] | None = None
    evaluate: SerializeAsAny[Stage] | None = None
    run: RunSection = Field(default_factory=RunSection)

    @property
    def stages(self) -> dict[str, Stage]:
        """The sections that run after the documents, in the order in which they run."""
        sections = {name: getattr(self, name) for name in STAGE_SECTIONS}
        return {name: section for name, section in sections.items() if section is not None}


STAGE_SECTIONS = ("tokenizer", "tokens", "train", "evaluate")


@dataclass(frozen=True)
class Registry:
    """What a recipe can hold, by the names that recipes use.

    Attributes:
        sources: settings of every kind of source.
        steps: settings of every step.
        sections: settings of the sections that run as stages.
    """

    sources: Mapping[str, type[SourceSettings]]
    steps: Mapping[str, type[StepSettings]]
    sections: Mapping[str, type[Stage]]


@cache
def default_registry() -> Registry:
    """Everything that the mill has."""
    from textmill.curate import STEPS
    from textmill.evaluate.settings import EvaluateSection
    from textmill.sources import SOURCES
    from textmill.tokenizer.settings import TokenizerSection
    from textmill.tokens.settings import TokensSection
    from textmill.train.settings import TrainSection

    sections: dict[str, type[Stage]] = {
        "tokenizer": TokenizerSection,
        "tokens": TokensSection,
        "train": TrainSection,
        "evaluate": EvaluateSection,
    }
    return Registry(SOURCES, STEPS, sections)


def usable_cores() -> int:
    """Cores that this process may use: its affinity, and the container's quota where there is one."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup v2, or "max": no quota
    return cores
