"""Files of a run folder on a local disk or behind any fsspec URL.

An object appears whole or not at all: locally by renaming a finished file into place, on object stores because
a PUT is atomic there. Nothing else is asked of the store: no rename, no append, no listing that is up to date.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from textmill.errors import UserError
from textmill.workspace.commits import FileRecord

SHA_DIGITS = 16
_BLOCK = 1 << 20


class Storage:
    """A folder, by path or URL.

    Args:
        url: a local path, or a URL such as ``s3://bucket/runs/a`` or ``memory://runs/a``.
    """

    def __init__(self, url: str) -> None:
        filesystem, root = fsspec.core.url_to_fs(url)
        self.url = url
        self.filesystem = filesystem
        self.root = str(root).rstrip("/")
        self.is_local = isinstance(filesystem, LocalFileSystem)
        self._downloads: Path | None = None

    def full(self, path: str) -> str:
        """The path as the file system knows it."""
        return f"{self.root}/{path}" if path else self.root

    def exists(self, path: str) -> bool:
        """Whether a file or folder is there."""
        return bool(self.filesystem.exists(self.full(path)))

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return int(self.filesystem.info(self.full(path))["size"])

    def read_bytes(self, path: str) -> bytes:
        """The contents of a file."""
        contents: bytes = self.filesystem.cat_file(self.full(path))
        return contents

    def read_text(self, path: str) -> str:
        """The contents of a UTF-8 file."""
        return self.read_bytes(path).decode()

    def write_bytes(self, path: str, contents: bytes) -> None:
        """Write a small file whole, replacing what was there."""
        with user_errors(self.full(path)):
            if not self.is_local:
                self.filesystem.pipe_file(self.full(path), contents)
                return
            target = Path(self.full(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")
            try:
                part.write_bytes(contents)
                part.replace(target)
            except OSError:
                part.unlink(missing_ok=True)
                raise

    def create(self, path: str, contents: bytes) -> bool:
        """Write a file if there is none; False if there is one. For locks."""
        with user_errors(self.full(path)):
            try:
                if self.is_local:
                    Path(self.full(path)).parent.mkdir(parents=True, exist_ok=True)
                    descriptor = os.open(self.full(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
                    with os.fdopen(descriptor, "wb") as stream:
                        stream.write(contents)
                else:
                    with self.filesystem.open(self.full(path), "xb") as stream:
                        stream.write(contents)
            except FileExistsError:
                return False
        return True

    def publish(
        self, file: Path, path: str, rows: int | None = None, text_bytes: int | None = None
    ) -> FileRecord:
        """Move a finished local file into the run folder.

        Args:
            file: the local file; gone afterwards.
            path: where it goes; ``{sha}`` becomes the first sixteen digits of its SHA-256.
            rows: documents, rows or tokens in it, for the record.
            text_bytes: bytes of text in it, for the record.
        """
        digest = file_sha256(file)
        path = path.replace("{sha}", digest[:SHA_DIGITS])
        size = file.stat().st_size
        with user_errors(self.full(path)):
            if self.is_local:
                target = Path(self.full(path))
                target.parent.mkdir(parents=True, exist_ok=True)
                _move(file, target)
            else:
                self.filesystem.put_file(str(file), self.full(path))
                file.unlink()
        return FileRecord(path, digest, size, rows, text_bytes)

    def record(self, path: str) -> FileRecord:
        """The record of a file that is already there (reads it to hash it)."""
        digest = hashlib.sha256()
        with self.open(path) as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return FileRecord(path, digest.hexdigest(), self.size(path))

    def open(self, path: str) -> IO[bytes]:
        """An open binary file for reading."""
        stream: IO[bytes] = self.filesystem.open(self.full(path), "rb")
        return stream

    def files(self, folder: str) -> list[str]:
        """Paths (relative to the run folder) of all files below ``folder``, sorted."""
        if not self.exists(folder):
            return []
        prefix = self.filesystem._strip_protocol(self.root).rstrip("/") + "/"
        found = self.filesystem.find(self.full(folder))
        return sorted(str(name)[len(prefix) :] for name in found)

    def remove(self, path: str) -> None:
        """Delete a file or a folder with everything in it; nothing happens when it is not there."""
        try:
            if self.exists(path):
                self.filesystem.rm(self.full(path), recursive=True)
        except FileNotFoundError:
            pass

    def local(self, path: str) -> Path:
        """A local file or folder with the contents of ``path``; downloaded when the store is remote."""
        if self.is_local:
            return Path(self.full(path))
        if self._downloads is None:
            self._downloads = Path(tempfile.mkdtemp(prefix="textmill-"))
        target = self._downloads / PurePosixPath(path)
        if self.filesystem.isdir(self.full(path)):
            for name in self.files(path):
                self.local(name)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        self.filesystem.get_file(self.full(path), str(part))
        part.replace(target)
        return target

    def close(self) -> None:
        """Forget downloaded copies."""
        if self._downloads is not None:
            shutil.rmtree(self._downloads, ignore_errors=True)
            self._downloads = None


def file_sha256(file: Path) -> str:
    """SHA-256 of a local file, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def user_errors(path: str, making: bool = False) -> Iterator[None]:
    """Turn a full disk, a read-only folder and missing rights into errors that a person understands."""
    try:
        yield
    except OSError as error:
        explained = explain(error, path, making)
        if explained is None:
            raise
        raise explained from error


def explain(error: OSError, path: str, making: bool = False) -> UserError | None:
    """The user's view of an operating-system error, or None if it is not the user's to mend.

    Args:
        error: what the operating system said.
        path: what was to be written.
        making: whether the run folder itself was being made, so that its path may be at fault.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(
            "no space left for the run folder",
            where=path,
            hint="free some space, or choose another folder with --out; the same command continues",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) or isinstance(error, PermissionError):
        return UserError(
            "the run folder cannot be written",
            where=path,
            found=error.strerror or str(error),
            hint="make it writable, or choose another folder with --out",
        )
    if making and error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG):
        a_file = error.errno in (errno.ENOTDIR, errno.EEXIST)
        return UserError(
            "the run folder cannot be made here",
            where=path,
            expected="a folder",
            found="a file of that name on the way" if a_file else error.strerror,
            hint="choose another folder with --out",
        )
    return None


def _move(file: Path, target: Path) -> None:
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}.part")
        try:
            shutil.copyfile(file, part)
            part.replace(target)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        file.unlink()


def is_leftover(path: str) -> bool:
    """Whether a file is the trace of a write that was cut off."""
    return path.endswith(".part")


def parse_url(url: str | Path | Any) -> str:
    """A run folder as text, without a trailing slash."""
    return str(url).rstrip("/") or "/"
