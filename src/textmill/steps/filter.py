"""Filters: named numbers per document, and rules over them.

A filter never drops anything: it gives scores, its settings give rules, and generic code makes the verdicts.
That is why scores can be kept, thresholds changed later and every decision explained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

import numpy.typing as npt

from textmill.steps.context import StepContext
from textmill.steps.rules import Rule
from textmill.steps.settings import StepSettings

if TYPE_CHECKING:
    from textmill.documents import Batch

Scores: TypeAlias = Mapping[str, "npt.NDArray[Any] | Sequence[str]"]


class FilterRunner(Protocol):
    """An opened filter."""

    def scores(self, batch: Batch) -> Scores:
        """Named scores of every document.

        Returns:
            For each name either floats (shape (n,); NaN where the score says nothing) or labels (n strings).
        """
        ...


class Filter(StepSettings):
    """Settings of a filter.

    Class attributes:
        cost: ``cheap`` filters score every document that reaches them; ``model`` filters see survivors only.
    """

    cost: ClassVar[Literal["cheap", "model"]] = "cheap"

    def rules(self) -> Sequence[Rule]:
        """The rules in the order in which they are tried; the first that fails is the verdict."""
        raise NotImplementedError

    def open(self, context: StepContext) -> FilterRunner:
        """Load what the filter needs and return its runner."""
        raise NotImplementedError
