"""Progress on the screen: a bar with rates and the time left, or a plain line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from textmill.cli import screen

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


# A bar has its line to itself and shares it with the figures; at 80 columns this leaves them 40.
_BAR_LABEL_WIDTH = 26
_LINE_WIDTH = 100
_AT_ONCE = 0.5


class TerminalProgress:
    """Shows what a run is doing, on standard error.

    Implements ``textmill.steps.progress.Progress``. Use as a context manager, so that the terminal is left
    in order whatever happens.

    Args:
        stream: where to write.
        every: seconds between plain lines, where there is no terminal.
        clock: seconds, for rates and the time left.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream or sys.stderr
        self.every = every
        self.clock = clock
        self.console = screen.console(self.stream)
        self.label = ""
        self.unit = ""
        self._bars: Bars | None = None
        self._task: TaskID | None = None
        self._began: float
        self._text: str
        self._done: float
        self._sums: dict[str, float]
        self._numbers: dict[str, float]
        self._reset("", 0.0, "")

    def __enter__(self) -> TerminalProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self._close_bar()

    def start(self, label: str, total: float, unit: str) -> None:
        """Something with ``total`` units of work begins."""
        self._close_bar()
        self._reset(label, total, unit)
        if self.console.is_terminal:
            self._open_bar()
        else:
            size = f" ({self._amount(total)})" if total else ""
            print(f"{screen.one_line(label, _LINE_WIDTH)}{size}", file=self.stream, flush=True)

    def advance(self, done: float, **increments: float) -> None:
        """``done`` more units are finished; ``documents=10, bytes=4096`` make rates."""
        self._done += done
        if not increments and self.clock() - self._began < _AT_ONCE:
            # Done before: an earlier attempt's work says nothing about the speed of this one.
            self._done_before = self._done
        for name, value in increments.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._show()

    def update(self, text: str, done: float, total: float, **numbers: float) -> None:
        """The work stands at ``done`` of ``total``."""
        if not self.label:
            self.start(text, total, "")
        if text != self._text:
            # Another kind of work, or the first: what was done before it counts for no rate.
            self._since, self._done_before = self.clock(), done
        self._text, self._done, self._total, self._numbers = text, done, total, numbers
        self._show()

    def finish(self, label: str, summary: str) -> None:
        """What began is finished; a line with its duration stays."""
        self._close_bar()
        seconds = screen.duration(self.clock() - self._began)
        self._line(f"{_name_of(label)}: {summary or 'done'} ({seconds})")
        self._reset("", 0.0, "")

    def say(self, text: str) -> None:
        """A line that stays."""
        self._line(text)

    def standing(self) -> str:
        """The figures beside the bar: rates, numbers, time left."""
        elapsed = self.clock() - self._since
        parts = [_figure(name, value) for name, value in self._numbers.items()]
        if elapsed > 0:
            if "documents" in self._sums:
                parts.append(f"{screen.count(self._sums['documents'] / elapsed)} documents/s")
            if "bytes" in self._sums:
                parts.append(f"{self._sums['bytes'] / elapsed / 1e6:.1f} MB/s")
        if self._done_before < self._done < self._total:
            left = elapsed / (self._done - self._done_before) * (self._total - self._done)
            parts.append(f"{screen.duration(left)} left")
        return ", ".join(parts)

    def _reset(self, label: str, total: float, unit: str) -> None:
        self.label, self._total, self.unit = label, total, unit
        self._text = ""
        self._done = 0.0
        self._sums = {}
        self._numbers = {}
        self._done_before = 0.0
        self._began = self._since = self._shown = self.clock()

    def _show(self) -> None:
        if self._bars is not None and self._task is not None:
            self._bars.update(
                self._task,
                completed=self._done,
                total=self._total or None,
                description=screen.one_line(self._heading(), _BAR_LABEL_WIDTH),
                standing=self.standing(),
            )
            return
        now = self.clock()
        if now - self._shown < self.every:
            return
        self._shown = now
        percent = f"{100 * self._done / self._total:.0f} %" if self._total else self._amount(self._done)
        line = ", ".join(part for part in (percent, self.standing()) if part)
        print(f"  {self._heading(_name_of(self.label))}: {line}", file=self.stream, flush=True)

    def _heading(self, label: str | None = None) -> str:
        label = self.label if label is None else label
        return f"{label}: {self._text}" if self._text and self._text != label else label

    def _amount(self, value: float) -> str:
        if self.unit in ("bytes", "B"):
            return screen.size(value)
        return f"{screen.number(value)} {self.unit}".rstrip()

    def _line(self, text: str) -> None:
        if self._bars is not None:
            self._bars.console.print(text, soft_wrap=True)
        else:
            print(text, file=self.stream, flush=True)

    def _open_bar(self) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bars
        from rich.table import Column

        # One line, however narrow the terminal: what does not fit is cut, never wrapped.
        def cut() -> Column:
            return Column(no_wrap=True, overflow="ellipsis")

        columns: list[Any] = [
            TextColumn("{task.description}", markup=False, table_column=cut()),
            BarColumn(bar_width=max(6, min(30, self.console.width - 70))),
            TaskProgressColumn(),
            TextColumn("{task.fields[standing]}", markup=False, table_column=cut()),
        ]
        self._bars = Bars(*columns, console=self.console, transient=True)
        self._bars.start()
        label = screen.one_line(self.label, _BAR_LABEL_WIDTH)
        self._task = self._bars.add_task(label, total=self._total or None, standing="")

    def _close_bar(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None


def _name_of(label: str) -> str:
    """``1-curate`` of ``1-curate: normalize > language > …``: enough once the whole has been said."""
    return label.partition(": ")[0]


def _figure(name: str, value: float) -> str:
    """``13,150 tokens/s``, ``1,234 tokens``, ``loss 4.975``."""
    if name.endswith("_per_second"):
        return f"{screen.count(value)} {name.removesuffix('_per_second')}/s"
    if isinstance(value, int):
        return f"{screen.count(value)} {name}"
    return f"{name} {screen.number(value)}"
