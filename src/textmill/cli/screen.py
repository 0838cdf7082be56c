"""What things look like: tables, colours where there is a terminal, plain text everywhere else.

``NO_COLOR`` is honoured (https://no-color.org); without a terminal nothing but text is written, and tables
are as wide as their content, so that other programs can read them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def console(stream: TextIO | None = None) -> Console:
    """A console on ``stream`` (standard output if left out)."""
    from rich.console import Console

    stream = stream or sys.stdout
    terminal = stream.isatty()
    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=not terminal,
        width=None if terminal else 10_000,
    )


def print_error(text: str) -> None:
    """A mistake, on standard error: the first line of each in red where there are colours."""
    from rich.text import Text

    first = text.split("\n", 1)[0]
    shown = "\n".join(fit(line, 12 if line.startswith("  ") else 2, sys.stderr) for line in text.split("\n"))
    body = Text(shown)
    body.highlight_regex(r"(?m)^  (where|expected|found|do):", "bold")
    body.stylize("bold red", 0, len(first))
    console(sys.stderr).print(body, soft_wrap=True)


def fit(text: str, indent: int, stream: TextIO | None = None) -> str:
    """A line as it is, or on a terminal broken between words, later lines indented."""
    stream = stream or sys.stdout
    if not stream.isatty():
        return text
    from shutil import get_terminal_size
    from textwrap import wrap

    lines = wrap(
        text,
        max(40, get_terminal_size().columns),
        subsequent_indent=" " * indent,
        drop_whitespace=True,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def print_table(
    columns: Mapping[str, str],
    rows: Sequence[Sequence[str]],
    *,
    stream: TextIO | None = None,
    title: str = "",
) -> None:
    """A table without frames.

    Args:
        columns: heading to ``left`` or ``right``.
        rows: cells as text.
        stream: standard output if left out.
        title: a line above.
    """
    target = console(stream)
    if title:
        target.print(title, style="bold")
    if not target.is_terminal:
        print_plain(columns, rows, stream or sys.stdout)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, side in columns.items():
        table.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    target.print(table)


def print_plain(
    columns: Mapping[str, str], rows: Sequence[Sequence[str]], stream: TextIO | None = None
) -> None:
    """A table in plain text, as wide as its content, on a terminal too."""
    widths = _widths(columns, rows)
    for row in (list(columns), *rows):
        cells = [
            cell.rjust(width) if side == "right" else cell.ljust(width)
            for cell, width, side in zip(row, widths, columns.values(), strict=True)
        ]
        print("  ".join(cells).rstrip(), file=stream)


def fits(columns: Mapping[str, str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether such a table has room on standard output; where that is no terminal, there is always room."""
    if not sys.stdout.isatty():
        return True
    from shutil import get_terminal_size

    widths = _widths(columns, rows)
    return sum(widths) + 2 * (len(widths) - 1) <= get_terminal_size().columns


def _widths(columns: Mapping[str, str], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[i]) for row in (list(columns), *rows)) for i in range(len(columns))]


def count(number: float) -> str:
    """``1,234,567``."""
    return f"{number:,.0f}"


def size(number: float) -> str:
    """Bytes in the largest fitting unit: ``48.2 MB``."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.3g} TB"


def duration(seconds: float) -> str:
    """``4.2 s``, ``3:05`` minutes, ``2:03:05`` hours."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def share(part: float, whole: float) -> str:
    """``77.1 %``, or nothing of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def number(value: Any) -> str:
    """A measured value: whole numbers in full, others to four digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if abs(value) < 1e15 and (abs(value) >= 1000 or float(value).is_integer()):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def one_line(text: str, width: int) -> str:
    """The text on one line, cut at ``width`` characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
