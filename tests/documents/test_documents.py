"""Ids, batches and shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents

from textmill.documents import (
    Batch,
    ShardWriter,
    derived_id,
    document_id,
    format_id,
    parse_id,
    read_batches,
    shards,
)


def test_ids_are_frozen() -> None:
    """A change of these values would orphan every ledger ever written."""
    assert format_id(document_id("notes", "day/monday.txt")) == "a07b6c07988a14047495e40665f87c84"
    derived = derived_id(document_id("notes", "day/monday.txt"), "back_translation", 1)
    assert len(derived) == 16
    assert derived != derived_id(document_id("notes", "day/monday.txt"), "back_translation", 2)


def test_ids_keep_their_parts_apart() -> None:
    assert document_id("a", "bc") != document_id("ab", "c")
    assert document_id("", "abc") != document_id("abc", "")


def test_parse_id() -> None:
    identifier = document_id("a", "b")
    assert parse_id(format_id(identifier)) == identifier
    assert parse_id("zz" * 16) is None
    assert parse_id("ab") is None


@given(hostile_documents())
@settings(max_examples=50, deadline=None)
def test_a_batch_gives_bytes_and_lengths_of_its_texts(texts: list[str]) -> None:
    batch = Batch.from_texts(texts)
    offsets = batch.offsets
    for row, text in enumerate(texts):
        assert bytes(batch.data[offsets[row] : offsets[row + 1]]).decode() == text
    assert batch.code_points.tolist() == [len(text) for text in texts]
    assert batch.text_bytes == sum(len(text.encode()) for text in texts)


@given(hostile_documents(), st.data())
@settings(max_examples=50, deadline=None)
def test_slices_and_selections_point_at_the_right_bytes(texts: list[str], data: st.DataObject) -> None:
    batch = Batch.from_texts(texts)
    start = data.draw(st.integers(0, len(texts)))
    length = data.draw(st.integers(0, len(texts) - start))
    part = batch.slice(start, length)
    assert part.texts == texts[start : start + length]
    offsets = part.offsets
    for row in range(length):
        assert bytes(part.data[offsets[row] : offsets[row + 1]]).decode() == part.texts[row]
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=length, max_size=length)), np.bool_)
    chosen = part.select(mask)
    assert chosen.texts == [text for text, keep in zip(part.texts, mask, strict=True) if keep]
    assert chosen.ids == [identifier for identifier, keep in zip(part.ids, mask, strict=True) if keep]


def test_with_texts_keeps_everything_else() -> None:
    batch = Batch.from_texts(["a", "b"])
    changed = batch.with_texts(pa.array(["x", "y"]))
    assert changed.texts == ["x", "y"]
    assert changed.ids == batch.ids
    assert changed.code_points.tolist() == [1, 1]


def write(path: Path, batches: list[Batch]) -> bytes:
    with ShardWriter(path) as writer:
        for batch in batches:
            writer.write(batch)
    return path.read_bytes()


@pytest.mark.parametrize("sizes", [[100], [1] * 100, [33, 33, 34], [0, 50, 0, 50]])
def test_row_groups_do_not_depend_on_how_documents_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_TEXT_BYTES", 500)
    monkeypatch.setattr(shards, "ROW_GROUP_DOCUMENTS", 7)
    whole = Batch.from_texts(["x" * (row * 37 % 211) for row in range(100)])
    expected = write(tmp_path / "whole", [whole])
    parts, start = [], 0
    for size in sizes:
        parts.append(whole.slice(start, size))
        start += size
    assert write(tmp_path / "parts", parts) == expected
    with pq.ParquetFile(tmp_path / "whole") as file:
        assert file.num_row_groups > 10
    read = list(read_batches(tmp_path / "whole"))
    assert [text for batch in read for text in batch.texts] == whole.texts
    assert all(len(batch) <= 7 and (batch.text_bytes <= 500 or len(batch) == 1) for batch in read)


def test_an_empty_shard(tmp_path: Path) -> None:
    write(tmp_path / "empty", [])
    assert list(read_batches(tmp_path / "empty")) == []


def test_a_text_keeps_every_character(tmp_path: Path) -> None:
    texts = ["", "\0", "é\u2028\U0001f600\r\n", "a" * 5_000_000]
    write(tmp_path / "s", [Batch.from_texts(texts)])
    assert [text for batch in read_batches(tmp_path / "s") for text in batch.texts] == texts
