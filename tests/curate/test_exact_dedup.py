"""The global step ``exact_dedup`` against a dictionary."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from textmill.curate import ExactDedup
from textmill.curate.exact_dedup import comparable
from textmill.documents import Batch
from textmill.steps import StepContext

VARIANTS = ["", "a", "A", " a ", "a\n", "a b", "a  B", "Käse", "KÄSE", "k ä s e", "a-b"]
TEXTS = st.lists(st.sampled_from(VARIANTS), max_size=25)


def fingerprints(texts: list[str], priorities: list[int], normalize: str = "none") -> pa.Table:
    record = ExactDedup(normalize=normalize).open(StepContext()).fingerprint(Batch.from_texts(texts))
    table = pa.Table.from_batches([record])
    table = table.append_column("priority", pa.array(priorities, pa.int64()))
    return table.append_column("shard", pa.array([n % 3 for n in range(len(texts))], pa.int32()))


def resolve(table: pa.Table, scratch: Path, memory: int = 2**30, chunk: int = 7) -> list[tuple[object, ...]]:
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=chunk))
    result = (
        ExactDedup().open(StepContext()).resolve(reader, StepContext(scratch=scratch, memory_bytes=memory))
    )
    assert result.schema.names == ["shard", "id", "rule", "matched_id", "similarity"]
    assert [str(kind) for kind in result.schema.types] == [
        "int32", "fixed_size_binary[16]", "string", "fixed_size_binary[16]", "float",
    ]  # fmt: skip
    return list(zip(*(result[name].to_pylist() for name in result.schema.names), strict=True))


def oracle(texts: list[str], priorities: list[int], normalize: str) -> set[tuple[object, ...]]:
    ids = Batch.from_texts(texts).ids
    first: dict[str, tuple[int, bytes]] = {}
    keys = [text if normalize == "none" else comparable(text, normalize) for text in texts]
    for key, priority, identifier in zip(keys, priorities, ids, strict=True):
        first[key] = min(first.get(key, (priority, identifier)), (priority, identifier))
    return {
        (n % 3, identifier, "duplicate", first[key][1], 1.0)
        for n, (key, identifier) in enumerate(zip(keys, ids, strict=True))
        if identifier != first[key][1]
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=TEXTS,
    normalize=st.sampled_from(["none", "whitespace", "case", "letters"]),
    seed=st.integers(0, 9),
)
def test_equals_the_oracle_in_any_order(tmp_path: Path, texts: list[str], normalize: str, seed: int) -> None:
    generator = random.Random(seed)
    priorities = [generator.randrange(3) for _ in texts]
    table = fingerprints(texts, priorities, normalize)
    expected = oracle(texts, priorities, normalize)
    found = resolve(table, tmp_path)
    assert set(found) == expected
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda row: row[:2])
    order = list(range(len(texts)))
    generator.shuffle(order)
    assert resolve(table.take(pa.array(order, pa.int64())), tmp_path, chunk=2) == found
    assert not list(tmp_path.iterdir())


def test_priority_goes_before_the_id(tmp_path: Path) -> None:
    ids = Batch.from_texts(["x", "x", "x"]).ids
    largest = ids.index(max(ids))
    priorities = [0 if n == largest else 1 for n in range(3)]
    removals = resolve(fingerprints(["x"] * 3, priorities), tmp_path)
    assert {row[3] for row in removals} == {ids[largest]}
    assert {row[1] for row in removals} == set(ids) - {ids[largest]}


def test_slices_fingerprint_their_own_texts() -> None:
    runner = ExactDedup().open(StepContext())
    batch = Batch.from_texts(["a", "b", "c", "b"])
    whole = runner.fingerprint(batch)
    assert runner.fingerprint(batch.slice(1, 2)).equals(whole.slice(1, 2))
    assert whole["key"][1] == whole["key"][3] != whole["key"][0]


@pytest.mark.parametrize(
    "text, whitespace, case, letters",
    [("  A  b\n", "A b", "a b", "ab"), ("STRASSE-ß 1_2", "STRASSE-ß 1_2", "strasse-ss 1_2", "strassess12")],
)
def test_comparable(text: str, whitespace: str, case: str, letters: str) -> None:
    assert [comparable(text, kind) for kind in ("whitespace", "case", "letters")] == [
        whitespace,
        case,
        letters,
    ]
    assert re.fullmatch(r"\w*", letters)


@pytest.mark.slow
def test_a_partition_larger_than_the_memory_limit(tmp_path: Path) -> None:
    """Three million rows are 150 MB as a table; the limit is 64 MiB."""
    import numpy as np

    count = 3_000_000
    generator = np.random.default_rng(1)
    ids = generator.bytes(16 * count)
    keys = generator.integers(0, count, count, np.uint64)
    wide = np.zeros((count, 2), np.uint64)
    wide[:, 0] = keys
    schema = pa.schema(
        [("key", pa.binary(16)), ("id", pa.binary(16)), ("priority", pa.int64()), ("shard", pa.int32())]
    )
    columns = [
        pa.Array.from_buffers(pa.binary(16), count, [None, pa.py_buffer(wide.tobytes())]),
        pa.Array.from_buffers(pa.binary(16), count, [None, pa.py_buffer(ids)]),
        pa.array(np.zeros(count, np.int64)),
        pa.array(np.zeros(count, np.int32)),
    ]
    table = pa.Table.from_arrays(columns, schema=schema)
    reader = pa.RecordBatchReader.from_batches(schema, table.to_batches(max_chunksize=100_000))
    context = StepContext(scratch=tmp_path, memory_bytes=64 * 2**20)
    removals = ExactDedup().open(context).resolve(reader, context)
    assert removals.num_rows == count - len(np.unique(keys))
