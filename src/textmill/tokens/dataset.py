"""Tokens as a data set: windows over the shards of a split, mapped into memory.

Nothing is copied into memory beyond the windows asked for; the operating system keeps the pages that are
read often.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.index import TokenFile, TokenIndex
from textmill.tokens.sample_ids import sample_id

if TYPE_CHECKING:
    from textmill.tokens.torch_dataset import TorchTokenSet

# Python's memory maps hold a file descriptor each; the usual limit of a process is 1,024.
OPEN_SHARDS = 256


class TokenSet:
    """The samples of one split: sample ``i`` is ``tokens[i * seq_len : (i + 1) * seq_len]``.

    Tokens are those of the split's shards, one after the other; what is left at the end and does not fill a
    sample is not part of any. May be pickled and sent to another process on the same machine.

    Args:
        index: the ``tokens/`` folder with its ``index.json``.
        split: ``train``, ``validation`` or ``test``.
        seq_len: tokens per sample; the recipe's if left out.

    Attributes:
        tokens: tokens of the split.
        documents: documents of the split.
        text_bytes: UTF-8 bytes of the split's documents (for bits per byte).
        vocab_size: every id is below it.
        eos_id: id after each document.
        dtype: of the arrays that come back: uint16 or uint32.

    Raises:
        UserError: no tokens there, no such split, a shard that is missing or cut short.
        IndexError: a sample out of range is asked for.
    """

    def __init__(self, index: Path, split: str = "train", seq_len: int | None = None) -> None:
        loaded = TokenIndex.read(Path(index))
        self.folder = Path(index)
        self.split = split
        self.seq_len = loaded.seq_len if seq_len is None else seq_len
        if self.seq_len < 1:
            raise UserError("a sample needs tokens", expected="seq_len >= 1", found=str(seq_len))
        self._files = loaded.split(split, self.folder)
        self.vocab_size = loaded.vocab_size
        self.eos_id = loaded.eos_id
        self.dtype = np.dtype(loaded.dtype).newbyteorder("<")
        self._starts = np.cumsum([0, *(file.tokens for file in self._files)], dtype=np.int64)
        self.tokens = int(self._starts[-1])
        self.documents = sum(file.documents for file in self._files)
        self.text_bytes = sum(file.text_bytes for file in self._files)
        self._open: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

    def __len__(self) -> int:
        return self.tokens // self.seq_len

    def __getitem__(self, sample: int) -> npt.NDArray[Any]:
        """Sample ``sample``: shape (seq_len,), read-only, of :attr:`dtype`."""
        sample = int(sample)
        if not -len(self) <= sample < len(self):
            raise IndexError(f"sample {sample} of {len(self)}")
        start = sample % len(self) * self.seq_len
        return self.read(start, start + self.seq_len)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for sample in range(len(self)):
            yield self[sample]

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``stop`` of the split, across shards where need be: shape (stop - start,)."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start} to {stop} of {self.tokens}")
        file = int(np.searchsorted(self._starts, start, "right")) - 1
        parts = []
        while start < stop:
            first = int(self._starts[file])
            end = min(stop, int(self._starts[file + 1]))
            if end > start:
                parts.append(self._shard(file)[start - first : end - first])
            start = end
            file += 1
        if len(parts) == 1:
            return parts[0]
        joined = np.concatenate(parts) if parts else np.zeros(0, self.dtype)
        joined.flags.writeable = False
        return joined

    def sample_id(self, sample: int) -> int:
        """The 64-bit id of a sample, from its bytes (see :mod:`textmill.tokens.sample_ids`)."""
        return sample_id(self[sample])

    def as_torch(self) -> TorchTokenSet:
        """The same samples as a map-style PyTorch data set of int64 tensors, shape (seq_len,)."""
        from textmill.tokens.torch_dataset import TorchTokenSet

        return TorchTokenSet(self)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would be the whole file.
        return self.__dict__ | {"_open": OrderedDict()}

    def _shard(self, file: int) -> npt.NDArray[Any]:
        if file in self._open:
            self._open.move_to_end(file)
            return self._open[file]
        shard = open_shard(self.folder, self._files[file], self.dtype)
        self._open[file] = shard
        if len(self._open) > OPEN_SHARDS:
            self._open.popitem(last=False)
        return shard


def open_shard(folder: Path, file: TokenFile, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The tokens of one shard, mapped into memory, read-only: shape (tokens,).

    Raises:
        UserError: it is missing, cut short, or not what the index says.
    """
    path = folder / file.path
    expected = f"{file.tokens} tokens of {dtype.name}"
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise UserError(
            "a token shard is missing" if missing else "a token shard cannot be read",
            expected=expected,
            found="no such file" if missing else str(error),
            where=str(path),
            hint="run the tokens section again",
        ) from None
    if mapped.shape != (file.tokens,) or mapped.dtype != dtype:
        raise UserError(
            "a token shard is not what the index says",
            expected=expected,
            found=f"shape {mapped.shape} of {mapped.dtype.name}",
            where=str(path),
            hint="run the tokens section again",
        )
    return np.asarray(mapped)
