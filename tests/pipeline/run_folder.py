"""What the pipeline's tests compare: the bytes that a run made, and the recipes that they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from textmill.recipe import Recipe, RunSection
from textmill.workspace import Workspace

# Worker processes import the example steps by name.
HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import example_steps as steps  # noqa: E402  # type: ignore[import-not-found]


def recipe(*curate: Any, workers: int = 1, source: Any = None, **run: Any) -> Recipe:
    """A recipe over the example source and steps."""
    return Recipe(
        name="example",
        sources=(source or steps.Numbers(),),
        curate=curate or (steps.Upper(), steps.Even(), steps.Same()),
        run=RunSection(workers=workers, **run),
    )


def committed(workspace: Workspace) -> dict[str, str]:
    """SHA-256 of every committed file."""
    return {file.path: file.sha256 for one in workspace.manifest.passes for file in one.all_files()}


def on_disk(folder: Path) -> set[str]:
    """Every file below ``folder`` that belongs to a pass."""
    return {str(path.relative_to(folder)) for path in (folder / "passes").rglob("*") if path.is_file()}


def counts(workspace: Workspace) -> dict[str, tuple[int, int, int, int]]:
    """in, kept, dropped, failed by step."""
    from textmill.workspace import status

    return {
        step["step"]: (step["in"], step["kept"], step["dropped"], step["failed"])
        for step in status(workspace)["steps"]
    }
