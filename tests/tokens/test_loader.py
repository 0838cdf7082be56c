"""Windows and batches: the same global order whatever the number of processes, borders where documents are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.errors import UserError
from textmill.tokens.borders import document_borders
from textmill.tokens.consolidated import ConsolidatedTokens
from textmill.tokens.document_tables import NUMBERED_DOCUMENTS_SCHEMA
from textmill.tokens.loader import Loader, WindowBatch
from textmill.tokens.packing import best_fit, pack_documents
from textmill.tokens.windows import PackedWindows, StreamWindows

EOS = 0


class ArrayStream:
    """Tokens in memory."""

    def __init__(self, tokens: np.ndarray) -> None:
        self.all = tokens
        self.tokens = len(tokens)
        self.dtype = tokens.dtype

    def read(self, start: int, stop: int) -> np.ndarray:
        assert 0 <= start <= stop <= self.tokens
        return self.all[start:stop]


def corpus(sizes: list[int]) -> tuple[ArrayStream, np.ndarray]:
    """Documents of so many tokens; token values count up, so that each says where it stands."""
    borders = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return ArrayStream(np.arange(borders[-1], dtype=np.uint32)), borders


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@settings(deadline=None)
@given(total=st.integers(0, 300), length=st.integers(1, 40), data=st.data())
def test_windows_with_overlap(total: int, length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, length - 1))
    least = data.draw(st.one_of(st.none(), st.integers(0, length + 3)))
    tokens = np.arange(total, dtype=np.uint16)
    windows = StreamWindows(ArrayStream(tokens), length, stride=stride, min_tokens=least)
    expected = []
    for start in range(0, max(total, 1), length - stride):
        window = tokens[start : start + length]
        new = len(window) if start == 0 else len(window) - stride
        if new > 0 and len(window) >= (length if least is None else max(1, min(least, length))):
            expected.append(window.tolist())
    found = []
    for i in range(len(windows)):
        row = np.zeros(length, np.uint16)
        found.append(row[: windows.read(i, row)].tolist())
    assert found == expected


def test_the_windows_of_the_french_system() -> None:
    """1,024 tokens, 128 shared, windows under 50 tokens dropped."""
    for total, stride, sizes in (
        (1920, 128, [1024, 1024]),
        (1921, 128, [1024, 1024, 129]),
        (1024 + 49, 0, [1024]),
        (1024 + 50, 0, [1024, 50]),
    ):
        windows = StreamWindows(ArrayStream(np.zeros(total, np.uint16)), 1024, stride=stride, min_tokens=50)
        spans = [windows.span(i) for i in range(len(windows))]
        assert [stop - start for start, stop in spans] == sizes
    assert len(StreamWindows(ArrayStream(np.zeros(49, np.uint16)), 1024, min_tokens=50)) == 0
    for stride in (1024, 2000, -1):
        with pytest.raises(UserError, match="overlap by their whole length"):
            StreamWindows(ArrayStream(np.zeros(5000, np.uint16)), 1024, stride=stride)


def oracle_best_fit(sizes: list[int], capacity: int) -> list[int]:
    room: dict[int, int] = {}
    since: dict[int, int] = {}
    bins = []
    for item, size in enumerate(sizes):
        fitting = [(room[b], since[b], b) for b in room if room[b] >= size]
        chosen = min(fitting)[2] if fitting else len(room)
        room[chosen] = room.get(chosen, capacity) - size
        since[chosen] = item
        bins.append(chosen)
    return bins


@settings(deadline=None)
@given(capacity=st.integers(1, 40), data=st.data())
def test_best_fit_equals_its_oracle(capacity: int, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, capacity), max_size=60))
    assert best_fit(np.array(sizes, np.int64), capacity).tolist() == oracle_best_fit(sizes, capacity)


@settings(deadline=None)
@given(sizes=SIZES, length=st.integers(1, 35))
def test_packing_loses_and_repeats_nothing(sizes: list[int], length: int) -> None:
    stream, borders = corpus(sizes)
    windows = PackedWindows(stream, pack_documents(borders, length))
    seen: list[int] = []
    whole = 0
    for i in range(len(windows)):
        row = np.full(length, 9999, np.uint32)
        used = windows.read(i, row)
        parts, documents, counts = windows.segments(np.array([i]))
        assert parts.sum() == used <= length
        assert counts.tolist() == [len(parts)]
        start = 0
        for part, document in zip(parts.tolist(), documents.tolist(), strict=True):
            piece = row[start : start + part].tolist()
            assert borders[document] <= piece[0] <= piece[-1] < borders[document + 1]
            whole += len(piece) == sizes[document]
            start += part
        seen += row[:used].tolist()
    assert sorted(seen) == list(range(sum(sizes)))
    assert whole == sum(size <= length for size in sizes), "what fits is never cut"


def test_packing_in_groups_and_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.tokens import packing

    sizes = np.random.default_rng(1).integers(1, 700, 3000)
    stream, borders = corpus(sizes.tolist())
    whole = pack_documents(borders, 512)
    full = stream.tokens / (len(whole) * 512)
    assert full > 0.995, f"{full:.2%} of the windows is text"
    monkeypatch.setattr(packing, "GROUP", 100)
    in_memory, in_files = pack_documents(borders, 512), pack_documents(borders, 512, tmp_path / "packing")
    for name in ("starts", "lengths", "documents", "windows"):
        assert np.array_equal(getattr(in_memory, name), getattr(in_files, name))
    assert isinstance(in_files.starts, np.memmap)
    assert sorted(in_files.starts.tolist()) == sorted(whole.starts.tolist())
    with pytest.raises(ValueError, match="needs tokens"):
        pack_documents(borders, 0)


@settings(deadline=None)
@given(sizes=SIZES, length=st.integers(2, 25), packed=st.booleans())
def test_documents_of_a_batch(sizes: list[int], length: int, packed: bool) -> None:
    stream, borders = corpus(sizes)
    windows: Any = (
        PackedWindows(stream, pack_documents(borders, length))
        if packed
        else StreamWindows(stream, length, min_tokens=1, borders=borders)
    )
    batch = Loader(windows, batch_size=4, pad_id=7).batch(1)
    found = batch.documents
    assert found is not None
    ends = found.cu_seqlens.tolist()
    assert (ends[0], ends[-1]) == (0, 4 * length)
    flat, parts = batch.tokens.reshape(-1), found.parts.reshape(-1)
    for part, (start, stop) in enumerate(pairwise(ends)):
        assert found.positions.reshape(-1)[start:stop].tolist() == list(range(stop - start))
        document = int(found.documents[part])
        assert set(parts[start:stop].tolist()) == {part if document >= 0 else -1}
        if document < 0:
            assert set(flat[start:stop].tolist()) == {7}
        else:
            assert flat[start:stop].tolist() == list(range(flat[start], flat[start] + stop - start))
            assert borders[document] <= flat[start] <= flat[stop - 1] < borders[document + 1]
        assert start // length == (stop - 1) // length, "no part runs from row to row"
    assert found.max_seqlen == max(np.diff(ends))


def test_borders_of_other_tokens(tmp_path: Path) -> None:
    stream, borders = corpus([5, 5])
    with pytest.raises(UserError, match="belong to other tokens"):
        StreamWindows(stream, 4, borders=borders[:-1])


@settings(deadline=None, max_examples=50)
@given(
    tokens=st.integers(40, 400),
    rows=st.sampled_from([4, 8, 12]),
    seed=st.integers(0, 2**40),
    first=st.integers(0, 10**6),
)
def test_any_number_of_processes_sees_the_same_order(tokens: int, rows: int, seed: int, first: int) -> None:
    windows = StreamWindows(ArrayStream(np.arange(tokens, dtype=np.uint16)), 10)

    def world(size: int, step: int) -> list[list[int]]:
        loaders = [Loader(windows, batch_size=rows, seed=seed, rank=r, world_size=size) for r in range(size)]
        return [row.tolist() for loader in loaders for row in loader.batch(step).tokens]

    for step in range(first, first + 3):
        assert world(1, step) == world(2, step) == world(4, step)


def test_resuming_with_another_number_of_processes_ends_in_the_same_samples() -> None:
    windows = StreamWindows(ArrayStream(np.arange(1000, dtype=np.uint16)), 10)

    def loaders(size: int) -> list[Loader]:
        return [Loader(windows, batch_size=8, seed=5, rank=r, world_size=size) for r in range(size)]

    def seen(size: int, start: int, stop: int) -> list[int]:
        streams = [loader.steps(start, stop) for loader in loaders(size)]
        return [int(i) for batches in zip(*streams, strict=True) for b in batches for i in b.windows]

    straight = seen(1, 0, 50)
    assert seen(2, 0, 7) + seen(4, 7, 20) + seen(1, 20, 21) + seen(8, 21, 50) == straight
    for epoch in range(4):
        assert sorted(straight[epoch * 100 : epoch * 100 + 100]) == list(range(100))
    assert straight[:100] != straight[100:200]
    assert loaders(1)[0].steps_per_epoch == 12.5


def test_slices_of_a_batch_are_defined() -> None:
    windows = StreamWindows(ArrayStream(np.arange(1000, dtype=np.uint16)), 10)
    loader = Loader(windows, batch_size=8, seed=1, rank=2, world_size=4)
    assert loader.samples(3).tolist() == loader.global_samples(3)[4:6].tolist()
    for options in ({"world_size": 3}, {"rank": 1}, {"rank": -1}):
        with pytest.raises(UserError, match="share the batch"):
            Loader(windows, batch_size=8, **options)
    with pytest.raises(UserError, match="not one window"):
        Loader(StreamWindows(ArrayStream(np.arange(9, dtype=np.uint16)), 10), batch_size=1)


def consolidated(folder: Path, sizes: list[int]) -> None:
    """A consolidated folder with its table of documents."""
    from textmill.tokens.consolidate import consolidate

    offsets = np.cumsum([0, *sizes[:-1]])
    np.save(folder / "train_000000.npy", np.arange(sum(sizes), dtype=np.uint16))
    rows = [
        {
            "id": bytes([i % 256]) * 16,
            "offset": int(o),
            "length": n,
            "bytes": 1,
            "source": "s",
            "language": None,
        }
        for i, (o, n) in enumerate(zip(offsets, sizes, strict=True))
    ]
    table = pa.Table.from_pylist(rows, NUMBERED_DOCUMENTS_SCHEMA)
    pq.write_table(table, folder / "train_000000.documents.parquet")
    consolidate(folder, seq_len=16)


def test_from_files_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [3, 40, 1, 20, 36]
    consolidated(tmp_path, sizes)
    monkeypatch.setenv("DATASET_BINS_PATH", str(tmp_path))
    tokens = ConsolidatedTokens()
    assert tokens.read(5, 9).tolist() == [5, 6, 7, 8]
    with pytest.raises(IndexError):
        tokens.read(5, 101)
    windows = StreamWindows(tokens, tokens.seq_len, borders=document_borders(tmp_path))
    assert len(windows) == len(tokens) == 6
    row = np.zeros(16, np.uint16)
    for i in range(6):
        windows.read(i, row)
        assert row.tolist() == tokens[i].tolist()
    expected = [0, 3, 43, 44, 64, 100]
    assert document_borders(tmp_path).tolist() == expected
    mapped = document_borders(tmp_path, cache=tmp_path / "borders.bin")
    assert (mapped.tolist(), type(mapped)) == (expected, np.memmap)
    (tmp_path / "documents.parquet").unlink()
    with pytest.raises(UserError, match="where documents begin"):
        document_borders(tmp_path)


def test_as_steps_of_a_torch_loader(tmp_path: Path) -> None:
    from torch.utils.data import DataLoader

    consolidated(tmp_path, [3, 40, 1, 20, 36])
    windows = StreamWindows(ConsolidatedTokens(tmp_path), 16, borders=document_borders(tmp_path))
    loader = Loader(windows, batch_size=4, rank=1, world_size=2)
    for workers in (0, 2):
        torch_loader = DataLoader(
            loader.as_torch(9),
            batch_size=None,
            sampler=range(3, 9),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
        )
        items = list(torch_loader)
        expected: list[WindowBatch] = list(loader.steps(3, 9))
        assert [item["tokens"].tolist() for item in items] == [batch.tokens.tolist() for batch in expected]
        for item, batch in zip(items, expected, strict=True):
            assert batch.documents is not None
            assert item["cu_seqlens"].tolist() == batch.documents.cu_seqlens.tolist()
            assert item["tokens"].shape == (2, 16)
    with pytest.raises(IndexError):
        loader.as_torch(9)[9]
