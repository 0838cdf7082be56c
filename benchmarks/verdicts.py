"""textmill's side of a comparison: steps over a batch in memory, and what they say about every document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from textmill.curate import C4, C4Lines, FineWeb, GopherQuality, GopherRepetition
from textmill.documents import Batch
from textmill.steps import Filter, StepContext, Transform
from textmill.steps.settings import StepSettings

STEPS: dict[str, tuple[StepSettings, ...]] = {
    "gopher_quality": (GopherQuality(),),
    "gopher_quality, Unicode words": (GopherQuality(tokens="unicode"),),
    "gopher_repetition": (GopherRepetition(),),
    "gopher_repetition, Unicode words": (GopherRepetition(tokens="unicode"),),
    "c4": (C4Lines(), C4()),
    "c4_fineweb": (C4Lines(terminal_punctuation=False), C4()),
    "fineweb": (FineWeb(),),
    "fineweb, Unicode words": (FineWeb(tokens="unicode"),),
}
PIPELINES = {
    "pipeline": ("gopher_repetition", "gopher_quality", "c4_fineweb", "fineweb"),
    "pipeline, Unicode words": (
        "gopher_repetition, Unicode words",
        "gopher_quality, Unicode words",
        "c4_fineweb",
        "fineweb, Unicode words",
    ),
}

UNICODE = ", Unicode words"

# What a shard is read in (textmill.documents.shards).
BATCH_BYTES = 4 * 2**20


@dataclass
class Judged:
    """What a chain of steps said about a batch.

    Attributes:
        rules: per document of the batch the rule that dropped it, or None.
        scores: per filter's score its values, for the documents that were scored.
        kept: the documents that are left, with their texts as transforms left them.
    """

    rules: list[str | None]
    kept: Batch
    scores: dict[str, Any] = field(default_factory=dict)


def judge(runners: Sequence[tuple[StepSettings, Any]], batch: Batch, survivors: bool = False) -> Judged:
    """Run opened steps over a batch as a pass over a shard does.

    Args:
        runners: settings and what their `open` returned.
        batch: its analysis should be fresh where time is measured.
        survivors: whether a document that was dropped is shown to the next filter (False) or not (True).
    """
    rows = np.arange(len(batch))
    judged = Judged([None] * len(batch), batch)
    standing = np.ones(len(batch), np.bool_)
    for settings, runner in runners:
        if isinstance(settings, Transform):
            kept = batch.select(standing)
            batch, rows = kept.with_texts(runner.transform(kept).texts), rows[standing]
            standing = np.ones(len(batch), np.bool_)
            continue
        assert isinstance(settings, Filter)
        if survivors and not standing.all():
            batch, rows = batch.select(standing), rows[standing]
            standing = np.ones(len(batch), np.bool_)
        scores = runner.scores(batch)
        judged.scores.update(scores)
        for rule in settings.rules():
            refused = standing & ~rule.keeps(scores[rule.score])
            for row in rows[refused]:
                judged.rules[row] = rule.name
            standing &= ~refused
    judged.kept = batch.select(standing)
    return judged


def opened(name: str) -> list[tuple[StepSettings, Any]]:
    """The steps that stand beside one of the peer's filters, or beside its pipeline, opened."""
    steps = [step for each in PIPELINES.get(name, (name,)) for step in STEPS[each]]
    return [(step, step.open(StepContext())) for step in steps]  # type: ignore[attr-defined]


def batches(texts: Sequence[str]) -> list[Batch]:
    """Texts in batches of the size that a run reads them in."""
    found, pending, size = [], [], 0
    for text in texts:
        pending.append(text)
        size += len(text.encode())
        if size >= BATCH_BYTES or len(pending) == 4096:
            found.append(Batch.from_texts(pending))
            pending, size = [], 0
    return [*found, Batch.from_texts(pending)] if pending else found
