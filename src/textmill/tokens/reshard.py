"""The same tokens in shards of another size: cut by tokens, so that every shard is as long as the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textmill.errors import UserError
from textmill.tokens.document_tables import table_path
from textmill.tokens.numbered_shards import list_shards, shard_numbers, total_tokens
from textmill.tokens.shard_filler import FilledShard, ShardFiller
from textmill.tokens.shard_manifest import ShardManifest


def reshard(
    folder: Path, output: Path, *, shard_tokens: int | None = None, shards: int | None = None
) -> list[FilledShard]:
    """Write the tokens of ``folder`` to ``output``, in their order, in shards of equal length.

    Tables of documents come along when every shard has one.

    Args:
        folder: holds ``train_%06d.npy``.
        output: another folder, without shards.
        shard_tokens: tokens of every shard but the last.
        shards: or how many shards; they differ by less than one token each.

    Raises:
        UserError: no shards, damaged ones, or shards in ``output`` already.
    """
    inputs = list_shards(folder)
    if shard_numbers(output):
        raise UserError(
            "The output folder holds shards already.",
            expected="a folder without train_%06d.npy",
            found=f"{len(shard_numbers(output))} shards",
            where=str(output),
            hint="name another folder",
        )
    if (shard_tokens is None) == (shards is None):
        raise UserError(
            "How large shall the shards be?", expected="exactly one of --shard-tokens and --shards"
        )
    tokens = total_tokens(inputs)
    size = shard_tokens or -(-tokens // max(1, shards or 1))
    output.mkdir(parents=True, exist_ok=True)
    for leftover in output.glob("train_*.partial"):
        leftover.unlink()
    tables = all(table_path(shard.path).is_file() for shard in inputs)
    made: list[FilledShard] = []
    filler = ShardFiller(
        output, inputs[0].dtype.name, max(1, size), lambda shard, _: made.append(shard), tables=tables
    )
    for shard in inputs:
        filler.fill(shard.path, 0, shard.tokens, whole=False)
    filler.close()
    manifest = ShardManifest.read(folder)
    if manifest is not None and tables:
        replace(manifest, shard_tokens=size, shards=tuple(made)).write(output)
    return made
