"""Stages: the sections of a recipe that run once over the whole run, after the documents.

A stage reads what earlier stages committed, writes files below its own folder and says what they measure.
It never commits: the pipeline does, when ``run`` has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from textmill.steps.settings import Settings


@dataclass(frozen=True)
class StageResult:
    """What a stage made.

    Attributes:
        outputs: paths of its files, relative to the run folder, in a meaningful order.
        numbers: what it measured, as plain JSON values; shown by ``status`` and the report.
    """

    outputs: Sequence[str]
    numbers: Mapping[str, Any] = field(default_factory=dict)


class StageContext(Protocol):
    """What the pipeline gives to a stage."""

    seed: int
    scratch: Path

    def upstream(self, stage: str) -> StageResult:
        """What an earlier stage committed. ``documents`` names the final shards of documents.

        Raises:
            UserError: the recipe has no such stage.
        """
        ...

    def has(self, stage: str) -> bool:
        """Whether the recipe has this earlier stage."""
        ...

    def local(self, path: str) -> Path:
        """A readable local file or folder with the contents of ``path`` (relative to the run folder)."""
        ...

    def publish(self, file: Path, path: str) -> str:
        """Move a finished local file to ``path`` (relative to the run folder), atomically; returns ``path``.

        With ``{sha}`` in the path, sixteen digits of the content's SHA-256 stand there instead.
        """
        ...

    def published(self, folder: str) -> list[str]:
        """Paths of the files below ``folder``, sorted: what an interrupted attempt left."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file or folder below the run folder."""
        ...

    def map(self, function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
        """Run ``package.module:function`` on every item by the run's engine.

        Items and results are plain JSON values. The function takes ``(item, report)``, where ``report``
        is called with numbers done so far (``documents=…, bytes=…``). Pairs of position and result come
        in the order in which they finish.
        """
        ...

    def progress(self, text: str, done: float, total: float, **numbers: float) -> None:
        """Tell the user how far the stage is; cheap, call it as often as it changes."""
        ...

    def say(self, text: str) -> None:
        """A line for the user that should stay on the screen."""
        ...


class Stage(Settings):
    """Settings of a section that runs as a stage.

    Class attributes:
        needs: names of earlier stages whose results it reads (``documents``, ``tokenizer``, ``tokens``…); ``events``
            if it reads what the document passes noted about documents.
        folders: folders of the run that are its own; emptied when it starts afresh. Its name if left out.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    folders: ClassVar[tuple[str, ...]] = ()

    def run(self, context: StageContext) -> StageResult:
        """Do the work. Called again after an interruption, it continues from what it published.

        Raises:
            UserError: something the user can mend.
        """
        raise NotImplementedError


Report = Callable[..., None]
"""Type of the ``report`` function that tasks get: ``report(documents=10, bytes=4096)``, increments."""
