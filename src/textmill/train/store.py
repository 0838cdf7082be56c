"""Where training keeps its files: the part of a stage's context that it needs, and a plain folder that has it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Files under relative paths, published whole or not at all; a ``StageContext`` is one."""

    def local(self, path: str) -> Path:
        """A readable local file or folder with the contents of ``path``."""
        ...

    def publish(self, file: Path, path: str) -> str:
        """Move a finished local file to ``path``, atomically."""
        ...

    def published(self, folder: str) -> list[str]:
        """Paths of the files below ``folder``, sorted."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file or folder."""
        ...


class FolderStore:
    """A store in a local folder, for training without a run.

    Args:
        root: the folder; created if need be.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def local(self, path: str) -> Path:
        """The file itself."""
        return self.root / path

    def publish(self, file: Path, path: str) -> str:
        """Move ``file`` to ``path``: copied beside it under another name if need be, then renamed."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        incoming = target.with_name(f".incoming-{target.name}")
        shutil.move(file, incoming)
        with incoming.open("rb+") as stream:
            os.fsync(stream.fileno())
        incoming.replace(target)
        return path

    def published(self, folder: str) -> list[str]:
        """Files below ``folder``; unfinished ones are not among them."""
        found = (self.root / folder).rglob("*")
        return sorted(
            str(file.relative_to(self.root).as_posix())
            for file in found
            if file.is_file() and not file.name.startswith(".incoming-")
        )

    def remove(self, path: str) -> None:
        """Delete a file or folder; nothing happens if there is none."""
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
