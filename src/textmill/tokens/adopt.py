"""Tokens that were made elsewhere, as the ``tokens/`` of a run: what a training reads.

::

    train_000000.npy, … ────────────────────────────┐ linked, not copied
    train.seq (lines of ids), tokens.bin ─► import ─┴─► tokens/index.json, tokens/train/000000-….npy
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq

from textmill.errors import UserError
from textmill.tokens.build import token_dtype
from textmill.tokens.consolidated import TOKENS_BIN
from textmill.tokens.document_tables import table_path
from textmill.tokens.import_tokens import ImportPlan, import_tokens
from textmill.tokens.index import INDEX, TokenFile, TokenIndex
from textmill.tokens.numbered_shards import list_shards, shard_numbers
from textmill.tokens.shard_manifest import ShardManifest
from textmill.tokens.shard_writer import sha256_of


def is_tokens(path: Path) -> bool:
    """Whether a path is tokens already: a run or its ``tokens/``, numbered shards, ``tokens.bin``, a ``.seq`` file."""
    if path.is_file():
        return path.suffix == ".seq" or path.name == TOKENS_BIN
    inside = (INDEX, f"tokens/{INDEX}", TOKENS_BIN)
    return path.is_dir() and (any((path / name).is_file() for name in inside) or bool(shard_numbers(path)))


def adopt_tokens(
    path: Path,
    folder: Path,
    *,
    seq_len: int,
    vocab_size: int | None = None,
    eos_id: int | None = None,
    held_out: Path | None = None,
) -> TokenIndex:
    """Make ``folder`` the ``tokens/`` of a run whose tokens were made elsewhere.

    Args:
        path: anything that :func:`is_tokens` takes.
        folder: created; what an earlier call left there is replaced.
        seq_len: tokens of a sample.
        vocab_size: every id is below it; what the tokens' own manifest says if left out.
        eos_id: ends every document; what the manifest says if left out.
        held_out: tokens of the validation split, likewise.

    Raises:
        UserError: no tokens there, no vocabulary or end-of-text token known, an id out of range, or two parts that do
            not belong together.
    """
    index = _index_of(path)
    if index is not None and held_out is None:
        source = index.parent
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder, copy_function=_link)
        return TokenIndex.read(folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files: dict[str, tuple[TokenFile, ...]] = {}
    parts = {"train": path, **({} if held_out is None else {"validation": held_out})}
    for split, where in parts.items():
        shards = _shards(where, folder.parent / f"{folder.name}-{split}", vocab_size, eos_id)
        manifest = ShardManifest.read(shards)
        if manifest is not None:
            vocab_size = vocab_size or manifest.vocab_size
            eos_id = manifest.eos_id if eos_id is None else eos_id
        files[split] = tuple(_adopted(shards, folder, split))
    if vocab_size is None or eos_id is None:
        raise UserError(
            "nobody wrote down which vocabulary these tokens are of",
            where=str(path),
            expected="a model or a tokenizer that says so",
            hint="name it: --tokenizer FOLDER",
        )
    made = TokenIndex(
        seq_len=seq_len,
        dtype=_one_dtype(folder, files),
        vocab_size=vocab_size,
        eos_id=eos_id,
        tokenizer_sha256="",
        documents=sum(file.documents for split in files.values() for file in split),
        failed=0,
        failures=(),
        files=files,
    )
    made.write(folder / INDEX)
    return made


def _index_of(path: Path) -> Path | None:
    found = (path / name for name in (INDEX, f"tokens/{INDEX}"))
    return next((file for file in found if file.is_file()), None)


def _shards(path: Path, imported: Path, vocab_size: int | None, eos_id: int | None) -> Path:
    """A folder of numbered shards; imported ones are made again each time, for nothing tells what they were made of."""
    if path.is_dir() and shard_numbers(path):
        return path
    if path.is_dir() and (path / TOKENS_BIN).is_file():
        path = path / TOKENS_BIN
    if not path.is_file() or not is_tokens(path):
        raise UserError(
            "there are no tokens here",
            where=str(path),
            expected=f"a run's tokens/, train_000000.npy, {TOKENS_BIN}, or a .seq file",
            found="none of them" if path.exists() else "no such file",
        )
    shutil.rmtree(imported, ignore_errors=True)
    kind = "seq" if path.suffix == ".seq" else "raw"
    width = token_dtype(vocab_size) if kind == "raw" and vocab_size else None
    import_tokens(
        ImportPlan(path, kind, imported, vocab_size=vocab_size, eos_id=eos_id, source_dtype=width)  # type: ignore[arg-type]
    )
    return imported


def _adopted(shards: Path, folder: Path, split: str) -> list[TokenFile]:
    (folder / split).mkdir()
    files = []
    manifest = ShardManifest.read(shards)
    known = {one.name: one for one in manifest.shards} if manifest else {}
    for number, shard in enumerate(list_shards(shards)):
        said = known.get(shard.path.name)
        digest = said.sha256 if said else sha256_of(shard.path)
        name = f"{split}/{number:06d}-{digest[:16]}.npy"
        _link(shard.path, folder / name)
        table = table_path(shard.path)
        if not table.is_file():
            raise UserError(
                "it is not known where documents begin in these tokens",
                where=str(shard.path),
                expected=table.name,
                found="no such file",
                hint="import them with their end-of-text token: textmill tokens import --eos-id N",
            )
        table_digest = (said and said.documents_sha256) or sha256_of(table)
        table_name = f"{split}/{number:06d}-{table_digest[:16]}.documents.parquet"
        _link(table, folder / table_name)
        rows = pq.read_table(table, columns=["bytes"])
        files.append(
            TokenFile(
                path=name,
                sha256=digest,
                tokens=shard.tokens,
                documents_path=table_name,
                documents_sha256=table_digest,
                documents=rows.num_rows,
                text_bytes=sum(rows["bytes"].to_pylist()),
            )
        )
    return files


def _one_dtype(folder: Path, files: dict[str, tuple[TokenFile, ...]]) -> str:
    from textmill.tokens.numbered_shards import read_header

    kinds = {read_header(folder / file.path).dtype.name for split in files.values() for file in split}
    if len(kinds) > 1:
        raise UserError(
            "training and validation tokens are of two types",
            found=" and ".join(sorted(kinds)),
            hint="import both with the same --token-dtype",
        )
    return kinds.pop()


def _link(source: str | Path, target: str | Path) -> str:
    """A hard link where that works, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    return str(target)
