"""Engines: where tasks run.

A task is a pure function of plain JSON values, named ``package.module:function`` and called as
``function(item, report)``. An engine gives every item to it and yields results as they come.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Crash:
    """A worker died or hung on an item: nothing of it was committed.

    Attributes:
        reason: what happened to the process.
        last: the last thing it reported (document and step, when it was isolating).
    """

    reason: str
    last: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Runs tasks. Use as a context manager.

    Attributes:
        workers: most tasks at a time; 0 for as many as there are.
        peak_bytes: most memory that any worker ever had resident; 0 when that is not known.
    """

    workers: int
    peak_bytes: int

    def __enter__(self) -> Engine: ...

    def __exit__(self, *error: object) -> None: ...

    def map(
        self, function: str, items: Sequence[Mapping[str, Any]], tell: Tell
    ) -> Iterator[tuple[int, Any | Crash]]:
        """Run ``function`` on every item.

        Args:
            function: ``package.module:function``.
            items: plain JSON values.
            tell: called in the caller's process with what tasks report.

        Yields:
            Position and result, in the order in which they finish; a :class:`Crash` in place of the result
            when the worker died.

        Raises:
            UserError: a task raised one.
            RuntimeError: a task raised anything else; carries its traceback.
        """
        ...


def find_function(name: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names."""
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function
