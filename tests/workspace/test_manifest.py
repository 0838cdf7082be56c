"""Commit records and the manifest."""

from __future__ import annotations

import json

import pytest

from textmill.errors import ConservationError, UserError
from textmill.workspace import Commit, FileRecord, Manifest, PassRecord, StepCount
from textmill.workspace.commits import check_chain


def example() -> Manifest:
    step = StepCount("ingest", 10, 7, 2, 1, 100, 70)
    file = FileRecord("passes/0-ingest/documents/00-0.parquet", "ab" * 32, 5, 7, 70)
    commits = tuple(
        Commit(item, "f", ("in",), {"documents": [file]}, (step,), {"x": 1}, 0.5) for item in ("a", "b")
    )
    record = PassRecord("0-ingest", "ingest", "f", {"does": "read"}, commits, 1.5)
    return Manifest("run", (record,), {"textmill": "1"})


def test_round_trip() -> None:
    manifest = example()
    assert Manifest.from_bytes(manifest.to_bytes(), "here") == manifest
    assert manifest.passes[0].steps() == [StepCount("ingest", 20, 14, 4, 2, 200, 140)]


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b"{}", b'"x"'])
def test_a_damaged_manifest_is_told(contents: bytes) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        Manifest.from_bytes(contents, "here")


def test_another_format_is_told() -> None:
    values = json.loads(example().to_bytes()) | {"format": 99}
    with pytest.raises(UserError, match="another version"):
        Manifest.from_bytes(json.dumps(values).encode(), "here")


def test_conservation_names_the_numbers() -> None:
    with pytest.raises(
        ConservationError, match=r"took in 10 .* kept 5, dropped 3 and failed 1: 1 are unaccounted"
    ):
        StepCount("x", 10, 5, 3, 1).check("here")
    with pytest.raises(ConservationError, match="handed on 5 documents, but step b took in 6"):
        check_chain([StepCount("a", 5, 5), StepCount("b", 6, 6)], "here")
    check_chain([StepCount("a", 5, 4, 1), StepCount("b", 4, 3, 0, 1)], "here")
