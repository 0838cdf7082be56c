"""How kernels are compiled, and where the machine code is kept.

Numba stores compiled kernels beside their source and, when it cannot, in the user's cache folder; with
neither writable it raises on import. Here the folder is chosen once, before the first kernel is defined:

    NUMBA_CACHE_DIR, if the user set it        -> left alone
    else the first folder that can be written:
        <package>/text/__pycache__/kernels-<digest>
        <user's cache folder>/textmill/kernels-<digest>
        <temporary folder>/textmill-<user id>/kernels-<digest>    (must belong to the user and to nobody else)
    else a new private temporary folder, told to child processes through NUMBA_CACHE_DIR

The digest covers every file that holds kernels or what they inline (`KERNEL_SOURCES`), because Numba itself notices
a change in the file that holds a kernel but not in the files whose functions the kernel has inlined. Folders of other
digests, which nobody has used for 30 days, are removed when kernels are compiled ahead (`remove_old_caches`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numba
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

KERNEL_SOURCES = (
    "text/*.py",
    "web/*.py",
    "tokenizer/fast/*.py",
    "tokenizer/bpe/*.py",
    "curate/near_dedup_*.py",
    "tokens/packing.py",
    "extract/html/*.py",
    "extract/*.py",
)
"""Files that hold kernels, or functions and constants that kernels take from elsewhere, below the package."""


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with Numba when it is first called: no GIL, kept on disk, IEEE division.

    No kernel is parallel inside: the unit of parallel work is a shard, in a process of its own.
    """
    compiled: Any = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    compiled.get_call_template = _without_literals(compiled.get_call_template)
    return cast("Callable[..., Any]", compiled)


def _without_literals(template: Callable[..., Any]) -> Callable[..., Any]:
    """Let kernels call this one by the types of integers alone, not by their values.

    Where a kernel passes ``at`` after ``at = 0``, Numba first compiles what it calls for a constant 0, finds in its
    second look that ``at`` varies, and compiles it again for any number: a fifth of all compilation, for machine
    code that nobody runs. True constants reach the machine code all the same, when LLVM inlines the call.
    """

    def general(arguments: Any, keywords: Any) -> Any:
        return template(tuple(map(types.unliteral, arguments)), keywords)

    return general


def inner_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that other kernels alone call.

    It lacks the two wrappers that Python and C would need to call it, which are half of what a small kernel takes to
    compile, and it is not kept on disk, since the kernels that call it hold it.
    """
    return _inner(function)


def small_kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that other kernels alone call, and that makes no arrays.

    Arrays that it is given are not counted up and down, which costs more than the work of a small kernel.
    """
    return _inner(function, _nrt=False)


def _inner(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    bare: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **options}
    compiled: Any = numba.njit(nogil=True, error_model="numpy", **bare)(function)
    compiled.get_call_template = _without_literals(compiled.get_call_template)
    return cast("Callable[..., Any]", compiled)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel that one other kernel calls, in one place: compiled as a part of that.

    What has a name of its own for its readers then costs no compilation, linking and machine code of its own.
    """
    return cast("Callable[..., Any]", numba.njit(inline="always", error_model="numpy")(function))


@intrinsic
def apart(_context: Any) -> Any:
    """Said in a kernel: it is never inlined where it is called.

    Numba compiles a kernel together with all that it calls, on every level anew. Where many kernels call many others,
    what is inlined on each level multiplies, and compilation takes minutes.
    """

    def generate(context: Any, builder: Any, _signature: Any, _arguments: Any) -> Any:
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def borrowed(_context: Any, array: Any) -> Any:
    """The same array without its owner, for the arguments of a kernel: the caller keeps them alive.

    Numba counts an array up and down, atomically, around every call it is passed to; in a loop over words that
    costs more than the work. What nobody owns is not counted. Never use it on an array made inside a kernel.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        view = cgutils.create_struct_proxy(signature.args[0])(context, builder, arguments[0])  # type: ignore[no-untyped-call]
        view.meminfo = context.get_constant_null(types.MemInfoPointer(array.dtype))  # type: ignore[no-untyped-call]
        return view._getvalue()

    return array(array), generate


def choose_cache_directory(
    candidates: Iterable[Path], is_usable: Callable[[Path], bool], make_private: Callable[[], Path]
) -> tuple[Path, bool]:
    """Return the first usable folder of `candidates`, else a new private one; True if it is private."""
    for folder in candidates:
        if is_usable(folder):
            return folder, False
    return make_private(), True


def candidate_directories(package: Path, digest: str) -> list[Path]:
    """Folders that may hold the compiled kernels, best first."""
    name = f"kernels-{digest}"
    folders = [package / "__pycache__" / name]
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared and Path(shared).is_absolute():
        folders.append(Path(shared) / "textmill" / name)
    else:
        home = Path("~").expanduser()
        if home.is_absolute():
            folders.append(home / ".cache" / "textmill" / name)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    folders.append(Path(tempfile.gettempdir()) / f"textmill-{user}" / name)
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


def source_digest(root: Path, patterns: Iterable[str] = KERNEL_SOURCES) -> str:
    """Twelve hexadecimal digits over places and contents of the files below a folder that the patterns name."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted({path for pattern in patterns for path in root.glob(pattern)}):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


CACHE_NAME = re.compile(r"kernels-[0-9a-f]{12}")
REMOVED_NAME = re.compile(r"removed-kernels-[0-9a-f]{12}-[0-9a-f]{16}")
UNUSED_DAYS = 30


def remove_old_caches(folder: Path | None = None, days: float = UNUSED_DAYS) -> list[Path]:
    """Remove the compiled kernels of other versions that lie beside this one's, if nobody used them for long.

    Every process that uses a folder sets its time when it starts. One that has it open does not mind: what it
    misses it compiles again. Of several processes that clean up at once, the one that renames a folder removes it.

    Args:
        folder: the folder in use; by default this process's, if it was chosen here.

    Returns:
        The folders that were removed.
    """
    folder = folder or Path(vars(numba.config)["CACHE_DIR"])
    if not CACHE_NAME.fullmatch(folder.name):
        return []
    removed = []
    limit = time.time() - days * 86400
    for other in _own_folders(folder.parent):
        if REMOVED_NAME.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)  # of a process that was killed meanwhile
        elif CACHE_NAME.fullmatch(other.name) and other.name != folder.name and _changed(other) < limit:
            aside = folder.parent / f"removed-{other.name}-{secrets.token_hex(8)}"
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


def _point_numba_at_cache() -> None:
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    package = Path(__file__).resolve().parent
    folder, private = choose_cache_directory(
        candidate_directories(package, source_digest(package.parent)),
        is_usable,
        lambda: Path(tempfile.mkdtemp(prefix="textmill-kernels-")),
    )
    with contextlib.suppress(OSError):
        os.utime(folder)  # in use: see remove_old_caches
    vars(numba.config)["CACHE_DIR"] = str(folder)
    if private:
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


_point_numba_at_cache()
