"""Tokens of other tools into numbered shards: the other direction of :mod:`textmill.tokens.export`.

::

    ds, megatron ─► documents by their index ─┐
    raw, seq, hf, templar ─► by --eos-id, or ─┴─► train_000000.npy + .documents.parquet, tokens.json
                             unknown ─────────► train_000000.npy

Shards appear when all of them are complete. Memory: one batch of documents, or the longest document.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.documents.identity import document_id
from textmill.errors import UserError
from textmill.tokens.build import token_dtype
from textmill.tokens.export import Format
from textmill.tokens.folder_lock import only_writer
from textmill.tokens.numbered_shards import shard_numbers
from textmill.tokens.part_files import Rows, table_of
from textmill.tokens.shard_filler import FilledShard, ShardFiller
from textmill.tokens.shard_manifest import ShardManifest
from textmill.tokens.token_readers import Piece, read_tokens, source_dtype


@dataclass(frozen=True)
class ImportPlan:
    """What to import.

    Attributes:
        path: file, folder or prefix, as the format has it.
        kind: the format.
        output: folder of the shards.
        shard_tokens: tokens of every shard but the last.
        token_dtype: uint16 or uint32 of the shards; by the vocabulary or the source's if left out.
        source_dtype: of headerless files; uint16 if left out.
        vocab_size: every id must be below it; the highest id and one if left out.
        eos_id: ends every document.
        append_eos: put it after each document that an index lists and that lacks it.
        seq_len: tokens per sample id of ``templar``.
        column: of ``hf``.
    """

    path: Path
    kind: Format
    output: Path
    shard_tokens: int = 1024**3
    token_dtype: str | None = None
    source_dtype: str | None = None
    vocab_size: int | None = None
    eos_id: int | None = None
    append_eos: bool = False
    seq_len: int = 2048
    column: str = "input_ids"


def import_tokens(plan: ImportPlan) -> list[FilledShard]:
    """Write the shards; ``tokens.json`` too where it is known what ends a document.

    Raises:
        UserError: a file is missing, cut short or of another format; an id out of range; a document without
            the end-of-text token; shards in the output folder.
    """
    if shard_numbers(plan.output):
        raise UserError(
            "The output folder holds shards already.",
            expected="a folder without train_%06d.npy",
            where=str(plan.output),
            hint="name another folder",
        )
    dtype = plan.token_dtype or (token_dtype(plan.vocab_size) if plan.vocab_size else source_dtype(plan))
    plan.output.mkdir(parents=True, exist_ok=True)
    partial = plan.output / ".importing"
    with only_writer(plan.output):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            shards = _import(plan, partial, dtype)
            for path in sorted(partial.iterdir(), key=lambda path: path.name == "tokens.json"):
                path.replace(plan.output / path.name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return shards


def _import(plan: ImportPlan, folder: Path, dtype: str) -> list[FilledShard]:
    made: list[FilledShard] = []
    pieces = _checked(plan, read_tokens(plan), dtype)
    first = next(pieces, None)
    if first is None:
        raise UserError("There are no tokens here.", where=str(plan.path))
    tables = first.lengths is not None
    filler = ShardFiller(
        folder, dtype, plan.shard_tokens, lambda shard, _place: made.append(shard), tables=tables
    )
    documents = highest = ended = 0
    for tokens, lengths in chain([first], pieces):
        if lengths is None:
            filler.add(tokens)
        else:
            filler.add(tokens, table_of(_rows(plan, documents, lengths), 0))
            documents += len(lengths)
        highest = max(highest, int(tokens.max()))
        ended = int(tokens[-1])
    filler.close()
    if plan.eos_id is not None and tables:
        ShardManifest(
            dtype=dtype,
            vocab_size=plan.vocab_size or max(highest, plan.eos_id) + 1,
            eos_id=plan.eos_id,
            eos_token=None,
            tokenizer_sha256=None,
            shard_tokens=plan.shard_tokens,
            failed=0,
            cut=ended != plan.eos_id,
            shards=tuple(made),
        ).write(folder)
    return made


def _checked(plan: ImportPlan, pieces: Iterator[Piece], dtype: str) -> Iterator[Piece]:
    limit = min(plan.vocab_size or 2**32, 2 ** int(dtype.removeprefix("uint")))
    place = 0
    for piece in pieces:
        tokens, lengths = piece
        if not len(tokens):
            continue
        for wrong in (int(tokens.min()), int(tokens.max())):
            if not 0 <= wrong < limit:
                raise UserError(
                    "A token id is out of range.",
                    expected=f"ids from 0 to {limit - 1:,}",
                    found=f"{wrong} among the tokens from {place:,} on",
                    where=str(plan.path),
                    hint="name the right --vocab-size, --token-dtype or --source-dtype",
                )
        place += len(tokens)
        if lengths is not None and plan.eos_id is not None and plan.kind in ("ds", "megatron"):
            tokens, lengths = _ended(plan, tokens, lengths)
        yield Piece(tokens, lengths)


def _ended(
    plan: ImportPlan, tokens: npt.NDArray[Any], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Documents of an index, each with the end-of-text token."""
    assert plan.eos_id is not None
    ends = np.cumsum(lengths)
    lacking = tokens[ends - 1] != plan.eos_id
    if lacking.any() and not plan.append_eos:
        raise UserError(
            "A document does not end in the end-of-text token.",
            expected=str(plan.eos_id),
            found=f"{int(tokens[ends - 1][lacking][0])} at the end of a document",
            where=str(plan.path),
            hint="add --append-eos, or name the right --eos-id",
        )
    if int(np.count_nonzero(tokens == plan.eos_id)) != len(lengths) - int(lacking.sum()):
        raise UserError(
            "The end-of-text token stands inside of a document.",
            expected=f"{plan.eos_id} at the end of documents only",
            where=str(plan.path),
            hint="name the right --eos-id, or leave it out",
        )
    return np.insert(tokens, ends[lacking], plan.eos_id), lengths + lacking


def _rows(plan: ImportPlan, first: int, lengths: npt.NDArray[np.int64]) -> Rows:
    count = len(lengths)
    ids = [document_id(plan.path.name, str(number)) for number in range(first, first + count)]
    return Rows(ids, lengths, np.zeros(count, np.int64), [plan.path.name] * count, [None] * count)
