"""What the mill makes of a filter's scores: the first rule that fails."""

from __future__ import annotations

from collections.abc import Sequence

from textmill.documents import Batch
from textmill.steps import Filter, StepContext


def first_failures(settings: Filter, texts: Sequence[str] | Batch) -> list[str | None]:
    """The verdict on each text: the name of the first failing rule, None if it is kept."""
    batch = texts if isinstance(texts, Batch) else Batch.from_texts(texts)
    scores = settings.open(StepContext()).scores(batch)
    verdicts: list[str | None] = [None] * len(batch)
    for rule in settings.rules():
        for row, keep in enumerate(rule.keeps(scores[rule.score])):
            if not keep and verdicts[row] is None:
                verdicts[row] = rule.name
    return verdicts
