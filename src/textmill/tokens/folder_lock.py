"""One writer per folder: two commands that fill the same folder would spoil each other's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from textmill.errors import UserError


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it ends with the process, however that ends.

    Where the file system or the operating system knows no locks, nothing is held.

    Raises:
        UserError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UserError(
            "Another command is writing into this folder.",
            where=str(folder),
            hint="wait until it has finished, or name another folder",
        ) from None
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(descriptor)
