"""How many tokens there are, and where: per shard, per source, per language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset

from textmill.tokens.document_tables import table_path
from textmill.tokens.index import INDEX, TokenIndex
from textmill.tokens.numbered_shards import list_shards


@dataclass(frozen=True)
class ShardCount:
    """A shard: its split (``train`` where there are no others), file and tokens."""

    split: str
    name: str
    tokens: int


@dataclass(frozen=True)
class GroupCount:
    """Documents, tokens and bytes of text of one source and language (None: not named)."""

    source: str | None
    language: str | None
    documents: int
    tokens: int
    text_bytes: int


@dataclass(frozen=True)
class TokenCounts:
    """What :func:`count_tokens` found.

    Attributes:
        shards: in order.
        groups: most tokens first; empty when nothing says which document comes from where.
    """

    shards: tuple[ShardCount, ...]
    groups: tuple[GroupCount, ...]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(shard.tokens for shard in self.shards)

    def unevenness(self) -> float:
        """How much longer the longest shard is than the mean: 0.0 when all are equal.

        The last shard of a split, which holds the rest, counts only where there is no other.
        """
        sizes = [
            shard.tokens
            for shard, after in zip(self.shards, [*self.shards[1:], None], strict=True)
            if after is not None and after.split == shard.split
        ] or [shard.tokens for shard in self.shards]
        mean = sum(sizes) / len(sizes) if sizes else 0
        return max(sizes) / mean - 1 if mean else 0.0


def count_tokens(folder: Path, documents: Sequence[Path] = ()) -> TokenCounts:
    """Counts of a folder of numbered shards, or of a run's ``tokens/`` folder.

    Args:
        folder: either of the two.
        documents: for a run: its shards of documents, which name the sources.

    Raises:
        UserError: neither is there.
    """
    if (folder / INDEX).is_file():
        index = TokenIndex.read(folder)
        shards = tuple(
            ShardCount(split, file.path, file.tokens)
            for split, files in index.files.items()
            for file in files
        )
        tables = [folder / file.documents_path for files in index.files.values() for file in files]
        return TokenCounts(shards, _groups_of_run(tables, documents) if documents else ())
    numbered = list_shards(folder)
    tables = [table_path(shard.path) for shard in numbered]
    return TokenCounts(
        tuple(ShardCount("train", shard.path.name, shard.tokens) for shard in numbered),
        _groups(tables) if all(path.is_file() for path in tables) else (),
    )


_SUMS = "count(*), sum(length)::BIGINT, sum(bytes)::BIGINT"


def _groups(tables: Sequence[Path]) -> tuple[GroupCount, ...]:
    return _query({"tables": tables}, f"SELECT source, language, {_SUMS} FROM tables GROUP BY ALL")


def _groups_of_run(tables: Sequence[Path], documents: Sequence[Path]) -> tuple[GroupCount, ...]:
    return _query(
        {"tables": tables, "documents": documents},
        f"SELECT source, json_extract_string(metadata, '$.language') AS language, {_SUMS} "
        "FROM documents JOIN tables USING (id) GROUP BY ALL",
    )


def _query(tables: dict[str, Sequence[Path]], query: str) -> tuple[GroupCount, ...]:
    import duckdb

    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        for name, paths in tables.items():
            connection.register(
                name, pyarrow.dataset.dataset([str(path) for path in paths], format="parquet")
            )
        rows = connection.execute(f"{query} ORDER BY 4 DESC, 1, 2").fetchall()
    return tuple(GroupCount(*row) for row in rows)
