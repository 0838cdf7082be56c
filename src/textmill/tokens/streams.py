"""Tokens on disk, whatever made them, as one stream: what training reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textmill.errors import UserError
from textmill.tokens.borders import Borders, document_borders
from textmill.tokens.consolidated import TOKENS_BIN, ConsolidatedTokens
from textmill.tokens.dataset import TokenSet
from textmill.tokens.index import INDEX
from textmill.tokens.numbered_shards import shard_numbers
from textmill.tokens.numbered_stream import NumberedTokens
from textmill.tokens.windows import TokenStream


@dataclass(frozen=True)
class OpenedTokens:
    """A stream of tokens and what is known of it.

    Attributes:
        stream: the tokens.
        folder: where they lie.
        split: which split of a run they are; ``train`` for other folders.
        vocab_size: every id is below it; None if nobody wrote that down.
        eos_id: ends every document; None if nobody wrote that down.
        documents: their number, if it is known.
        text_bytes: UTF-8 bytes of the documents, if that is known.
    """

    stream: TokenStream
    folder: Path
    split: str
    vocab_size: int | None
    eos_id: int | None
    documents: int | None
    text_bytes: int | None

    def borders(self) -> Borders | None:
        """Where documents begin; None if there are no tables of documents."""
        try:
            return document_borders(self.folder, self.split)
        except UserError:
            return None

    @property
    def stops_per_token(self) -> float:
        """End-of-text tokens per token, if the number of documents is known; else 0."""
        return self.documents / self.stream.tokens if self.documents and self.stream.tokens else 0.0


def open_tokens(folder: Path, split: str = "train") -> OpenedTokens:
    """Open the tokens of a folder: of a run, numbered shards, or consolidated files.

    Args:
        folder: a run folder or its ``tokens/``, a folder with ``train_000000.npy``, or one with ``tokens.bin``.
        split: of a run.

    Raises:
        UserError: there are no tokens, or they are damaged.
    """
    inside = folder / "tokens"
    if not (folder / INDEX).is_file() and (inside / INDEX).is_file():
        folder = inside
    if (folder / INDEX).is_file():
        run = TokenSet(folder, split)
        return OpenedTokens(run, folder, split, run.vocab_size, run.eos_id, run.documents, run.text_bytes)
    if (folder / TOKENS_BIN).is_file():
        return OpenedTokens(ConsolidatedTokens(folder), folder, "train", None, None, None, None)
    if shard_numbers(folder):
        shards = NumberedTokens(folder)
        known = shards.manifest
        return OpenedTokens(
            shards,
            folder,
            "train",
            known.vocab_size if known else None,
            known.eos_id if known else None,
            known.documents if known else None,
            known.text_bytes if known else None,
        )
    raise UserError(
        "there are no tokens here",
        where=str(folder),
        expected=f"a run's tokens/ ({INDEX}), train_000000.npy, or {TOKENS_BIN}",
        found="none of them" if folder.is_dir() else "no such folder",
    )
