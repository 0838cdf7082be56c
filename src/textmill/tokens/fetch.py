"""Token files from object storage: in ranges, continued where they stopped, compared with their checksums.

::

    s3://bucket/prefix/ ─► list ─► tokens.json, consolidated.json, SHA256SUMS  (what the others should be)
                                └► every other file, several at a time ─► NAME.partial ─► checked ─► NAME
                                                                                         fetched.json

Any URL that fsspec knows will do. For ``s3://`` credentials come from the environment, as the AWS tools read
them; for ``hf://`` the token from ``HF_TOKEN``. A file is compared with the SHA-256 that a manifest beside it
promises, else with the store's own (Hugging Face), else with its MD5 where the entity tag is one, also of an
upload in parts; else with its size alone, which is said.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from textmill.errors import UserError
from textmill.tokens.checksums import Checksum, Promise, promised_sums
from textmill.tokens.folder_lock import only_writer

RECORD = "fetched.json"
MANIFESTS = ("tokens.json", "consolidated.json", "SHA256SUMS")
BLOCK_BYTES = 8 * 2**20
ATTEMPTS = 5

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class FetchedFile:
    """A file that is here: its path below the folder, size, entity tag, SHA-256, and what vouches for it."""

    path: str
    size: int
    etag: str
    sha256: str
    checked: str


@dataclass(frozen=True)
class Fetched:
    """What :func:`fetch_tokens` did.

    Attributes:
        files: all files of the prefix, sorted by path.
        bytes_read: what came over the network this time.
    """

    files: tuple[FetchedFile, ...]
    bytes_read: int


def fetch_tokens(
    url: str,
    output: Path,
    *,
    endpoint_url: str | None = None,
    anonymous: bool = False,
    include: str = "*",
    workers: int = 4,
    progress: Progress = lambda _done, _total: None,
) -> Fetched:
    """Fetch every file below ``url`` into ``output``; what is there already is not fetched again.

    Args:
        url: a folder (or one file) such as ``s3://bucket/prefix``.
        output: where to; files keep their paths below the prefix.
        endpoint_url: of an S3-compatible store; the variable AWS_ENDPOINT_URL serves as well.
        anonymous: ask without credentials.
        include: names to fetch, as a shell pattern.
        workers: files at a time.
        progress: called with bytes here and bytes in all.

    Raises:
        UserError: nothing there, no permission, no network, or a file that is not what it should be.
    """
    output.mkdir(parents=True, exist_ok=True)
    with only_writer(output), _told(url):
        remote = _Remote(url, storage_options(url, endpoint_url, anonymous))
        listed = remote.list(include)
        return _Fetch(remote, output, listed, progress).run(workers)


def storage_options(url: str, endpoint_url: str | None = None, anonymous: bool = False) -> dict[str, Any]:
    """What fsspec is told about the store of a URL.

    Raises:
        UserError: an endpoint for a URL that has none.
    """
    scheme = url.partition("://")[0] if "://" in url else "file"
    if scheme in ("s3", "s3a"):
        return {"anon": anonymous} | ({"endpoint_url": endpoint_url} if endpoint_url else {})
    if endpoint_url:
        raise UserError(
            "An endpoint belongs to S3-compatible storage.",
            expected="s3://bucket/prefix",
            found=url,
            where="--endpoint-url",
        )
    return {"token": os.environ.get("HF_TOKEN")} if scheme == "hf" else {}


class _Remote:
    """The store: a listing, and ranges of its files."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        import fsspec

        self.url = url
        self.filesystem, root = fsspec.core.url_to_fs(url, **options)
        self.root = str(root).rstrip("/")

    def list(self, include: str) -> dict[str, tuple[str, int, str, str | None]]:
        """Full path, size, entity tag and SHA-256 (or None) of each file, by its path below the prefix."""
        found = {}
        # fsspec remembers listings as long as the process lives.
        self.filesystem.invalidate_cache()
        for full, info in sorted(self.filesystem.find(self.root, detail=True).items()):
            path = full.removeprefix(self.root).lstrip("/") or PurePosixPath(full).name
            if info.get("type", "file") != "file" or full.endswith("/"):
                continue
            if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
                raise UserError("A file would be written outside of the folder.", found=path, where=self.url)
            if not fnmatch(PurePosixPath(path).name, include):
                continue
            tag = str(info.get("ETag") or info.get("etag") or info.get("blob_id") or info.get("mtime") or "")
            lfs = info.get("lfs")
            sha256 = lfs.get("sha256") if isinstance(lfs, Mapping) else None
            found[path] = (full, int(info["size"]), tag.strip('"'), sha256)
        if not found:
            raise UserError(
                "There is nothing to fetch.",
                expected=f"files named {include}",
                where=self.url,
                hint="look at the prefix, the endpoint and the pattern",
            )
        return found

    def read(self, full: str, start: int, stop: int) -> bytes:
        """A range of a file; faults of the network are tried again for some seconds."""
        for attempt in range(ATTEMPTS):
            try:
                data: bytes = self.filesystem.cat_file(full, start=start, end=stop)
                break
            except (FileNotFoundError, PermissionError):
                raise
            except (OSError, TimeoutError):
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(0.2 * 2**attempt)
        if len(data) != stop - start:
            raise UserError(
                "The store gave another number of bytes than was asked for.",
                expected=f"{stop - start:,}",
                found=f"{len(data):,}",
                where=full,
                hint="the file changed while it was fetched: run the same command again",
            )
        return data


class _Fetch:
    """One attempt to have everything here."""

    def __init__(
        self,
        remote: _Remote,
        output: Path,
        listed: Mapping[str, tuple[str, int, str, str | None]],
        progress: Progress,
    ) -> None:
        self.remote = remote
        self.output = output
        self.listed = listed
        self.progress = progress
        self.total = sum(size for _, size, _, _ in listed.values())
        self.here = self.bytes_read = 0
        self.promises: dict[str, Promise] = {}
        self.record = _read_record(output)
        self.lock = threading.Lock()
        self.stopped = threading.Event()

    def run(self, workers: int) -> Fetched:
        manifests = [path for path in self.listed if PurePosixPath(path).name in MANIFESTS]
        for path in manifests:
            self.fetch(path)
            self.promises |= promised_sums(self.output / path, PurePosixPath(path).parent)
        others = [path for path in self.listed if path not in manifests]
        with ThreadPoolExecutor(max(1, workers)) as pool:
            futures = [pool.submit(self.fetch, path) for path in others]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self.stopped.set()
                pool.shutdown(cancel_futures=True)
                raise
        files = tuple(self.record[path] for path in sorted(self.listed))
        return Fetched(files, self.bytes_read)

    def fetch(self, path: str) -> None:
        """Have one file here, checked."""
        full, size, etag, sha256 = self.listed[path]
        final = self.output / path
        before = self.record.get(path)
        if before and (before.size, before.etag) == (size, etag) and _size(final) == size:
            promise = self.promises.get(path)
            if promise is None or promise.sha256 == before.sha256:
                self.count(size, 0)
                return
        checksum = Checksum(size, etag, self.promises.get(path), sha256)
        partial = self.begin(final, size, etag)
        with partial.open("r+b") as file:
            while block := file.read(BLOCK_BYTES):
                checksum.update(block)
                self.count(len(block), 0)
            start = file.tell()
            while start < size and not self.stopped.is_set():
                stop = min(size, start + BLOCK_BYTES)
                block = self.remote.read(full, start, stop)
                file.write(block)
                file.flush()
                checksum.update(block)
                self.count(len(block), len(block))
                start = stop
            if start < size:
                return
            os.fsync(file.fileno())
        try:
            checked = checksum.check(path, self.remote.url)
        except UserError:
            partial.unlink()
            _tag(final).unlink()
            raise
        partial.replace(final)
        self.keep(FetchedFile(path, size, etag, checksum.sha256, checked))
        _tag(final).unlink()

    def begin(self, final: Path, size: int, etag: str) -> Path:
        """The partial file: what an earlier attempt left of the same object, or an empty one."""
        partial = final.with_name(f"{final.name}.partial")
        final.parent.mkdir(parents=True, exist_ok=True)
        value = json.dumps([size, etag])
        tag = _tag(final)
        if not (tag.is_file() and tag.read_text("utf-8") == value and (_size(partial) or 0) <= size):
            partial.unlink(missing_ok=True)
            tag.write_text(value, "utf-8")
        elif _size(partial) is None and _size(final) == size:
            # Killed between the last two lines of `fetch`: it is here, and only has to be read again.
            final.replace(partial)
        partial.touch()
        return partial

    def count(self, here: int, read: int) -> None:
        with self.lock:
            self.here += here
            self.bytes_read += read
            self.progress(self.here, self.total)

    def keep(self, file: FetchedFile) -> None:
        """Remember that a file is here; the record is whole at any time."""
        with self.lock:
            self.record[file.path] = file
            partial = self.output / f"{RECORD}.partial"
            files = [asdict(self.record[path]) for path in sorted(self.record)]
            partial.write_text(json.dumps({"url": self.remote.url, "files": files}, indent=1) + "\n", "utf-8")
            partial.replace(self.output / RECORD)


def _tag(final: Path) -> Path:
    """Says of which object a partial file is a part."""
    return final.with_name(f"{final.name}.partial.tag")


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _read_record(output: Path) -> dict[str, FetchedFile]:
    try:
        value = json.loads((output / RECORD).read_text("utf-8"))
        return {file["path"]: FetchedFile(**file) for file in value["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Faults of the store as errors that say what to do."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            "This kind of storage needs another package.",
            found=str(error),
            where=url,
            hint="pip install 'textmill[s3]' for s3://, huggingface_hub for hf://",
        ) from None
    except Exception as error:
        # Stores raise classes of their own (botocore's are no OSError); none of them is textmill's mistake.
        if not isinstance(error, OSError | ValueError) and not type(error).__module__.startswith(_STORES):
            raise
        raise UserError(
            "The files cannot be fetched.",
            found=f"{type(error).__name__}: {error}",
            where=url,
            hint="look at bucket, --endpoint-url and credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, or "
            "--anonymous); the same command continues where this one stopped",
        ) from None


_STORES = ("botocore", "aiobotocore", "aiohttp", "s3fs", "fsspec", "huggingface_hub", "httpx", "requests")
