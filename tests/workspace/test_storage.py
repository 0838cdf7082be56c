"""Objects appear whole or not at all, locally and behind a URL."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from textmill.errors import UserError
from textmill.workspace import Workspace
from textmill.workspace.storage import Storage


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "run") if request.param == "local" else f"memory://{tmp_path.name}/run")


def test_publish_names_a_file_by_its_contents(storage: Storage, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.write_bytes(b"contents")
    record = storage.publish(made, "a/b-{sha}.bin", rows=3)
    digest = hashlib.sha256(b"contents").hexdigest()
    assert record.path == f"a/b-{digest[:16]}.bin"
    assert (record.sha256, record.bytes, record.rows) == (digest, 8, 3)
    assert storage.read_bytes(record.path) == b"contents"
    assert not made.exists()
    assert storage.files("") == storage.files("a") == [record.path]
    assert storage.record(record.path).sha256 == digest
    assert storage.local("a").joinpath(record.path.removeprefix("a/")).read_bytes() == b"contents"


def test_write_replace_remove(storage: Storage) -> None:
    storage.write_bytes("x/y.json", b"1")
    storage.write_bytes("x/y.json", b"22")
    assert storage.read_text("x/y.json") == "22"
    assert storage.size("x/y.json") == 2
    assert storage.local("x/y.json").read_text() == "22"
    assert storage.files("nothing") == []
    storage.remove("x")
    storage.remove("x")
    assert not storage.exists("x/y.json")


def test_create_succeeds_once(storage: Storage) -> None:
    assert storage.create("lock", b"1")
    assert not storage.create("lock", b"2")
    assert storage.read_bytes("lock") == b"1"


@pytest.mark.parametrize(
    "number,says",
    [
        (errno.ENOSPC, "no space left"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
def test_errors_of_the_disk_are_told_plainly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    storage = Storage(str(tmp_path / "run"))
    storage.write_bytes("kept", b"old")

    def fail(self: Path, contents: bytes) -> int:
        self.touch()
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(UserError, match=says):
        storage.write_bytes("kept", b"new")
    assert storage.read_bytes("kept") == b"old"
    assert storage.files("") == ["kept"], "no half-written file is left"


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount a small disk here")
    try:
        storage = Storage(str(small / "run"))
        large = tmp_path / "large"
        large.write_bytes(b"x" * 200_000)
        with pytest.raises(UserError, match="no space left"):
            storage.publish(large, "documents/{sha}")
        assert storage.files("") == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_file_in_the_way_of_the_run_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made here"):
        Workspace.create(tmp_path / "file" / "run")


def test_opening_what_is_no_run_names_runs_nearby(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "manifest.json").write_text("{}")
    with pytest.raises(UserError, match="no run is here") as caught:
        Workspace.open("elsewhere")
    assert "runs/mine" in (caught.value.hint or "")
