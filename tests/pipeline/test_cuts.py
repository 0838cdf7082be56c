"""Cuts: what a global step takes out of texts, and what the ledger tells of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.run_folder import committed, counts, recipe, steps
from textmill.errors import UserError
from textmill.pipeline import run_recipe
from textmill.workspace import Workspace, connect, verify, why


def texts(workspace: Workspace, table: str = "documents") -> dict[str, str]:
    return dict(connect(workspace).sql(f"SELECT locator, text FROM {table}").fetchall())


def run(folder: Path, *curate: Any, **options: Any) -> Workspace:
    workspace = run_recipe(recipe(*curate, **options), str(folder))
    assert verify(workspace) == []
    return workspace


@pytest.mark.parametrize("streamed", [False, True])
def test_words_are_cut_and_the_ledger_says_so(tmp_path: Path, streamed: bool) -> None:
    found = run(tmp_path / "run", steps.CutWord(streamed=streamed), source=steps.Numbers(documents=200))
    before, after = texts(found, "ingested"), texts(found)
    for locator, text in before.items():
        left = re.sub(r"\bword0 ", "", text)
        if left.strip(" é\n"):
            assert after[locator] == left
    events = connect(found).sql(
        "SELECT locator, action, rule, characters_before, characters_after, detail FROM events "
        "WHERE action = 'edited'"
    )
    rows = events.fetchall()
    assert len(rows) == sum("word0 " in text for text in before.values())
    total = sum(len(re.findall(r"\bword0\b", text)) for text in before.values())
    for locator, _, _, characters_before, characters_after, detail in rows:
        assert characters_before == len(before[locator])
        struck = len(re.findall(r"\bword0\b", before[locator]))
        assert detail.startswith(f"word {struck}; cut «word0")
        if locator in after:
            assert characters_after == len(after[locator])
    assert f"({total:,} in all)" in rows[0][-1]
    (story,) = why(found, rows[0][0])
    assert story["outcome"] == "kept"
    assert [event["detail"] for event in story["events"] if event["action"] == "edited"] == [rows[0][-1]]


def test_what_keeps_too_little_is_dropped_by_the_step(tmp_path: Path) -> None:
    source = steps.Numbers(documents=300)
    found = run(tmp_path / "run", steps.CutWord(min_words_left=20), source=source)
    before = texts(found, "ingested")
    left = {locator: len(re.sub(r"\bword0 ", "", text).split()) for locator, text in before.items()}
    gone = {locator for locator, words in left.items() if words < 20}
    assert gone
    assert set(texts(found)) == set(before) - gone
    taken, kept, dropped, failed = counts(found)["cut_word"]
    assert (taken, kept, dropped, failed) == (len(before), len(before) - len(gone), len(gone), 0)
    (story,) = why(found, sorted(gone)[0])
    assert (story["outcome"], story["step"], story["rule"]) == ("dropped", "cut_word", "words_left")
    assert story["value"] == left[sorted(gone)[0]]
    assert story["threshold"] == 20
    assert [event["action"] for event in story["events"]] == ["edited", "dropped"]


def test_all_of_a_text(tmp_path: Path) -> None:
    source = steps.Numbers(documents=98, words=1)
    found = run(tmp_path / "run", steps.CutWord(word="word0 é"), source=source)
    assert texts(found) == {}
    assert {
        row[0] for row in connect(found).sql("SELECT rule FROM events WHERE action = 'dropped'").fetchall()
    } == {"characters_left"}
    kept = run(
        tmp_path / "kept",
        steps.CutWord(word="word0 é", min_words_left=0, min_characters_left=0),
        source=source,
    )
    assert set(texts(kept).values()) == {""}


@pytest.mark.parametrize("shift", [1000, -5])
def test_a_cut_outside_of_the_text_is_the_steps_fault(tmp_path: Path, shift: int) -> None:
    with pytest.raises(UserError, match="cuts where no text is"):
        run(tmp_path / "run", steps.CutWord(shift=shift))


def test_a_cut_inside_a_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cuts where no text is"):
        run(
            tmp_path / "run",
            steps.CutWord(word="word0 ", shift=1),
            source=steps.Numbers(documents=98, words=1),
        )


def test_the_same_bytes_for_any_workers_and_between_other_steps(tmp_path: Path) -> None:
    curate = (
        steps.CutWord(),
        steps.Upper(),
        steps.Even(),
        steps.CutWord(id="again", word="WORD[0-9]7"),
        steps.Same(),
    )
    first = committed(run(tmp_path / "1", *curate))
    assert committed(run(tmp_path / "3", *curate, workers=3)) == first
    assert committed(run(tmp_path / "i", *curate, engine="inline")) == first
    assert any("/cuts/" in path for path in first)
