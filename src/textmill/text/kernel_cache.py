"""Where the machine code of kernels is kept, and who compiles it.

Numba stores compiled kernels beside their source and, when it cannot, in the user's cache folder; with
neither writable it raises on import. Here the folder is chosen once, before the first kernel is defined:

    NUMBA_CACHE_DIR, if the user set it
    else the first folder that can be written:
        <package>/text/__pycache__/kernels
        <user's cache folder>/textmill/kernels
        <temporary folder>/textmill-<user id>/kernels    (must belong to the user and to nobody else)
    else a new private temporary folder, told to child processes through NUMBA_CACHE_DIR

In it every module that defines kernels has a folder of its own, `<module>-<digest>`. The digest covers the module and
all modules of the same package that it imports, directly or not, because Numba itself notices a change in the file
that holds a kernel but not in the files whose functions the kernel has inlined. So an edit compiles again what it can
have changed, and nothing else; two versions that share a folder do not disturb each other. Folders that nobody has
used for 30 days are removed when kernels are compiled ahead (`remove_old_caches`).

Of several processes that need the same kernel at once, one compiles it and the others wait and read it from the disk
(`compile_once`).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numba
from numba.core.compiler_lock import global_compiler_lock

try:
    import fcntl
except ImportError:  # Windows: every process compiles for itself
    fcntl = None  # type: ignore[assignment]


def keep_on_disk(compiled: Any) -> None:
    """Keep the machine code of a Numba function in this version's folder, and compile it in one process at a time.

    Args:
        compiled: what `numba.njit` returned, without `cache=True`.
    """
    folder = folder_of(Path(inspect.getfile(compiled.py_func)), compiled.py_func.__module__)
    _mark_as_used(folder)
    shared = vars(numba.config)["CACHE_DIR"]
    vars(numba.config)["CACHE_DIR"] = str(folder)
    try:
        compiled.enable_caching()
    finally:
        vars(numba.config)["CACHE_DIR"] = shared
    name = f"{compiled.py_func.__qualname__}-{compiled.py_func.__code__.co_firstlineno}"
    compiled.compile = compile_once(compiled.compile, folder / f"{name}.lock")


def folder_of(file: Path, module: str) -> Path:
    """The folder for the kernels of a module."""
    return cache_folder() / f"{module.removeprefix('textmill.')}-{source_digest(file.resolve(), module)}"


def compile_once(compile_kernel: Callable[[Any], Any], lock: Path) -> Callable[[Any], Any]:
    """The same compilation, done while no other process does it.

    Numba looks on the disk before it compiles: who had to wait finds what the other has made. Where files cannot be
    locked, every process compiles for itself, as ever. The system takes the lock from a process that is killed.
    """
    if fcntl is None:
        return compile_kernel

    held: list[bool] = []

    @functools.wraps(compile_kernel)
    def locked(signature: Any) -> Any:
        # Numba's own lock comes first, in every thread: two locks in two orders would be a deadlock.
        with global_compiler_lock, contextlib.ExitStack() as leave:
            if not held:  # a kernel that calls itself is compiled within its own compilation
                held.append(True)
                leave.callback(held.clear)
                leave.enter_context(_lock(lock))
            return compile_kernel(signature)

    return locked


@contextlib.contextmanager
def _lock(file: Path) -> Iterator[None]:
    """Hold a lock on a file, where the file can be made and its file system has locks."""
    with contextlib.ExitStack() as leave:
        with contextlib.suppress(OSError):
            handle = leave.enter_context(file.open("ab"))
            fcntl.flock(handle, fcntl.LOCK_EX)
            # Said, not left to closing: a child that was forked meanwhile has the file open too.
            leave.callback(fcntl.flock, handle, fcntl.LOCK_UN)
        yield


@functools.cache
def cache_folder() -> Path:
    """The folder of all kernels of this process; made if need be."""
    if named := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(named)
    folder, private = choose_cache_folder(
        candidate_folders(Path(__file__).resolve().parent),
        is_usable,
        lambda: Path(tempfile.mkdtemp(prefix=PRIVATE)),
    )
    if private:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return folder


PRIVATE = "textmill-kernels-"
"""How the name of a folder begins that only one run uses, since no lasting one can be written."""


def choose_cache_folder(
    candidates: Iterable[Path], is_usable: Callable[[Path], bool], make_private: Callable[[], Path]
) -> tuple[Path, bool]:
    """Return the first usable folder of `candidates`, else a new private one; True if it is private."""
    for folder in candidates:
        if is_usable(folder):
            return folder, False
    return make_private(), True


def candidate_folders(package: Path) -> list[Path]:
    """Folders that may hold the compiled kernels, best first."""
    folders = [package / "__pycache__" / "kernels"]
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared and Path(shared).is_absolute():
        folders.append(Path(shared) / "textmill" / "kernels")
    else:
        home = Path("~").expanduser()
        if home.is_absolute():
            folders.append(home / ".cache" / "textmill" / "kernels")
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folders.append(Path(tempfile.gettempdir()) / f"textmill-{user}" / "kernels")
    return folders


def is_usable(folder: Path) -> bool:
    """Make the folder if need be, and say whether this user, and no other, can write in it.

    Compiled kernels are code: a folder that somebody else could fill must not be read.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if hasattr(os, "getuid"):
            for level in (folder, folder.parent):
                status = level.stat()
                foreign = status.st_uid not in (os.getuid(), 0)
                if foreign or (level == folder and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
                    return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def source_digest(file: Path, module: str) -> str:
    """Twelve hexadecimal digits over a module and all that it imports of its own package, directly or not.

    Args:
        file: source of the module.
        module: its full name, whose first part names the package; one without dots stands for itself alone.
    """
    root = _root(file, module)
    reached, waiting = {file}, [file]
    while root and waiting:
        found = _imported(waiting.pop(), root, module.partition(".")[0]) - reached
        reached |= found
        waiting += found
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(reached):
        name = path.relative_to(root).as_posix() if root else path.name
        digest.update(name.encode() + b"\0" + _source(path) + b"\0")
    return digest.hexdigest()


def _root(file: Path, module: str) -> Path | None:
    """The folder that holds the package of a module, if its file lies where its name says."""
    place = file.parent if file.name == "__init__.py" else file.with_suffix("")
    parts = tuple(module.split("."))
    if len(parts) == 1 or place.parts[-len(parts) :] != parts:
        return None
    return place.parents[len(parts) - 1]


IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))", re.MULTILINE
)
COMMENT = re.compile(rb"#[^\n]*")


@functools.cache
def _imported(file: Path, root: Path, package: str) -> frozenset[Path]:
    """Files of the package that a file imports: modules, and a package's `__init__` where a name is taken from it."""
    files: set[Path] = set()
    for origin, names, modules in IMPORT.findall(_source(file)):
        if modules:
            for name in _names(modules):
                files |= _files_of(name, root, package)
        for name in _names(names):
            files |= _files_of(f"{origin.decode()}.{name}", root, package) or _files_of(
                origin.decode(), root, package
            )
    return frozenset(files)


def _names(listed: bytes) -> list[str]:
    """The names of an import statement: `a as b, (c, d)` gives a, c and d."""
    plain = COMMENT.sub(b"", listed).replace(b"(", b"").replace(b")", b"").decode()
    return [words[0] for part in plain.split(",") if (words := part.split())]


def _files_of(module: str, root: Path, package: str) -> set[Path]:
    """The file of a module or package, if it is one of ours: nothing for a name that a module defines."""
    if module.partition(".")[0] != package:
        return set()
    place = root.joinpath(*module.split("."))
    return {path for path in (place.parent / f"{place.name}.py", place / "__init__.py") if _is_file(path)}


@functools.cache
def _is_file(path: Path) -> bool:
    return path.is_file()


@functools.cache
def _source(path: Path) -> bytes:
    return path.read_bytes()


OWN_NAME = re.compile(r"[\w.]+-[0-9a-f]{12}")
REMOVED_NAME = re.compile(r"removed-[\w.]+-[0-9a-f]{12}-[0-9a-f]{16}")
UNUSED_DAYS = 30


def _mark_as_used(folder: Path) -> None:
    """So that `remove_old_caches` leaves it."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.utime(folder)


def remove_old_caches(folder: Path | None = None, days: float = UNUSED_DAYS) -> list[Path]:
    """Remove the compiled kernels of other versions, if nobody used them for long.

    Every process that uses a module's folder sets its time when it starts. One that has it open does not mind: what it
    misses it compiles again. Of several processes that clean up at once, the one that renames a folder removes it.

    Args:
        folder: the folder of all kernels; by default this process's, if it was chosen here.

    Returns:
        The folders that were removed.
    """
    folder = folder or cache_folder()
    if folder.name != "kernels":
        return []
    removed = []
    limit = time.time() - days * 86400
    for other in _own_folders(folder):
        if REMOVED_NAME.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)  # of a process that was killed meanwhile
        elif OWN_NAME.fullmatch(other.name) and _changed(other) < limit:
            aside = folder / f"removed-{other.name}-{secrets.token_hex(8)}"
            try:
                other.rename(aside)
            except OSError:
                continue  # somebody else was faster, or may and we may not
            shutil.rmtree(aside, ignore_errors=True)
            removed.append(other)
    return removed


def _own_folders(parent: Path) -> list[Path]:
    """Real folders in `parent` that belong to this user, in order of names."""
    try:
        with os.scandir(parent) as entries:
            return sorted(
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
                and (not hasattr(os, "getuid") or entry.stat(follow_symlinks=False).st_uid == os.getuid())
            )
    except OSError:
        return []


def _changed(folder: Path) -> float:
    """When a folder was used last, in seconds; now, if it is gone."""
    try:
        return folder.stat().st_mtime
    except OSError:
        return time.time()
