"""C4's two steps: what the transform cuts, what the filter drops, and both together."""

from __future__ import annotations

import pytest
from tests.curate.verdicts import first_failures

from textmill.curate import C4, C4Lines
from textmill.documents import Batch
from textmill.steps import StepContext

PROSE = "It rained all day. We stayed in. Nobody came.\nThen the sun came out! Why did we wait?"
PAGE = f"Home | About\n{PROSE}[3]\nPlease enable Javascript to see more.\nRead our privacy policy first.\nGo."


def cut(texts: list[str], settings: C4Lines | None = None) -> tuple[Batch, dict[str, list[int]]]:
    batch = Batch.from_texts(texts)
    edit = (settings or C4Lines()).open(StepContext()).transform(batch)
    return batch.with_texts(edit.texts), {name: counts.tolist() for name, counts in edit.counts.items()}


def test_lines_are_cut_and_counted() -> None:
    batch, counts = cut([PAGE, PROSE, ""])
    assert batch.texts == [PROSE, PROSE, ""]
    assert counts == {
        "long_word": [0, 0, 0],
        "no_terminal_punctuation": [1, 0, 0],
        "few_words": [1, 0, 0],
        "javascript": [1, 0, 0],
        "policy": [1, 0, 0],
        "citation": [1, 0, 0],
    }


def test_fineweb_keeps_lines_without_terminal_punctuation() -> None:
    batch, _ = cut([PAGE], C4Lines(terminal_punctuation=False))
    assert batch.texts == ["Home | About\n" + PROSE]


def test_every_line_rule_can_be_turned_off() -> None:
    everything = C4Lines(
        max_word_length=None,
        citations=False,
        terminal_punctuation=False,
        min_words=0,
        javascript=False,
        policy=False,
    )
    text = PAGE + "\n" + "x" * 2000
    batch, counts = cut([text], everything)
    assert batch.texts == [text]
    assert not any(map(any, counts.values()))


@pytest.mark.parametrize(
    "text, rule",
    [
        (PROSE, None),
        (PROSE.replace("Nobody", "Lorem ipsum"), "lorem_ipsum"),
        (PROSE.replace("Nobody", "{name}"), "curly_brackets"),
        ("It rained all day. We stayed in.", "sentences"),
        ("", "sentences"),
    ],
)
def test_documents_are_judged(text: str, rule: str | None) -> None:
    assert first_failures(C4(), [text]) == [rule]


def test_the_two_together_judge_what_is_left() -> None:
    menu = "Home\nAbout us\nNews. And more. And more. And more\nContact"
    script = PROSE + "\nfunction() { return\nUse javascript { here."
    batch, _ = cut([PAGE, menu, script, PROSE + "\nif (a) { it ends well."])
    assert first_failures(C4(), batch) == [None, "sentences", None, "curly_brackets"]
    assert first_failures(C4(max_curly_brackets=None, min_sentences=None), batch) == [None] * 4


def test_a_slice_of_a_batch() -> None:
    batch = Batch.from_texts(["x", PAGE, PROSE]).slice(1, 2)
    edit = C4Lines().open(StepContext()).transform(batch)
    assert edit.texts.to_pylist() == [PROSE, PROSE]
    assert C4().open(StepContext()).scores(batch)["sentences"].tolist() == [10.0, 5.0]  # type: ignore[union-attr]
