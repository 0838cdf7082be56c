"""Fetching: resumed where it stopped, checked against what was promised, from a real S3 server."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.cli import main, screen
from textmill.errors import UserError
from textmill.tokens import fetch
from textmill.tokens.checksums import Checksum, Promise, _PartsMD5
from textmill.tokens.fetch import fetch_tokens, storage_options
from textmill.tokens.import_tokens import ImportPlan, import_tokens

SIZES = {"train_000000.npy": 100_000, "deep/train_000001.npy": 70_000, "empty.bin": 0, "small.txt": 3}


def content(name: str, size: int) -> bytes:
    return np.random.default_rng(len(name)).bytes(size)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A folder that plays the store."""
    for name, size in SIZES.items():
        path = tmp_path / "store" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(name, size))
    return tmp_path / "store"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BLOCK_BYTES", 10_000)


def same(output: Path, store: Path) -> bool:
    return all((output / name).read_bytes() == (store / name).read_bytes() for name in SIZES)


def ranges(monkeypatch: pytest.MonkeyPatch, fail_after: int = 10**9) -> list[tuple[str, int, int]]:
    """The ranges that are asked for; after so many the process dies."""
    asked: list[tuple[str, int, int]] = []
    original = fetch._Remote.read

    def read(remote: Any, full: str, start: int, stop: int) -> bytes:
        if len(asked) >= fail_after:
            raise KeyboardInterrupt
        asked.append((Path(full).name, start, stop))
        return original(remote, full, start, stop)

    monkeypatch.setattr(fetch._Remote, "read", read)
    return asked


def test_everything_comes_and_comes_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    first = fetch_tokens(str(store), tmp_path / "o", progress=lambda done, total: seen.append((done, total)))
    assert same(tmp_path / "o", store)
    assert [file.path for file in first.files] == sorted(SIZES)
    assert first.bytes_read == sum(SIZES.values())
    assert seen[-1] == (sum(SIZES.values()),) * 2
    assert not [path for path in (tmp_path / "o").rglob("*") if "partial" in path.name]
    asked = ranges(monkeypatch)
    again = fetch_tokens(str(store), tmp_path / "o")
    assert (again.bytes_read, asked) == (0, [])
    (tmp_path / "o" / "small.txt").write_text("damaged")
    assert fetch_tokens(str(store), tmp_path / "o").bytes_read == 3
    assert same(tmp_path / "o", store)


@pytest.mark.parametrize("fail_after", [0, 1, 5, 12, 16])
def test_an_interrupted_file_goes_on_at_its_last_byte(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail_after: int
) -> None:
    with monkeypatch.context() as context:
        before = ranges(context, fail_after)
        with pytest.raises(KeyboardInterrupt):
            fetch_tokens(str(store), tmp_path / "o", workers=1)
    after = ranges(monkeypatch)
    fetch_tokens(str(store), tmp_path / "o", workers=1)
    assert same(tmp_path / "o", store)
    assert len(before) + len(after) == 10 + 7 + 1
    assert not set(before) & set(after), "no range is asked for twice"


def test_another_object_of_the_same_name_is_fetched_from_its_start(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        ranges(context, 12)
        with pytest.raises(KeyboardInterrupt):
            fetch_tokens(str(store), tmp_path / "o", workers=1)
    for name in SIZES:
        (store / name).write_bytes(content(name + "x", SIZES[name]))
        os.utime(store / name, (1, 1))
    fetch_tokens(str(store), tmp_path / "o")
    assert same(tmp_path / "o", store)


def test_killed_between_the_last_lines(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as context:
        context.setattr(fetch._Fetch, "keep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch_tokens(str(store), tmp_path / "o", workers=1)
    asked = ranges(monkeypatch)
    fetch_tokens(str(store), tmp_path / "o", workers=1)
    assert same(tmp_path / "o", store)
    assert len(asked) < 18


def test_faults_of_the_network_are_tried_again(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from fsspec.implementations.local import LocalFileSystem

    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    original, calls = LocalFileSystem.cat_file, [0]

    def shaky(*arguments: Any, **options: Any) -> bytes:
        calls[0] += 1
        if calls[0] % 3:
            raise ConnectionResetError("reset by peer")
        return original(*arguments, **options)

    monkeypatch.setattr(LocalFileSystem, "cat_file", shaky)
    fetch_tokens(str(store), tmp_path / "o", workers=1)
    assert same(tmp_path / "o", store)

    def dead(*_arguments: Any, **_options: Any) -> bytes:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(LocalFileSystem, "cat_file", dead)
    assert main(["tokens", "fetch", str(store), "--output_dir", str(tmp_path / "p"), "--num_proc", "2"]) == 2
    assert "reset by peer" in capsys.readouterr().err
    assert not list((tmp_path / "p").rglob("*.npy"))


def test_what_a_manifest_promises_is_held_to(tmp_path: Path) -> None:
    np.arange(3000, dtype="<u2").tofile(tmp_path / "a.bin")
    plan = ImportPlan(tmp_path / "a.bin", "raw", tmp_path / "store", shard_tokens=1000, eos_id=7)
    import_tokens(plan)
    assert main(["tokens", "fetch", str(tmp_path / "store"), "--output", str(tmp_path / "o")]) == 0
    record = json.loads((tmp_path / "o" / "fetched.json").read_text())
    assert {file["checked"] for file in record["files"]} == {"size", "SHA-256 of tokens.json"}
    shard = tmp_path / "store" / "train_000001.npy"
    data = bytearray(shard.read_bytes())
    data[500] ^= 1
    shard.write_bytes(data)
    with pytest.raises(UserError, match="not what it should be"):
        fetch_tokens(str(tmp_path / "store"), tmp_path / "p")
    assert not (tmp_path / "p" / "train_000001.npy").exists()
    assert not (tmp_path / "p" / "train_000001.npy.partial").exists()
    sums = f"{hashlib.sha256(shard.read_bytes()).hexdigest()}  train_000001.npy\n"
    (tmp_path / "store" / "tokens.json").unlink()
    (tmp_path / "store" / "SHA256SUMS").write_text(sums)
    fetched = fetch_tokens(str(tmp_path / "store"), tmp_path / "q", include="*[0S]*")
    assert {file.path: file.checked for file in fetched.files}["train_000001.npy"] == "SHA-256 of SHA256SUMS"


@settings(deadline=None, max_examples=50)
@given(data=st.binary(max_size=100), part=st.integers(1, 40), cuts=st.integers(1, 30))
def test_entity_tags_of_parts(data: bytes, part: int, cuts: int) -> None:
    md5 = _PartsMD5(part)
    for start in range(0, len(data), cuts):
        md5.update(data[start : start + cuts])
    digests = [hashlib.md5(data[i : i + part]).digest() for i in range(0, max(1, len(data)), part)]
    assert md5.tag() == f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def test_entity_tags_vouch_or_say_that_they_cannot() -> None:
    data = bytes(12 * 2**20)

    def check(etag: str, promise: Promise | None = None) -> str:
        checksum = Checksum(len(data), etag, promise)
        checksum.update(data)
        return checksum.check("f", "s3://b")

    parts = [hashlib.md5(data[: 8 * 2**20]).digest(), hashlib.md5(data[8 * 2**20 :]).digest()]
    whole = hashlib.md5(b"".join(parts)).hexdigest()
    assert check(f"{whole}-2") == "ETag"
    assert check(hashlib.md5(data).hexdigest()) == "ETag"
    assert check("0" * 32 + "-2") == "size"
    assert check("17.5") == "size"
    with pytest.raises(UserError, match="not what it should be"):
        check("0" * 32)
    assert check("0" * 32, Promise(hashlib.sha256(data).hexdigest(), "m")) == "SHA-256 of m"
    with pytest.raises(UserError):
        check(f"{whole}-2", Promise("0" * 64, "m"))


def test_options_of_stores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert storage_options("hf://datasets/a/b") == {"token": "hf_secret"}
    monkeypatch.delenv("HF_TOKEN")
    assert storage_options("hf://datasets/a/b") == {"token": None}
    options = storage_options("s3://b/p", "http://localhost:1", anonymous=True)
    assert (options["endpoint_url"], options["anon"]) == ("http://localhost:1", True)
    with pytest.raises(UserError, match="endpoint"):
        storage_options("/a/folder", "http://localhost:1")
    with pytest.raises(UserError, match="nothing to fetch"):
        fetch_tokens(str(tmp_path / "nothing"), tmp_path / "o")


# --- a real server of the S3 protocol --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(port=0)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client = boto3.client("s3", endpoint_url=server)
    client.create_bucket(Bucket="tokens")
    yield client
    for item in client.list_objects_v2(Bucket="tokens").get("Contents", []):
        client.delete_object(Bucket="tokens", Key=item["Key"])


def command(server: str, output: Path, *more: str) -> list[str]:
    return [
        "tokens",
        "fetch",
        "s3://tokens/set",
        "--endpoint-url",
        server,
        "--output_dir",
        str(output),
        *more,
    ]


@pytest.mark.slow
def test_from_s3(
    server: str,
    bucket: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from boto3.s3.transfer import TransferConfig

    monkeypatch.setattr(fetch, "BLOCK_BYTES", 2**20)
    (tmp_path / "big").write_bytes(content("big", 20 * 2**20))
    in_parts = TransferConfig(multipart_threshold=2**20, multipart_chunksize=8 * 2**20)
    bucket.upload_file(str(tmp_path / "big"), "tokens", "set/train_000000.npy", Config=in_parts)
    bucket.put_object(Bucket="tokens", Key="set/train_000001.npy", Body=content("b", 3 * 2**20))
    bucket.put_object(Bucket="tokens", Key="settings/not-ours.bin", Body=b"x")
    assert main(command(server, tmp_path / "o", "--num_proc", "2")) == 0
    said = capsys.readouterr().out
    assert said.count("checked by ETag") == 2, "of an upload in parts, and of a whole one"
    assert (tmp_path / "o" / "train_000000.npy").read_bytes() == (tmp_path / "big").read_bytes()
    assert (tmp_path / "o" / "train_000001.npy").read_bytes() == content("b", 3 * 2**20)
    assert not (tmp_path / "o" / "not-ours.bin").exists()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    assert fetch_tokens("s3://tokens/set", tmp_path / "o").bytes_read == 0, "the endpoint of the environment"
    bucket.put_object(Bucket="tokens", Key="set/train_000001.npy", Body=content("cc", 3 * 2**20))
    assert fetch_tokens("s3://tokens/set", tmp_path / "o").bytes_read == 3 * 2**20, "a changed object"
    assert (
        main(
            ["tokens", "fetch", "s3://none/at-all", "--endpoint-url", server, "--output", str(tmp_path / "p")]
        )
        == 2
    )
    assert main(["tokens", "fetch", "s3://tokens/nothing", "--output", str(tmp_path / "p")]) == 2


@pytest.mark.slow
def test_killed_and_restarted(server: str, bucket: Any, tmp_path: Path) -> None:
    size = 48 * 2**20
    for number in range(2):
        body = content("k" * (number + 1), size)
        bucket.put_object(Bucket="tokens", Key=f"set/train_{number:06d}.npy", Body=body)
    run = [sys.executable, "-m", "textmill.cli", *command(server, tmp_path / "o", "--num_proc", "1")]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "o" / "train_000001.npy.partial"
    try:
        for _ in range(6000):
            if partial.exists() and 8 * 2**20 <= partial.stat().st_size < size:
                break
            assert process.poll() is None, "it was done before it could be killed"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = partial.stat().st_size
    assert 8 * 2**20 <= left < size
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    for number in range(2):
        assert (tmp_path / "o" / f"train_{number:06d}.npy").read_bytes() == content("k" * (number + 1), size)
    assert f"of which {screen.size(size - left)} came now" in done.stdout


@pytest.mark.slow
def test_without_permission(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(command(server, tmp_path / "o")) == 2
