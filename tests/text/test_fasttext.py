"""Prediction by kernels beside fastText's own library, on models of every sort with random weights."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import fasttext_files, oracle

from textmill.text import fasttext_model
from textmill.text.fasttext_model import ModelFormatError, read_model
from textmill.text.fasttext_predict import NO_LABEL, predict

WORDS = ["</s>", "the", "of", "a", "0", "好世界", "déjà", "été", "é", ".", "42", "😀😀", "__label", "x" * 70]
LOSSES = ("HIERARCHICAL", "NEGATIVE_SAMPLING", "SOFTMAX", "ONE_VS_ALL")


def make(path: Path, seed: int, **options: Any) -> None:
    """A model with random weights."""
    random = np.random.default_rng(seed)
    width, count = int(random.integers(1, 20)), int(random.integers(1, 9))
    longest = int(random.integers(0, 6))
    setting: dict[str, Any] = {
        "loss": int(random.integers(1, 5)),
        "bucket": int(random.choice([1, 63, 64, 500, 4097])),
        "shortest": int(random.integers(0, longest + 1)),
        "longest": longest,
        "word_ngrams": int(random.integers(1, 4)),
    } | options
    words = WORDS[int(random.integers(0, 2)) :]
    words = words[: int(random.integers(1, len(words) + 1))]
    labels = {
        f"__label__l{n}": 1 + int(weight)
        for n, weight in enumerate(sorted(random.integers(0, 99, count))[::-1])
    }
    height = len(words) + setting["bucket"]
    if random.random() < 0.5:
        if random.random() < 0.7:
            kept = random.permutation(setting["bucket"])[: int(random.integers(0, setting["bucket"] + 1))]
            setting["pruned"] = {int(place): row for row, place in enumerate(kept)}
            height = len(words) + len(kept)
        part, norms = int(random.integers(1, width + 1)), bool(random.random() < 0.5)
        rows: Any = fasttext_files.quantised(random, height, width, part, norms)
    else:
        rows = random.normal(size=(height, width)).astype(np.float32)
    if isinstance(rows, bytes) and random.random() < 0.5:
        outputs: Any = fasttext_files.quantised(random, count, width, part, norms)
    else:
        outputs = random.normal(size=(count, width)).astype(np.float32)
    fasttext_files.write(path, words, labels, rows, outputs, dimension=width, **setting)


def compare(path: Path, lines: list[str]) -> None:
    library = fasttext.load_model(str(path))
    model = read_model(path)
    labels, scores = predict(model, *oracle.buffer(lines))
    for line, label, score in zip(lines, labels, scores, strict=True):
        theirs, probabilities = library.predict(line)
        if not theirs:
            assert label == NO_LABEL
            assert score == 0
            continue
        assert score == pytest.approx(probabilities[0], abs=2e-6)
        if theirs[0] != model.labels[label]:  # two labels as good as each other, but for the rounding of exp
            everything = dict(zip(*library.predict(line, k=-1), strict=True))
            assert everything[model.labels[label]] == pytest.approx(probabilities[0], abs=2e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), texts=hostile_documents())
def test_as_the_library_says(folder: Path, seed: int, texts: list[str]) -> None:
    path = folder / "model"
    make(path, seed)
    lines = [" ".join(text.split("\n")) for text in texts]
    compare(
        path,
        [*lines, "", " ", "the of a", "</s> the", "the </s> of", "__label__l0 the", "__label__z", "a\0b"],
    )


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(8))
def test_every_loss(folder: Path, loss: str, seed: int) -> None:
    path = folder / "model"
    make(path, seed, loss=getattr(fasttext_model, loss))
    words = ["the", "of", "étés", "好世界", "q", "😀", "x" * 300, "é.", "42"]
    compare(path, [" ".join(pair) for pair in itertools.product(words, words)] + [" ".join(words * 200)])


def test_the_best_of_equal_labels_is_the_last(folder: Path) -> None:
    path = folder / "model"
    for loss in range(1, 5):
        fasttext_files.write(
            path,
            ["</s>", "a"],
            {f"__label__{n}": 9 - n for n in range(6)},
            np.zeros((2, 3), np.float32),
            np.ones((6, 3), np.float32),
            loss=loss,
        )
        compare(path, ["a", "b"])


def test_matrices_may_stay_in_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they begin at any byte, as the lengths of the words before them will have it."""
    monkeypatch.setattr(fasttext_model, "COPIED", 0)
    path = folder / "model"
    aligned = set()
    for seed in range(12):
        random = np.random.default_rng(seed)
        fasttext_files.write(
            path,
            ["the", "of" * (seed + 1)],
            {"__label__a": 2, "__label__b": 1},
            random.normal(size=(66, 5)).astype(np.float32),
            random.normal(size=(2, 5)).astype(np.float32),
            bucket=64,
            shortest=2,
            longest=4,
        )
        aligned.add(read_model(path).rows.flags.aligned)
        compare(path, ["the of", "ofof", "something else"])
    assert aligned == {True, False}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"version": 13}, "version 13"),
        ({"kind": 1}, "vectors of words"),
        ({"loss": 9}, "loss has the number 9"),
        ({"longest": 3}, "0 buckets"),
        ({"longest": 3, "bucket": 5}, "2 rows for 6"),
        ({"pruned": {7: 0}, "bucket": 5}, "beyond the 5 buckets"),
        ({"pruned": {3: 1}, "bucket": 5, "longest": 2}, "2 rows for 3"),
    ],
)
def test_what_is_no_such_model(folder: Path, options: dict[str, Any], message: str) -> None:
    path = folder / "broken"
    ones = np.ones((2, 4), np.float32)
    fasttext_files.write(path, ["a"], {"__label__x": 2, "__label__y": 1}, ones, ones, **options)
    with pytest.raises(ModelFormatError, match=message):
        read_model(path)


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_damaged_files_are_refused_or_read(folder: Path, seed: int, data: st.DataObject) -> None:
    """Cut off, or with a number changed: an error, or a model that is safe to use."""
    path = folder / "damaged"
    make(path, seed)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        at = data.draw(st.integers(0, min(len(content), 400) - 4))
        content[at : at + 4] = struct.pack("<i", data.draw(st.integers(-(2**31), 2**31 - 1)))
    path.write_bytes(content)
    try:
        model = read_model(path)
    except ModelFormatError:
        return
    predict(model, *oracle.buffer(["the of étés", "好世界 x", ""]))
