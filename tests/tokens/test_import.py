"""Tokens of other tools come back as they were written, and damaged ones not at all."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokens.test_export import EOS, documents, write

from textmill.cli import main
from textmill.errors import UserError
from textmill.tokens import export, numbered_shards, token_readers
from textmill.tokens.import_tokens import ImportPlan, import_tokens
from textmill.tokens.numbered_verify import verify_numbered
from textmill.tokens.shard_manifest import ShardManifest


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (numbered_shards, export, token_readers):
        monkeypatch.setattr(module, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(token_readers, "BATCH_DOCUMENTS", 7)
    monkeypatch.setattr(export, "PARQUET_TOKENS", 1500)


def stream_of(folder: Path) -> np.ndarray:
    return np.concatenate([np.load(path) for path in sorted(folder.glob("train_*.npy"))])


def lengths_of(folder: Path) -> list[int]:
    tables = sorted(folder.glob("train_*.documents.parquet"))
    return [n for path in tables for n in pq.read_table(path)["length"].to_pylist()]


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 60_000), ("uint32", 200_000)])
@pytest.mark.parametrize("kind", ["ds", "megatron", "raw", "seq", "hf", "templar"])
def test_what_was_exported_comes_back(tmp_path: Path, kind: str, dtype: str, top: int) -> None:
    made = write(tmp_path, dtype, top)
    flat = np.concatenate(made)
    target = tmp_path / "out"
    command = [
        "tokens",
        "export",
        str(tmp_path),
        "--format",
        kind,
        "--output",
        str(target),
        "--eos-id",
        str(EOS),
    ]
    assert main([*command, "--seq-len", "16"]) == 0
    command = [
        "tokens", "import", str(target), "--format", kind, "--output", str(tmp_path / "back"),
        "--eos-id", str(EOS), "--shard-tokens", "1000", "--token-dtype", dtype, "--seq_len", "16",
        "--source-dtype", dtype,
    ]  # fmt: skip
    assert main(command) == 0
    if kind in ("seq", "hf"):
        flat = flat[: len(flat) // 16 * 16]
    back = tmp_path / "back"
    found = stream_of(back)
    assert found.dtype == dtype
    assert np.array_equal(found, flat)
    ends = np.append(np.flatnonzero(flat == EOS) + 1, len(flat) if flat[-1] != EOS else [])
    assert lengths_of(back) == np.diff(ends.astype(int), prepend=0).tolist()
    assert {len(np.load(path)) for path in sorted(back.glob("train_*.npy"))[:-1]} == {1000}
    assert verify_numbered(back) == []
    manifest = ShardManifest.read(back)
    assert manifest is not None
    assert (manifest.eos_id, manifest.vocab_size, manifest.tokenizer_sha256) == (
        EOS,
        int(flat.max()) + 1,
        None,
    )
    assert not (back / ".importing").exists()
    assert main(command) == 2, "shards lie there already"


def test_without_an_end_of_text_documents_stay_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.arange(3000, dtype="<u2").tofile(tmp_path / "a.bin")
    assert (
        main(["tokens", "import", str(tmp_path / "a"), "--format", "raw", "--output", str(tmp_path / "o")])
        == 0
    )
    assert "unknown" in capsys.readouterr().out
    assert stream_of(tmp_path / "o").tolist() == list(range(3000))
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["train_000000.npy"]
    assert verify_numbered(tmp_path / "o") == []


def write_megatron(prefix: Path, sequences: list[list[int]], borders: list[int], code: int = 4) -> None:
    """As Megatron-LM lays it out, a document being several sequences."""
    dtype = {4: "<i4", 8: "<u2", 5: "<i8"}[code]
    data = [np.array(sequence, dtype) for sequence in sequences]
    lengths = np.array([len(one) for one in data], "<i4")
    pointers = (np.cumsum([0, *lengths[:-1]]) * np.dtype(dtype).itemsize).astype("<i8")
    prefix.with_suffix(".bin").write_bytes(b"".join(one.tobytes() for one in data))
    head = b"MMIDIDX\x00\x00" + struct.pack("<QBQQ", 1, code, len(data), len(borders))
    prefix.with_suffix(".idx").write_bytes(
        head + lengths.tobytes() + pointers.tobytes() + np.array(borders, "<i8").tobytes()
    )


@pytest.mark.parametrize("code", [4, 5, 8])
def test_documents_of_several_sequences(tmp_path: Path, code: int) -> None:
    sequences = [[1, 2], [3], [4, 5, 6], [], [7]]
    write_megatron(tmp_path / "m", sequences, [0, 2, 4, 5], code)
    import_tokens(ImportPlan(tmp_path / "m.bin", "megatron", tmp_path / "o"))
    assert stream_of(tmp_path / "o").tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert lengths_of(tmp_path / "o") == [3, 3, 1]
    assert ShardManifest.read(tmp_path / "o") is None
    with pytest.raises(UserError, match="does not end in"):
        import_tokens(ImportPlan(tmp_path / "m", "megatron", tmp_path / "p", eos_id=3))
    assert not list((tmp_path / "p").iterdir())
    import_tokens(ImportPlan(tmp_path / "m", "megatron", tmp_path / "q", eos_id=9, append_eos=True))
    assert stream_of(tmp_path / "q").tolist() == [1, 2, 3, 9, 4, 5, 6, 9, 7, 9]
    assert verify_numbered(tmp_path / "q") == []
    with pytest.raises(UserError, match="inside of a document"):
        import_tokens(ImportPlan(tmp_path / "m", "megatron", tmp_path / "r", eos_id=2, append_eos=True))


def test_data_sets_as_arrow_and_with_another_column(tmp_path: Path) -> None:
    rows = [[1, 2, EOS], [], [3, EOS, 4]]
    for kind in (pa.list_(pa.int64()), pa.large_list(pa.uint16())):
        folder = tmp_path / str(kind).replace("<", "").replace(">", "").replace(" ", "").replace(":", "")
        folder.mkdir()
        table = pa.table({"ids": pa.array(rows, kind), "text": ["a", "b", "c"]})
        with pa.ipc.new_stream(folder / "data-00000-of-00001.arrow", table.schema) as stream:
            stream.write_table(table)
        import_tokens(ImportPlan(folder, "hf", folder / "o", column="ids", eos_id=EOS))
        assert stream_of(folder / "o").tolist() == [1, 2, EOS, 3, EOS, 4]
        assert lengths_of(folder / "o") == [3, 2, 1]
        assert ShardManifest.read(folder / "o").cut
    for column, message in (("tokens", "no data set of tokens"), ("text", "holds no token ids")):
        with pytest.raises(UserError, match=message):
            import_tokens(ImportPlan(folder, "hf", tmp_path / "x", column=column))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No data set"):
        import_tokens(ImportPlan(tmp_path / "empty", "hf", tmp_path / "x"))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=30))
def test_documents_are_cut_at_their_ends(
    tmp_path_factory: pytest.TempPathFactory, made: list[list[int]]
) -> None:
    flat = [token for document in made for token in document]
    pieces = list(token_readers._cut_at(0, iter(np.array_split(np.array(flat, np.uint16), 3))))
    assert [token for piece in pieces for token in piece.tokens.tolist()] == flat
    lengths = [int(n) for piece in pieces for n in piece.lengths]
    ends = [i + 1 for i, token in enumerate(flat) if token == 0]
    ends += [len(flat)] if flat[-1] != 0 else []
    assert np.cumsum(lengths).tolist() == ends


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("kind", "damaged"),
    [
        ("ds", "out.ds"), ("ds", "out.ds.index"), ("megatron", "out.bin"), ("megatron", "out.idx"),
        ("raw", "out.bin"), ("templar", "out/sample_ids_000001.bin"), ("templar", "out/train_000001.npy"),
        ("hf", "out/train-00001.parquet"),
    ],
)  # fmt: skip
def test_truncated_files_leave_nothing(
    tmp_path: Path, kind: export.Format, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    stream = export.open_stream(tmp_path, eos_id=EOS)
    export.export_tokens(stream, tmp_path / "out", kind, seq_len=16)
    spoil(tmp_path / damaged)
    command = ["tokens", "import", str(tmp_path / "out"), "--format", kind, "--output", str(tmp_path / "back"),
               "--seq-len", "16", "--shard-tokens", "100"]  # fmt: skip
    assert main(command) == 2
    assert Path(damaged).name.split(".")[0] in capsys.readouterr().err
    assert not (tmp_path / "back").exists() or not list((tmp_path / "back").iterdir())


def test_ids_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "a.seq").write_text("1 2 3\n4 70000 6\n")
    for options in ({"token_dtype": "uint16"}, {"vocab_size": 70_000}):
        with pytest.raises(UserError, match="out of range"):
            import_tokens(ImportPlan(tmp_path / "a", "seq", tmp_path / "o", **options))
        assert not list((tmp_path / "o").iterdir())
    (tmp_path / "b.seq").write_text("1 2 3\n4 five 6\n")
    with pytest.raises(UserError, match="no sequence") as error:
        import_tokens(ImportPlan(tmp_path / "b.seq", "seq", tmp_path / "o"))
    assert "b.seq:2" in str(error.value)
    (tmp_path / "c.seq").write_text("1 -2 3\n")
    with pytest.raises(UserError, match="out of range"):
        import_tokens(ImportPlan(tmp_path / "c.seq", "seq", tmp_path / "o"))
    (tmp_path / "d.seq").write_text("")
    with pytest.raises(UserError, match="no tokens"):
        import_tokens(ImportPlan(tmp_path / "d.seq", "seq", tmp_path / "o"))
    with pytest.raises(UserError, match="missing"):
        import_tokens(ImportPlan(tmp_path / "e", "seq", tmp_path / "o"))
    (tmp_path / "f.idx").write_bytes(b"something else that is long enough")
    with pytest.raises(UserError, match="no index of Megatron"):
        import_tokens(ImportPlan(tmp_path / "f", "megatron", tmp_path / "o"))


def test_samples_of_another_length_than_their_ids(tmp_path: Path) -> None:
    write(tmp_path)
    export.export_tokens(export.open_stream(tmp_path), tmp_path / "out", "templar", seq_len=16)
    ids = sorted((tmp_path / "out").glob("sample_ids_*.bin"))
    content = bytearray(ids[1].read_bytes())
    content[9] ^= 1
    ids[1].write_bytes(content)
    with pytest.raises(UserError, match="other ids"):
        import_tokens(ImportPlan(tmp_path / "out", "templar", tmp_path / "o", seq_len=16))
    with pytest.raises(UserError, match="cut short"):
        import_tokens(ImportPlan(tmp_path / "out", "templar", tmp_path / "o", seq_len=32))


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(UserError, match="not empty"):
        export.export_tokens(export.open_stream(tmp_path), tmp_path / "out", "hf")
    assert documents("uint16", 60_000)
