"""One writer per run folder: a lock file with a heartbeat.

A lock is stale when its process is gone (told at once on the same machine) or when its heartbeat has stopped
(told after a minute from any other machine). A stale lock is taken over, so a run that was killed continues
with the same command.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

from textmill.errors import UserError
from textmill.workspace.storage import Storage

LOCK_FILE = "lock.json"
HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0


class RunLock:
    """Holds the lock of a run folder while the block runs.

    Raises:
        UserError: another run holds the lock; says which.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._owner = uuid.uuid4().hex
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False

    def __enter__(self) -> RunLock:
        if not self._storage.create(LOCK_FILE, self._contents()):
            holder = self._read()
            if holder is not None and not _is_stale(holder):
                raise UserError(
                    "another run is at work in this folder",
                    where=self._storage.full(LOCK_FILE),
                    found=f"process {holder.get('pid')} on {holder.get('host')}, "
                    f"last seen {max(0, round(time.time() - holder.get('heartbeat', 0)))} s ago",
                    hint="wait for it, stop it, or run into another folder with --out",
                )
            self._take_over(holder)
        self._thread = threading.Thread(target=self._beat, daemon=True, name="textmill-lock")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        holder = self._read()
        if holder is not None and holder.get("owner") == self._owner:
            self._storage.remove(LOCK_FILE)

    def check(self) -> None:
        """Raise :class:`UserError` if another run has taken the lock over."""
        if self.lost:
            raise UserError(
                "another run has taken over this folder",
                where=self._storage.full(LOCK_FILE),
                hint="let it finish; the same command then finds everything done",
            )

    def _contents(self) -> bytes:
        holder = {
            "owner": self._owner,
            "host": _host(),
            "pid": os.getpid(),
            "started": _process_start(os.getpid()),
            "heartbeat": time.time(),
        }
        return json.dumps(holder).encode()

    def _read(self) -> dict[str, Any] | None:
        try:
            holder = json.loads(self._storage.read_bytes(LOCK_FILE))
        except FileNotFoundError:
            return None
        except ValueError:
            # Cut off while it was being written: nobody is alive who could finish it.
            return {}
        return holder if isinstance(holder, dict) else {}

    def _take_over(self, holder: dict[str, Any] | None) -> None:
        # Of several that find the lock stale, only one may win: the one whose owner stands there afterwards.
        self._storage.remove(LOCK_FILE)
        self._storage.create(LOCK_FILE, self._contents())
        now = self._read()
        if now is None or now.get("owner") != self._owner:
            raise UserError(
                "another run has just started in this folder",
                where=self._storage.full(LOCK_FILE),
                hint="wait for it, or run into another folder with --out",
            )

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            holder = self._read()
            if holder is not None and holder.get("owner") not in (None, self._owner):
                self.lost = True
                return
            try:
                self._storage.write_bytes(LOCK_FILE, self._contents())
            except (OSError, UserError):
                # A full disk shows itself where the results are written; the beat tries again.
                continue


def _is_stale(holder: dict[str, Any]) -> bool:
    if holder.get("host") == _host():
        return _process_start(int(holder.get("pid", -1))) != holder.get("started")
    return time.time() - float(holder.get("heartbeat", 0)) > STALE_SECONDS


def _host() -> str:
    """The machine, and the process namespace in it: pids mean nothing across containers."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {namespace}".strip()


def _process_start(pid: int) -> str | None:
    """When a process started (so that a reused pid is not mistaken), or None if there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        # Field 22, counted behind the command's closing parenthesis (proc(5)).
        fields = status.rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return None
    return "running"
