"""Kernels are compiled before several workers start: those that the steps of a pass need, and no others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from textmill.pipeline.run import run_recipe
from textmill.pipeline.settings_codec import encode
from textmill.pipeline.warm_up import warm_up

from .run_folder import recipe, steps

# What is compiled or read from disk in a process of its own: after the warm-up, and after real work.
SIGNATURES = """
import json, sys
from pathlib import Path
from textmill.documents import Batch
from textmill.pipeline.settings_codec import encode
from textmill.pipeline.warm_up import _work_of, warm_up
from textmill.recipe import load_recipe
from textmill.steps import StepContext

def compiled():
    modules = [module for name, module in sys.modules.items() if name.startswith("textmill.")]
    kernels = {id(one): one for module in modules for one in vars(module).values() if hasattr(one, "py_func")}
    return sorted(f"{one.__module__}.{one.__name__}{sign}" for one in kernels.values() for sign in one.signatures)

named = json.loads(sys.argv[1])
curate = load_recipe({"name": "x", "sources": ["python_docs"], "curate": named}).curate
warm_up({"steps": [encode(step) for step in curate], "seed": 0, "scratch": sys.argv[2]}, lambda **report: None)
before = compiled()
texts = ["It's a test; one & two.\\n\\nIt's a test.", "À bientôt ! 1,5 € …", "", "中文。日本語。", "ไทย", "x" * 5000]
texts += ["the word and the other, " * 400, "A. Mr. Smith said so.\\n" * 50, "http://a.b/c-d {javascript} lorem ipsum"]
for step in curate:
    _work_of(step, StepContext(scratch=Path(sys.argv[2])))(Batch.from_texts(texts))
print(*before, "--", *compiled(), sep="\\n")
"""


def compiled(curate: list[Any], scratch: Path) -> tuple[list[str], list[str]]:
    command = [sys.executable, "-c", SIGNATURES, json.dumps(curate), str(scratch)]
    before, _, after = subprocess.run(command, capture_output=True, text=True, check=True).stdout.partition(
        "--\n"
    )
    return before.splitlines(), after.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize(
    "curate",
    [
        ["normalize", "language", "gopher_quality", "gopher_repetition", "exact_dedup"],
        ["c4", "c4_lines", "fineweb", "near_dedup"],
        [{"heuristics": {"min_words": 3, "min_letters": 0.5}}, "line_dedup", "span_dedup"],
    ],
)
def test_work_after_the_warm_up_compiles_nothing(curate: list[Any], tmp_path: Path) -> None:
    before, after = compiled(curate, tmp_path)
    assert before
    assert after == before


@pytest.mark.slow
def test_kernels_that_no_step_uses_are_left_alone(tmp_path: Path) -> None:
    before, _ = compiled(["gopher_repetition"], tmp_path)
    modules = {name.split(".")[2] for name in before}
    assert "ngrams" in modules
    assert not modules & {"c4", "minhash", "shingles", "winnowing", "phrases", "fasttext_predict"}


def test_what_a_step_raises_is_left_to_the_documents(tmp_path: Path) -> None:
    asked: list[Any] = []
    refuses, works = steps.Upper(poison="mill"), steps.Even()
    warm_up(
        {"steps": [encode(refuses), encode(works)], "seed": 0, "scratch": str(tmp_path)},
        lambda **report: asked.append(report["step"]),
    )
    assert asked == ["upper", "even"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("workers", "times"), [(1, 0), (2, 1)])
def test_it_is_for_several_workers(
    workers: int, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from textmill.pipeline.local import LocalEngine

    called: list[str] = []
    run = LocalEngine.map

    def noted(self: LocalEngine, function: str, items: Any, tell: Any) -> Any:
        called.append(function)
        return run(self, function, items, tell)

    monkeypatch.setattr(LocalEngine, "map", noted)
    run_recipe(recipe(steps.Even(), workers=workers), str(tmp_path / "run"))
    assert called.count("textmill.pipeline.warm_up:warm_up") == times


def test_a_worker_that_dies_of_it_does_not_stop_the_run(tmp_path: Path) -> None:
    workspace = run_recipe(recipe(steps.Even(deadly="mill"), workers=2), str(tmp_path / "run"))
    assert workspace.manifest.passes[-1].kind == "curate"
