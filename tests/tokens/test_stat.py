"""Counts of a run: each split by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.tokens.mill import document_paths, mill

from textmill.cli import main
from textmill.tokens.index import TokenIndex
from textmill.tokens.stat import ShardCount, TokenCounts, count_tokens


def test_splits_are_not_averaged_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "run"
    mill(root)
    counts = count_tokens(root / "tokens", document_paths(root))
    numbers = TokenIndex.read(root / "tokens").numbers()["splits"]
    assert {split.name: (split.tokens, split.shards) for split in counts.splits} == {
        name: (split["tokens"], split["shards"]) for name, split in numbers.items()
    }
    for split in counts.splits:
        sizes = [shard.tokens for shard in counts.shards if shard.split == split.name][:-1]
        assert split.unevenness == max(sizes) / (sum(sizes) / len(sizes)) - 1
        of_split = [group for group in counts.groups if group.split == split.name]
        assert sum(group.tokens for group in of_split) == split.tokens
        assert sum(group.documents for group in of_split) == numbers[split.name]["documents"]
    assert main(["tokens", "stat", str(root)]) == 0
    said = capsys.readouterr().out
    for name, split in numbers.items():
        assert f"{name:<11} {split['tokens']:,} tokens in {split['shards']:,} shards" in said


def test_equal_shards_of_splits_of_different_size_are_even() -> None:
    sizes = {"train": (100, 100, 7), "validation": (10, 10, 3), "test": (4,)}
    counts = TokenCounts(
        tuple(ShardCount(split, "", tokens) for split, each in sizes.items() for tokens in each), ()
    )
    assert [split.unevenness for split in counts.splits] == [0.0, 0.0, 0.0]
    assert TokenCounts((), ()).splits == []
