"""Ray gives the same bytes as worker processes do."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.pipeline.run_folder import HERE, committed, recipe, steps
from textmill.errors import UserError
from textmill.pipeline import run_recipe
from textmill.pipeline.ray_engine import RayEngine

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


@needs_ray
@pytest.mark.slow
def test_same_bytes_as_the_local_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
    local = committed(run_recipe(recipe(), str(tmp_path / "local")))
    with_ray = run_recipe(recipe(engine="ray", workers=2), str(tmp_path / "ray"))
    assert committed(with_ray) == local


@needs_ray
@pytest.mark.slow
def test_a_user_error_in_a_task_reaches_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([HERE, os.environ.get("PYTHONPATH", "")]))
    broken = recipe(steps.Broken(), source=steps.Numbers(per_split=500), engine="ray", workers=2)
    with pytest.raises(UserError, match="broken failed on every one"):
        run_recipe(broken, str(tmp_path / "run"))


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_user_is_told_what_to_install() -> None:
    with pytest.raises(UserError, match="needs Ray") as caught:
        RayEngine()
    assert "textmill[ray]" in (caught.value.hint or "")
