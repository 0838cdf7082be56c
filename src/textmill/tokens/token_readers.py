"""Reading tokens that other tools wrote: batches of ids, and where the format says so the documents in them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.numbered_shards import BLOCK_BYTES, NumberedShard, blocks, list_shards
from textmill.tokens.sample_ids import SampleIdStream

if TYPE_CHECKING:
    from textmill.tokens.import_tokens import ImportPlan

BATCH_DOCUMENTS = 2**14
# Megatron-LM, core/datasets/indexed_dataset.py: magic, and the codes of integer dtypes.
_MAGIC = b"MMIDIDX\x00\x00"
_DTYPES = {1: "u1", 2: "i1", 3: "i2", 4: "i4", 5: "i8", 8: "u2"}


class Piece(NamedTuple):
    """Some tokens: one dimension; and the tokens of each document in them, if that is known."""

    tokens: npt.NDArray[Any]
    lengths: npt.NDArray[np.int64] | None


def read_tokens(plan: ImportPlan) -> Iterator[Piece]:
    """The tokens of a file or folder in order; documents are whole.

    Raises:
        UserError: a file is missing, cut short or of another format.
    """
    if plan.kind == "ds":
        yield from _read_ds(plan)
    elif plan.kind == "megatron":
        yield from _read_megatron(plan)
    elif plan.eos_id is None:
        yield from (Piece(block, None) for block in _blocks(plan))
    else:
        yield from _cut_at(plan.eos_id, _blocks(plan))


def source_dtype(plan: ImportPlan) -> str:
    """uint16 where the source's ids are of 16 bits, else uint32."""
    if plan.kind == "ds":
        return _ds_dtype(plan).name
    if plan.kind == "megatron":
        return "uint16" if _megatron_index(plan)[0].itemsize <= 2 else "uint32"
    if plan.kind == "templar":
        return list_shards(plan.path)[0].dtype.name
    return "uint32" if plan.kind in ("hf", "seq") else (plan.source_dtype or "uint16")


def _cut_at(eos_id: int, found: Iterator[npt.NDArray[Any]]) -> Iterator[Piece]:
    """Whole documents, each with the token that ends it; the last one as it is."""
    pending: list[npt.NDArray[Any]] = []
    for block in found:
        ends = np.flatnonzero(block == eos_id) + 1
        if not len(ends):
            pending.append(block)
            continue
        tokens = np.concatenate([*pending, block[: ends[-1]]])
        before = len(tokens) - int(ends[-1])
        yield Piece(tokens, np.diff(ends + before, prepend=0).astype(np.int64))
        pending = [block[ends[-1] :]]
    rest = np.concatenate(pending) if pending else np.zeros(0, np.uint32)
    if len(rest):
        yield Piece(rest, np.array([len(rest)], np.int64))


def _blocks(plan: ImportPlan) -> Iterator[npt.NDArray[Any]]:
    readers: dict[str, Callable[[ImportPlan], Iterator[npt.NDArray[Any]]]] = {
        "raw": _read_raw,
        "seq": _read_seq,
        "hf": _read_hf,
        "templar": _read_templar,
    }
    return readers[plan.kind](plan)


# --- headerless ids, lines of ids -----------------------------------------------------------------------------


def _read_raw(plan: ImportPlan) -> Iterator[npt.NDArray[Any]]:
    dtype = np.dtype(plan.source_dtype or "uint16").newbyteorder("<")
    path = _file(plan.path, ".bin")
    if path.stat().st_size % dtype.itemsize:
        raise _cut_short(path, f"a whole number of {dtype.name}", f"{path.stat().st_size:,} bytes")
    with path.open("rb") as file:
        while len(block := np.fromfile(file, dtype, BLOCK_BYTES // dtype.itemsize)):
            yield block


def _read_seq(plan: ImportPlan) -> Iterator[npt.NDArray[Any]]:
    path = _file(plan.path, ".seq")
    with path.open(encoding="ascii", errors="replace") as file:
        number = 0
        while lines := file.readlines(BLOCK_BYTES):
            try:
                yield np.array(" ".join(lines).split(), np.int64)
            except (ValueError, OverflowError):
                line = next(i for i, text in enumerate(lines) if not _is_numbers(text))
                raise UserError(
                    "A line is no sequence of token ids.",
                    expected="whole numbers separated by spaces",
                    found=repr(lines[line][:60]),
                    where=f"{path}:{number + line + 1}",
                ) from None
            number += len(lines)


def _is_numbers(text: str) -> bool:
    return all(word.isdecimal() and len(word) < 19 for word in text.split())


# --- datatrove ------------------------------------------------------------------------------------------------


def _ds_dtype(plan: ImportPlan) -> np.dtype[Any]:
    """The index counts tokens, so it tells how many bytes one takes."""
    path = _file(plan.path, ".ds")
    ends = _ends(path)
    tokens = int(ends[-1]) if len(ends) else 0
    size = path.stat().st_size
    for itemsize in (2, 4):
        if size == tokens * itemsize:
            return np.dtype(f"<u{itemsize}")
    raise _cut_short(path, f"{tokens:,} tokens of 2 or 4 bytes, as its index says", f"{size:,} bytes")


def _ends(path: Path) -> npt.NDArray[Any]:
    index = _file(path.with_name(f"{path.name}.index"), "")
    if index.stat().st_size % 8:
        raise _cut_short(index, "a whole number of uint64", f"{index.stat().st_size:,} bytes")
    return np.memmap(index, "<u8", "r") if index.stat().st_size else np.zeros(0, "<u8")


def _read_ds(plan: ImportPlan) -> Iterator[Piece]:
    path, dtype = _file(plan.path, ".ds"), _ds_dtype(plan)
    ends = _ends(path)
    start = 0
    with path.open("rb") as file:
        for first in range(0, len(ends), BATCH_DOCUMENTS):
            batch = ends[first : first + BATCH_DOCUMENTS].astype(np.int64)
            lengths = np.diff(batch, prepend=start)
            if (lengths < 1).any():
                raise UserError("The index of documents does not ascend.", where=f"{path}.index")
            yield Piece(np.fromfile(file, dtype, int(batch[-1]) - start), lengths)
            start = int(batch[-1])


# --- Megatron-LM ----------------------------------------------------------------------------------------------


def _megatron_index(plan: ImportPlan) -> tuple[np.dtype[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Dtype of the tokens, tokens of each sequence, first sequence of each document and the end of all."""
    path = _file(plan.path.with_suffix("") if plan.path.suffix in (".bin", ".idx") else plan.path, ".idx")
    with path.open("rb") as file:
        head = file.read(34)
    if head[:9] != _MAGIC or len(head) < 34:
        raise UserError(
            "This is no index of Megatron-LM.", expected=repr(_MAGIC), found=repr(head[:9]), where=str(path)
        )
    version, code, sequences, borders = struct.unpack("<QBQQ", head[9:])
    if version != 1 or code not in _DTYPES:
        raise UserError(
            "The index is of another version, or its tokens are no integers.",
            expected=f"version 1, a dtype code of {sorted(_DTYPES)}",
            found=f"version {version}, code {code}",
            where=str(path),
        )
    expected = 34 + 12 * sequences + 8 * borders
    if path.stat().st_size < expected:
        raise _cut_short(path, f"{expected:,} bytes", f"{path.stat().st_size:,} bytes")
    dtype = np.dtype(_DTYPES[code]).newbyteorder("<")
    lengths = np.memmap(path, "<i4", "r", 34, (sequences,)) if sequences else np.zeros(0, "<i4")
    pointers = np.memmap(path, "<i8", "r", 34 + 4 * sequences, (sequences,)) if sequences else lengths
    documents = np.memmap(path, "<i8", "r", 34 + 12 * sequences, (borders,)) if borders else lengths
    if sequences and int(pointers[-1]) != int(lengths[:-1].sum(dtype=np.int64)) * dtype.itemsize:
        raise UserError("The sequences of the index do not follow each other.", where=str(path))
    data = path.with_suffix(".bin")
    size = int(lengths.sum(dtype=np.int64)) * dtype.itemsize
    if not data.is_file() or data.stat().st_size != size:
        raise _cut_short(data, f"{size:,} bytes, as its index says", _size_of(data))
    return dtype, lengths, documents


def _read_megatron(plan: ImportPlan) -> Iterator[Piece]:
    dtype, lengths, documents = _megatron_index(plan)
    base = plan.path.with_suffix("") if plan.path.suffix in (".bin", ".idx") else plan.path
    with base.with_name(f"{base.name}.bin").open("rb") as file:
        for first in range(0, len(documents) - 1, BATCH_DOCUMENTS):
            borders = np.asarray(documents[first : first + BATCH_DOCUMENTS + 1])
            ends = np.concatenate([[0], np.cumsum(lengths[borders[0] : borders[-1]], dtype=np.int64)])
            sizes = np.diff(ends[borders - borders[0]])
            yield Piece(np.fromfile(file, dtype, int(ends[-1])), sizes[sizes > 0])


# --- Hugging Face, Templar ------------------------------------------------------------------------------------


def _read_hf(plan: ImportPlan) -> Iterator[npt.NDArray[Any]]:
    """Rows of Parquet files, or of Arrow files as ``save_to_disk`` writes them, in the order of their names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = plan.path
    paths = [folder] if folder.is_file() else sorted([*folder.rglob("*.parquet"), *folder.rglob("*.arrow")])
    if not paths:
        raise UserError("No data set is here.", expected=".parquet or .arrow files", where=str(folder))
    for path in paths:
        try:
            if path.suffix == ".parquet":
                with pq.ParquetFile(path) as parquet:
                    for batch in parquet.iter_batches(columns=[plan.column], use_threads=False):
                        yield _ids_of(batch.column(0), path)
            else:
                with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
                    for batch in stream:
                        yield _ids_of(batch.column(plan.column), path)
        except (KeyError, IndexError, pa.ArrowInvalid) as error:
            raise UserError(
                "The file is no data set of tokens.",
                expected=f"a column {plan.column} with lists of ids",
                found=str(error),
                where=str(path),
                hint="name the column with --column",
            ) from None


def _ids_of(column: Any, path: Path) -> npt.NDArray[Any]:
    values = column.flatten() if hasattr(column, "flatten") else column
    ids: npt.NDArray[Any] = values.to_numpy(zero_copy_only=False)
    if ids.dtype.kind not in "iu":
        raise UserError(
            "The column holds no token ids.",
            expected="lists of integers",
            found=str(column.type),
            where=str(path),
        )
    return ids


def _read_templar(plan: ImportPlan) -> Iterator[npt.NDArray[Any]]:
    """Shards with an id for each sample: every id that is there must be that of its sample."""
    for number, shard in enumerate(list_shards(plan.path)):
        ids = plan.path / f"sample_ids_{number:06d}.bin"
        yield from _with_ids(shard, ids, plan.seq_len) if ids.is_file() else blocks(shard)


def _with_ids(shard: NumberedShard, path: Path, seq_len: int) -> Iterator[npt.NDArray[Any]]:
    samples = shard.tokens // seq_len
    expected = np.fromfile(path, "<u8")
    if len(expected) != samples or path.stat().st_size != samples * 8:
        raise _cut_short(
            path, f"{samples:,} ids, one per {seq_len:,} tokens", f"{path.stat().st_size:,} bytes"
        )
    stream = SampleIdStream(seq_len, shard.dtype.itemsize, samples, "correct")
    done = 0
    for block in blocks(shard):
        found = stream.feed(block)
        if not np.array_equal(found, expected[done : done + len(found)]):
            raise UserError(
                "A shard's samples have other ids than its file of ids says.",
                where=f"{path}, samples from {done:,} on",
                hint="name the right --seq-len, or fetch the shard again",
            )
        done += len(found)
        yield block


def _file(path: Path, ending: str) -> Path:
    found = path if path.suffix == ending or not ending else path.with_name(path.name + ending)
    if not found.is_file():
        raise UserError("A file of tokens is missing.", found="no such file", where=str(found))
    return found


def _cut_short(path: Path, expected: str, found: str) -> UserError:
    return UserError(
        "A file of tokens is cut short, or of another type.",
        expected=expected,
        found=found,
        where=str(path),
        hint="fetch or write it again",
    )


def _size_of(path: Path) -> str:
    return f"{path.stat().st_size:,} bytes" if path.is_file() else "no such file"
