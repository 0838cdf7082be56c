"""The local engine: worker processes on this machine.

Workers are plain child processes that speak JSON lines, not a pool of forks: a script that calls textmill
needs no ``if __name__ == "__main__"``, a worker that dies takes nothing with it, one that hangs can be killed,
and all of them end when the coordinator does, however it ends.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from textmill.errors import UserError
from textmill.pipeline.engine import Crash, Tell
from textmill.pipeline.worker import SINGLE_THREADED


class LocalEngine:
    """Worker processes on this machine.

    Args:
        workers: how many, at least one.
        silence_seconds: a worker that reports nothing for so long is taken for hung and killed.

    Attributes:
        peak_bytes: most memory that any worker ever had resident.
    """

    def __init__(self, workers: int, silence_seconds: float = 900.0) -> None:
        self.workers = max(1, workers)
        self.silence_seconds = silence_seconds
        self.peak_bytes = 0
        self._idle: list[_Worker] = []
        self._messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]] = queue.Queue()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._idle:
            worker.stop()
        self._idle = []

    def map(
        self, function: str, items: Sequence[Mapping[str, Any]], tell: Tell
    ) -> Iterator[tuple[int, Any | Crash]]:
        """See :meth:`textmill.pipeline.engine.Engine.map`."""
        waiting = deque(range(len(items)))
        busy: dict[_Worker, int] = {}
        try:
            while waiting or busy:
                while waiting and len(busy) < self.workers:
                    position = waiting.popleft()
                    worker = self._idle.pop() if self._idle else _Worker(self._messages)
                    busy[worker] = position
                    worker.send({"function": function, "item": items[position]})
                try:
                    worker, message = self._messages.get(timeout=1.0)
                except queue.Empty:
                    self._kill_the_silent(busy)
                    continue
                if worker not in busy:
                    continue
                if message is None:
                    yield busy.pop(worker), Crash(worker.epitaph(), dict(worker.last))
                elif "report" in message:
                    worker.heard(message["report"])
                    tell(message["report"])
                elif "result" in message:
                    self._idle.append(worker)
                    self.peak_bytes = max(self.peak_bytes, message["peak_bytes"])
                    yield busy.pop(worker), message["result"]
                elif "user_error" in message:
                    raise UserError(**message["user_error"])
                else:
                    raise RuntimeError(f"a task failed: {message['error']}\n{message['traceback']}")
        finally:
            for worker in busy:
                worker.stop()

    def _kill_the_silent(self, busy: Mapping[_Worker, int]) -> None:
        for worker in busy:
            if time.monotonic() - worker.last_heard > self.silence_seconds:
                worker.kill(f"it said nothing for {self.silence_seconds:g} s")


class _Worker:
    """One worker process and the thread that listens to it."""

    def __init__(self, messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        # The child finds the same modules as we do, the user's own steps included.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        environment = {**os.environ, **SINGLE_THREADED, "PYTHONPATH": path, "TEXTMILL_COORDINATED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "textmill.pipeline"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
            # A group of its own: Ctrl-C is for the coordinator, and workers end with it.
            process_group=0 if os.name == "posix" else None,
        )
        self.last: Mapping[str, Any] = {}
        self.last_heard = time.monotonic()
        self._cause = ""
        threading.Thread(target=self._listen, args=(messages,), daemon=True).start()

    def send(self, task: Mapping[str, Any]) -> None:
        self.last, self.last_heard = {}, time.monotonic()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died between two tasks; the listener tells

    def heard(self, report: Mapping[str, Any]) -> None:
        self.last, self.last_heard = report, time.monotonic()

    def kill(self, cause: str) -> None:
        self._cause = cause
        self.process.kill()

    def epitaph(self) -> str:
        code = self.process.wait()
        if self._cause:
            return self._cause
        return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def stop(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=2)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()

    def _listen(self, messages: queue.Queue[tuple[_Worker, dict[str, Any] | None]]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            messages.put((self, json.loads(line)))
        messages.put((self, None))
