"""Partitions of fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from textmill.pipeline.resolve import MOST_PARTITIONS, PARTITION_ROWS, partitions
from textmill.pipeline.tables import read_partition
from textmill.workspace.ledger_tables import write_sorted
from textmill.workspace.storage import Storage


@pytest.mark.parametrize(
    "rows,expected",
    [
        (0, 1),
        (PARTITION_ROWS, 1),
        (PARTITION_ROWS + 1, 2),
        (5 * PARTITION_ROWS, 8),
        (10**12, MOST_PARTITIONS),
    ],
)
def test_the_number_of_partitions_follows_from_the_rows(rows: int, expected: int) -> None:
    assert partitions(rows) == expected


@pytest.mark.parametrize("count", [1, 2, 8, 64])
def test_every_row_is_in_exactly_one_partition_and_equal_keys_meet(tmp_path: Path, count: int) -> None:
    random = np.random.default_rng(3)
    paths, expected = [], []
    for shard in range(3):
        keys = [random.bytes(16) for _ in range(40_000)] + [b"\xff" * 16, b"\0" * 16]
        ids = [random.bytes(16) for _ in keys]
        table = pa.table({"key": pa.array(keys, pa.binary(16)), "id": pa.array(ids, pa.binary(16))})
        write_sorted(table, tmp_path / f"{shard}.parquet", by=("key", "id"))
        paths.append(f"{shard}.parquet")
        expected += ids
    storage = Storage(str(tmp_path))
    seen: list[bytes] = []
    place: dict[bytes, int] = {}
    for partition in range(count):
        for records in read_partition(storage, paths, partition, count):
            seen += records.column("id").to_pylist()
            for key in records.column("key").to_pylist():
                assert place.setdefault(key, partition) == partition
    assert sorted(seen) == sorted(expected)
