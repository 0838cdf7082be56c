"""The inline engine: tasks in this process, one after the other.

For stepping through a step with a debugger, and for run folders that other processes cannot see
(``memory://``). A document that kills the process kills the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textmill.pipeline.engine import Crash, Tell, find_function


class InlineEngine:
    """Runs tasks in the caller's process."""

    workers = 1
    peak_bytes = 0

    def __enter__(self) -> InlineEngine:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def map(
        self, function: str, items: Sequence[Mapping[str, Any]], tell: Tell
    ) -> Iterator[tuple[int, Any | Crash]]:
        """See :meth:`textmill.pipeline.engine.Engine.map`."""
        work = find_function(function)
        for position, item in enumerate(items):
            yield position, work(item, lambda **report: tell(report))
