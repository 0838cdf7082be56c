"""Verdicts taken again from scores, against the run done again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textmill
from textmill.api import Run
from textmill.cli import main
from textmill.errors import UserError
from textmill.scores import what_if

STEPS = '''
import pyarrow as pa
from textmill.steps import Edit, Filter, Rule, Transform


class Numbers(Filter):
    """First and second number of the text; fails on a text that has none."""

    first: float = 0.25
    most: float = 0.9
    second: float = 0.1
    scale: float = 1.0
    keep: list[str] = ["en", "fr"]

    def rules(self):
        return [Rule("first", self.first, self.most), Rule("second", minimum=self.second),
                Rule("language", allowed=tuple(self.keep))]

    def open(self, context):
        return self

    def scores(self, batch):
        parts = [text.split() for text in batch.texts]
        return {
            "first": [float(part[1]) for part in parts],
            "second": [float(part[2]) * self.scale for part in parts],
            "language": [part[0] for part in parts],
        }


class Third(Filter):
    least: float = 0.2

    def rules(self):
        return [Rule("third", minimum=self.least)]

    def open(self, context):
        return self

    def scores(self, batch):
        return {"third": [float(text.split()[3]) for text in batch.texts]}


class Cut(Transform):
    """Leaves two words, so that there are duplicates."""

    def open(self, context):
        return self

    def transform(self, batch):
        return Edit(pa.array([" ".join(text.split()[:2]) for text in batch.texts], pa.large_string()))


class Length(Filter):
    most: int = 8

    def rules(self):
        return [Rule("characters", maximum=self.most)]

    def open(self, context):
        return self

    def scores(self, batch):
        return {"characters": [len(text) for text in batch.texts]}
'''


def texts() -> list[str]:
    chance = np.random.default_rng(3)
    found = [
        f"{language} {a:.2f} {b:.3f} {c:.3f}"
        for language, (a, b, c) in zip(
            chance.choice(["en", "fr", "de"], 700), chance.random((700, 3)), strict=True
        )
    ]
    return [*found, "en 0.5", "fr x y z", "en nan 0.5 0.5"]


def run(folder: Path, *overrides: str, curate: Sequence[str] = ("Numbers", "Third"), **section: Any) -> Run:
    folder.mkdir(exist_ok=True)
    (folder / "steps.py").write_text(STEPS)
    (folder / "texts.txt").write_text("\n".join(texts()))
    recipe = {
        "name": "x",
        "sources": [{"files": {"paths": "texts.txt", "unit": "line"}}],
        "curate": [step if step == "exact_dedup" else f"steps.py:{step}" for step in curate],
        "run": {"engine": "inline", "shard_bytes": 4096, **section},
    }
    (folder / "r.yaml").write_text(json.dumps(recipe))
    return textmill.run(folder / "r.yaml", folder / "run", overrides=overrides)


CHANGES = [
    ["numbers.first=0.1"],
    ["numbers.most=0.5"],
    ["numbers.first=0.6", "numbers.second=0.0"],
    ["numbers.keep=[en]"],
    ["numbers.keep=[en, fr, de]", "third.least=0.5"],
    ["third.least=0.35"],
    ["third.least=-1"],
    ["numbers.first=0.3000000001", "numbers.most=0.3"],
]


@pytest.mark.parametrize("overrides", CHANGES)
def test_filters_alone_are_replayed_exactly(tmp_path: Path, overrides: list[str]) -> None:
    found = run(tmp_path / "a").what_if(*overrides)
    again = {step["step"]: step for step in run(tmp_path / "b", *overrides).status()["steps"]}
    for step in found["steps"]:
        real = again[step["step"]]
        assert (step["in_now"], step["kept_now"], step["dropped_now"]) == (
            real["in"],
            real["kept"],
            real["dropped"],
        )
        dropped = sum(rule["dropped_now"] for rule in step["rules"])
        assert dropped == real["dropped"]
    assert found["at_least"] == found["at_most"] == again["third"]["kept"]
    assert found["kept"] - found["lost"] + found["gained"] == again["third"]["kept"]
    assert found["steps_unknown"] == []


@pytest.mark.parametrize("overrides", [*CHANGES, ["length.most=6"], ["length.most=6", "third.least=0.1"]])
def test_the_truth_lies_within_the_bounds(tmp_path: Path, overrides: list[str]) -> None:
    curate = ("Numbers", "Third", "Cut", "Length", "exact_dedup")
    found = what_if(run(tmp_path / "a", curate=curate).workspace, overrides)
    again = run(tmp_path / "b", *overrides, curate=curate).status()["steps"]
    assert found["at_least"] <= again[-1]["kept"] <= found["at_most"]
    first = [step for step in found["steps"] if step["step"] in ("numbers", "third")]
    real = {step["step"]: step for step in again}
    assert all(step["kept_now"] == real[step["step"]]["kept"] for step in first)
    if found["gained"]:
        assert found["steps_unknown"][-1] == "exact_dedup"


def test_what_only_survivors_have_is_unknown(tmp_path: Path) -> None:
    overrides = ["numbers.first=0.1"]
    found = what_if(run(tmp_path / "a", score="survivors").workspace, overrides)
    again = run(tmp_path / "b", *overrides, score="survivors").status()["steps"]
    assert found["steps_unknown"] == ["third"]
    assert found["at_least"] < again[-1]["kept"] <= found["at_most"]
    assert (
        what_if(run(tmp_path / "a", score="survivors").workspace, ["third.least=0.5"])["steps_unknown"] == []
    )


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("numbers.scale=2", "No threshold: numbers.scale"),
        ("run.workers=3", "No threshold: the section run"),
        ("numbers.first=0.25", "Nothing is changed"),
        ("numbers.frist=1", "did you mean 'first'?"),
        ("nothing.x=1", "nothing called 'nothing'"),
        ("curate=[steps.py:Third]", "cannot be read"),
        ("curate=[]", "No threshold: which steps there are"),
    ],
)
def test_mistakes(tmp_path: Path, override: str, words: str) -> None:
    done = run(tmp_path / "a")
    with pytest.raises(UserError) as caught:
        what_if(done.workspace, [override])
    assert words in str(caught.value)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "a", curate=("Numbers", "Third", "exact_dedup")).workspace.url
    assert main(["whatif", folder, "--set", "numbers.first=0.1"]) == 0
    out = capsys.readouterr().out
    assert "numbers.first: 0.25 -> 0.1" in out
    assert "dropped by first" in out
    assert "they have never been through exact_dedup" in out
    assert main(["whatif", folder, "--set", "numbers.first=0.1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"][0]["step"] == "numbers"
    assert main(["whatif", folder]) == 2
    assert "--set" in capsys.readouterr().err
