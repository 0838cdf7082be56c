"""What progress writes, with a clock that the test turns."""

from __future__ import annotations

import io

from textmill.cli.progress import TerminalProgress
from textmill.pipeline import Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_every_few_seconds() -> None:
    stream, clock = io.StringIO(), Clock()
    progress: Progress = TerminalProgress(stream, every=5.0, clock=clock)
    progress.start("0-ingest", 4_000_000, "bytes")
    for _ in range(20):
        clock.now += 1.0
        progress.advance(100_000, documents=50, bytes=100_000)
    progress.say("a worker died; trying again")
    progress.finish("0-ingest", "1,000 documents in, 900 kept")
    assert stream.getvalue().splitlines() == [
        "0-ingest: 4 MB",
        "  0-ingest: 12 %, 50 documents/s, 0.1 MB/s, 35.0 s left",
        "  0-ingest: 25 %, 50 documents/s, 0.1 MB/s, 30.0 s left",
        "  0-ingest: 38 %, 50 documents/s, 0.1 MB/s, 25.0 s left",
        "  0-ingest: 50 %, 50 documents/s, 0.1 MB/s, 20.0 s left",
        "a worker died; trying again",
        "0-ingest: 1,000 documents in, 900 kept (20.0 s)",
    ]


def test_absolute_progress_with_numbers() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = TerminalProgress(stream, every=1.0, clock=clock)
    progress.start("train", 0, "")
    clock.now = 2.0
    progress.update("train", 10, 40, loss=6.25)
    assert stream.getvalue().splitlines()[-1] == "  train: 25 %, loss 6.25, 6.0 s left"


def test_an_unknown_total_is_no_trouble() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = TerminalProgress(stream, every=1.0, clock=clock)
    progress.update("reading", 0, 0)
    clock.now = 2.0
    progress.advance(3)
    progress.finish("reading", "")
    assert stream.getvalue().splitlines() == ["reading", "  reading: 3", "reading: done (2.0 s)"]


def test_a_terminal_gets_a_bar_and_is_left_in_order() -> None:
    stream = Terminal()
    with TerminalProgress(stream) as progress:
        progress.start("0-ingest: [files]", 100, "bytes")
        progress.advance(50, documents=3)
        progress.say("a line that stays")
        progress.finish("0-ingest", "done")
        progress.start("left open", 10, "items")
    text = stream.getvalue()
    assert "[files]" in text, "brackets are no markup"
    assert "a line that stays" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is shown again"
