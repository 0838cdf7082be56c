"""Consolidated tokens as a data set: ``tokens.bin`` and ``sample_ids.bin``, mapped into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.errors import UserError
from textmill.tokens.sample_ids import sample_id

TOKENS_BIN = "tokens.bin"
IDS_BIN = "sample_ids.bin"
DOCUMENTS = "documents.parquet"
MANIFEST = "consolidated.json"
FORMAT = "textmill-consolidated"
VERSION = 1

ENVIRONMENT = "DATASET_BINS_PATH"
"""Names the folder of the two files when nothing else does."""


@dataclass(frozen=True)
class Part:
    """A flat file of numbers: name, how many, SHA-256 of its contents."""

    name: str
    elements: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The contents of ``consolidated.json``.

    Attributes:
        seq_len: tokens per sample.
        sample_ids: ``correct`` or ``upstream``.
        dtype: uint16 or uint32.
        tokens: ``tokens.bin``.
        ids: ``sample_ids.bin``.
        documents: ``documents.parquet`` (elements: rows), when the shards came with tables of documents.
        shards: names and tokens of the shards, in order.
    """

    seq_len: int
    sample_ids: str
    dtype: str
    tokens: Part
    ids: Part
    documents: Part | None
    shards: tuple[dict[str, Any], ...]

    def write(self, folder: Path) -> None:
        """Write it; the file appears whole or not at all."""
        value = {"format": FORMAT, "version": VERSION, **asdict(self)}
        partial = folder / f"{MANIFEST}.partial"
        partial.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
        partial.replace(folder / MANIFEST)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a folder.

        Raises:
            UserError: there is none, or it is damaged or of another format.
        """
        path = folder / MANIFEST
        try:
            value = json.loads(path.read_text("utf-8"))
            if (value.pop("format"), value.pop("version")) != (FORMAT, VERSION):
                raise ValueError(f"not {FORMAT}, version {VERSION}")
            for name in ("tokens", "ids", "documents"):
                value[name] = value[name] and Part(**value[name])
            return cls(**value | {"shards": tuple(value["shards"])})
        except FileNotFoundError:
            raise UserError(
                "There are no consolidated tokens here.",
                expected=MANIFEST,
                where=str(folder),
                hint="textmill tokens consolidate --data-root FOLDER",
            ) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{MANIFEST} is damaged.", found=str(error), where=str(path), hint="consolidate again"
            ) from None


class ConsolidatedTokens:
    """Sample ``i`` is ``tokens[i * seq_len : (i + 1) * seq_len]``, its id is ``sample_ids[i]``.

    Args:
        folder: holds ``tokens.bin`` and ``sample_ids.bin``; the variable ``DATASET_BINS_PATH`` if left out.
        seq_len: tokens per sample; the manifest's, or 2048 where there is none.
        token_dtype: uint16 or uint32; the manifest's, or uint16 where there is none.

    Raises:
        UserError: no folder named, a file missing, or sizes that do not fit each other.
        IndexError: a sample out of range is asked for.
    """

    def __init__(
        self, folder: Path | None = None, seq_len: int | None = None, token_dtype: str | None = None
    ) -> None:
        named = folder or os.environ.get(ENVIRONMENT)
        if not named:
            raise UserError(
                "No folder of consolidated tokens is named.",
                expected=f"a path, or the environment variable {ENVIRONMENT}",
                hint=f"export {ENVIRONMENT}=/path/to/folder",
            )
        self.folder = Path(named)
        manifest = Manifest.read(self.folder) if (self.folder / MANIFEST).is_file() else None
        self.seq_len = seq_len or (manifest.seq_len if manifest else 2048)
        self.dtype = np.dtype(token_dtype or (manifest.dtype if manifest else "uint16")).newbyteorder("<")
        self._tokens = _mapped(self.folder / TOKENS_BIN, self.dtype)
        same_samples = manifest is None or manifest.seq_len == self.seq_len
        self._ids = _mapped(self.folder / IDS_BIN, np.dtype("<u8")) if same_samples else None
        self.tokens = len(self._tokens)
        if self._ids is not None and len(self._ids) != len(self):
            raise UserError(
                "tokens.bin and sample_ids.bin do not belong together.",
                expected=f"{len(self):,} ids: {self.tokens:,} tokens of {self.dtype.name}, {self.seq_len} each",
                found=f"{len(self._ids):,} ids",
                where=str(self.folder),
                hint="give the seq_len and the token dtype that the files were made with",
            )

    def __len__(self) -> int:
        return self.tokens // self.seq_len

    def __getitem__(self, sample: int) -> npt.NDArray[Any]:
        """Sample ``sample``: shape (seq_len,), read-only."""
        sample = self._checked(sample)
        return self._tokens[sample * self.seq_len : (sample + 1) * self.seq_len]

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        for sample in range(len(self)):
            yield self[sample]

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Tokens ``start`` to ``stop``: shape (stop - start,), read-only."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start} to {stop} of {self.tokens}")
        return self._tokens[start:stop]

    def sample_id(self, sample: int) -> int:
        """Its 64-bit id: from ``sample_ids.bin``, or computed for another ``seq_len`` than the file's."""
        sample = self._checked(sample)
        return sample_id(self[sample]) if self._ids is None else int(self._ids[sample])

    def as_torch(self) -> Any:
        """The same samples as a map-style PyTorch data set of int64 tensors, shape (seq_len,)."""
        from textmill.tokens.torch_dataset import TorchTokenSet

        return TorchTokenSet(self)

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would be the whole file; another process maps it for itself.
        return {"folder": self.folder, "seq_len": self.seq_len, "token_dtype": self.dtype.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _checked(self, sample: int) -> int:
        sample = int(sample)
        if not -len(self) <= sample < len(self):
            raise IndexError(f"sample {sample} of {len(self)}")
        return sample % len(self)


def _mapped(path: Path, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if not path.is_file():
        raise UserError(
            "A file of the consolidated tokens is missing.",
            expected=f"{TOKENS_BIN} and {IDS_BIN}",
            where=str(path),
            hint="textmill tokens consolidate --data-root FOLDER",
        )
    size = path.stat().st_size
    if size % dtype.itemsize:
        raise UserError(
            "A file of the consolidated tokens is cut short.",
            expected=f"a whole number of {dtype.name}",
            found=f"{size:,} bytes",
            where=str(path),
            hint="consolidate again, or name the right token dtype",
        )
    if not size:
        return np.zeros(0, dtype)
    # As a plain array: slicing a memory map builds a memory map, which costs more than a short copy.
    return np.asarray(np.memmap(path, dtype, "r"))
