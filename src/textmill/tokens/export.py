"""Tokens in the formats of other tools, from numbered shards, consolidated files or a run's split.

::

    ds        NAME.ds + NAME.ds.index     datatrove: raw tokens; uint64 ends of documents, counted in tokens
    megatron  NAME.bin + NAME.idx         Megatron-LM: raw tokens; lengths and byte offsets of documents
    raw       NAME.bin                    nanoGPT, OLMo: raw tokens
    seq       NAME.seq                    text: one sequence of seq_len ids per line, the rest dropped

All numbers are little-endian. Documents end in the end-of-text token, which stays with them. Memory is one
block of tokens; lists of documents are copied from their table, or found by the end-of-text token.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.consolidated import MANIFEST as CONSOLIDATED
from textmill.tokens.consolidated import TOKENS_BIN, Manifest
from textmill.tokens.index import INDEX, TokenIndex
from textmill.tokens.numbered_shards import BLOCK_BYTES, NumberedShard, blocks, list_shards, read_header
from textmill.tokens.shard_manifest import ShardManifest

Format = Literal["ds", "megatron", "raw", "seq"]
FORMATS: tuple[Format, ...] = ("ds", "megatron", "raw", "seq")

# Megatron-LM, core/datasets/indexed_dataset.py: magic, version, codes of dtypes.
_MEGATRON_MAGIC = b"MMIDIDX\x00\x00"
_MEGATRON_CODES = {"int32": 4, "uint16": 8}


@dataclass(frozen=True)
class TokenStream:
    """Tokens in order, wherever they lie.

    Attributes:
        dtype: uint16 or uint32, little-endian.
        eos_id: ends every document; None when nothing says so.
        tokens: how many.
        shards: ``.npy`` files in order, or
        flat: one headerless file.
    """

    dtype: np.dtype[Any]
    eos_id: int | None
    tokens: int
    shards: tuple[NumberedShard, ...] = ()
    flat: Path | None = None

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """All tokens, little-endian, a block at a time."""
        for shard in self.shards:
            yield from blocks(shard)
        if self.flat is not None:
            with self.flat.open("rb") as stream:
                while len(block := np.fromfile(stream, self.dtype, BLOCK_BYTES // self.dtype.itemsize)):
                    yield block


def open_stream(folder: Path, split: str = "train", eos_id: int | None = None) -> TokenStream:
    """The tokens of a folder: of a run's split, of numbered shards, or of ``tokens.bin``.

    Args:
        folder: a run's ``tokens/``, or where the shards or consolidated files lie.
        split: of a run.
        eos_id: ends every document, for shards that say nothing about it.

    Raises:
        UserError: nothing of that there, or damaged.
    """
    if (folder / INDEX).is_file():
        index = TokenIndex.read(folder)
        files = index.split(split, folder)
        shards = tuple(read_header(folder / file.path) for file in files)
        tokens = sum(file.tokens for file in files)
        return TokenStream(np.dtype(index.dtype).newbyteorder("<"), index.eos_id, tokens, shards)
    manifest = ShardManifest.read(folder)
    if eos_id is None and manifest is not None:
        eos_id = manifest.eos_id
    if (folder / CONSOLIDATED).is_file():
        consolidated = Manifest.read(folder)
        dtype = np.dtype(consolidated.dtype).newbyteorder("<")
        return TokenStream(dtype, eos_id, consolidated.tokens.elements, flat=folder / TOKENS_BIN)
    listed = tuple(list_shards(folder))
    tokens = sum(shard.tokens for shard in listed)
    return TokenStream(listed[0].dtype.newbyteorder("<"), eos_id, tokens, listed)


def export_tokens(stream: TokenStream, target: Path, kind: Format, *, seq_len: int = 2048) -> list[Path]:
    """Write the tokens as ``target`` with the endings of the format; returns the files.

    Files appear under their names when all of them are complete. ``ds`` wants uint32 above 65,536 entries,
    as the shards do; Megatron's 32-bit tokens are int32.

    Args:
        stream: the tokens.
        target: path without ending: ``out/corpus`` gives ``out/corpus.ds`` and ``out/corpus.ds.index``.
        kind: one of :data:`FORMATS`.
        seq_len: tokens per line of ``seq``.

    Raises:
        UserError: a format that lists documents, and nothing says where they end; tokens that do not fit.
    """
    if kind in ("ds", "megatron") and stream.eos_id is None:
        raise UserError(
            "Nothing says where documents end.",
            expected="tokens.json beside the shards, or the id of the end-of-text token",
            hint="add --eos-id N",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    endings = {"ds": (".ds", ".ds.index"), "megatron": (".bin", ".idx"), "raw": (".bin",), "seq": (".seq",)}
    finals = [target.with_name(target.name + ending) for ending in endings[kind]]
    partials = [path.with_name(path.name + ".partial") for path in finals]
    if kind == "seq":
        _write_seq(stream, partials[0], seq_len)
    elif kind == "raw":
        _write_raw(stream, partials[0], stream.dtype)
    elif kind == "ds":
        ends = target.with_name(target.name + ".ends.partial")
        _write_raw(stream, partials[0], stream.dtype, ends)
        ends.replace(partials[1])
    else:
        ends = target.with_name(target.name + ".ends.partial")
        dtype = np.dtype("<u2" if stream.dtype.itemsize == 2 else "<i4")
        documents = _write_raw(stream, partials[0], dtype, ends)
        _write_megatron_index(ends, documents, dtype, partials[1])
        ends.unlink()
    for partial, final in zip(partials, finals, strict=True):
        partial.replace(final)
    return finals


def _write_raw(stream: TokenStream, path: Path, dtype: np.dtype[Any], ends_path: Path | None = None) -> int:
    """Tokens to ``path``, ends of documents (uint64, in tokens) to ``ends_path``; returns how many documents."""
    documents = start = last = 0
    ends = ends_path.open("wb") if ends_path is not None else None
    with path.open("wb") as file:
        for block in stream.blocks():
            if dtype.kind == "i" and len(block) and int(block.max()) >= 2**31:
                raise UserError(
                    "A token does not fit into Megatron's 32-bit integers.",
                    expected="ids below 2147483648",
                    found=str(int(block.max())),
                )
            file.write(block.astype(dtype, copy=False).data)
            if ends is not None:
                found = np.flatnonzero(block == stream.eos_id) + start + 1
                ends.write(found.astype("<u8").data)
                documents += len(found)
                last = int(found[-1]) if len(found) else last
            start += len(block)
    if ends is not None:
        if last != start:
            # The last document was cut by a budget: it ends where the tokens do.
            ends.write(np.array([start], "<u8").data)
            documents += 1
        ends.close()
    return documents


def _write_megatron_index(ends_path: Path, documents: int, dtype: np.dtype[Any], path: Path) -> None:
    code = _MEGATRON_CODES[dtype.name]
    lengths_path, offsets_path = (path.with_name(f"{path.name}.{part}") for part in ("lengths", "offsets"))
    before = 0
    with ends_path.open("rb") as ends, lengths_path.open("wb") as lengths, offsets_path.open("wb") as offsets:
        while len(block := np.fromfile(ends, "<u8", BLOCK_BYTES // 8)):
            starts = np.concatenate([[before], block[:-1]]).astype("<i8")
            sizes = block.astype("<i8") - starts
            if int(sizes.max()) >= 2**31:
                raise UserError(
                    "A document is too long for Megatron's format.",
                    expected="fewer than 2147483648 tokens",
                    found=str(int(sizes.max())),
                )
            lengths.write(sizes.astype("<i4").data)
            offsets.write((starts * dtype.itemsize).data)
            before = int(block[-1])
    with path.open("wb") as file:
        file.write(_MEGATRON_MAGIC)
        file.write(np.array([1], "<u8").tobytes() + bytes([code]))
        file.write(np.array([documents, documents + 1], "<u8").tobytes())
        for part in (lengths_path, offsets_path):
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, file, BLOCK_BYTES)
            part.unlink()
        for first in range(0, documents + 1, BLOCK_BYTES // 8):
            file.write(np.arange(first, min(documents + 1, first + BLOCK_BYTES // 8), dtype="<i8").data)


def _write_seq(stream: TokenStream, path: Path, seq_len: int) -> None:
    rest = np.zeros(0, stream.dtype)
    with path.open("w", encoding="ascii") as file:
        for block in stream.blocks():
            for start in range(0, len(block), 2**20):
                rest = np.concatenate([rest, block[start : start + 2**20]])
                whole = len(rest) // seq_len * seq_len
                for line in rest[:whole].reshape(-1, seq_len).tolist():
                    file.write(" ".join(map(str, line)) + "\n")
                rest = rest[whole:]
