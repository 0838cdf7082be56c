"""Tokens in the formats of other tools, from numbered shards, consolidated files or a run's split.

::

    ds        NAME.ds + NAME.ds.index     datatrove: raw tokens; uint64 ends of documents, counted in tokens
    megatron  NAME.bin + NAME.idx         Megatron-LM: raw tokens; lengths and byte offsets of documents
    raw       NAME.bin                    nanoGPT, OLMo: raw tokens
    seq       NAME.seq                    text: one sequence of seq_len ids per line, the rest dropped
    hf        NAME/train-00000.parquet    Hugging Face: column input_ids, a row per sequence, the rest dropped
    templar   NAME/train_000000.npy       uint32 shards, NAME/sample_ids_000000.bin: an id per sample of each

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
from textmill.tokens.shard_filler import ShardFiller
from textmill.tokens.shard_ids import write_shard_ids
from textmill.tokens.shard_manifest import ShardManifest

Format = Literal["ds", "megatron", "raw", "seq", "hf", "templar"]
FORMATS: tuple[Format, ...] = ("ds", "megatron", "raw", "seq", "hf", "templar")

# Tokens of a Parquet file, and of a shard where the source has none, about.
PARQUET_TOKENS = 2**27
TEMPLAR_TOKENS = 2**30

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
        seq_len: tokens per line of ``seq`` and ``hf``, and per sample id of ``templar``.

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
    if kind in ("hf", "templar"):
        return _into_folder(stream, target, kind, seq_len)
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


def _into_folder(stream: TokenStream, target: Path, kind: Format, seq_len: int) -> list[Path]:
    """Files of a format that fills a folder, made in another one and moved when all are complete."""
    if target.exists() and any(target.iterdir()):
        raise UserError("The folder to write is not empty.", where=str(target), hint="name another --output")
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if kind == "hf":
            _write_parquet(stream, partial, seq_len)
        else:
            _write_templar(stream, partial, seq_len)
        if target.exists():
            target.rmdir()
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return sorted(target.iterdir())


def _write_parquet(stream: TokenStream, folder: Path, seq_len: int) -> None:
    """``train-00000.parquet``, ...: a row per sequence, column ``input_ids``, as Hugging Face's tools name it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field("input_ids", pa.list_(pa.int32()))])
    writer, rows, files = None, 0, 0
    for sequences in _sequences(stream, seq_len):
        _check_fits(sequences, "Hugging Face's 32-bit integers")
        if writer is None:
            writer = pq.ParquetWriter(folder / f"train-{files:05d}.parquet", schema, compression="zstd")
        flat = pa.array(np.ascontiguousarray(sequences, np.int32).reshape(-1))
        offsets = pa.array(np.arange(len(sequences) + 1, dtype=np.int32) * seq_len)
        writer.write_table(pa.Table.from_arrays([pa.ListArray.from_arrays(offsets, flat)], schema=schema))
        rows += len(sequences)
        if rows * seq_len >= PARQUET_TOKENS:
            writer.close()
            writer, rows, files = None, 0, files + 1
    if writer is not None:
        writer.close()


def _write_templar(stream: TokenStream, folder: Path, seq_len: int) -> None:
    """uint32 shards with an id per sample; samples do not run from shard to shard."""
    size = stream.shards[0].tokens if stream.shards else TEMPLAR_TOKENS
    filler = ShardFiller(folder, "uint32", max(1, size), lambda _shard, _place: None, tables=False)
    for block in stream.blocks():
        filler.add(block)
    filler.close()
    write_shard_ids(folder, seq_len=seq_len)


def _check_fits(tokens: npt.NDArray[Any], what: str) -> None:
    if tokens.size and int(tokens.max()) >= 2**31:
        raise UserError(
            f"A token does not fit into {what}.",
            expected="ids below 2147483648",
            found=str(int(tokens.max())),
        )


def _write_raw(stream: TokenStream, path: Path, dtype: np.dtype[Any], ends_path: Path | None = None) -> int:
    """Tokens to ``path``, ends of documents (uint64, in tokens) to ``ends_path``; returns how many documents."""
    documents = start = last = 0
    ends = ends_path.open("wb") if ends_path is not None else None
    with path.open("wb") as file:
        for block in stream.blocks():
            if dtype.kind == "i":
                _check_fits(block, "Megatron's 32-bit integers")
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
    with path.open("w", encoding="ascii") as file:
        for sequences in _sequences(stream, seq_len):
            for line in sequences.tolist():
                file.write(" ".join(map(str, line)) + "\n")


def _sequences(stream: TokenStream, seq_len: int) -> Iterator[npt.NDArray[Any]]:
    """All whole sequences, some at a time: shape (n, seq_len)."""
    rest = np.zeros(0, stream.dtype)
    for block in stream.blocks():
        for start in range(0, len(block), 2**20):
            rest = np.concatenate([rest, block[start : start + 2**20]])
            whole = len(rest) // seq_len * seq_len
            if whole:
                yield rest[:whole].reshape(-1, seq_len)
            rest = rest[whole:]
