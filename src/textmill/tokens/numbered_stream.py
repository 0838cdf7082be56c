"""Numbered shards as one stream of tokens, mapped into memory: training without consolidating first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.numbered_shards import list_shards
from textmill.tokens.shard_manifest import ShardManifest


class NumberedTokens:
    """The tokens of ``train_000000.npy``, ``train_000001.npy``, … laid end to end.

    Args:
        folder: where the shards lie.

    Attributes:
        tokens: their number.
        dtype: uint16 or uint32.
        manifest: what ``tokens.json`` says, where there is one.

    Raises:
        UserError: no shards, a number is missing, or a file is no array of tokens.
        IndexError: tokens out of range are asked for.
    """

    def __init__(self, folder: Path) -> None:
        shards = list_shards(folder)
        self.folder = folder
        self.manifest = ShardManifest.read(folder)
        self.dtype = shards[0].dtype.newbyteorder("<")
        self._starts = np.cumsum([0, *(shard.tokens for shard in shards)], dtype=np.int64)
        self.tokens = int(self._starts[-1])
        self._paths = [shard.path for shard in shards]
        self._mapped: dict[int, npt.NDArray[Any]] = {}

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``stop``, across shards where need be: shape (stop - start,)."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start} to {stop} of {self.tokens}")
        parts = []
        shard = int(np.searchsorted(self._starts, start, "right")) - 1
        while start < stop:
            first, end = int(self._starts[shard]), min(stop, int(self._starts[shard + 1]))
            if end > start:
                parts.append(self._shard(shard)[start - first : end - first])
            start, shard = end, shard + 1
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would be the whole file.
        return self.__dict__ | {"_mapped": {}}

    def _shard(self, number: int) -> npt.NDArray[Any]:
        if number not in self._mapped:
            try:
                array = np.load(self._paths[number], mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise UserError(
                    "A token shard cannot be read.", where=str(self._paths[number]), found=str(error)
                ) from None
            self._mapped[number] = np.asarray(array).astype(self.dtype, copy=False)
        return self._mapped[number]
