"""Global steps that decide in phases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.pipeline.run_folder import HERE, committed, counts, on_disk, recipe, steps
from tests.pipeline.test_run import expected_counts
from textmill.pipeline import phases, plan_recipe, run_recipe, tables
from textmill.steps.progress import Silence
from textmill.workspace import Workspace, connect, verify
from textmill.workspace.storage import Storage

import phased_steps  # isort: skip

PHASES = ("propose", "gather", "verify", "review")
PROGRAM = """
import sys
sys.path[:0] = {paths!r}
from tests.pipeline.test_phases import phased
from textmill.pipeline import run_recipe
run_recipe(phased(workers=2), sys.argv[1])
"""


def phased(**run: Any) -> Any:
    return recipe(steps.Upper(), steps.Even(), phased_steps.Alike(), **run)


@pytest.fixture
def many_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "PARTITION_ROWS", 50)


def test_the_plan_names_the_phases() -> None:
    assert plan_recipe(phased()).describe()[2:] == [
        "2-alike   decide alike: propose (by partitions) > gather (by shards) > verify (by partitions) > "
        "review (the whole)",
        "3-curate  apply alike",
    ]


def test_phases_decide_as_a_plain_loop_does(tmp_path: Path, many_partitions: None) -> None:
    workspace = run_recipe(phased(engine="inline"), str(tmp_path / "run"))
    expected = expected_counts()
    expected["alike"] = expected.pop("same")
    assert counts(workspace) == expected
    assert verify(workspace) == []
    record = workspace.manifest.find("2-alike")
    assert record is not None
    named = [commit.item for commit in record.commits]
    assert {name.rpartition("-")[0] for name in named} == {
        f"{number}-{phase}" for number, phase in enumerate(PHASES, 1)
    }
    assert len([name for name in named if "propose" in name]) > 4
    assert [name for name in named if "review" in name] == ["4-review-00000"]
    description = record.description
    taken, _, dropped, _ = expected["alike"]
    assert description["removals"] == dropped
    assert description["documents"] == taken
    assert description["compared"] == description["proposed"]
    assert description["warnings"] == [
        f"only {description['kept_of_the_compared']} of {taken} texts are distinct"
    ]
    assert {file.path.split("/")[2] for file in record.all_files()} == {"removals"}
    assert on_disk(tmp_path / "run") == set(committed(workspace)), "what only phases read is deleted"
    matched = connect(workspace).execute(
        "SELECT count(*), min(similarity) FROM events WHERE action = 'matched'"
    )
    assert matched.fetchall() == [(dropped, 1.0)]


def test_any_number_of_workers_and_any_engine_give_the_same_bytes(tmp_path: Path) -> None:
    results = [
        committed(run_recipe(phased(**how), str(tmp_path / str(number))))
        for number, how in enumerate([{"engine": "inline"}, {"workers": 1}, {"workers": 2}, {"workers": 3}])
    ]
    assert results[0] == results[1] == results[2] == results[3]


def test_a_run_folder_behind_a_url(tmp_path: Path) -> None:
    local = committed(run_recipe(phased(engine="inline"), str(tmp_path / "run")))
    assert committed(run_recipe(phased(), f"memory://{tmp_path.name}/run")) == local


@pytest.mark.parametrize("phase", PHASES)
def test_sigkill_in_every_phase(tmp_path: Path, phase: str) -> None:
    expected = committed(run_recipe(phased(engine="inline"), str(tmp_path / "whole")))
    folder, marker = tmp_path / "run", tmp_path / "marker"
    marker.touch()
    program = PROGRAM.format(paths=[str(Path(HERE).parent.parent), HERE])
    command = [sys.executable, "-c", program, str(folder)]
    environment = {**os.environ, phased_steps.MURDER: f"{phase}:{marker}"}
    assert subprocess.run(command, env=environment, capture_output=True).returncode == -signal.SIGKILL
    assert not marker.exists()
    done = {path.name.partition("-")[0] for path in (folder / "commits" / "2-alike").glob("*.json")}
    assert done >= {str(number + 1) for number in range(PHASES.index(phase))}
    before = {path: path.stat().st_mtime_ns for path in folder.glob("passes/2-alike/*/*")}
    assert subprocess.run(command, env=environment).returncode == 0
    workspace = Workspace.open(folder)
    assert committed(workspace) == expected
    assert on_disk(folder) == set(expected)
    assert verify(workspace) == []
    kept = [path for path in before if path.exists() and "removals" in str(path)]
    assert all(path.stat().st_mtime_ns == before[path] for path in kept), "what was done is not done again"


def test_an_unchanged_step_is_not_decided_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path / "run")
    before = run_recipe(phased(engine="inline"), folder).manifest
    stray = tmp_path / "run/passes/2-alike/named/left-by-a-kill.parquet"
    stray.parent.mkdir()
    stray.touch()
    with monkeypatch.context() as patched:
        patched.setattr(phases, "carry_out_phase", None)
        assert run_recipe(phased(engine="inline"), folder).manifest == before
    assert not stray.exists()
    other = recipe(steps.Upper(), steps.Even(max_tail=4), phased_steps.Alike(), engine="inline")
    assert committed(run_recipe(other, folder)) == committed(run_recipe(other, str(tmp_path / "fresh")))


def test_progress_shows_the_phases_and_the_warning_stays(tmp_path: Path) -> None:
    seen: list[str] = []

    class Watch(Silence):
        def start(self, label: str, total: float, unit: str) -> None:
            seen.append(label)

        def say(self, text: str) -> None:
            seen.append(text)

    run_recipe(phased(engine="inline"), str(tmp_path / "run"), progress=Watch())
    assert [one for one in seen if one.startswith("2-alike")] == [
        f"2-alike {number}/4 {phase}" for number, phase in enumerate(PHASES, 1)
    ]
    assert seen[-2].startswith("warning: only ")


def test_no_fingerprints_no_units(tmp_path: Path) -> None:
    workspace = run_recipe(
        recipe(steps.Even(max_tail=-1), phased_steps.Alike(), engine="inline"), str(tmp_path / "run")
    )
    record = workspace.manifest.find("2-alike")
    assert record is not None
    assert record.commits == ()
    assert counts(workspace)["alike"] == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "rows,size,expected", [(0, 0, 1), (1, 2**27 + 1, 2), (2_000_001, 5, 2), (9, 2**60, 4096)]
)
def test_the_number_of_partitions_follows_from_the_table(rows: int, size: int, expected: int) -> None:
    assert phases.partitions(rows, size) == expected


def test_a_table_in_pieces_is_read_as_it_was_written(tmp_path: Path) -> None:
    writer = tables.TableWriter(tmp_path / "t.parquet")
    keys = [number.to_bytes(2, "big") + bytes(14) for number in range(65536)]
    for start in range(0, 65536, 999):
        piece = pa.array(keys[start : start + 999], pa.binary(16))
        shards = pa.array([start // 5000] * len(piece), pa.int32())
        writer.write(pa.record_batch({"key": piece, "shard": shards}))
    writer.close()
    storage = Storage(str(tmp_path))
    assert writer.rows == 65536
    whole = pa.Table.from_batches(tables.read_all(storage, ["t.parquet"]))
    assert whole["key"].to_pylist() == keys
    parts = [pa.Table.from_batches(tables.read_partition(storage, ["t.parquet"], n, 8)) for n in range(8)]
    assert pa.concat_tables(parts)["key"].to_pylist() == keys
    shards = [pa.Table.from_batches(tables.read_shard(storage, ["t.parquet"], n)) for n in range(13)]
    assert pa.concat_tables(shards)["key"].to_pylist() == keys
