"""Distributions against an obvious oracle: sorted lists."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textmill
from textmill.api import Run
from textmill.cli import main
from textmill.errors import UserError
from textmill.scores import PERCENTILES, score_statistics
from textmill.scores.statistics import _float_of, _sortable

STEPS = """
from textmill.steps import Filter, Rule


class Measure(Filter):
    def rules(self):
        return [Rule("value", minimum=-1.5, maximum=2.0), Rule("language", allowed=("en",))]

    def open(self, context):
        return self

    def scores(self, batch):
        parts = [text.split() for text in batch.texts]
        return {"value": [float(part[1]) for part in parts], "language": [part[0] for part in parts]}


class Length(Filter):
    def rules(self):
        return [Rule("characters", minimum=1)]

    def open(self, context):
        return self

    def scores(self, batch):
        return {"characters": [len(text) for text in batch.texts]}
"""
RANDOM = np.random.default_rng(5)
VALUES = [
    0.0,
    -0.0,
    -1.5,
    2.0,
    float("nan"),
    1e30,
    -1e-30,
    3.0000001,
    *RANDOM.normal(size=600).round(2),
    *[0.25] * 200,
]
TEXTS = [f"{'en' if position % 3 else 'fr'} {value}" for position, value in enumerate(VALUES)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two sources, many shards, scores in two passes."""
    folder = tmp_path_factory.mktemp("stats")
    (folder / "steps.py").write_text(STEPS)
    for name, texts in (("a", TEXTS[:300]), ("b", TEXTS[300:])):
        (folder / f"{name}.txt").write_text("\n".join(texts))
    recipe = {
        "name": "x",
        "sources": [{"files": {"paths": f"{name}.txt", "unit": "line", "label": name}} for name in "ab"],
        "curate": ["steps.py:Measure", "exact_dedup", "steps.py:Length"],
        "run": {"engine": "inline", "shard_bytes": 1024},
    }
    (folder / "r.yaml").write_text(json.dumps(recipe))
    return textmill.run(folder / "r.yaml", folder / "run")


def expected(values: list[float]) -> dict[str, Any]:
    ordered = sorted(float(np.float32(value)) for value in values if not math.isnan(value))
    result = {f"p{p}": ordered[max(1, math.ceil(p * len(ordered) / 100)) - 1] for p in PERCENTILES}
    return {"count": len(ordered), "mean": pytest.approx(sum(ordered) / len(ordered)), **result}


def test_over_all_documents(run: Run) -> None:
    value, language, characters = run.stats()["scores"]
    assert {key: value[key] for key in expected(VALUES)} == expected(VALUES)
    outside = sum(bool(v < -1.5 or np.float32(v) > 2.0) for v in VALUES)
    assert value["rules"] == [
        {"rule": "value", "described": "value >= -1.5 and value <= 2", "outside": outside,
         "share": outside / value["count"]}
    ]  # fmt: skip
    french = sum(text.startswith("fr") for text in TEXTS)
    assert language["labels"] == {"en": len(TEXTS) - french, "fr": french}
    assert language["rules"][0]["outside"] == french
    kept = run.status()["steps"][-1]["in"]
    assert (characters["step"], characters["count"]) == ("length", kept)


@pytest.mark.parametrize("by", ["language", "source"])
def test_by_group(run: Run, by: Any) -> None:
    keys = [text[:2] for text in TEXTS] if by == "language" else ["a"] * 300 + ["b"] * (len(TEXTS) - 300)
    rows = [row for row in score_statistics(run.workspace, by)["scores"] if row["score"] == "value"]
    assert {row["group"] for row in rows} == set(keys)
    for row in rows:
        of_group = [value for value, key in zip(VALUES, keys, strict=True) if key == row["group"]]
        assert {key: row[key] for key in expected(of_group)} == expected(of_group)
        assert row["rules"][0]["outside"] == sum(bool(v < -1.5 or np.float32(v) > 2.0) for v in of_group)
    later = [row for row in score_statistics(run.workspace, by)["scores"] if row["step"] == "length"]
    assert {row["group"] for row in later} == ({"en"} if by == "language" else {"a", "b"})


def test_a_run_without_languages_or_scores(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    recipe = {"name": "x", "sources": [{"files": str(tmp_path / "a.txt")}], "run": {"engine": "inline"}}
    bare = textmill.run(json.dumps(recipe) + "\n", tmp_path / "run")
    with pytest.raises(UserError, match="No step of this run found languages"):
        score_statistics(bare.workspace, "language")
    with pytest.raises(UserError, match="has no scores"):
        score_statistics(bare.workspace)


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_keys_sort_as_floats_do(values: list[float]) -> None:
    array = np.array(values, np.float32)
    keys = _sortable(array)
    assert [_float_of(key) for key in sorted(keys.tolist())] == sorted(values)


def test_the_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", run.workspace.url]) == 0
    out = capsys.readouterr().out
    assert "value >= -1.5 and value <= 2" in out
    assert "language: en 66.6 %, fr 33.4 %" in out
    assert main(["stats", run.workspace.url, "--by", "language", "--step", "measure", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["step"] for row in found["scores"]} == {"measure"}
    assert main(["stats", run.workspace.url, "--step", "mesure"]) == 2
    assert "did you mean 'measure'?" in capsys.readouterr().err


def test_a_narrow_terminal_gets_fewer_percentiles(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for columns, shown in ((120, "p1 p5 p25 p50 p75 p95 p99"), (56, "p1 p5 p50 p95 p99"), (40, "p1 p50 p99")):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert main(["stats", run.workspace.url, "--step", "measure"]) == 0
        heading = capsys.readouterr().out.splitlines()[1]
        assert [word for word in heading.split() if word[0] == "p"] == shown.split()
