"""``tokens/index.json``: what the folder holds, in which order, with counts and SHA-256.

Paths in it are relative to the folder, so the folder can be moved or copied as a whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from textmill.errors import UserError

INDEX = "index.json"
FORMAT = "textmill-tokens"
VERSION = 1


@dataclass(frozen=True)
class TokenFile:
    """A token shard and its table of documents.

    Attributes:
        path: the ``.npy`` file.
        sha256: of that file.
        tokens: its length.
        documents_path: the ``.documents.parquet`` file.
        documents_sha256: of that file.
        documents: its rows.
        text_bytes: UTF-8 bytes of its documents.
    """

    path: str
    sha256: str
    tokens: int
    documents_path: str
    documents_sha256: str
    documents: int
    text_bytes: int


@dataclass(frozen=True)
class TokenIndex:
    """The contents of an ``index.json``.

    Attributes:
        seq_len: tokens per sample, as the recipe wants them.
        dtype: uint16 or uint32, of every shard.
        vocab_size: every id is below it.
        eos_id: stands after each document and nowhere else.
        tokenizer_sha256: of the ``tokenizer.json`` that made the ids.
        documents: documents that came in: those in the splits and those that failed.
        failed: documents that could not be encoded.
        failures: tables of these.
        files: token shards in order, by split.
    """

    seq_len: int
    dtype: str
    vocab_size: int
    eos_id: int
    tokenizer_sha256: str
    documents: int
    failed: int
    failures: tuple[str, ...]
    files: dict[str, tuple[TokenFile, ...]]

    def numbers(self) -> dict[str, Any]:
        """What the stage reports: the index without its list of files."""
        splits = {}
        for name, files in self.files.items():
            tokens = sum(file.tokens for file in files)
            splits[name] = {
                "tokens": tokens,
                "documents": sum(file.documents for file in files),
                "text_bytes": sum(file.text_bytes for file in files),
                "shards": len(files),
                "samples": tokens // self.seq_len,
            }
        return {
            "seq_len": self.seq_len,
            "dtype": self.dtype,
            "vocab_size": self.vocab_size,
            "eos_id": self.eos_id,
            "documents": self.documents,
            "failed": self.failed,
            "splits": splits,
        }

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        value: dict[str, Any] = {"format": FORMAT, "version": VERSION, **self.numbers()}
        value["tokenizer_sha256"] = self.tokenizer_sha256
        value["failures"] = list(self.failures)
        for name, files in self.files.items():
            value["splits"][name]["files"] = [asdict(file) for file in files]
        path.write_text(json.dumps(value, indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, folder: Path) -> TokenIndex:
        """The index of the folder.

        Raises:
            UserError: there is none, or it is not of this format.
        """
        path = folder / INDEX
        try:
            value = json.loads(path.read_text("utf-8"))
            if (value["format"], value["version"]) != (FORMAT, VERSION):
                raise UserError(
                    "these tokens are of another format",
                    expected=f"{FORMAT}, version {VERSION}",
                    found=f"{value['format']}, version {value['version']}",
                    where=str(path),
                    hint="build them with this version: the tokens: section of a recipe",
                )
            files = {
                name: tuple(TokenFile(**file) for file in split["files"])
                for name, split in value["splits"].items()
            }
            return cls(
                **{name: value[name] for name in _PLAIN},
                failures=tuple(value["failures"]),
                files=files,
            )
        except FileNotFoundError:
            raise UserError(
                "there are no tokens here",
                expected=f"a folder with {INDEX}",
                where=str(folder),
                hint="run a recipe with a tokens: section, or give the tokens/ folder of a run",
            ) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                "the index of the tokens is damaged",
                expected=f"{FORMAT}, version {VERSION}",
                found=f"{type(error).__name__}: {error}",
                where=str(path),
                hint="build the tokens again",
            ) from None

    def split(self, name: str, where: Path) -> tuple[TokenFile, ...]:
        """The files of a split.

        Raises:
            UserError: there is no such split.
        """
        if name not in self.files:
            raise UserError(
                f"there is no split {name}",
                expected=" or ".join(self.files),
                where=str(where),
                hint=f"give it a fraction in the recipe: tokens: {{split: {{{name}: 0.01}}}}",
            )
        return self.files[name]


_PLAIN = ("seq_len", "dtype", "vocab_size", "eos_id", "tokenizer_sha256", "documents", "failed")
