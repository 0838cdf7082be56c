"""Checkpoints in the background: training waits for the copy in memory, not for the disk."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from safetensors import SafetensorError

from textmill.errors import UserError
from textmill.train.checkpoint import FOLDER, Snapshot, checkpoint_steps, remove_old, write_checkpoint
from textmill.train.store import Store
from textmill.train.trainee import Trainee

BEST = f"{FOLDER}/best.json"
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Saver:
    """Writes one checkpoint at a time in a thread; a new one waits for the one before.

    Args:
        store: where to.
        scratch: local folder to build checkpoints in.
        trainee: knows the form of its weights.
        keep_last: newest checkpoints to keep; the best one is kept beside them.
        saved: called with the folder of a checkpoint that is on disk.
    """

    def __init__(
        self, store: Store, scratch: Path, trainee: Trainee, keep_last: int, saved: Callable[[str], None]
    ) -> None:
        self._store, self._scratch, self._trainee = store, scratch, trainee
        self._keep_last, self._saved = keep_last, saved
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._running: Future[None] | None = None

    def save(self, snapshot: Snapshot) -> None:
        """Begin to write a checkpoint.

        Raises:
            UserError: there was no room for the one before.
        """
        self.wait()
        self._running = self._thread.submit(self._write, snapshot)

    def wait(self) -> None:
        """Return when everything is on disk.

        Raises:
            UserError: there was no room for it.
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def close(self) -> None:
        """Let go of the thread, when what it writes is written."""
        self._thread.shutdown(wait=True)

    def _write(self, snapshot: Snapshot) -> None:
        folder = f"{FOLDER}/checkpoint-{snapshot.state['step']}"
        try:
            write_checkpoint(self._store, self._scratch, self._trainee, snapshot)
        except (OSError, SafetensorError) as error:
            if not _disk_is_full(error):
                raise
            self._store.remove(folder)
            raise self._no_room(snapshot, folder) from error
        best = snapshot.state.get("best_step")
        if best is not None:
            file = self._scratch / "best.json"
            mark = {"checkpoint": f"checkpoint-{best}", "validation_loss": snapshot.state["best_loss"]}
            file.write_text(json.dumps(mark, indent=2) + "\n", "utf-8")
            self._store.publish(file, BEST)
        remove_old(self._store, self._keep_last, best)
        self._saved(folder)

    def _no_room(self, snapshot: Snapshot, folder: str) -> UserError:
        tensors = [*snapshot.weights.values(), *snapshot.optimizer.values()]
        kept = checkpoint_steps(self._store)
        return UserError(
            f"the disk is full: {folder} could not be written",
            expected=f"room for {sum(tensor.nbytes for tensor in tensors) / 1e6:,.0f} MB",
            found=f"{FOLDER}/checkpoint-{kept[-1]} is whole and stays" if kept else "no earlier checkpoint",
            hint="make room or lower train.keep_last; the same command then goes on from the last checkpoint",
        )


def _disk_is_full(error: OSError | SafetensorError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return any(f"os error {number}" in str(error) for number in _FULL)
