"""Parts: the files between encoding and numbered shards, one set per split of a source.

A part appears with its record ``<path>.json``, which is written last. It is kept in one of two forms:

- *in order* (:class:`OrderedPart`): ``.npy`` and ``.documents.parquet``, documents as the source gives them.
- *by hash* (:class:`HashedPart`): ``.npy`` and ``.rows.npy``, documents sorted by a keyed hash of their ids,
  with ``.places.npy`` saying where each of :data:`RANGES` ranges of that hash begins. Taking the same range
  out of every part and sorting it gives a piece of the corpus in the order of the hash: a shuffle of all
  documents that holds one range in memory, whatever the size (:func:`gather_range`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from textmill.documents.shards import open_parquet_writer
from textmill.tokens.document_tables import NUMBERED_DOCUMENTS_SCHEMA, table_path
from textmill.tokens.shard_writer import npy_header

if TYPE_CHECKING:
    from textmill.steps.stage import Report

RANGES = 4096
"""Of the hash: a corpus of 150 billion tokens has 37 million in each."""

_ROW = np.dtype(
    [
        ("hash", "<u8"),
        ("id", "V16"),
        ("length", "<i8"),
        ("bytes", "<i8"),
        ("source", "<i4"),
        ("language", "<i4"),
    ]
)
_PERSON = b"textmill-shuffle"


class Rows(NamedTuple):
    """Documents of a part: a value per document; ``lengths`` in tokens, ``sizes`` in bytes of UTF-8."""

    ids: Sequence[bytes]
    lengths: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    sources: Sequence[str]
    languages: Sequence[str | None]


def table_of(rows: Rows, start: int) -> pa.Table:
    """A table of documents whose first one begins at token ``start``."""
    columns = [
        pa.array(rows.ids, pa.binary(16)),
        pa.array(start + np.cumsum(rows.lengths) - rows.lengths),
        pa.array(rows.lengths),
        pa.array(rows.sizes),
        pa.array(rows.sources, pa.string()),
        pa.array(rows.languages, pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=NUMBERED_DOCUMENTS_SCHEMA)


class OrderedPart:
    """A part that keeps the order of the source; holds one batch of documents."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.tokens = 0
        self._dtype = dtype
        self._file = path.with_suffix(".npy").open("wb")
        self._file.write(npy_header(0, dtype))
        self._table = open_parquet_writer(table_path(path.with_suffix(".npy")), NUMBERED_DOCUMENTS_SCHEMA)

    def write(self, tokens: npt.NDArray[Any], rows: Rows) -> None:
        """Append documents: their tokens one after the other."""
        self._file.write(np.ascontiguousarray(tokens, self._dtype).data)
        if len(rows.ids):
            self._table.write_table(table_of(rows, self.tokens))
        self.tokens += len(tokens)

    def __enter__(self) -> OrderedPart:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self._table.close()
        self._file.seek(0)
        self._file.write(npy_header(self.tokens, self._dtype))
        self._file.close()


class HashedPart:
    """A part whose documents are sorted by :func:`shuffle_hash`; holds all of its tokens until the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any], seed: int) -> None:
        self.tokens = 0
        self._path = path
        self._dtype = dtype
        self._seed = seed
        self._pieces: list[npt.NDArray[Any]] = [np.zeros(0, dtype)]
        self._rows: list[npt.NDArray[Any]] = [np.zeros(0, _ROW)]
        self._names: dict[str, int] = {}

    def write(self, tokens: npt.NDArray[Any], rows: Rows) -> None:
        """Append documents: their tokens one after the other."""
        if not len(rows.ids):
            return
        made = np.zeros(len(rows.ids), _ROW)
        made["hash"] = [shuffle_hash(identifier, self._seed) for identifier in rows.ids]
        made["id"] = np.frombuffer(b"".join(rows.ids), "V16")
        made["length"], made["bytes"] = rows.lengths, rows.sizes
        made["source"] = [self._number(name) for name in rows.sources]
        made["language"] = [-1 if name is None else self._number(name) for name in rows.languages]
        self._rows.append(made)
        self._pieces.append(tokens.astype(self._dtype))
        self.tokens += len(tokens)

    def _number(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names))

    def __enter__(self) -> HashedPart:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is not None:
            return
        tokens, rows = _in_order_of_hash(np.concatenate(self._pieces), np.concatenate(self._rows))
        self._pieces, self._rows = [], []
        firsts = np.searchsorted(rows["hash"], np.arange(RANGES, dtype=np.uint64) << np.uint64(52))
        firsts = np.append(firsts, len(rows))
        offsets = np.concatenate([[0], np.cumsum(rows["length"])])
        np.save(self._path.with_suffix(".npy"), tokens)
        np.save(self._path.with_suffix(".rows.npy"), rows)
        np.save(self._path.with_suffix(".places.npy"), np.stack([firsts, offsets[firsts]]))
        self._path.with_suffix(".names.json").write_text(json.dumps(list(self._names)), "utf-8")


def shuffle_hash(identifier: bytes, seed: int) -> int:
    """The place of a document in a shuffled corpus: 64 bits of BLAKE2b of its id, keyed by the seed."""
    key = seed.to_bytes(16, "little", signed=True)
    return int.from_bytes(blake2b(identifier, digest_size=8, person=_PERSON, key=key).digest(), "little")


def ranges_of(parts: Sequence[Path], piece_tokens: int) -> list[tuple[int, int]]:
    """Consecutive ranges of the hash that hold about so many tokens each, over all parts."""
    tokens = np.zeros(RANGES, np.int64)
    for part in parts:
        tokens += np.diff(np.load(part.with_suffix(".places.npy"))[1])
    found, start, held = [], 0, 0
    for number in range(RANGES):
        if held and held + tokens[number] > piece_tokens:
            found.append((start, number))
            start, held = number, 0
        held += int(tokens[number])
    return [*found, (start, RANGES)]


def gather_range(item: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Take one range of the hash out of every part: ``<path>.npy`` with its table of documents.

    Args:
        item: ``parts`` (paths without ending), ``first`` and ``last`` (of the ranges, the last one not
            included), ``dtype``, ``path``.
        report: called with documents done.

    Returns:
        ``tokens``; the same stands in ``<path>.json``, written last.
    """
    dtype = np.dtype(item["dtype"]).newbyteorder("<")
    names: dict[str, int] = {}
    pieces, all_rows = [np.zeros(0, dtype)], [np.zeros(0, _ROW)]
    for part in map(Path, item["parts"]):
        places = np.load(part.with_suffix(".places.npy"), mmap_mode="r")
        (first, start), (last, stop) = places[:, item["first"]], places[:, item["last"]]
        if first == last:
            continue
        rows = np.array(np.load(part.with_suffix(".rows.npy"), mmap_mode="r")[first:last])
        own = json.loads(part.with_suffix(".names.json").read_text("utf-8"))
        numbers = np.array([names.setdefault(name, len(names)) for name in own] + [-1], np.int32)
        rows["source"], rows["language"] = numbers[rows["source"]], numbers[rows["language"]]
        all_rows.append(rows)
        pieces.append(np.array(np.load(part.with_suffix(".npy"), mmap_mode="r")[start:stop]))
    tokens, rows = _in_order_of_hash(np.concatenate(pieces), np.concatenate(all_rows))
    del pieces, all_rows
    path = Path(item["path"])
    spelled = [*names, None]
    with OrderedPart(path, dtype) as made:
        made.write(
            tokens,
            Rows(
                [bytes(identifier) for identifier in rows["id"]],
                rows["length"],
                rows["bytes"],
                [str(spelled[number]) for number in rows["source"]],
                [spelled[number] for number in rows["language"]],
            ),
        )
    report(documents=len(rows))
    return write_record(path, {"tokens": made.tokens})


def _in_order_of_hash(
    tokens: npt.NDArray[Any], rows: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    ends = np.cumsum(rows["length"])
    starts = ends - rows["length"]
    # Equal hashes are decided by the ids, so that the order is total.
    ids = np.ascontiguousarray(rows["id"]).view(">u8").reshape(-1, 2)
    order = np.lexsort((ids[:, 1], ids[:, 0], rows["hash"]))
    slices = [tokens[start:end] for start, end in zip(starts[order], ends[order], strict=True)]
    return np.concatenate(slices) if slices else tokens, rows[order]


def write_record(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Write ``<path>.json``, whole or not at all; returns ``record``."""
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(record), "utf-8")
    partial.replace(path.with_suffix(".json"))
    return record


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a part that is complete; None where there is none."""
    file = path.with_suffix(".json")
    value: dict[str, Any] | None = json.loads(file.read_text("utf-8")) if file.is_file() else None
    return value


def remove_tokens(path: Path) -> None:
    """Delete a part's tokens and tables; its record and its failures stay."""
    for ending in (".npy", ".rows.npy", ".places.npy", ".names.json"):
        path.with_suffix(ending).unlink(missing_ok=True)
    table_path(path.with_suffix(".npy")).unlink(missing_ok=True)
