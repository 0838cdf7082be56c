import struct
from pathlib import Path

import numpy as np
import pytest

from textmill.cli import main
from textmill.errors import UserError
from textmill.tokens import export, numbered_shards
from textmill.tokens.export import export_tokens, open_stream

EOS = 7


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered_shards, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(export, "BLOCK_BYTES", 1000)


def documents(dtype: str, top: int) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    sizes = [0, 1, 500, 3, 2000, *random.integers(0, 40, 300)]
    return [np.append(random.integers(8, top, size), EOS).astype(dtype) for size in sizes]


def write(folder: Path, dtype: str = "uint16", top: int = 60_000) -> list[np.ndarray]:
    made = documents(dtype, top)
    for number, part in enumerate(np.array_split(np.concatenate(made), 3)):
        np.save(folder / f"train_{number:06d}.npy", part)
    return made


def read_ds(path: Path, dtype: str) -> list[np.ndarray]:
    """As datatrove reads it: document i lies between ends[i - 1] and ends[i]."""
    tokens = np.fromfile(path, np.dtype(dtype).newbyteorder("<"))
    ends = np.fromfile(f"{path}.index", "<u8").astype(np.int64)
    return [tokens[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def read_megatron(prefix: Path) -> list[np.ndarray]:
    """As Megatron-LM's IndexedDataset reads it, header by header."""
    index = Path(f"{prefix}.idx").read_bytes()
    assert index[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, document_count = struct.unpack_from("<QBQQ", index, 9)
    assert version == 1
    at = 9 + struct.calcsize("<QBQQ")
    lengths = np.frombuffer(index, "<i4", sequences, at)
    pointers = np.frombuffer(index, "<i8", sequences, at + lengths.nbytes)
    borders = np.frombuffer(index, "<i8", document_count, at + lengths.nbytes + pointers.nbytes)
    assert len(index) == at + lengths.nbytes + pointers.nbytes + borders.nbytes
    assert borders.tolist() == list(range(sequences + 1))
    dtype = {4: "<i4", 8: "<u2"}[code]
    data = Path(f"{prefix}.bin").read_bytes()
    return [
        np.frombuffer(data, dtype, n, p) for n, p in zip(lengths.tolist(), pointers.tolist(), strict=True)
    ]


def equal(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return len(found) == len(expected) and all(map(np.array_equal, found, expected))


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 60_000), ("uint32", 200_000)])
def test_round_trips(tmp_path: Path, dtype: str, top: int) -> None:
    made = write(tmp_path, dtype, top)
    stream = open_stream(tmp_path, eos_id=EOS)
    target = tmp_path / "out" / "corpus.v1"
    names = [path.name for path in export_tokens(stream, target, "ds")]
    assert names == ["corpus.v1.ds", "corpus.v1.ds.index"]
    assert equal(read_ds(target.with_name("corpus.v1.ds"), dtype), made)
    export_tokens(stream, target, "megatron")
    assert equal(read_megatron(target), made)
    export_tokens(stream, tmp_path / "raw", "raw")
    assert (tmp_path / "raw.bin").read_bytes() == np.concatenate(made).tobytes()
    export_tokens(stream, tmp_path / "text", "seq", seq_len=16)
    lines = [list(map(int, line.split())) for line in (tmp_path / "text.seq").read_text().splitlines()]
    flat = np.concatenate(made)
    assert lines == flat[: len(flat) // 16 * 16].reshape(-1, 16).tolist()
    assert not list(tmp_path.rglob("*.partial*"))


def test_a_document_that_was_cut_is_the_last(tmp_path: Path) -> None:
    np.save(tmp_path / "train_000000.npy", np.array([1, EOS, 2, 3], np.uint16))
    stream = open_stream(tmp_path, eos_id=EOS)
    export_tokens(stream, tmp_path / "a", "ds")
    assert [part.tolist() for part in read_ds(tmp_path / "a.ds", "uint16")] == [[1, EOS], [2, 3]]


def test_the_command_on_shards_and_on_consolidated_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = write(tmp_path)
    command = ["tokens", "export", str(tmp_path), "--format", "ds", "--output", str(tmp_path / "x")]
    assert main(command) == 2
    assert "--eos-id" in capsys.readouterr().err
    assert main([*command, "--eos-id", str(EOS)]) == 0
    assert equal(read_ds(tmp_path / "x.ds", "uint16"), made)
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--delete-shards"]) == 0
    assert main([*command[:4], "megatron", "--output", str(tmp_path / "y"), "--eos_id", str(EOS)]) == 0
    assert equal(read_megatron(tmp_path / "y"), made)


def test_ids_beyond_31_bits_do_not_go_into_megatron(tmp_path: Path) -> None:
    np.save(tmp_path / "train_000000.npy", np.array([2**31, EOS], np.uint32))
    with pytest.raises(UserError, match="does not fit"):
        export_tokens(open_stream(tmp_path, eos_id=EOS), tmp_path / "a", "megatron")
    assert not (tmp_path / "a.bin").exists()
