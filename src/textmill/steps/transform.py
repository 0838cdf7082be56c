"""Transforms: other texts for the same documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from textmill.steps.context import StepContext
from textmill.steps.settings import StepSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch


@dataclass(frozen=True)
class Edit:
    """What a transform made of a batch.

    Attributes:
        texts: the new texts, as many as there were documents.
        counts: how often each rule struck, per document: name to int array of shape (n,).
        metadata: new metadata (JSON objects as text), or None to keep the old.
    """

    texts: pa.Array
    counts: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    metadata: pa.Array | None = None


class TransformRunner(Protocol):
    """An opened transform."""

    def transform(self, batch: Batch) -> Edit:
        """New texts for every document of ``batch``; who changed is found by comparison, not told."""
        ...


class Transform(StepSettings):
    """Settings of a transform."""

    def open(self, context: StepContext) -> TransformRunner:
        """Load what the transform needs and return its runner."""
        raise NotImplementedError
