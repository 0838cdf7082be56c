"""Where documents begin among the tokens of a data set, from its tables of documents.

``borders[i]`` is the first token of document ``i``, ``borders[i + 1]`` the end of it: int64, one more than there
are documents. Eight bytes per document in memory, or in a file that is mapped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError

Borders = npt.NDArray[np.int64]


def document_borders(folder: Path, split: str = "train", cache: Path | None = None) -> Borders:
    """The borders of a run's split, of numbered shards' consolidated files, or of the shards themselves.

    Args:
        folder: a run's ``tokens/``, or a folder with ``consolidated.json`` or ``train_%06d.npy``.
        split: of a run.
        cache: write them to this file and map it, instead of holding them.

    Raises:
        UserError: no tokens there, or no tables of documents.
    """
    with GrowingArray(np.dtype("<i8"), cache) as borders:
        end = 0
        for start, path in _tables(Path(folder), split):
            for offsets, lengths in _rows(path):
                starts = start + offsets
                expected = np.concatenate([[end], starts[:-1] + lengths[:-1]])
                if len(starts) and (starts != expected).any():
                    raise UserError(
                        "The documents of a table do not follow each other.",
                        where=str(path),
                        hint="textmill tokens verify tells more",
                    )
                borders.append(starts)
                end = int(starts[-1] + lengths[-1]) if len(starts) else end
        borders.append(np.array([end], np.int64))
    return borders.array


def _tables(folder: Path, split: str) -> Iterator[tuple[int, Path]]:
    """Tables of documents, and the place from which each counts."""
    from textmill.tokens.consolidated import DOCUMENTS
    from textmill.tokens.consolidated import MANIFEST as CONSOLIDATED
    from textmill.tokens.document_tables import table_path
    from textmill.tokens.index import INDEX, TokenIndex
    from textmill.tokens.numbered_shards import list_shards

    if (folder / INDEX).is_file():
        files = TokenIndex.read(folder).split(split, folder)
        found: Iterable[tuple[int, Path]] = [(file.tokens, folder / file.documents_path) for file in files]
    elif (folder / CONSOLIDATED).is_file():
        found = [(0, folder / DOCUMENTS)]
    else:
        found = [(shard.tokens, table_path(shard.path)) for shard in list_shards(folder)]
    start = 0
    for tokens, path in found:
        if not path.is_file():
            raise UserError(
                "Nothing says where documents begin.",
                expected="a table of documents beside the tokens",
                found="no such file",
                where=str(path),
                hint="build the tokens with textmill, or use windows that know no borders",
            )
        yield start, path
        start += tokens


def _rows(path: Path) -> Iterator[tuple[Borders, Borders]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as table:
        for batch in table.iter_batches(columns=["offset", "length"], use_threads=False):
            yield batch.column("offset").to_numpy(), batch.column("length").to_numpy()


class GrowingArray:
    """An array made piece by piece, in memory or in a file; :attr:`array` is there when the block ends."""

    def __init__(self, dtype: np.dtype[Any], path: Path | None = None) -> None:
        self.dtype = dtype
        self.array: npt.NDArray[Any] = np.zeros(0, dtype)
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial") if path else None
        self._pieces: list[npt.NDArray[Any]] = []
        self._file: IO[bytes] | None = None

    def append(self, values: npt.NDArray[Any]) -> None:
        """Append values."""
        values = np.ascontiguousarray(values, self.dtype)
        if self._file is None:
            self._pieces.append(values)
        else:
            self._file.write(values.data)

    def __enter__(self) -> GrowingArray:
        if self._partial is not None:
            self._partial.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._partial.open("wb")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
        if kind is not None:
            return
        if self._path is None or self._partial is None:
            self.array = np.concatenate([np.zeros(0, self.dtype), *self._pieces])
            return
        self._partial.replace(self._path)
        if self._path.stat().st_size:
            self.array = np.memmap(self._path, self.dtype, "r")
