"""Batches: the same rows however many processes share them; nothing learnt across what may not be seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.errors import UserError
from textmill.model.loss import IGNORE
from textmill.tokens.packing import pack_documents
from textmill.tokens.windows import DocumentWindows, PackedWindows, StreamWindows, Windows
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.feed import SampleWindows, WindowFeed
from textmill.train.masking import document_mask

EOS = 0


class Stream:
    """Documents one after the other, each ending in an EOS."""

    def __init__(self, sizes: list[int], seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        texts = [random.integers(1, 60, size).astype(np.uint16) for size in sizes]
        for text in texts:
            text[-1] = EOS
        self.values = np.concatenate(texts)
        self.tokens, self.dtype = len(self.values), np.dtype(np.uint16)
        self.borders = np.concatenate([[0], np.cumsum(sizes)])

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        return self.values[start:stop]


def windows_of(kind: str, stream: Stream, length: int, stride: int = 0, least: int = 1) -> Windows:
    if kind == "packed":
        return PackedWindows(stream, pack_documents(stream.borders, length))
    if kind == "documents":
        return DocumentWindows(stream, length, stream.borders, stride=stride, min_tokens=least)
    return StreamWindows(stream, length, stride=stride, min_tokens=least, borders=stream.borders)


SIZES = st.lists(st.integers(1, 40), min_size=2, max_size=30)


@settings(deadline=None)
@given(SIZES, st.integers(2, 17), st.data())
def test_windows_inside_of_documents(sizes: list[int], length: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(0, length - 1))
    least = data.draw(st.integers(2, 60))
    stream = Stream(sizes)
    expected = []
    for start, stop in zip(stream.borders[:-1], stream.borders[1:], strict=True):
        text, place = stream.values[start:stop].tolist(), 0
        while True:
            window = text[place : place + length]
            if len(window) >= min(least, length):
                expected.append(window)
            if place + length >= len(text):
                break
            place += length - stride
    found = windows_of("documents", stream, length, stride, least)
    into = np.zeros(length, np.uint16)
    assert [into[: found.read(i, into)].tolist() for i in range(len(found))] == expected


@pytest.mark.parametrize("kind", ["stream", "documents", "packed"])
@pytest.mark.parametrize("masked", [False, True])
def test_processes_share_the_same_rows(kind: str, masked: bool) -> None:
    sources = {name: windows_of(kind, Stream([9, 30, 4, 17] * 6, seed), 12) for seed, name in enumerate("ab")}
    feed = WindowFeed(sources, batch_size=8, seed=3, weights=[2, 1], mask_documents=masked)
    for step in (0, 1, 7):
        whole = feed.batch(step)
        for size in (1, 2, 4, 8):
            parts = [feed.batch(step, rank, size) for rank in range(size)]
            for name in ("tokens", "targets", "parts", "positions"):
                values = [getattr(part, name) for part in parts]
                if getattr(whole, name) is None:
                    assert values == [None] * size
                elif (
                    name == "parts"
                ):  # numbers of parts are those of a process: the same borders, other numbers
                    shift = torch.cat(values)
                    assert torch.equal(
                        shift[:, 1:] == shift[:, :-1], whole.parts[:, 1:] == whole.parts[:, :-1]
                    )  # type: ignore[index]
                else:
                    assert torch.equal(torch.cat(values), getattr(whole, name))
        names = feed.samples(step)
        for name, row in zip(names, whole.tokens, strict=True):
            source, number = str(name).split(":")
            into = np.zeros(12, np.uint16)
            sources[source].read(int(number), into)
            assert row.tolist() == into.tolist()


def test_nothing_is_learnt_across_documents_nor_of_padding() -> None:
    stream = Stream([9, 30, 4, 17, 3] * 5)
    for kind in ("packed", "stream", "documents"):
        feed = WindowFeed(windows_of(kind, stream, 12), batch_size=4, seed=0, mask_documents=True)
        for step in range(6):
            batch = feed.batch(step)
            assert batch.parts is not None
            for row in range(len(batch)):
                for place in range(12):
                    target = int(batch.targets[row, place])
                    same = place + 1 < 12 and batch.parts[row, place] == batch.parts[row, place + 1]
                    inside = int(batch.parts[row, place]) >= 0
                    if same and inside:
                        assert target == int(batch.tokens[row, place + 1])
                    else:
                        assert target == IGNORE


@given(st.lists(st.integers(0, 3), min_size=4, max_size=24))
def test_the_mask_is_what_it_says(numbers: list[int]) -> None:
    parts = torch.tensor([numbers], dtype=torch.int32)
    mask = document_mask(parts)
    assert isinstance(mask, torch.Tensor)
    for query in range(len(numbers)):
        for key in range(len(numbers)):
            assert bool(mask[0, 0, query, key]) == (key <= query and numbers[query] == numbers[key])


def test_rows_are_cut_without_losing_a_token() -> None:
    tokens = torch.arange(64).reshape(4, 16)
    batch = TokenBatch(tokens, next_token_targets(tokens))
    cut = batch.cut(4)
    assert cut.tokens.shape == (16, 4)
    assert cut.counted == batch.counted == 60
    learnt = cut.targets != IGNORE
    assert torch.equal(cut.targets[learnt], cut.tokens[learnt] + 1)


def test_targets_end_where_rows_do() -> None:
    tokens = torch.arange(1, 13).reshape(2, 6)
    targets = next_token_targets(tokens, torch.tensor([6, 3]))
    assert targets.tolist() == [[2, 3, 4, 5, 6, -100], [8, 9, -100, -100, -100, -100]]


def test_what_cannot_be_fed_is_told() -> None:
    stream = Stream([9, 30])
    with pytest.raises(UserError, match="share the batch"):
        WindowFeed(windows_of("stream", stream, 5), batch_size=3, seed=0).batch(0, 0, 2)
    with pytest.raises(UserError, match="never move on"):
        windows_of("documents", stream, 5, stride=5)
    with pytest.raises(UserError, match="too few tokens"):
        WindowFeed(windows_of("documents", stream, 50, least=50), batch_size=2, seed=0)


def test_documents_in_an_array_cannot_be_kept_apart() -> None:
    array = SampleWindows(np.arange(32).reshape(4, 8))
    for source in (array, {"novels": array}):
        with pytest.raises(UserError) as error:
            WindowFeed(source, batch_size=2, seed=0, mask_documents=True)
        assert "nothing says where they begin" in str(error.value)
        assert "leave mask_documents out" in str(error.value)
    with pytest.raises(UserError, match="an array of windows"):
        array.segments(np.array([0]))
    assert WindowFeed(array, batch_size=2, seed=0).batch(0).tokens.shape == (2, 8)


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(2, 17), st.sampled_from(["stream", "documents", "packed"]), st.data())
def test_spans_are_what_is_read(sizes: list[int], length: int, kind: str, data: st.DataObject) -> None:
    stream = Stream(sizes)
    stride = 0 if kind == "packed" else data.draw(st.integers(0, length - 1))
    windows = windows_of(kind, stream, length, stride)
    into = np.zeros(length, np.uint16)
    for window in range(len(windows)):
        found = [stream.values[start:stop] for start, stop in windows.spans(window)]
        assert np.concatenate(found).tolist() == into[: windows.read(window, into)].tolist()
