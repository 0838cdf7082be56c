"""Faults belong to documents: a step is asked about a batch, and if it raises, about each document alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from textmill.documents import Batch, format_id
from textmill.errors import UserError
from textmill.steps import Edit, Filter, Rule, StepContext, Transform
from textmill.steps.settings import StepSettings
from textmill.steps.stage import Report
from textmill.workspace.commits import StepCount

Result = TypeVar("Result")


@dataclass
class OpenedStep:
    """A step with its runner and what it did so far in a shard.

    Attributes:
        step: its settings.
        runner: what ``open`` returned.
        rules: of a filter.
        count: documents in, kept, dropped, failed.
        first_error: of the first document on which it raised.
    """

    step: StepSettings
    runner: Any
    rules: Sequence[Rule] = ()
    count: StepCount = field(default_factory=lambda: StepCount(""))
    first_error: str = ""

    @property
    def id(self) -> str:
        """What the ledger calls the step."""
        return self.step.step_id


def open_step(step: StepSettings, context: StepContext) -> OpenedStep:
    """Open a filter or transform.

    Raises:
        UserError: it is neither.
    """
    if isinstance(step, Filter):
        return OpenedStep(step, step.open(context), tuple(step.rules()), StepCount(step.step_id))
    if isinstance(step, Transform):
        return OpenedStep(step, step.open(context), count=StepCount(step.step_id))
    raise UserError(
        f"{step.step_id} is neither a filter nor a transform",
        expected="a class that inherits from textmill.steps.Filter or Transform",
        found=type(step).__name__,
    )


class Asker:
    """Asks steps about batches.

    Args:
        quarantine: document id (hexadecimal) to the step that may not touch it, and the reason.
        isolate: ask about single documents only, and report each before it is asked about, so that a crash or a
            hang can be laid at its door.
        report: told document and step when isolating.
    """

    def __init__(self, quarantine: Mapping[str, Sequence[str]], isolate: bool, report: Report) -> None:
        self.quarantine = quarantine
        self.isolate = isolate
        self.report = report

    def ask(
        self,
        opened: OpenedStep,
        batch: Batch,
        work: Callable[[Batch], Any],
        check: Callable[[Any, int], Result],
        join: Callable[[list[Result | None], int], Result],
    ) -> tuple[Result | None, dict[int, str]]:
        """``work(batch)``; if it raises, document by document.

        Returns:
            The result for the whole batch (None if there is none) and the reason for each row that failed.
        """
        if not len(batch):
            return None, {}
        quarantined = self._quarantined(opened, batch)
        if not self.isolate and not quarantined:
            try:
                return check(work(batch), len(batch)), {}
            except UserError:
                raise
            except Exception:
                pass  # each document is asked again below, and keeps its own error
        parts: list[Result | None] = []
        errors: dict[int, str] = {}
        for row, identifier in enumerate(batch.ids):
            parts.append(None)
            if row in quarantined:
                errors[row] = quarantined[row]
                continue
            if self.isolate:
                self.report(document=format_id(identifier), step=opened.id)
            try:
                parts[-1] = check(work(batch.slice(row, 1)), 1)
            except UserError:
                raise
            except Exception as error:
                errors[row] = f"{type(error).__name__}: {error}"[:500]
        if errors and not opened.first_error:
            opened.first_error = next(iter(errors.values()))
        if len(errors) == len(batch):
            return None, errors
        return join(parts, len(batch)), errors

    def _quarantined(self, opened: OpenedStep, batch: Batch) -> dict[int, str]:
        if not self.quarantine:
            return {}
        reasons = {}
        for row, identifier in enumerate(batch.ids):
            entry = self.quarantine.get(format_id(identifier))
            if entry is not None and entry[0] == opened.id:
                reasons[row] = entry[1]
        return reasons


def check_edit(edit: Edit, count: int) -> Edit:
    """One text per document, none missing."""
    if len(edit.texts) != count:
        raise TypeError(f"the transform gave {len(edit.texts)} texts for {count} documents")
    if edit.texts.null_count:
        raise TypeError("the transform gave no text for a document")
    return edit


def join_edits(parts: list[Edit | None], count: int) -> Edit:
    """The edits of single documents as one."""
    done = [part for part in parts if part is not None]
    kind = done[0].texts.type
    texts = pa.concat_arrays([part.texts if part else pa.array([""], kind) for part in parts])
    names = {name: None for part in done for name in part.counts}
    counts = {
        name: np.array([part.counts[name][0] if part and name in part.counts else 0 for part in parts])
        for name in names
    }
    metadata = None
    if all(part.metadata is not None for part in done):
        metadata = pa.concat_arrays([part.metadata if part else pa.nulls(1, pa.string()) for part in parts])
    return Edit(texts, counts, metadata)


def check_scores(scores: Mapping[str, Any], count: int) -> dict[str, Any]:
    """One value per document and score, floats as float32, labels as text."""
    checked: dict[str, Any] = {}
    for name, values in scores.items():
        if len(values) != count:
            raise TypeError(f"the filter gave {len(values)} values of {name} for {count} documents")
        if count and isinstance(values[0], str):
            checked[name] = [str(value) for value in values]
        else:
            checked[name] = np.asarray(values, np.float32)
    return checked


def join_scores(parts: list[dict[str, Any] | None], count: int) -> dict[str, Any]:
    """The scores of single documents as one; NaN or an empty label where there are none."""
    names = {name: values for part in parts if part for name, values in part.items()}
    joined: dict[str, Any] = {}
    for name, example in names.items():
        if isinstance(example, np.ndarray):
            joined[name] = np.array(
                [part[name][0] if part and name in part else np.nan for part in parts], np.float32
            )
        else:
            joined[name] = [part[name][0] if part and name in part else "" for part in parts]
    return joined


def concat(parts: list[pa.RecordBatch | None]) -> pa.RecordBatch:
    """Batches of fingerprints as one."""
    done = [part for part in parts if part is not None]
    return pa.Table.from_batches(done).combine_chunks().to_batches()[0]
