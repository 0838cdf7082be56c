"""Exported corpora: every document once, one text per line, the same bytes each time, nothing half-written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import textmill
from textmill.errors import UserError
from textmill.export import export_corpus, export_splits, one_line
from textmill.tokens.split import SplitRule
from textmill.workspace import Workspace

TEXTS = [f"Text {n}, ligne après ligne" for n in range(200)] + ["two\nlines\u2028and\r\n\n more ", "😀\x85x"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    folder = tmp_path_factory.mktemp("export")
    for name, texts in (("a", TEXTS[:100]), ("b", TEXTS[100:])):
        records = [{"text": text, "title": f"T{name}", "url": f"https://x/{name}"} for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(record) for record in records))
    sources = [{"files": {"paths": str(folder / f"{name}.jsonl"), "label": name}} for name in "ab"]
    recipe = folder / "r.yaml"
    recipe.write_text(
        json.dumps({"name": "x", "sources": sources, "run": {"engine": "inline", "shard_bytes": 1024}})
    )
    return textmill.run(recipe, folder / "run").workspace


def test_every_format_holds_every_document(workspace: Workspace, tmp_path: Path) -> None:
    for compress in (None, "gz", "zst"):
        for format in ("txt", "jsonl", "parquet"):
            path = tmp_path / f"corpus.{format}.{compress}"
            done = export_corpus(workspace, path, format, compress)
            again = export_corpus(workspace, tmp_path / "again", format, compress)
            assert (tmp_path / "again").read_bytes() == path.read_bytes()
            assert (
                (done.documents, done.bytes) == (202, path.stat().st_size) == (again.documents, again.bytes)
            )
            if format == "parquet":
                assert pq.read_table(path).column("text").to_pylist() == TEXTS
                codec = pq.ParquetFile(path).metadata.row_group(0).column(0).compression
                assert codec == ("GZIP" if compress == "gz" else "ZSTD")
                continue
            data = path.read_bytes()
            if compress == "gz":
                data = gzip.decompress(data)
            elif compress == "zst":
                data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
            lines = data.decode().split("\n")
            assert lines.pop() == ""
            if format == "txt":
                assert lines == [one_line(text) for text in TEXTS]
                assert done.folded == 2
            else:
                records = [json.loads(line) for line in lines]
                assert [record["text"] for record in records] == TEXTS
                assert records[0]["source"] == "a"
                assert records[0]["url"] == "https://x/a"
                assert records[0]["metadata"] == {"title": "Ta"}
                assert len({record["id"] for record in records}) == 202
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["a"] + ["c"] * 9


def test_splits_by_family_and_seed(workspace: Workspace, tmp_path: Path) -> None:
    def lines(folder: str, name: str) -> list[str]:
        return (tmp_path / folder / name).read_text().split("\n")[:-1]

    files = export_splits(workspace, tmp_path / "m", SplitRule(42, 0.2))
    assert [file.path.name for file in files] == ["train.txt", "val.txt"]
    train, validation = lines("m", "train.txt"), lines("m", "val.txt")
    assert sorted(train + validation) == sorted(map(one_line, TEXTS))
    assert 20 <= len(validation) <= 60
    export_splits(workspace, tmp_path / "s", SplitRule(43, 0.2))
    assert lines("s", "val.txt") != validation
    apart = export_splits(workspace, tmp_path / "a", SplitRule(42, 0.2), {"a": 1, "b": 2})
    assert [file.path.name for file in apart] == ["train_1.txt", "val_1.txt", "train_2.txt", "val_2.txt"]
    assert lines("a", "val_1.txt") + lines("a", "val_2.txt") == validation
    (whole,) = export_splits(workspace, tmp_path / "w", SplitRule(42, 0.0))
    assert (whole.path.name, whole.documents) == ("train.txt", 202)


def test_a_file_appears_only_when_it_is_complete(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.txt").write_text("before")
    calls = []

    def failing(self: SplitRule, root: bytes) -> str:
        calls.append(root)
        if len(calls) > 150:
            raise OSError(28, "No space left on device")
        return "train"

    monkeypatch.setattr(SplitRule, "of", failing)
    with pytest.raises(OSError, match="No space"):
        export_splits(workspace, tmp_path, SplitRule(42, 0.1))
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]
    assert (tmp_path / "train.txt").read_text() == "before"


def test_a_run_without_documents(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no documents yet"):
        export_corpus(Workspace.create(tmp_path / "empty"), tmp_path / "x.txt", "txt")
    assert not (tmp_path / "x.txt").exists()


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert line.split() == text.split()
    assert one_line(line) == line
