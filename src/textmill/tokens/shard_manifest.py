"""``tokens.json``: what a folder of numbered shards holds, and what made it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from textmill.errors import UserError
from textmill.tokens.shard_filler import FilledShard

NAME = "tokens.json"
FORMAT = "textmill-token-shards"
VERSION = 1


@dataclass(frozen=True)
class ShardManifest:
    """The contents of ``tokens.json``.

    Attributes:
        dtype: uint16 or uint32, of every shard.
        vocab_size: every id is below it.
        eos_id: stands after each document and nowhere else.
        eos_token: its spelling; None for imported tokens.
        tokenizer_sha256: of the ``tokenizer.json`` that made the ids; None for imported tokens.
        shard_tokens: tokens of every shard but the last.
        failed: records that could not be read or encoded; ``failures.jsonl`` says why.
        cut: whether the budget of tokens cut the last document short.
        shards: in order.
        shuffle_seed: documents stand in the order of their hash with this key; None: in that of the input.
    """

    dtype: str
    vocab_size: int
    eos_id: int
    eos_token: str | None
    tokenizer_sha256: str | None
    shard_tokens: int
    failed: int
    cut: bool
    shards: tuple[FilledShard, ...]
    shuffle_seed: int | None = None

    @property
    def tokens(self) -> int:
        """Tokens of all shards."""
        return sum(shard.tokens for shard in self.shards)

    @property
    def documents(self) -> int:
        """Documents of all shards, each counted where it starts."""
        return sum(shard.documents for shard in self.shards)

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of these documents."""
        return sum(shard.text_bytes for shard in self.shards)

    def write(self, folder: Path) -> None:
        """Write it; the file appears whole or not at all."""
        value = {"format": FORMAT, "version": VERSION, **asdict(self)}
        value |= {"tokens": self.tokens, "documents": self.documents, "text_bytes": self.text_bytes}
        partial = folder / f"{NAME}.partial"
        partial.write_text(json.dumps(value, indent=1) + "\n", "utf-8")
        partial.replace(folder / NAME)

    @classmethod
    def read(cls, folder: Path) -> ShardManifest | None:
        """The manifest of a folder; None when it has none.

        Raises:
            UserError: it is damaged or of another format.
        """
        path = folder / NAME
        if not path.is_file():
            return None
        try:
            value = json.loads(path.read_text("utf-8"))
            if (value["format"], value["version"]) != (FORMAT, VERSION):
                raise ValueError(f"not {FORMAT}, version {VERSION}")
            fields = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
            return cls(**fields | {"shards": tuple(FilledShard(**shard) for shard in value["shards"])})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{NAME} is damaged.", found=str(error), where=str(path), hint="build the shards again"
            ) from None
