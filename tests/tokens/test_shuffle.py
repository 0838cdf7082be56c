"""Shuffled builds: all documents, in an order that the seed alone decides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.tokens.test_numbered_build import KilledError, backwards, build, digests, inline, place, stream_of

from textmill.cli import main
from textmill.tokens import numbered_build
from textmill.tokens.numbered_verify import verify_numbered
from textmill.tokens.part_files import shuffle_hash
from textmill.tokens.shard_manifest import ShardManifest

__all__ = ["place"]


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbered_build, "PIECE_TOKENS", 3000)


def documents_of(folder: Path) -> list[tuple[bytes, list[int], str]]:
    """Id, tokens and language of every document, in order."""
    stream = np.concatenate([np.load(path) for path in sorted(folder.glob("train_*.npy"))])
    found, start = [], 0
    for path in sorted(folder.glob("train_*.npy")):
        for row in pq.read_table(path.with_name(f"{path.stem}.documents.parquet")).to_pylist():
            first = start + row["offset"]
            found.append((row["id"], stream[first : first + row["length"]].tolist(), row["language"]))
        start += len(np.load(path, mmap_mode="r"))
    return found


def test_all_documents_in_the_order_of_their_hash(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path / "plain")
    manifest = build(place, tmp_path / "shuffled", shuffle_seed=5)
    plain, shuffled = documents_of(tmp_path / "plain"), documents_of(tmp_path / "shuffled")

    def by_hash(document: tuple[bytes, list[int], str]) -> tuple[bytes, bytes]:
        key = (5).to_bytes(16, "little")
        digest = blake2b(document[0], digest_size=8, person=b"textmill-shuffle", key=key).digest()
        return digest[::-1], document[0]

    assert shuffled == sorted(plain, key=by_hash)
    assert [document[0] for document in shuffled] != [document[0] for document in plain]
    assert manifest.tokens == len(stream_of(place))
    assert (manifest.failed, manifest.shuffle_seed) == (1, 5)
    assert verify_numbered(tmp_path / "shuffled") == []
    assert not list(tmp_path.glob("*/.building/*-0*"))


def test_neither_workers_nor_pieces_change_the_order(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(place, tmp_path / "a", shuffle_seed=1)
    build(place, tmp_path / "b", shuffle_seed=1, run=backwards)
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    monkeypatch.setattr(numbered_build, "PIECE_TOKENS", 10**9)
    build(place, tmp_path / "c", shuffle_seed=1, split_bytes=10**9)
    assert documents_of(tmp_path / "c") == documents_of(tmp_path / "a")
    build(place, tmp_path / "d", shuffle_seed=2)
    assert documents_of(tmp_path / "d") != documents_of(tmp_path / "a")


@pytest.mark.parametrize("killed_after", [1, 3, 6])
def test_killed_and_run_again(place: Path, tmp_path: Path, killed_after: int) -> None:
    def dying(function: str, items: Any) -> Iterator[tuple[int, Any]]:
        for done, result in enumerate(inline(function, items)):
            if done == killed_after % 4 and (killed_after < 4 or "gather" in function):
                raise KilledError
            yield result

    build(place, tmp_path / "whole", shard_tokens=900, shuffle_seed=3)
    with pytest.raises(KilledError):
        build(place, tmp_path / "again", run=dying, shard_tokens=900, shuffle_seed=3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "again").glob("train_*.npy")}
    build(place, tmp_path / "again", shard_tokens=900, shuffle_seed=3)
    assert digests(tmp_path / "again") == digests(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


def test_a_budget_takes_a_fair_sample(place: Path, tmp_path: Path) -> None:
    build(place, tmp_path / "whole", shuffle_seed=3)
    manifest = build(place, tmp_path / "some", shuffle_seed=3, total=9000)
    assert manifest.tokens == 9000
    whole = np.concatenate([np.load(path) for path in sorted((tmp_path / "whole").glob("train_*.npy"))])
    some = np.concatenate([np.load(path) for path in sorted((tmp_path / "some").glob("train_*.npy"))])
    assert np.array_equal(some, whole[:9000])
    assert {language for _, _, language in documents_of(tmp_path / "some")} == {"en", "fr"}
    assert verify_numbered(tmp_path / "some") == []


def test_the_command(place: Path, tmp_path: Path) -> None:
    command = [
        "tokens", "build", str(place / "in"), "--tokenizer", str(place / "tokenizer"), "--shard-tokens", "4000",
    ]  # fmt: skip
    assert main([*command, "--shuffle-seed", "7", "--output", str(tmp_path / "a")]) == 0
    manifest = ShardManifest.read(tmp_path / "a")
    assert manifest is not None
    assert manifest.shuffle_seed == 7
    assert main([*command, "--shuffle-seed", "8", "--output", str(tmp_path / "a")]) == 2, "another build"
    old = json.loads((tmp_path / "a" / "tokens.json").read_text())
    del old["shuffle_seed"]
    (tmp_path / "a" / "tokens.json").write_text(json.dumps(old))
    assert ShardManifest.read(tmp_path / "a").shuffle_seed is None, "as earlier versions wrote it"


def test_the_hash_is_fixed_for_good() -> None:
    assert shuffle_hash(bytes(16), 0) == 6767815686456212262
