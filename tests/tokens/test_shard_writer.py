from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textmill.tokens import shard_writer
from textmill.tokens.shard_writer import TokenShardWriter


def flat(documents: list[list[int]]) -> list[int]:
    return [token for document in documents for token in document]


@given(
    batches=st.lists(
        st.lists(st.lists(st.integers(0, 65_535), min_size=1, max_size=4), max_size=5), max_size=6
    )
)
def test_what_is_written_is_read_however_it_was_cut(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("shard")
    writer = TokenShardWriter(folder, "uint16")
    number = 0
    for batch in batches:
        lengths = np.array([len(document) for document in batch], np.int64)
        ids = [(number + i).to_bytes(16, "big") for i in range(len(batch))]
        number += len(batch)
        writer.write(np.array(flat(batch), np.uint32), lengths, ids, lengths * 2)
    writer.close()
    documents = [document for batch in batches for document in batch]
    tokens = np.load(writer.tokens_path)
    assert tokens.dtype == np.dtype("<u2")
    assert tokens.tolist() == flat(documents)
    rows = pq.read_table(writer.documents_path).to_pylist()
    assert [tokens[row["offset"] : row["offset"] + row["length"]].tolist() for row in rows] == documents
    assert [int.from_bytes(row["id"], "big") for row in rows] == list(range(number))
    assert writer.text_bytes == sum(row["bytes"] for row in rows) == 2 * len(tokens)


def test_row_groups_do_not_follow_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_writer, "DOCUMENTS_PER_ROW_GROUP", 10)
    contents = []
    for size in (1, 7, 35):
        folder = tmp_path / str(size)
        folder.mkdir()
        writer = TokenShardWriter(folder, "uint16")
        for start in range(0, 35, size):
            count = min(size, 35 - start)
            ids = [(start + i).to_bytes(16, "big") for i in range(count)]
            ones = np.ones(count, np.int64)
            writer.write(np.arange(start, start + count), ones, ids, ones)
        writer.close()
        contents.append((writer.tokens_path.read_bytes(), writer.documents_path.read_bytes()))
        metadata = pq.read_metadata(writer.documents_path)
        assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [10, 10, 10, 5]
    assert contents[0] == contents[1] == contents[2]


def test_the_header_has_room_for_any_number() -> None:
    dtype = np.dtype("<u4")
    lengths = {len(shard_writer.npy_header(tokens, dtype)) for tokens in (0, 1, 10**6, 10**15)}
    assert len(lengths) == 1
