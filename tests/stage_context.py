"""A stage's surroundings for tests: a run folder on this machine and an engine that works inline."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.steps.stage import StageResult


class LocalStageContext:
    """The whole protocol of :class:`textmill.steps.stage.StageContext` over a local folder.

    Args:
        root: the run folder.
        upstream: what earlier stages committed, by name.
        seed: the recipe's seed.
        finish: ``"forward"`` or ``"backward"``: the order in which items of ``map`` finish.
        kill_after: raise :class:`Killed` when this many files have been published, to play an interruption.
    """

    def __init__(
        self,
        root: Path,
        upstream: Mapping[str, StageResult],
        *,
        seed: int = 0,
        finish: str = "forward",
        kill_after: int | None = None,
    ) -> None:
        self.root = root
        self.seed = seed
        self.scratch = root.parent / f"{root.name}-scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.root.mkdir(parents=True, exist_ok=True)
        self.finish = finish
        self.kill_after = kill_after
        self.mapped: list[Mapping[str, Any]] = []
        self.said: list[str] = []
        self.progressed: list[tuple[str, float, float]] = []
        self._upstream = dict(upstream)
        self._publications = 0

    def upstream(self, stage: str) -> StageResult:
        if stage not in self._upstream:
            raise UserError(f"the recipe has no {stage}: section")
        return self._upstream[stage]

    def has(self, stage: str) -> bool:
        return stage in self._upstream

    def local(self, path: str) -> Path:
        return self.root / path

    def publish(self, file: Path, path: str) -> str:
        if self.kill_after is not None and self._publications >= self.kill_after:
            raise Killed
        self._publications += 1
        if "{sha}" in path:
            path = path.replace("{sha}", hashlib.sha256(file.read_bytes()).hexdigest()[:16])
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
        return path

    def published(self, folder: str) -> list[str]:
        below = self.root / folder
        return sorted(str(file.relative_to(self.root)) for file in below.rglob("*") if file.is_file())

    def remove(self, path: str) -> None:
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def map(self, function: str, items: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, Any]]:
        module, name = function.split(":")
        task = getattr(importlib.import_module(module), name)
        order = range(len(items)) if self.finish == "forward" else range(len(items) - 1, -1, -1)
        for position in order:
            self.mapped.append(items[position])
            # Through JSON and back, because an engine may send items and results to another process.
            item = json.loads(json.dumps(items[position]))
            yield position, json.loads(json.dumps(task(item, lambda **numbers: None)))

    def progress(self, text: str, done: float, total: float, **numbers: float) -> None:
        self.progressed.append((text, done, total))

    def say(self, text: str) -> None:
        self.said.append(text)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in a stage may catch it and go on."""


def tree_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``, by relative path: what "the same bytes" means."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
