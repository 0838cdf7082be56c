"""Sources: every way in.

``plan`` cuts the input into splits of about a shard's worth of text, from names, sizes and (where a record
number must be known) counts alone, so that parallelism never depends on how the files were cut. ``read``
gives the records of one split: documents, failures with their reason, and what a rule of the source's own leaves out.
A source whose input is not on this machine yet gathers it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.settings import Settings

if TYPE_CHECKING:
    from textmill.documents import Document, Dropped, Failure
    from textmill.steps.progress import Progress


@dataclass(frozen=True)
class Split:
    """A part of a source that one task reads.

    Attributes:
        work: what to read, in plain JSON values; only the source itself understands it.
        version: changes when the input changes (sizes, modification times, entity tags); a split whose
            version is unchanged is not read again. It decides about re-reading, never about results.
        bytes: estimated size, for progress.
    """

    work: dict[str, Any]
    version: str
    bytes: int


class SourceReader(Protocol):
    """An opened source."""

    def read(self, split: Split) -> Iterator[Document | Failure | Dropped]:
        """The records of ``split`` in their order; each locator is unique within the source."""
        ...


class SourceSettings(Settings):
    """Settings of a source."""

    label: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="Name of this source in ids and reports; its kind if left out. Changing it changes ids.",
    )

    @property
    def source_name(self) -> str:
        """What document ids and reports call this source."""
        return self.label or self.name

    gathers: ClassVar[bool] = False
    """Whether :meth:`gather` has something to do, which may take days."""

    def gather(self, folder: Path | None, progress: Progress) -> SourceSettings:
        """Bring the input to this machine, before a run plans; what a former call gathered is not gathered again.

        Args:
            folder: local folder of the run for it; None where the run folder is not local.
            progress: told how it goes.

        Returns:
            The same source, which now reads what was gathered; this one where there was nothing to gather.

        Raises:
            UserError: it cannot be gathered, or not here.
        """
        return self

    def plan(self, split_bytes: int) -> list[Split]:
        """Cut the input into splits of about ``split_bytes`` bytes of text.

        Raises:
            UserError: the input is missing or empty; told before anything is written.
        """
        raise NotImplementedError

    def open(self, context: StepContext) -> SourceReader:
        """Return a reader."""
        raise NotImplementedError

    def candidate_locators(self, query: str) -> list[str]:
        """Locators that a user may mean by a path or address, for ``why``; empty when there are none."""
        return [query]
