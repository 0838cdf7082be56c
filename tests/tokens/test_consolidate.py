import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from textmill.cli import main
from textmill.tokens import consolidate as module
from textmill.tokens import numbered_shards
from textmill.tokens.consolidated import ConsolidatedTokens
from textmill.tokens.expectations import PUBLISHED
from textmill.tokens.sample_ids import EMPTY_ID, SampleIdStream, sample_ids

# Computed with the original's own code on tokens = arange(8 * 2048) % 32000, seq_len 2048.
TOKENS = (np.arange(8 * 2048) % 32000).astype(np.uint16)
UPSTREAM = [0xDB657FD93B060086, 0x83F31238F87A962D, 0x0574E102A4603BA0, 0xCD9A856A988F6587, *[EMPTY_ID] * 4]
CORRECT = [0x6FD19DE0269022A3, 0x31FC08A3D83C0D4B]


def write_shards(folder: Path, tokens: np.ndarray, borders: tuple[int, ...] = (5000, 11111)) -> None:
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(np.split(tokens, borders)):
        np.save(folder / f"train_{number:06d}.npy", part)


def ids_of(folder: Path) -> list[int]:
    return np.fromfile(folder / "sample_ids.bin", "<u8").tolist()


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Samples run across blocks and shards; 1,002 bytes are no whole number of samples.
    monkeypatch.setattr(numbered_shards, "BLOCK_BYTES", 1004)


@pytest.mark.parametrize("options", [["--seq_len", "2048", "--token_dtype", "uint16"], ["--seq-len=2048"]])
def test_golden_vectors_through_the_command(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path, TOKENS)
    assert main(["tokens", "consolidate", "--data_root", str(tmp_path), *options]) == 0
    out = capsys.readouterr().out
    assert out.count("PASS") == 2
    assert out.splitlines()[-1] == "Preprocessing complete!"
    assert (tmp_path / "tokens.bin").read_bytes() == TOKENS.tobytes()
    assert ids_of(tmp_path)[:2] == CORRECT
    assert ids_of(tmp_path) == sample_ids(TOKENS, 2048).tolist()
    assert hashlib.sha256(TOKENS.tobytes()).hexdigest() in out

    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--sample-ids", "upstream"]) == 0
    assert ids_of(tmp_path) == UPSTREAM


def test_golden_vector_of_32_bits(tmp_path: Path) -> None:
    write_shards(tmp_path, TOKENS.astype(np.uint32))
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path)]) == 0
    assert ids_of(tmp_path)[0] == 0x86FFA466DE714F34
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--sample-ids", "upstream"]) == 0
    assert ids_of(tmp_path) == sample_ids(TOKENS.astype(np.uint32), 2048).tolist(), "both agree at 32 bits"


@pytest.mark.parametrize("mode", ["correct", "upstream"])
@pytest.mark.parametrize("count", [0, 1, 2, 9 * 64, 9 * 64 + 30, 10 * 64 - 2])
@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_the_stream_gives_the_ids_of_the_whole(mode: str, count: int, dtype: type) -> None:
    tokens = np.arange(count, dtype=dtype)
    stream = SampleIdStream(64, tokens.itemsize, count // 64, mode)  # type: ignore[arg-type]
    found = [i for block in np.array_split(tokens, 7) for i in stream.feed(block).tolist()]
    found += [i for block in stream.finish() for i in block.tolist()]
    assert found == sample_ids(tokens, 64, mode).tolist()  # type: ignore[arg-type]


def test_big_endian_shards_become_little_endian(tmp_path: Path) -> None:
    np.save(tmp_path / "train_000000.npy", TOKENS.astype(">u2"))
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path)]) == 0
    assert (tmp_path / "tokens.bin").read_bytes() == TOKENS.tobytes()


def test_expected_sums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path / "a", TOKENS)
    write_shards(tmp_path / "b", TOKENS, borders=(7,))
    command = ["tokens", "consolidate", "--data-root"]
    assert main([*command, str(tmp_path / "a")]) == 0
    expect = ["--expect", str(tmp_path / "a" / "consolidated.json")]
    assert main([*command, str(tmp_path / "b"), *expect]) == 0, "sums do not depend on the cut"
    capsys.readouterr()

    wrong = TOKENS.copy()
    wrong[-1] ^= 1
    write_shards(tmp_path / "b", wrong)
    assert main([*command, str(tmp_path / "b"), *expect, "--delete-shards"]) == 1
    out = capsys.readouterr().out
    assert out.count("FAIL") == 3  # two files, and the last word
    assert "Preprocessing complete!" not in out
    assert len(list((tmp_path / "b").glob("train_*.npy"))) == 3, "nothing is deleted after FAIL"
    assert main([*command, str(tmp_path / "b"), *expect, "--skip_validation"]) == 0
    assert "Preprocessing complete!" in capsys.readouterr().out


def test_the_published_set_is_expected_only_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path, TOKENS)
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--expect", "templar-150b"]) == 1
    out = capsys.readouterr().out
    assert PUBLISHED["templar-150b"].tokens.sha256 in out
    assert "161,061,273,600 elements" in out
    assert ids_of(tmp_path) == UPSTREAM, "the published ids are those of the original"
    assert PUBLISHED["templar-150b"].tokens.elements == 2048 * PUBLISHED["templar-150b"].ids.elements


def test_shards_are_deleted_after_pass_and_the_command_may_be_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_shards(tmp_path, TOKENS)
    command = ["tokens", "consolidate", "--data-root", str(tmp_path), "--delete-shards"]
    assert main(command) == 0
    assert not list(tmp_path.glob("train_*"))
    assert main(command) == 0
    assert capsys.readouterr().out.count("Preprocessing complete!") == 2
    # Killed between two deletions: what is left is not taken for the whole.
    np.save(tmp_path / "train_000002.npy", TOKENS[11111:])
    assert main(command) == 0
    assert not list(tmp_path.glob("train_*"))
    assert (tmp_path / "tokens.bin").read_bytes() == TOKENS.tobytes()
    assert main([*command, "--skip-validation"]) == 2


def test_damage_on_disk_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path, TOKENS)
    command = ["tokens", "consolidate", "--data-root", str(tmp_path), "--delete-shards"]
    assert main(command) == 0
    data = bytearray((tmp_path / "tokens.bin").read_bytes())
    data[100] ^= 1
    (tmp_path / "tokens.bin").write_bytes(data)
    assert main(command) == 1
    assert "FAIL" in capsys.readouterr().out


def test_killed_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(tmp_path, TOKENS)
    module.consolidate(tmp_path)

    class KilledError(Exception):
        pass

    def killed(_what: str, done: int, _total: int) -> None:
        if done > 20_000:
            raise KilledError

    with pytest.raises(KilledError):
        module.consolidate(tmp_path, mode="upstream", progress=killed)
    assert not (tmp_path / "consolidated.json").exists(), "nothing vouches for files about to be replaced"
    assert ids_of(tmp_path)[:2] == CORRECT, "no file is ever half-written under its name"
    module.consolidate(tmp_path, mode="upstream")
    assert ids_of(tmp_path) == UPSTREAM
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("missing", "train_000001.npy"),
        ("dtype", "uint32"),
        ("short", "cut short"),
        ("text", "cannot be read"),
        ("shape", "one dimension"),
        ("odd", "even number"),
        ("empty", "no token shards"),
    ],
)
def test_bad_shards(tmp_path: Path, damage: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if damage != "empty":
        write_shards(tmp_path, TOKENS[:-1] if damage == "odd" else TOKENS)
    path = tmp_path / "train_000001.npy"
    match damage:
        case "missing":
            path.unlink()
        case "dtype":
            np.save(path, TOKENS.astype(np.uint32))
        case "short":
            path.write_bytes(path.read_bytes()[:-1])
        case "text":
            path.write_text("hello")
        case "shape":
            np.save(path, TOKENS.reshape(8, -1))
    ids = "upstream" if damage == "odd" else "correct"
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--sample-ids", ids]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.bin*"))


def test_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shards(tmp_path, TOKENS)
    module.consolidate(tmp_path)
    monkeypatch.setenv("DATASET_BINS_PATH", str(tmp_path))
    loader = ConsolidatedTokens()
    assert (len(loader), loader.seq_len, loader.dtype) == (8, 2048, np.dtype("<u2"))
    assert np.array_equal(loader[1], TOKENS[2048:4096])
    assert np.array_equal(loader[-1], TOKENS[-2048:])
    assert [loader.sample_id(sample) for sample in range(2)] == CORRECT
    assert loader.as_torch()[3].tolist() == TOKENS[3 * 2048 : 4 * 2048].tolist()
    with pytest.raises(IndexError):
        loader[8]
    (tmp_path / "consolidated.json").unlink()
    assert np.array_equal(ConsolidatedTokens()[7], TOKENS[7 * 2048 :]), (
        "the original's files have no manifest"
    )
    with pytest.raises(Exception, match="do not belong together"):
        ConsolidatedTokens(seq_len=1024)


def test_a_loader_travels_to_another_process_without_its_data(tmp_path: Path) -> None:
    import pickle

    write_shards(tmp_path, TOKENS)
    module.consolidate(tmp_path)
    sent = pickle.dumps(ConsolidatedTokens(tmp_path))
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent)[2], TOKENS[2 * 2048 : 3 * 2048])


def test_a_foreign_file_of_sums(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path, TOKENS)
    ids = np.array(sample_ids(TOKENS, 2048), "<u8").tobytes()
    sums = {
        "tokens": {"elements": len(TOKENS), "sha256": hashlib.sha256(TOKENS.tobytes()).hexdigest().upper()},
        "ids": {"elements": 8, "sha256": hashlib.sha256(ids).hexdigest()},
    }
    command = ["tokens", "consolidate", "--data-root", str(tmp_path), "--expect", str(tmp_path / "sums.json")]
    assert main(command) == 2
    (tmp_path / "sums.json").write_text(json.dumps(sums))
    assert main(command) == 0
    sums["ids"]["elements"] = 9
    (tmp_path / "sums.json").write_text(json.dumps(sums))
    assert main(command) == 1
    assert "sample_ids.bin" in capsys.readouterr().out


def test_ids_shard_by_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_shards(tmp_path, TOKENS.astype(np.uint32), borders=(5000, 5500))
    command = ["tokens", "consolidate", "--data-root", str(tmp_path), "--seq-len", "1024", "--per-shard"]
    assert main(command) == 0
    for number in range(3):
        shard = np.load(tmp_path / f"train_{number:06d}.npy")
        found = np.fromfile(tmp_path / f"sample_ids_{number:06d}.bin", "<u8").tolist()
        assert found == [
            int.from_bytes(hashlib.blake2b(shard[k : k + 1024].tobytes(), digest_size=8).digest(), "little")
            for k in range(0, len(shard) - 1023, 1024)
        ]
    assert not (tmp_path / "tokens.bin").exists()
    assert main([*command, "--delete-shards"]) == 2
    assert "nothing is joined" in capsys.readouterr().err
