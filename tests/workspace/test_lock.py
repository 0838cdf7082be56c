"""One writer per run folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from textmill.errors import UserError
from textmill.workspace import lock as lock_module
from textmill.workspace.lock import LOCK_FILE, RunLock, _host, _process_start
from textmill.workspace.storage import Storage


def storages(tmp_path: Path) -> list[Storage]:
    return [Storage(str(tmp_path / "run")), Storage(f"memory://{tmp_path.name}/run")]


def write_holder(storage: Storage, **changes: Any) -> None:
    holder = {
        "owner": "someone",
        "host": _host(),
        "pid": os.getpid(),
        "started": _process_start(os.getpid()),
        "heartbeat": time.time(),
    }
    storage.write_bytes(LOCK_FILE, json.dumps(holder | changes).encode())


def test_a_second_run_is_refused_and_the_lock_goes_with_the_block(tmp_path: Path) -> None:
    for storage in storages(tmp_path):
        with RunLock(storage):
            with pytest.raises(UserError, match="another run is at work") as caught, RunLock(storage):
                pass
            assert str(os.getpid()) in (caught.value.found or "")
            assert storage.exists(LOCK_FILE)
        assert not storage.exists(LOCK_FILE)
        with RunLock(storage):
            pass


def test_the_lock_of_a_dead_process_is_taken_over_at_once(tmp_path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True)
    for storage in storages(tmp_path):
        write_holder(storage, pid=int(child.stdout), started="1")
        with RunLock(storage) as lock:
            assert not lock.lost
            assert json.loads(storage.read_bytes(LOCK_FILE))["pid"] == os.getpid()


def test_a_reused_process_number_does_not_hold_the_lock(tmp_path: Path) -> None:
    for storage in storages(tmp_path):
        write_holder(storage, started="an earlier life")
        with RunLock(storage):
            pass


@pytest.mark.parametrize("age,free", [(5.0, False), (3600.0, True)])
def test_another_machine_holds_it_while_its_heart_beats(tmp_path: Path, age: float, free: bool) -> None:
    for storage in storages(tmp_path):
        write_holder(storage, host="elsewhere", heartbeat=time.time() - age)
        if free:
            with RunLock(storage):
                pass
        else:
            with pytest.raises(UserError), RunLock(storage):
                pass


@pytest.mark.parametrize("contents", [b"", b"{", b"[]", b"\xff"])
def test_a_lock_that_was_cut_off_is_taken_over(tmp_path: Path, contents: bytes) -> None:
    for storage in storages(tmp_path):
        storage.write_bytes(LOCK_FILE, contents)
        with RunLock(storage):
            pass


def test_the_heart_beats_and_a_lost_lock_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.02)
    storage = Storage(str(tmp_path / "run"))
    with RunLock(storage) as lock:
        first = json.loads(storage.read_bytes(LOCK_FILE))["heartbeat"]
        deadline = time.time() + 10
        while json.loads(storage.read_bytes(LOCK_FILE))["heartbeat"] == first:
            assert time.time() < deadline
            time.sleep(0.01)
        # Several times, since a beat that has just looked may still write over it once.
        while not lock.lost:
            assert time.time() < deadline
            write_holder(storage)
            time.sleep(0.05)
        with pytest.raises(UserError, match="taken over"):
            lock.check()
    assert json.loads(storage.read_bytes(LOCK_FILE))["owner"] == "someone", "not ours to remove"
