"""The story of a kept, a dropped, a duplicate and a failed document."""

from __future__ import annotations

from typing import Any

import pytest
from tests.pipeline.run_folder import recipe, steps

from textmill.errors import UserError
from textmill.pipeline import run_recipe
from textmill.workspace import Workspace, connect, why


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    curate = (steps.Upper(), steps.Even(), steps.Same())
    return run_recipe(recipe(*curate, engine="inline"), str(tmp_path_factory.mktemp("why") / "run"))


def one(workspace: Workspace, outcome: str) -> str:
    """The locator of some document with that outcome."""
    where = {
        "kept": "SELECT locator FROM documents",
        "dropped": "SELECT locator FROM events WHERE action = 'dropped'",
        "duplicate": "SELECT locator FROM events WHERE action = 'matched'",
        "failed": "SELECT locator FROM events WHERE action = 'failed'",
    }[outcome]
    row = connect(workspace).execute(f"{where} ORDER BY locator LIMIT 1").fetchone()
    assert row
    return str(row[0])


def story(workspace: Workspace, query: str) -> dict[str, Any]:
    answers = why(workspace, query)
    assert len(answers) == 1
    return answers[0]


def test_kept(workspace: Workspace) -> None:
    told = story(workspace, one(workspace, "kept"))
    assert (told["outcome"], told["step"], told["matched"]) == ("kept", None, None)
    assert [event["action"] for event in told["events"]] == ["edited"]
    assert told["excerpt"].startswith("WORD")
    assert set(told["scores"]) == {"even.tail", "even.mood"}


def test_dropped(workspace: Workspace) -> None:
    told = story(workspace, one(workspace, "dropped"))
    assert (told["outcome"], told["step"]) == ("dropped", "even")
    if told["rule"] == "tail":
        assert told["value"] > told["threshold"] == 6
    else:
        assert told["label"] == "grim"
        assert told["detail"] == "mood in calm, wild"


def test_duplicate(workspace: Workspace) -> None:
    told = story(workspace, one(workspace, "duplicate"))
    assert (told["outcome"], told["step"], told["rule"]) == ("duplicate", "same", "equal")
    assert told["matched"]["similarity"] == 1.0
    other = story(workspace, told["matched"]["id"])
    assert other["outcome"] == "kept"
    assert other["locator"] == told["matched"]["locator"]


def test_failed(workspace: Workspace) -> None:
    told = story(workspace, one(workspace, "failed"))
    assert (told["outcome"], told["step"], told["detail"]) == ("failed", "ingest", "it is the fiftieth")


def test_every_way_of_asking_finds_the_document(workspace: Workspace) -> None:
    told = story(workspace, "n:96")
    assert story(workspace, told["id"]) == {**told, "found_by": "id"}
    assert story(workspace, told["id"][:12])["locator"] == "n:96"
    assert story(workspace, "https://example.org/96")["id"] == told["id"]
    found = why(workspace, told["excerpt"][:60].lower())
    assert told["id"] in {answer["id"] for answer in found}
    assert {answer["found_by"] for answer in found} == {"text"}


@pytest.mark.parametrize("query", ["", "  ", "no such text anywhere", "0" * 32, "it's; DROP TABLE events --"])
def test_what_is_not_there(workspace: Workspace, query: str) -> None:
    with pytest.raises(UserError):
        why(workspace, query)


def test_a_path_as_the_shell_completes_it_finds_the_records_of_a_file(workspace: Workspace) -> None:
    for query in ("some/folder/n", "/home/me/n", "n"):
        assert {answer["locator"].partition(":")[0] for answer in why(workspace, query)} == {"n"}
    assert story(workspace, "/home/me/n:96")["locator"] == "n:96"


def test_a_folder_with_a_run_in_it_is_named(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="no run is here") as caught:
        Workspace.open(workspace.url.removesuffix("/run"))
    assert str(caught.value.hint).endswith(workspace.url)
