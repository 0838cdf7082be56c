"""A worker process: tasks come in as JSON lines, reports and results go out as JSON lines.

A failed task can be run by hand: ``echo '{"function": …, "item": …}' | python -m textmill.pipeline``.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import resource
import sys
import threading
import traceback
from pathlib import Path
from typing import IO, Any

from textmill.errors import UserError

# Workers are the parallelism; threads inside them would only fight over the same cores.
SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ARROW_NUM_THREADS": "1",
}

_ERROR_FIELDS = ("message", "expected", "found", "where", "hint")


def main() -> None:
    """Serve tasks from standard input until it closes."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints must not mix with the protocol.
    os.dup2(2, 1)
    tasks: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    while line := tasks.get():
        _serve(json.loads(line), output)


def _read(tasks: queue.Queue[str]) -> None:
    for line in sys.stdin:
        if line.strip():
            tasks.put(line)
    tasks.put("")
    # The coordinator is gone. A task under way may have been given by hand (echo … |): only a coordinator
    # sets this variable, and without it nobody waits for the result.
    if os.environ.get("TEXTMILL_COORDINATED"):
        os._exit(0)


def _serve(task: dict[str, Any], output: IO[str]) -> None:
    from textmill.pipeline.engine import find_function

    def send(**message: Any) -> None:
        output.write(json.dumps(message) + "\n")
        output.flush()

    def report(**values: Any) -> None:
        send(report=values)

    try:
        result = find_function(task["function"])(task["item"], report)
    except UserError as error:
        send(user_error={name: getattr(error, name) for name in _ERROR_FIELDS})
    except BaseException as error:
        fault = _of_the_disk(error, task["item"])
        if fault is not None:
            send(user_error=fault)
            return
        send(error=f"{type(error).__name__}: {error}", traceback=traceback.format_exc())
    else:
        send(result=result, peak_bytes=_peak_bytes())


def _of_the_disk(error: BaseException, item: dict[str, Any]) -> dict[str, Any] | None:
    """The user's view of a full or read-only disk; None for every other error.

    Some libraries (DuckDB when it spills) tell a full disk in words alone.
    """
    from textmill.workspace.storage import explain

    number = error.errno if isinstance(error, OSError) else None
    if "No space left on device" in str(error):
        number = errno.ENOSPC
    if number not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return None
    named = error.filename if isinstance(error, OSError) else None
    explained = explain(OSError(number, os.strerror(number)), str(named or item.get("run", "")))
    assert explained is not None
    return {name: getattr(explained, name) for name in _ERROR_FIELDS}


def _peak_bytes() -> int:
    """Most memory that this process ever had resident, in bytes."""
    try:
        # Not getrusage: its maximum is inherited from the parent process (getrusage(2), Notes).
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
