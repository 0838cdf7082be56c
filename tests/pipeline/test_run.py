"""Whole runs over the example steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.run_folder import committed, counts, on_disk, recipe, steps
from textmill.documents import document_id
from textmill.errors import ConservationError, UserError
from textmill.pipeline import run_recipe
from textmill.workspace import Workspace, connect, verify, why


def expected_counts(documents: int = 1000) -> dict[str, tuple[int, int, int, int]]:
    """The same run, in plain Python over the whole corpus."""
    split = next(iter(steps.Numbers(documents=documents, per_split=documents).plan(0)))
    records = list(steps.Numbers(documents=documents).read(split))
    texts = {r.locator: r.text.upper() for r in records if hasattr(r, "text")}
    even = {
        locator: text
        for locator, text in texts.items()
        if sum(text.encode()) % 10 <= 6 and sum(text.encode()) % 7 != 0
    }
    distinct = set(even.values())
    failed = documents - len(texts)
    return {
        "ingest": (documents, len(texts), 0, failed),
        "upper": (len(texts), len(texts), 0, 0),
        "even": (len(texts), len(even), len(texts) - len(even), 0),
        "same": (len(even), len(distinct), len(even) - len(distinct), 0),
    }


def test_counts_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    workspace = run_recipe(recipe(), str(tmp_path / "run"))
    assert counts(workspace) == expected_counts()
    assert verify(workspace) == []


def test_the_kept_duplicate_is_the_one_with_the_smallest_id(tmp_path: Path) -> None:
    workspace = run_recipe(recipe(steps.Upper(), steps.Same()), str(tmp_path / "run"))
    connection = connect(workspace)
    kept = {bytes(row[0]) for row in connection.execute("SELECT id FROM documents").fetchall()}
    groups: dict[int, list[bytes]] = {}
    for number in range(1000):
        if number % 50 != 49:
            groups.setdefault(number % 97, []).append(document_id("numbers", f"n:{number}"))
    assert kept == {min(group) for group in groups.values()}
    matched = connection.execute("SELECT id, matched_id FROM events WHERE action = 'matched'").fetchall()
    assert len(matched) == 980 - 97
    best = {identifier: min(group) for group in groups.values() for identifier in group}
    assert all(best[bytes(identifier)] == bytes(other) for identifier, other in matched)


def test_any_number_of_workers_gives_the_same_bytes(tmp_path: Path) -> None:
    results = [
        committed(run_recipe(recipe(workers=workers), str(tmp_path / str(workers)))) for workers in (1, 2, 3)
    ]
    assert len(results[0]) > 40
    assert results[0] == results[1] == results[2]


def test_engines_give_the_same_bytes(tmp_path: Path) -> None:
    local = committed(run_recipe(recipe(), str(tmp_path / "local")))
    inline = committed(run_recipe(recipe(engine="inline"), str(tmp_path / "inline")))
    assert local == inline


def test_a_run_folder_behind_a_url_holds_the_same_bytes(tmp_path: Path) -> None:
    local = committed(run_recipe(recipe(), str(tmp_path / "run")))
    url = f"memory://{tmp_path.name}/run"
    remote = run_recipe(recipe(), url)
    assert committed(remote) == local
    assert verify(remote) == []
    assert why(remote, "n:49")[0]["outcome"] == "failed"
    assert counts(run_recipe(recipe(), url)) == expected_counts()


def test_an_unchanged_run_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"
    before = committed(run_recipe(recipe(), str(folder)))
    stamps = {path: (folder / path).stat().st_mtime_ns for path in on_disk(folder)}

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("textmill.pipeline.local._Worker", refuse)
    assert committed(run_recipe(recipe(workers=3), str(folder))) == before
    assert stamps == {path: (folder / path).stat().st_mtime_ns for path in on_disk(folder)}


def test_a_changed_threshold_runs_only_what_depends_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = run_recipe(recipe(), str(folder)).manifest
    changed = recipe(steps.Upper(), steps.Even(max_tail=3), steps.Same())
    workspace = run_recipe(changed, str(folder))
    assert workspace.manifest.find("0-ingest") == first.find("0-ingest")
    assert workspace.manifest.find("1-curate") != first.find("1-curate")
    assert committed(workspace) == committed(run_recipe(changed, str(tmp_path / "fresh")))
    assert on_disk(folder) == set(committed(workspace)), "files of the old state are gone"


def test_a_removed_step_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_recipe(recipe(), str(folder))
    shorter = recipe(steps.Upper())
    workspace = run_recipe(shorter, str(folder))
    assert [one.name for one in workspace.manifest.passes] == ["0-ingest", "1-curate"]
    assert on_disk(folder) == set(committed(workspace))


def test_a_changed_input_is_read_again(tmp_path: Path) -> None:
    folder = str(tmp_path / "run")
    run_recipe(recipe(source=steps.Numbers(documents=300)), folder)
    workspace = run_recipe(recipe(source=steps.Numbers(documents=400)), folder)
    assert counts(workspace) == expected_counts(400)


def test_filters_score_every_document_between_two_transforms(tmp_path: Path) -> None:
    two = (steps.Even(id="first", max_tail=3), steps.Even(id="second", max_tail=9))
    everyone = connect(run_recipe(recipe(*two), str(tmp_path / "all")))
    survivors = connect(run_recipe(recipe(*two, score="survivors"), str(tmp_path / "survivors")))
    count = 'SELECT count("first.tail"), count("second.tail"), sum((verdict = \'kept\')::INT) FROM scores_1'
    all_first, all_second, all_kept = everyone.execute(count).fetchone() or (0, 0, 0)
    some_first, some_second, some_kept = survivors.execute(count).fetchone() or (0, 0, 0)
    assert all_first == all_second == some_first == 980
    assert some_second < 980
    assert all_kept == some_kept


def test_the_verdict_is_the_first_failing_rule(tmp_path: Path) -> None:
    workspace = run_recipe(recipe(steps.Even()), str(tmp_path / "run"))
    rows = (
        connect(workspace)
        .execute('SELECT verdict, step, rule, "even.tail", "even.mood" FROM scores_1')
        .fetchall()
    )
    assert len(rows) == 980
    for verdict, step, rule, tail, mood in rows:
        if tail > 6:
            assert (verdict, step, rule) == ("dropped", "even", "tail")
        elif mood == "grim":
            assert (verdict, step, rule) == ("dropped", "even", "mood")
        else:
            assert (verdict, step, rule) == ("kept", None, None)


@pytest.mark.parametrize("step", ["even", "upper"])
def test_a_step_that_raises_loses_that_document_alone(tmp_path: Path, step: str) -> None:
    needle = "word5 "
    split = next(iter(steps.Numbers(per_split=1000).plan(0)))
    poisoned = {r.locator for r in steps.Numbers().read(split) if hasattr(r, "text") and needle in r.text}
    assert 0 < len(poisoned) < 100
    kind = steps.Even if step == "even" else steps.Upper
    workspace = run_recipe(recipe(kind(poison=needle), source=steps.Numbers()), str(tmp_path / "run"))
    events = (
        connect(workspace)
        .execute("SELECT locator, step, detail FROM events WHERE action = 'failed' AND step != 'ingest'")
        .fetchall()
    )
    assert {locator for locator, _, _ in events} == poisoned
    assert {detail for _, _, detail in events} == {"ValueError: poison"}
    assert counts(workspace)[step][3] == len(poisoned)


def test_a_step_that_always_raises_stops_the_run(tmp_path: Path) -> None:
    source = steps.Numbers(per_split=500)
    with pytest.raises(UserError, match="broken failed on every one of 490") as caught:
        run_recipe(recipe(steps.Broken(), source=source), str(tmp_path / "run"))
    assert caught.value.found == "RuntimeError: always"


def test_a_step_that_always_raises_stops_a_small_run_too_and_is_asked_again(tmp_path: Path) -> None:
    source = steps.Numbers(per_split=10)
    for _ in range(2):
        with pytest.raises(UserError, match=r"broken failed on every one of \d+ documents") as caught:
            run_recipe(recipe(steps.Broken(), source=source, engine="inline"), str(tmp_path / "run"))
        assert str(caught.value.found).startswith("RuntimeError: always (")
    workspace = run_recipe(recipe(steps.Even(), source=source, engine="inline"), str(tmp_path / "run"))
    assert counts(workspace)["even"][3] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_a_document_that_kills_its_worker_is_quarantined(tmp_path: Path, workers: int) -> None:
    needle = "word1001 "
    source = steps.Numbers(documents=300, per_split=100)
    records = [record for split in source.plan(0) for record in source.read(split)]
    deadly = {record.locator for record in records if hasattr(record, "text") and needle in record.text}
    assert 1 < len(deadly) < 10
    workspace = run_recipe(
        recipe(steps.Even(deadly=needle), workers=workers, source=source), str(tmp_path / "run")
    )
    events = (
        connect(workspace)
        .execute("SELECT locator, detail FROM events WHERE step = 'even' AND action = 'failed'")
        .fetchall()
    )
    assert {locator for locator, _ in events} == deadly
    assert all("killed by signal 9" in detail for _, detail in events)
    assert verify(workspace) == []


def test_a_document_that_hangs_is_quarantined(tmp_path: Path) -> None:
    # One document hangs, twice; the limit leaves a busy machine time to start the worker that takes up the work.
    source = steps.Numbers(documents=60, per_split=60)
    workspace = run_recipe(
        recipe(steps.Even(hang="word31 "), source=source, silence_seconds=5), str(tmp_path / "run")
    )
    assert counts(workspace)["even"][3] == 1
    assert "said nothing for 5 s" in (tmp_path / "run" / "quarantine.json").read_text()


def test_unaccounted_documents_stop_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.documents import ShardWriter

    honest = ShardWriter.write

    def lossy(self: ShardWriter, batch: Any) -> None:
        honest(self, batch.slice(0, len(batch) - 1) if len(batch) else batch)

    monkeypatch.setattr(ShardWriter, "write", lossy)
    with pytest.raises(ConservationError, match="rows of documents were written"):
        run_recipe(recipe(engine="inline"), str(tmp_path / "run"))


def test_a_document_without_a_verdict_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.workspace.ledger_tables import VerdictTable

    monkeypatch.setattr(VerdictTable, "write", lambda self, path, steps=(): 0)
    with pytest.raises(ConservationError, match="0 rows of scores were written"):
        run_recipe(recipe(engine="inline"), str(tmp_path / "run"))


def test_a_refused_second_run_leaves_the_first_alone(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "run")
    with workspace.lock():
        being_made = workspace.scratch() / "shard.parquet"
        being_made.write_text("half of it")
        before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
        with pytest.raises(UserError, match="another run is at work"):
            run_recipe(recipe(), str(tmp_path / "run"))
        assert being_made.read_text() == "half of it"
        assert set(before) == {path for path in (tmp_path / "run").rglob("*") if path.is_file()}


def test_nothing_of_the_scratch_folder_is_left(tmp_path: Path) -> None:
    run_recipe(recipe(), str(tmp_path / "run"))
    assert {path.name for path in (tmp_path / "run").iterdir()} <= {
        "manifest.json", "recipe.yaml", "passes", "commits"
    }  # fmt: skip


def test_a_missing_input_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no input"):
        run_recipe(recipe(source=steps.Numbers(documents=0)), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_all_records_unreadable_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the sources gave no document"):
        run_recipe(recipe(source=steps.Unreadable()), str(tmp_path / "run"))
