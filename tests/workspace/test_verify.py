"""Every kind of damage is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.pipeline.run_folder import recipe

from textmill.pipeline import run_recipe
from textmill.workspace import Workspace, verify


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return run_recipe(recipe(engine="inline"), str(tmp_path / "run"))


def a_file(workspace: Workspace, kind: str = "documents") -> Path:
    return workspace.local(workspace.manifest.passes[1].files(kind)[0].path)


def test_an_untouched_run_passes(workspace: Workspace) -> None:
    told: list[tuple[int, int]] = []
    assert verify(workspace, lambda done, total: told.append((done, total))) == []
    assert told[-1][0] == told[-1][1] > 0


def test_a_missing_file(workspace: Workspace) -> None:
    a_file(workspace).unlink()
    assert verify(workspace)[0].endswith("missing")


def test_a_flipped_bit(workspace: Workspace) -> None:
    path = a_file(workspace, "events")
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)
    assert "contents changed" in verify(workspace)[0]


def test_a_cut_file(workspace: Workspace) -> None:
    path = a_file(workspace)
    path.write_bytes(path.read_bytes()[:-1])
    assert "were committed" in verify(workspace)[0]


def test_counts_that_do_not_add_up(workspace: Workspace) -> None:
    manifest = workspace.manifest
    first = manifest.passes[1].commits[0]
    step = replace(first.steps[-1], kept=first.steps[-1].kept - 1)
    commit = replace(first, steps=(*first.steps[:-1], step))
    record = replace(manifest.passes[1], commits=(commit, *manifest.passes[1].commits[1:]))
    passes = (manifest.passes[0], record, *manifest.passes[2:])
    workspace.write_manifest(replace(manifest, passes=passes))
    findings = "\n".join(verify(workspace))
    assert "unaccounted" in findings
    assert "its files hold" in findings
