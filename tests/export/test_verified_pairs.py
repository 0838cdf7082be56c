"""Near-duplicates and splits, from a recipe to ``tokens/`` and to exported text."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import textmill
from tests.curate.near_documents import edited, page
from tests.tokens.test_assignment import write_events
from textmill.export import export_splits
from textmill.tokens.split import SplitRule
from textmill.workspace import Workspace

THRESHOLD = 0.8
ORIGINALS = 60


def mill(folder: Path, *steps: Any) -> textmill.Run:
    """Pages, and for each an edited copy: five of 200 words or twelve of them changed, around the threshold."""
    chance = random.Random(7)
    pages = [page(number) for number in range(ORIGINALS)]
    texts = pages + [edited(text, share, chance) for text in pages for share in (0.01, 0.025, 0.06)]
    folder.mkdir()
    (folder / "a.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
    recipe = folder / "r.yaml"
    content = {
        "name": "x",
        "sources": [{"files": {"paths": str(folder / "a.jsonl"), "label": "a"}}],
        "curate": list(steps),
        "tokenizer": {"train": {"vocab_size": 400}},
        "tokens": {"seq_len": 32, "split": {"validation": 0.3}},
        "run": {"engine": "inline"},
    }
    recipe.write_text(json.dumps(content))
    return textmill.run(recipe, folder / "run")


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def divided_pairs(folder: Path) -> int:
    """Pairs at or above the threshold, by brute force, with one text in ``train.txt`` and the other in ``val.txt``."""
    sides = [(name, shingles(line)) for name in ("train", "val") for line in lines(folder, name)]
    return sum(
        len(a & b) >= THRESHOLD * len(a | b) for (one, a), (two, b) in combinations(sides, 2) if one != two
    )


def lines(folder: Path, name: str) -> list[str]:
    return (folder / f"{name}.txt").read_text().split("\n")[:-1]


def with_event(run: textmill.Run, pair: tuple[bytes, bytes]) -> Workspace:
    """The run with one more table of events in the record of its last document pass."""
    workspace = run.workspace
    last = workspace.manifest.document_passes()[-1]
    path = f"passes/{last.name}/events/more.parquet"
    write_events(workspace.local(path), [pair])
    first, *others = last.commits
    outputs = {**first.outputs, "events": [*first.outputs.get("events", []), workspace.storage.record(path)]}
    record = replace(last, commits=(replace(first, outputs=outputs), *others))
    passes = tuple(record if one.name == last.name else one for one in workspace.manifest.passes)
    workspace.write_manifest(replace(workspace.manifest, passes=passes))
    return Workspace.open(workspace.url)


@pytest.mark.slow
def test_no_pair_at_the_threshold_is_divided_with_near_dedup_and_some_are_without(tmp_path: Path) -> None:
    rule = SplitRule(0, validation=0.3)
    for name, steps in (("off", []), ("on", [{"near_dedup": THRESHOLD}])):
        run = mill(tmp_path / name, *steps)
        assert run.verify() == []
        out = tmp_path / f"{name}-out"
        export_splits(run.workspace, out, rule)
        assert lines(out, "train")
        assert lines(out, "val")
        divided = divided_pairs(out)
        assert (divided > 20) if name == "off" else (divided == 0)


def test_pairs_in_the_ledger_stay_together_in_text_and_tokens(tmp_path: Path) -> None:
    run = mill(tmp_path / "in", {"near_dedup": THRESHOLD})
    shard = run.workspace.final_documents().files("documents")[0]
    rows = pq.read_table(run.workspace.local(shard.path), columns=["id", "text"]).to_pylist()
    rule = SplitRule(0, validation=0.3)
    one = next(row for row in rows if rule.of(row["id"]) == "train")
    other = next(row for row in rows if rule.of(row["id"]) == "validation")
    export_splits(run.workspace, tmp_path / "before", rule)
    assert one["text"] in lines(tmp_path / "before", "train")
    assert other["text"] in lines(tmp_path / "before", "val")

    workspace = with_event(run, (one["id"], other["id"]))
    assert [finding for finding in textmill.Run(workspace).verify() if "splits" in finding]
    expected = "train" if rule.of(min(one["id"], other["id"])) == "train" else "val"
    export_splits(workspace, tmp_path / "after", rule)
    together = lines(tmp_path / "after", expected)
    assert one["text"] in together
    assert other["text"] in together
    before, after = (
        sorted(lines(tmp_path / name, "train") + lines(tmp_path / name, "val"))
        for name in ("before", "after")
    )
    assert before == after

    again = textmill.run(tmp_path / "in" / "r.yaml", tmp_path / "in" / "run")
    assert again.verify() == [], "the tokens stage saw that there are other events"
