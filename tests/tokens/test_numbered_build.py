import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.tokenizer.corpus import HOSTILE, prose

from textmill.cli import main
from textmill.errors import UserError
from textmill.pipeline.engine import find_function
from textmill.sources import Files
from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.folder import write_config
from textmill.tokenizer.training import train_bpe
from textmill.tokens import build_state
from textmill.tokens.numbered_build import BuildPlan, build_shards
from textmill.tokens.numbered_verify import verify_numbered
from textmill.tokens.stat import count_tokens

TEXTS = prose()[:120] + HOSTILE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer, and texts in two files of JSON lines; the second is French by its own account."""
    root = tmp_path_factory.mktemp("build")
    (root / "tokenizer").mkdir()
    (root / "tokenizer" / "tokenizer.json").write_text(train_bpe(prose(), vocab_size=800))
    write_config(root / "tokenizer", "<|endoftext|>", [], {})
    (root / "in").mkdir()
    for name, part, language in (("a", TEXTS[:70], "en"), ("b", TEXTS[70:], "fr")):
        lines = [json.dumps({"text": text, "language": language}) for text in part]
        (root / "in" / f"{name}.jsonl").write_text(
            "\n".join([*lines, '{"broken'][: len(lines) + (name == "b")])
        )
    return root


def stream_of(place: Path) -> np.ndarray:
    """All tokens, by the plainest means."""
    encoder = HuggingFaceEncoder((place / "tokenizer" / "tokenizer.json").read_text(), "<|endoftext|>")
    return np.concatenate([np.append(encoder.encode_batch([t])[0], encoder.eos_id) for t in TEXTS])


def inline(function: str, items: Any) -> Iterator[tuple[int, Any]]:
    for position, item in enumerate(items):
        yield position, find_function(function)(item, lambda **_: None)


def backwards(function: str, items: Any) -> Iterator[tuple[int, Any]]:
    """Workers that finish in the opposite order."""
    yield from reversed(list(inline(function, items)))


def build(place: Path, output: Path, run: Any = inline, split_bytes: int = 20_000, **options: Any) -> Any:
    plan = BuildPlan(output, place / "tokenizer", **{"shard_tokens": 4000, **options})
    source = Files(paths=str(place / "in"), metadata_fields=["language"])
    return build_shards(plan, [source], run, split_bytes=split_bytes)


def digests(folder: Path) -> dict[str, str]:
    files = [path for path in folder.iterdir() if path.is_file()]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_shards_are_the_stream_cut_by_tokens(place: Path, tmp_path: Path) -> None:
    manifest = build(place, tmp_path)
    expected = stream_of(place)
    shards = [np.load(path) for path in sorted(tmp_path.glob("train_*.npy"))]
    assert [len(shard) for shard in shards] == [4000] * (len(expected) // 4000) + [len(expected) % 4000]
    assert np.array_equal(np.concatenate(shards), expected)
    assert {shard.dtype.str for shard in shards} == {"<u2"}
    assert manifest.documents == len(TEXTS)
    assert (manifest.failed, manifest.cut) == (1, False)
    assert "b.jsonl" in json.loads((tmp_path / "failures.jsonl").read_text())["locator"]
    assert verify_numbered(tmp_path) == []
    assert not list(tmp_path.glob(".building/part-*")), "parts take no room when all is done"


def test_order_of_workers_and_splits_change_nothing(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path / "a")
    build(place, tmp_path / "b", run=backwards)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    build(place, tmp_path / "c", split_bytes=10**9)
    arrays = {name: sha for name, sha in digests(tmp_path / "c").items() if name.endswith(".npy")}
    assert arrays.items() <= digests(tmp_path / "a").items()


def test_documents_run_across_borders_and_are_found_again(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path, shard_tokens=1000)
    assert main(["tokens", "consolidate", "--data-root", str(tmp_path), "--seq-len", "64"]) == 0
    tokens = np.fromfile(tmp_path / "tokens.bin", "<u2")
    rows = pq.read_table(tmp_path / "documents.parquet").to_pylist()
    assert len(rows) == len(TEXTS)
    ends = [row["offset"] + row["length"] for row in rows]
    assert [row["offset"] for row in rows] == [0, *ends[:-1]]
    assert ends[-1] == len(tokens)
    encoder = HuggingFaceEncoder((place / "tokenizer" / "tokenizer.json").read_text(), "<|endoftext|>")
    for row, text in zip(rows, TEXTS, strict=True):
        assert encoder.decode(tokens[row["offset"] : row["offset"] + row["length"] - 1]) == text
        assert row["bytes"] == len(text.encode())
    assert verify_numbered(tmp_path) == []


@pytest.mark.parametrize("total", [1, 999, 4000, 4001, 9000])
def test_the_budget_is_kept_to_the_token(place: Path, tmp_path: Path, total: int) -> None:
    manifest = build(place, tmp_path, total=total)
    tokens = np.concatenate([np.load(path) for path in sorted(tmp_path.glob("train_*.npy"))])
    assert np.array_equal(tokens, stream_of(place)[:total])
    assert manifest.cut == (tokens[-1] != manifest.eos_id)
    assert verify_numbered(tmp_path) == []
    assert manifest.failed == 0, "what lies beyond the budget is not counted"


class KilledError(Exception):
    pass


@pytest.mark.parametrize("killed_after", [0, 1, 2, 4])
def test_killed_and_run_again(place: Path, tmp_path: Path, killed_after: int) -> None:
    def dying(function: str, items: Any) -> Iterator[tuple[int, Any]]:
        yield from inline(function, items[:killed_after])
        raise KilledError

    build(place, tmp_path / "whole", shard_tokens=1500)
    with pytest.raises(KilledError):
        build(place, tmp_path / "again", run=dying, shard_tokens=1500)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("train_*.npy")}
    encoded: list[Any] = []

    def counting(function: str, items: Any) -> Iterator[tuple[int, Any]]:
        encoded.extend(items)
        return inline(function, items)

    build(place, tmp_path / "again", run=counting, shard_tokens=1500)
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == time for path, time in before.items()), "no shard is written twice"
    parts = len(Files(paths=str(place / "in")).plan(20_000))
    assert len(encoded) == parts - killed_after, "no part is encoded twice"
    assert main(["tokens", "verify", str(tmp_path / "again")]) == 0


def test_killed_while_shards_are_filled(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(place, tmp_path / "whole", shard_tokens=700)
    original = build_state.BuildState.write
    calls = 0

    def dying(state: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 3 == 0:
            raise KilledError
        original(state)

    monkeypatch.setattr(build_state.BuildState, "write", dying)
    for _ in range(200):
        try:
            build(place, tmp_path / "again", shard_tokens=700)
            break
        except KilledError:
            continue
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")


def test_a_test_shard_is_a_fair_sample(place: Path, tmp_path: Path) -> None:
    manifest = build(place, tmp_path, shard_tokens=6000, test_shard=True)
    assert len(manifest.shards) == 1
    assert 3000 < manifest.tokens <= 6000
    rows = pq.read_table(tmp_path / "train_000000.documents.parquet").to_pylist()
    assert {row["language"] for row in rows} == {"en", "fr"}, "drawn from all of the input"
    assert verify_numbered(tmp_path) == []
    other = build(place, tmp_path / "b", shard_tokens=6000, test_shard=True, seed=1)
    assert other.shards != manifest.shards
    whole = build(place, tmp_path / "c", shard_tokens=10**6, test_shard=True)
    assert whole.tokens == len(stream_of(place)), "a corpus that fits is taken whole"


def test_counts_by_source_and_language(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = build(place, tmp_path)
    counts = count_tokens(tmp_path)
    assert counts.tokens == manifest.tokens == sum(group.tokens for group in counts.groups)
    assert {group.language: group.documents for group in counts.groups} == {"en": 70, "fr": len(TEXTS) - 70}
    assert [(split.name, split.unevenness) for split in counts.splits] == [("train", 0.0)]
    assert main(["tokens", "stat", str(tmp_path)]) == 0
    assert "train_000000.npy" in capsys.readouterr().out


def test_reshard_by_tokens(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path / "a")
    build(place, tmp_path / "b", shard_tokens=2500)
    command = [
        "tokens",
        "reshard",
        str(tmp_path / "a"),
        "--output",
        str(tmp_path / "c"),
        "--shard-tokens",
        "2500",
    ]
    assert main(command) == 0
    assert verify_numbered(tmp_path / "c") == []
    for path in (tmp_path / "b").glob("train_*.npy"):
        assert np.array_equal(np.load(path), np.load(tmp_path / "c" / path.name))
        table = path.name.replace(".npy", ".documents.parquet")
        assert pq.read_table(tmp_path / "b" / table) == pq.read_table(tmp_path / "c" / table)
    assert main([*command[:4], str(tmp_path / "d"), "--shards", "7"]) == 0
    sizes = [shard.tokens for shard in count_tokens(tmp_path / "d").shards]
    assert len(sizes) == 7
    assert max(sizes) - min(sizes) < 7
    assert main(command) == 2, "shards lie there already"


def test_another_build_is_not_mixed_in(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path)
    with pytest.raises(UserError, match="another build"):
        build(place, tmp_path, shard_tokens=3999)
    before = digests(tmp_path)
    build(place, tmp_path)
    assert digests(tmp_path) == before
    (tmp_path / "train_000001.npy").unlink()
    with pytest.raises(UserError, match="are gone"):
        build(place, tmp_path)


def test_a_vocabulary_too_large_for_the_dtype(place: Path, tmp_path: Path) -> None:
    content = json.loads((place / "tokenizer" / "tokenizer.json").read_text())
    content["added_tokens"].append(content["added_tokens"][0] | {"id": 70_000, "content": "<|far|>"})
    content["model"]["vocab"]["<|far|>"] = 70_000
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text(json.dumps(content))
    write_config(tmp_path / "tokenizer", "<|endoftext|>", [], {})
    (tmp_path / "in").symlink_to(place / "in")
    with pytest.raises(UserError, match="larger than the token dtype"):
        build(tmp_path, tmp_path / "out", token_dtype="uint16")
    assert build(tmp_path, tmp_path / "out").dtype == "uint32"


@pytest.mark.parametrize("damage", ["token", "table", "missing", "swapped", "vocabulary"])
def test_verify_finds(place: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    build(place, tmp_path)
    command = ["tokens", "verify", str(tmp_path)]
    assert main(command) == 0
    first, second = tmp_path / "train_000000.npy", tmp_path / "train_000001.npy"
    match damage:
        case "token":
            data = bytearray(first.read_bytes())
            data[500] ^= 1
            first.write_bytes(data)
        case "table":
            (tmp_path / "train_000001.documents.parquet").unlink()
        case "missing":
            first.unlink()
        case "swapped":
            first.rename(tmp_path / "x")
            second.rename(first)
            (tmp_path / "x").rename(second)
        case "vocabulary":
            command += ["--vocab-size", "300"]
    capsys.readouterr()
    assert main(command) == 1
    assert "FAIL" in capsys.readouterr().out


def test_shards_without_a_manifest_are_checked_as_far_as_that_goes(tmp_path: Path) -> None:
    np.save(tmp_path / "train_000000.npy", np.arange(100, dtype=np.uint16))
    assert main(["tokens", "verify", str(tmp_path)]) == 0
    assert main(["tokens", "verify", str(tmp_path), "--vocab-size", "99"]) == 1
    assert main(["tokens", "verify", str(tmp_path / "nothing")]) == 2


def test_workers_of_the_command(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "tokens", "build", "--input", str(place / "in"), "--tokenizer", str(place / "tokenizer"),
        "--shard_size", "4*1000", "--num_proc", "-1",
    ]  # fmt: skip
    assert main([*command, "--output", str(tmp_path / "a")]) == 0
    build(place, tmp_path / "b")
    assert {n: s for n, s in digests(tmp_path / "a").items() if n.endswith(".npy")} == {
        n: s for n, s in digests(tmp_path / "b").items() if n.endswith(".npy")
    }
    assert main([*command, "--seed", "1", "--output", str(tmp_path / "a")]) == 2
    assert "another build" in capsys.readouterr().err
    assert main([*command, "--restart", "--output", str(tmp_path / "a")]) == 0


def test_two_builds_in_one_folder(place: Path, tmp_path: Path) -> None:
    def second(function: str, items: Any) -> Iterator[tuple[int, Any]]:
        with pytest.raises(UserError, match="Another command"):
            build(place, tmp_path)
        yield from inline(function, items)

    build(place, tmp_path, run=second)
    assert verify_numbered(tmp_path) == []


def test_a_document_that_cannot_be_encoded_is_told_and_the_others_stay(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = HuggingFaceEncoder.encode_utf8

    def picky(encoder: HuggingFaceEncoder, data: Any, offsets: Any) -> Any:
        if b"<|endoftext|><|endoftext|>" in data[offsets[0] : offsets[-1]].tobytes():
            raise EncodingError("no such text")
        return original(encoder, data, offsets)

    monkeypatch.setattr(HuggingFaceEncoder, "encode_utf8", picky)
    manifest = build(place, tmp_path)
    assert (manifest.failed, manifest.documents) == (2, len(TEXTS) - 1)
    lines = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in lines} >= {"no such text"}
    assert verify_numbered(tmp_path) == []


def test_a_tokenizer_without_an_end_of_text(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((place / "tokenizer" / "tokenizer.json").read_text())
    content["added_tokens"] = []
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    command = ["tokens", "build", str(place / "in"), "--tokenizer", str(tmp_path / "tokenizer.json")]
    assert main([*command, "--output", str(tmp_path / "out")]) == 2
    assert "does not say which token ends a text" in capsys.readouterr().err
    assert not (tmp_path / "out").exists(), "nothing is half-written"
    assert main([*command, "--output", str(tmp_path / "out"), "--eos-token", "<|none|>"]) == 2
    assert not (tmp_path / "out").exists()


def test_no_input_leaves_nothing(place: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.jsonl").write_text('{"broken\n')
    command = ["tokens", "build", "--tokenizer", str(place / "tokenizer"), "--output", str(tmp_path / "out")]
    assert main(command) == 2
    assert main([*command, str(tmp_path / "nowhere")]) == 2
    assert not (tmp_path / "out").exists()
    assert main([*command, str(tmp_path / "empty")]) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".building"]
