"""What progress writes, with a clock that the test turns."""

from __future__ import annotations

import io

import pytest

from textmill.cli import screen
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
    progress.start("0-ingest: read files", 4_000_000, "bytes")
    for _ in range(20):
        clock.now += 1.0
        progress.advance(100_000, documents=50, bytes=100_000)
    progress.say("a worker died; trying again")
    progress.finish("0-ingest: read files", "1,000 documents in, 900 kept")
    assert stream.getvalue().splitlines() == [
        "0-ingest: read files (4 MB)",
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
    # Continued at step 10: what was done before makes no speed.
    progress.update("train", 10, 40, loss=7.0, tokens_per_second=0.0)
    clock.now = 2.0
    progress.update("train", 20, 40, loss=6.25, tokens_per_second=13149.7)
    assert stream.getvalue().splitlines()[-1] == "  train: 50 %, loss 6.25, 13,150 tokens/s, 4.0 s left"
    progress.update("perplexity", 0, 10)
    clock.now = 4.0
    progress.update("perplexity", 5, 10, tokens=1234567)
    assert stream.getvalue().splitlines()[-1] == "  train: perplexity: 50 %, 1,234,567 tokens, 2.0 s left"


def test_work_of_an_earlier_attempt_makes_no_speed() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = TerminalProgress(stream, every=1.0, clock=clock)
    progress.start("1-curate: normalize > language", 100, "bytes")
    progress.advance(80)
    clock.now = 2.0
    progress.advance(10, documents=4)
    assert stream.getvalue().splitlines()[-1] == "  1-curate: 90 %, 2 documents/s, 2.0 s left"


def test_long_labels_are_cut() -> None:
    steps = " > ".join(f"a_step_{n}" for n in range(30))
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        with TerminalProgress(stream) as progress:
            progress.start(f"1-curate: {steps}", 100, "bytes")
            progress.finish(f"1-curate: {steps}", "9 documents in, 9 kept")
        assert "a_step_0" in stream.getvalue()
        assert "1-curate: 9 documents in, 9 kept (0.0 s)" in stream.getvalue()
        assert "a_step_29" not in stream.getvalue()
    assert max(map(len, plain.getvalue().splitlines())) <= 120


@pytest.mark.parametrize(
    ("value", "text"),
    [(13149.7, "13,150"), (1000.4, "1,000"), (999.94, "999.9"), (4.97512, "4.975"), (3, "3"), (-2e4 - 0.5, "-20,000"),
     (0.0003, "0.0003"), (float("nan"), "nan"), (float("inf"), "inf"), (1e16, "1e+16"), ("x", "x"), (True, "True")],
)  # fmt: skip
def test_numbers_for_people(value: object, text: str) -> None:
    assert screen.number(value) == text


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
