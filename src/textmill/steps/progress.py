"""How a run tells its user what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows what is under way. All calls are cheap; the implementation decides how often to draw."""

    def start(self, label: str, total: float, unit: str) -> None:
        """Something with ``total`` units of work begins (documents, MB, items, steps)."""
        ...

    def advance(self, done: float, **increments: float) -> None:
        """``done`` more units are finished; increments such as ``documents=10, bytes=4096`` make rates."""
        ...

    def update(self, text: str, done: float, total: float, **numbers: float) -> None:
        """The work stands at ``done`` of ``total``, with a word on what it is doing."""
        ...

    def finish(self, label: str, summary: str) -> None:
        """What began is finished."""
        ...

    def say(self, text: str) -> None:
        """A line that stays."""
        ...


class Silence:
    """Progress for those who want none: tests, and calls from Python."""

    def start(self, label: str, total: float, unit: str) -> None:
        """Nothing."""

    def advance(self, done: float, **increments: float) -> None:
        """Nothing."""

    def update(self, text: str, done: float, total: float, **numbers: float) -> None:
        """Nothing."""

    def finish(self, label: str, summary: str) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""
