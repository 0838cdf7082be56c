"""How many tokens there are, and where: per shard and split, per source, per language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """Documents, tokens and bytes of text of one split, source and language (None: not named)."""

    split: str
    source: str | None
    language: str | None
    documents: int
    tokens: int
    text_bytes: int


@dataclass(frozen=True)
class SplitCount:
    """One split: its shards and tokens.

    Attributes:
        name: of the split.
        shards: how many.
        tokens: in all of them.
        unevenness: how much longer the longest shard is than the mean: 0.0 when all are equal. The last
            shard, which holds the rest, counts only where there is no other.
    """

    name: str
    shards: int
    tokens: int
    unevenness: float


@dataclass(frozen=True)
class TokenCounts:
    """What :func:`count_tokens` found.

    Attributes:
        shards: in order, split by split.
        groups: split by split, most tokens first; empty when nothing says which document comes from where.
    """

    shards: tuple[ShardCount, ...]
    groups: tuple[GroupCount, ...]

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def splits(self) -> list[SplitCount]:
        """Each split by itself, in order."""
        sizes: dict[str, list[int]] = {}
        for shard in self.shards:
            sizes.setdefault(shard.split, []).append(shard.tokens)
        return [SplitCount(name, len(each), sum(each), _unevenness(each)) for name, each in sizes.items()]


def _unevenness(sizes: Sequence[int]) -> float:
    sizes = sizes[:-1] or sizes
    mean = sum(sizes) / len(sizes)
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
        tables = {
            split: [folder / file.documents_path for file in files] for split, files in index.files.items()
        }
        return TokenCounts(shards, _groups_of_run(tables, documents) if documents else ())
    numbered = list_shards(folder)
    paths = [table_path(shard.path) for shard in numbered]
    return TokenCounts(
        tuple(ShardCount("train", shard.path.name, shard.tokens) for shard in numbered),
        _groups({"train": paths}) if all(path.is_file() for path in paths) else (),
    )


_SUMS = "count(*), sum(length)::BIGINT, sum(bytes)::BIGINT"


def _groups(tables: Mapping[str, Sequence[Path]]) -> tuple[GroupCount, ...]:
    return _query(tables, f"SELECT source, language, {_SUMS} FROM tokens GROUP BY ALL")


def _groups_of_run(tables: Mapping[str, Sequence[Path]], documents: Sequence[Path]) -> tuple[GroupCount, ...]:
    return _query(
        tables,
        f"SELECT source, json_extract_string(metadata, '$.language') AS language, {_SUMS} "
        "FROM documents JOIN tokens USING (id) GROUP BY ALL",
        documents,
    )


def _query(
    tables: Mapping[str, Sequence[Path]], query: str, documents: Sequence[Path] = ()
) -> tuple[GroupCount, ...]:
    import duckdb

    groups: list[GroupCount] = []
    with duckdb.connect(config={"memory_limit": "1GB", "threads": 2}) as connection:
        _register(connection, "documents", documents)
        for split, paths in tables.items():
            if paths:
                _register(connection, "tokens", paths)
                rows = connection.execute(f"{query} ORDER BY 4 DESC, 1, 2").fetchall()
                groups += [GroupCount(split, *row) for row in rows]
    return tuple(groups)


def _register(connection: Any, name: str, paths: Sequence[Path]) -> None:
    if paths:
        connection.register(name, pyarrow.dataset.dataset([str(path) for path in paths], format="parquet"))
