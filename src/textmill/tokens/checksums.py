"""What a fetched file should be: SHA-256 of a manifest, or the entity tag of an S3 object.

An entity tag is the MD5 of an object that was uploaded whole. Uploaded in parts, it is the MD5 of the parts'
MD5s, a dash, and their number; the size of a part is not told, but few sizes are in use and fit the number.
(Amazon S3 user guide, "Checking object integrity". With SSE-KMS tags are no checksums.)
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from textmill.errors import UserError

# MiB of a part: of the AWS tools (8), boto3 (8), s3fs (50), rclone (5), MinIO (16, 64, 128) and others.
PART_MIB = (5, 6, 8, 10, 15, 16, 20, 24, 25, 32, 48, 50, 64, 100, 128, 200, 250, 256, 512, 1024, 2048, 5120)


@dataclass(frozen=True)
class Promise:
    """The SHA-256 that ``source`` (a file's name) promises."""

    sha256: str
    source: str


def promised_sums(manifest: Path, folder: PurePosixPath) -> dict[str, Promise]:
    """What a manifest says about files beside it, by their path below the prefix.

    Args:
        manifest: ``tokens.json``, ``consolidated.json``, or ``SHA256SUMS`` as coreutils write it.
        folder: its folder below the prefix.
    """
    sums: dict[str, str | None] = {}
    text = manifest.read_text("utf-8", "replace")
    if manifest.suffix == ".json":
        try:
            value = json.loads(text)
            for shard in value["shards"]:
                if "sha256" in shard:
                    sums[shard["name"]] = shard["sha256"]
                    sums[f"{PurePosixPath(shard['name']).stem}.documents.parquet"] = shard["documents_sha256"]
            for name in ("tokens", "ids", "documents"):
                part = value.get(name)
                if isinstance(part, dict):
                    sums[part["name"]] = part["sha256"]
        except (KeyError, TypeError, ValueError, AttributeError):
            return {}
    else:
        for line in text.splitlines():
            if match := re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line):
                sums[match[2]] = match[1].lower()
    return {str(folder / name): Promise(value, manifest.name) for name, value in sums.items() if value}


class Checksum:
    """All that one pass over a file's bytes can tell.

    Args:
        size: of the file.
        etag: its entity tag, or anything else.
        promise: what a manifest says.
        sha256: what the store says.
    """

    def __init__(
        self, size: int, etag: str, promise: Promise | None = None, sha256: str | None = None
    ) -> None:
        self._promise = promise or (Promise(sha256, "the store") if sha256 else None)
        self._etag = etag.lower()
        self._sha256 = hashlib.sha256()
        self._md5s: list[_PartsMD5] = []
        match = re.fullmatch(r"([0-9a-f]{32})(?:-(\d+))?", self._etag)
        if match and self._promise is None:
            parts = int(match[2]) if match[2] else 0
            sizes = [mib * 2**20 for mib in PART_MIB if parts and -(-size // (mib * 2**20)) == parts]
            # One part may have any size.
            sizes += [max(size, 1)] if parts == 1 else []
            self._md5s = [_PartsMD5(part) for part in sizes] if parts else [_PartsMD5(None)]

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        self._sha256.update(block)
        for md5 in self._md5s:
            md5.update(block)

    @property
    def sha256(self) -> str:
        """SHA-256 of all bytes, hexadecimal."""
        return self._sha256.hexdigest()

    def check(self, path: str, where: str) -> str:
        """What vouches for the bytes: a manifest's name, ``ETag`` or ``size``.

        Raises:
            UserError: they are not what they should be.
        """
        if self._promise is not None:
            if self.sha256 != self._promise.sha256:
                raise _wrong(
                    path, where, f"SHA-256 {self._promise.sha256} ({self._promise.source})", self.sha256
                )
            return f"SHA-256 of {self._promise.source}"
        found = [md5.tag() for md5 in self._md5s]
        if self._etag in found:
            return "ETag"
        if found and "-" not in self._etag:
            raise _wrong(path, where, f"MD5 {self._etag} (its entity tag)", found[0])
        # Parts of a size that nobody uses: the tag says nothing then.
        return "size"


class _PartsMD5:
    """The entity tag of an upload in parts of this many bytes; None: of one whole."""

    def __init__(self, part: int | None) -> None:
        self._part = part
        self._current = hashlib.md5(usedforsecurity=False)
        self._filled = 0
        self._digests: list[bytes] = []

    def update(self, block: bytes) -> None:
        view = memoryview(block)
        while self._part is not None and self._filled + len(view) >= self._part:
            room = self._part - self._filled
            self._current.update(view[:room])
            self._digests.append(self._current.digest())
            self._current, self._filled, view = hashlib.md5(usedforsecurity=False), 0, view[room:]
        self._current.update(view)
        self._filled += len(view)

    def tag(self) -> str:
        if self._part is None:
            return self._current.hexdigest()
        digests = [*self._digests, *([self._current.digest()] if self._filled or not self._digests else [])]
        return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _wrong(path: str, where: str, expected: str, found: str) -> UserError:
    return UserError(
        "A fetched file is not what it should be.",
        expected=expected,
        found=found,
        where=f"{where.rstrip('/')}/{path}",
        hint="run the same command again: the file is fetched anew; if that does not help, it is damaged there",
    )
