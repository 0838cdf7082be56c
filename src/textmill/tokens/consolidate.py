"""Numbered shards into two flat files: ``tokens.bin`` and ``sample_ids.bin``.

::

    train_000000.npy ─┐
    train_000001.npy ─┼─► tokens.bin         tokens, little-endian, no header
    ...               ─┘   sample_ids.bin    one uint64 per sample of seq_len tokens, little-endian, no header
                           consolidated.json SHA-256 and counts of both, and what they were made of

The layout is that of Templar's data preparation (150 billion tokens in 150 shards). Memory is one block
whatever the size: tokens are hashed and written as they pass. Both files appear under their names only when
they are complete; an attempt that was killed leaves ``*.partial`` files, which the next one overwrites.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from textmill.errors import UserError
from textmill.tokens.consolidated import IDS_BIN, MANIFEST, TOKENS_BIN, Manifest, Part
from textmill.tokens.document_tables import join_tables
from textmill.tokens.expectations import Expectation
from textmill.tokens.folder_lock import only_writer
from textmill.tokens.numbered_shards import (
    BLOCK_BYTES,
    NumberedShard,
    blocks,
    list_shards,
    shard_numbers,
    total_tokens,
)
from textmill.tokens.sample_ids import SampleIdStream

Mode = Literal["correct", "upstream"]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Check:
    """One file compared with what it should be.

    Attributes:
        name: the file's name.
        elements: how many numbers it holds.
        sha256: of its contents.
        expected_elements: how many it should hold; None when nobody said.
        expected_sha256: what its SHA-256 should be.
    """

    name: str
    elements: int
    sha256: str
    expected_elements: int | None
    expected_sha256: str

    @property
    def passed(self) -> bool:
        """Whether it is what it should be."""
        return self.sha256 == self.expected_sha256 and self.expected_elements in (None, self.elements)


def consolidate(
    folder: Path,
    *,
    seq_len: int = 2048,
    token_dtype: str | None = None,
    mode: Mode = "correct",
    progress: Progress = lambda _what, _done, _total: None,
) -> Manifest:
    """Write ``tokens.bin``, ``sample_ids.bin`` and ``consolidated.json`` into the folder of the shards.

    When every shard came with its table of documents, ``documents.parquet`` is written too: id, first token
    in ``tokens.bin``, and length of each document.

    Args:
        folder: holds ``train_%06d.npy``.
        seq_len: tokens per sample; what is left at the end has no id.
        token_dtype: uint16 or uint32, which the shards must hold; left out, what they hold.
        mode: ids of the samples' own bytes, or as the original computes them (see
            :mod:`textmill.tokens.sample_ids`).
        progress: called with a name, bytes done and bytes in all.

    Raises:
        UserError: shards that are missing, damaged or of another type; ``upstream`` ids of an odd number of
            16-bit tokens, which the original cannot look at as 32-bit numbers.
    """
    with only_writer(folder) if folder.is_dir() else nullcontext():
        return _consolidate(folder, seq_len, token_dtype, mode, progress)


def _consolidate(
    folder: Path, seq_len: int, token_dtype: str | None, mode: Mode, progress: Progress
) -> Manifest:
    shards = list_shards(folder, token_dtype)
    dtype = shards[0].dtype.newbyteorder("<")
    tokens = total_tokens(shards)
    if mode == "upstream" and tokens * dtype.itemsize % 4:
        raise UserError(
            "Upstream sample ids need a whole number of 32-bit words.",
            expected="an even number of 16-bit tokens",
            found=f"{tokens:,} tokens",
            where=str(folder),
            hint="use --sample-ids correct, or build shards with an even number of tokens",
        )
    # From here on the old files, if there are any, no longer count as finished.
    (folder / MANIFEST).unlink(missing_ok=True)
    tokens_sha, ids_sha, ids = _write_bins(folder, shards, seq_len, mode, progress)
    documents = join_tables(folder, shards)
    manifest = Manifest(
        seq_len=seq_len,
        sample_ids=mode,
        dtype=dtype.name,
        tokens=Part(TOKENS_BIN, tokens, tokens_sha),
        ids=Part(IDS_BIN, ids, ids_sha),
        documents=documents,
        shards=tuple({"name": shard.path.name, "tokens": shard.tokens} for shard in shards),
    )
    manifest.write(folder)
    return manifest


def _write_bins(
    folder: Path, shards: list[NumberedShard], seq_len: int, mode: Mode, progress: Progress
) -> tuple[str, str, int]:
    dtype = shards[0].dtype
    tokens = total_tokens(shards)
    stream = SampleIdStream(seq_len, dtype.itemsize, tokens // seq_len, mode)
    tokens_sha, ids_sha = hashlib.sha256(), hashlib.sha256()
    tokens_partial, ids_partial = folder / f"{TOKENS_BIN}.partial", folder / f"{IDS_BIN}.partial"
    done = ids = 0
    with tokens_partial.open("wb") as tokens_file, ids_partial.open("wb") as ids_file:

        def write_ids(values: Any) -> None:
            nonlocal ids
            ids += len(values)
            ids_sha.update(values.data)
            ids_file.write(values.data)

        for shard in shards:
            for block in blocks(shard):
                tokens_sha.update(block.data)
                tokens_file.write(block.data)
                write_ids(stream.feed(block))
                done += block.nbytes
                progress("writing tokens.bin", done, tokens * dtype.itemsize)
        for values in stream.finish():
            write_ids(values)
        for file in (tokens_file, ids_file):
            file.flush()
            os.fsync(file.fileno())
    tokens_partial.replace(folder / TOKENS_BIN)
    ids_partial.replace(folder / IDS_BIN)
    return tokens_sha.hexdigest(), ids_sha.hexdigest(), ids


def validate(
    folder: Path,
    manifest: Manifest,
    expected: Expectation | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> list[Check]:
    """Read both files back from disk and compare them.

    Without ``expected``, with what was written: counts of the shards, SHA-256 of the tokens as they were read
    from them. With it, with sums that somebody else published.

    Raises:
        UserError: a file is missing.
    """
    checks = []
    wanted = (manifest.tokens, manifest.ids) if expected is None else (expected.tokens, expected.ids)
    sizes = (int(manifest.dtype.removeprefix("uint")) // 8, 8)
    for part, size in zip(wanted, sizes, strict=True):
        path = folder / part.name
        if not path.is_file():
            raise UserError("A consolidated file is missing.", where=str(path), hint="consolidate again")
        digest = hashlib.sha256()
        done, total = 0, path.stat().st_size
        for block in _file_blocks(path):
            digest.update(block)
            done += len(block)
            progress(f"validating {part.name}", done, total)
        elements = total // size if total % size == 0 else -1
        checks.append(Check(part.name, elements, digest.hexdigest(), part.elements, part.sha256))
    return checks


def delete_shards(folder: Path, manifest: Manifest) -> int:
    """Delete the shards that ``manifest`` lists, lowest number first; returns how many there were.

    Killed half-way, what is left lacks shard 0 and can therefore not be taken for the whole.
    """
    deleted = 0
    for shard in manifest.shards:
        path = folder / shard["name"]
        if path.is_file():
            path.unlink()
            deleted += 1
        Path(f"{path.with_suffix('')}.documents.parquet").unlink(missing_ok=True)
    return deleted


def consolidated_before(folder: Path, seq_len: int, token_dtype: str | None, mode: Mode) -> Manifest | None:
    """The manifest of an earlier run whose shards are gone in part or whole; None when there is work to do.

    Shards that were deleted after PASS are no mistake: the files made of them stand.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = Manifest.read(folder)
    names = {shard["name"] for shard in manifest.shards}
    left = {f"train_{number:06d}.npy" for number in shard_numbers(folder)}
    same = (manifest.seq_len, manifest.sample_ids) == (seq_len, mode) and token_dtype in (
        None,
        manifest.dtype,
    )
    return manifest if same and left < names else None


def _file_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block
