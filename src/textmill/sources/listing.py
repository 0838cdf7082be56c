"""Which files a source means: paths, folders, globs and URLs, in an order that no machine changes."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from textmill.errors import UserError

if TYPE_CHECKING:
    from textmill.sources.files import Files
    from textmill.sources.warc import Warc

FORMATS = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
}
COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


@dataclass(frozen=True)
class Names:
    """What the names of a source's files tell.

    Attributes:
        formats: format by the end of the name, without that of the compression.
        compressions: compression by the end of the name.
        otherwise: format of a file that is named itself and whose name tells nothing; None where that is a mistake.
        hint: what to do about that mistake.
    """

    formats: Mapping[str, str]
    compressions: Mapping[str, str]
    otherwise: str | None = None
    hint: str = ""

    def __str__(self) -> str:
        return f"{', '.join(self.formats)}, perhaps with {', '.join(self.compressions)}"


TEXT_NAMES = Names(
    FORMATS, COMPRESSIONS, hint="say what it is with format: text, jsonl, json, parquet or html"
)


@dataclass(frozen=True)
class InputFile:
    """One file to read.

    Attributes:
        url: local path or URL.
        locator: path below the source's root, with ``/`` between its parts; the same on every mount.
        size: bytes as stored.
        version: changes when the file does (size and modification time, or entity tag).
        format: text, markdown, jsonl, json, parquet, html, enddoc or raw_pages.
        compression: gzip, bzip2, xz, zstd or None.
    """

    url: str
    locator: str
    size: int
    version: str
    format: str
    compression: str | None


def list_files(settings: Files | Warc, names: Names = TEXT_NAMES) -> list[InputFile]:
    """The files that ``settings.paths`` means, sorted by locator, bytewise.

    Args:
        settings: paths, the options of their file system, and what the files hold if their names do not tell.
        names: what their names tell.

    Raises:
        UserError: a path is missing, nothing matches, a file may not be read, two files share a locator.
    """
    entries = [settings.paths] if isinstance(settings.paths, str) else settings.paths
    found: dict[str, InputFile] = {}
    for entry in entries:
        for file in _list_entry(entry, settings, names, keep_name=len(entries) > 1):
            # A file that two entries mean is read once, under the first name.
            found.setdefault(file.url, file)
    files = sorted(found.values(), key=lambda file: (file.locator.encode(), file.url))
    for before, after in pairwise(files):
        if before.locator == after.locator:
            raise UserError(
                f"two files would have the same name {after.locator!r} in this source",
                found=f"{before.url} and {after.url}",
                hint="put them into two sources with different labels, or name a folder that holds both",
            )
    return files


def split_suffixes(name: str, names: Names = TEXT_NAMES) -> tuple[str | None, str | None]:
    """Format and compression that a file's name tells, each None when it tells none."""
    stem, suffix = posixpath.splitext(name.lower())
    compression = names.compressions.get(suffix)
    if compression:
        suffix = posixpath.splitext(stem)[1]
    return names.formats.get(suffix), compression


def _list_entry(entry: str, settings: Files | Warc, names: Names, keep_name: bool) -> Iterator[InputFile]:
    try:
        fs, path = url_to_fs(entry, **settings.storage_options)
        local = isinstance(fs, LocalFileSystem)
        kind = _kind(fs, path)
        if kind == "directory":
            path = path.rstrip("/") or "/"
            listed = _walk(path, names) if local else _found(fs.find(path, detail=True))
            root = path if not keep_name else posixpath.dirname(path)
        elif kind == "file":
            listed = iter([(path, fs.info(path))])
            root = posixpath.dirname(path)
        elif any(letter in path for letter in "*?["):
            listed = _found(fs.glob(path, detail=True))
            root = _fixed_folder(path)
        else:
            listed = iter([])
            raise UserError(
                "input not found", found="no such file or folder", where=entry, hint=_nearest(entry)
            )
        found = 0
        skipped = 0
        for name, info in listed:
            relative = _relative(name, root)
            format_, compression = split_suffixes(name, names)
            if settings.format != "auto":
                format_ = settings.format
            elif format_ is None and kind == "file":
                format_ = names.otherwise
            if kind != "file" and _hidden(relative):
                continue
            if format_ is None:
                if kind == "file":
                    raise UserError(
                        "cannot tell from its name what this file holds",
                        where=entry,
                        expected=f"a name that ends in {names}",
                        hint=names.hint,
                    )
                skipped += 1
                continue
            if local and not os.access(name, os.R_OK):
                raise UserError("input may not be read", where=name, hint="check the file's permissions")
            found += 1
            yield InputFile(
                url=name if local else fs.unstrip_protocol(name),
                locator=relative,
                size=int(info.get("size") or 0),
                version=_version(fs, name, info),
                format=format_,
                compression=compression,
            )
    except (OSError, ValueError, ImportError) as error:
        # ValueError: unknown protocol; ImportError: the package for this protocol is not installed.
        raise UserError(
            f"input cannot be listed: {error}",
            where=entry,
            hint="check the path, its permissions, the network",
        ) from error
    if not found:
        what = "no file matches" if kind not in ("directory", "file") else "the folder holds no file to read"
        raise UserError(
            what,
            where=entry,
            expected=f"files whose names end in {names}",
            found=f"{skipped} files with other names" if skipped else "nothing",
            hint="check the path" + (f"; or {names.hint}" if skipped and names.hint else ""),
        )


def _kind(fs: Any, path: str) -> str | None:
    # A name that exists is taken as it stands, even with brackets in it; only then may it be a pattern.
    try:
        return str(fs.info(path)["type"])
    except FileNotFoundError:
        return None


def _walk(folder: str, names: Names) -> Iterator[tuple[str, dict[str, Any]]]:
    """Files below a local folder, through linked folders too but never round in a circle."""
    pending: list[tuple[str, tuple[tuple[int, int], ...]]] = [(folder, ())]
    while pending:
        here, above = pending.pop()
        status = Path(here).stat()
        identity = (status.st_dev, status.st_ino)
        if identity in above:
            continue
        with os.scandir(here) as entries:
            for entry in entries:
                if entry.is_dir():
                    if not entry.name.startswith("."):
                        pending.append((entry.path, (*above, identity)))
                elif entry.is_file():
                    status = entry.stat()
                    yield entry.path, {"size": status.st_size, "mtime": status.st_mtime_ns}
                elif entry.is_symlink() and split_suffixes(entry.name, names)[0]:
                    raise UserError("input is a link to nowhere", where=entry.path, hint="mend or remove it")


def _found(listing: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, info in listing.items():
        if info.get("type") != "directory":
            yield name, info


def _relative(name: str, root: str) -> str:
    relative = name[len(root) :] if name.startswith(root) else name
    # Names that are not UTF-8 keep their bytes visibly: a locator is valid Unicode.
    relative = os.fsencode(relative.lstrip("/")).decode("utf-8", "backslashreplace")
    return relative.replace(os.sep, "/")


def _hidden(relative: str) -> bool:
    return any(part.startswith(".") for part in relative.split("/"))


def _fixed_folder(pattern: str) -> str:
    """The folder in front of the first wildcard."""
    first = min(pattern.find(letter) for letter in "*?[" if letter in pattern)
    return pattern[: pattern.rfind("/", 0, first) + 1].rstrip("/")


def _version(fs: Any, name: str, info: dict[str, Any]) -> str:
    for key in ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated", "created"):
        if info.get(key):
            return f"{info.get('size')}:{info[key]}"
    return str(fs.ukey(name))


def _nearest(entry: str) -> str:
    """The part of a local path that does exist, to show where it goes wrong."""
    if "://" in entry:
        return "check the address"
    path = Path(entry).expanduser().absolute()
    for parent in path.parents:
        if parent.exists():
            return f"check the path; {parent} does exist"
    return "check the path"
