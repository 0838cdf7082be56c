"""Windows of training data on the screen: colours on a terminal, marks everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from textmill.cli import screen

if TYPE_CHECKING:
    from textmill.train.shown_windows import Kind, Window

STYLES: dict[Kind, str] = {
    "learnt": "",
    "masked": "dim",
    "stop": "bold white on red",
    "masked stop": "strike red",
    "padding": "dim",
}
HEAD, TAIL = 900, 300
"""Characters shown of a long window, unless all are asked for."""

Piece = tuple[str, str]
"""Text and its style."""


def print_windows(
    windows: Iterable[Window],
    decode: Callable[[Sequence[int]], str],
    *,
    full: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Print windows with the borders of documents, what is masked, and where texts stop.

    Args:
        windows: from :func:`textmill.train.shown_windows.windows_of`.
        decode: text of tokens.
        full: show all of a long window.
        stream: standard output if left out.
    """
    from rich.text import Text

    target = screen.console(stream)
    for window in windows:
        target.print(window.heading(), style="bold")
        pieces = _pieces(window, decode, marks=not target.is_terminal)
        for text, style in pieces if full else _shortened(pieces):
            target.print(Text(text, style), end="", soft_wrap=True)
        target.print("\n")


def legend(stream: TextIO | None = None) -> None:
    """What colours, or marks, mean."""
    from rich.text import Text

    target = screen.console(stream)
    if not target.is_terminal:
        target.print(
            "[masked: ...] is read and not learnt; [stop ...] ends a text; --- another document begins"
        )
        return
    names = {"learnt": "learnt", "masked": "read, not learnt", "stop": "stop", "masked stop": "masked stop"}
    line = Text()
    for kind, name in names.items():
        line.append(name, STYLES[kind]).append("  ")  # type: ignore[index]
    target.print(line.append("── another document", "cyan"))


def _pieces(window: Window, decode: Callable[[Sequence[int]], str], marks: bool) -> list[Piece]:
    from textmill.train.shown_windows import text_of

    pieces: list[Piece] = []
    for number, (span, text) in enumerate(text_of(window, decode)):
        if span.border and number:
            pieces.append(("\n---\n" if marks else "\n──\n", "cyan"))
        if span.kind == "padding":
            pieces.append((f"[{len(span.tokens):,} padding]", STYLES["padding"]))
        elif not marks or span.kind == "learnt":
            pieces.append((text, STYLES[span.kind]))
        else:
            joint = ": " if span.kind == "masked" else " "
            pieces.append((f"[{span.kind}{joint}{text}]", ""))
    return pieces


def _shortened(pieces: list[Piece]) -> list[Piece]:
    """The beginning and the end, when all of it would be long."""
    total = sum(len(text) for text, _ in pieces)
    if total <= HEAD + TAIL + 100:
        return pieces
    head = _first(pieces, HEAD)
    tail = [(text[::-1], style) for text, style in _first([(t[::-1], s) for t, s in reversed(pieces)], TAIL)]
    return [*head, (f"\n… {total - HEAD - TAIL:,} characters …\n", "dim"), *reversed(tail)]


def _first(pieces: Iterable[Piece], characters: int) -> list[Piece]:
    taken: list[Piece] = []
    for text, style in pieces:
        if characters <= 0:
            break
        taken.append((text[:characters], style))
        characters -= len(text)
    return taken
