"""The feed that the settings mean: token folders opened, cut into windows, mixed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from textmill.errors import UserError
from textmill.tokens.dataset import TokenSet
from textmill.tokens.index import INDEX
from textmill.tokens.window_kinds import cut_windows
from textmill.tokens.windows import Windows
from textmill.train.feed import Samples, WindowFeed
from textmill.train.settings import TrainSection


@dataclass(frozen=True)
class TrainingData:
    """What a training reads.

    Attributes:
        feed: batches.
        validation: held-out windows by source; empty if nothing was held out.
        vocab_size: every id is below it.
        eos_id: id after each document.
        seq_len: tokens of a window.
        tokens: training tokens of all sources.
        digest: SHA-256 over the manifests of all sources; of one source it is that of its ``index.json``.
        documents: documents of all sources.
    """

    feed: WindowFeed
    validation: dict[str, Samples]
    vocab_size: int
    eos_id: int
    seq_len: int
    tokens: int
    digest: str
    documents: int

    @property
    def stops_per_token(self) -> float:
        """End-of-text tokens per token: each document has one."""
        return self.documents / max(1, self.tokens)


def open_data(
    settings: TrainSection, folder: Path | None, seed: int, scratch: Path | None = None
) -> TrainingData:
    """Open the tokens that settings train on.

    Args:
        settings: resolved.
        folder: the ``tokens/`` of the run itself; None if only the mixture names folders.
        seed: of the order.
        scratch: where a packing is kept while it is used; in memory if left out.

    Raises:
        UserError: tokens are missing, too few, or made with another tokenizer than their neighbours.
    """
    folders = {"": folder}
    weights = [1.0]
    if settings.mixture is not None:
        own = [None if source.tokens is None else Path(source.tokens) for source in settings.mixture]
        folders = {_name(path): path or folder for path in own}
        weights = [source.weight for source in settings.mixture]
        if len(folders) < len(weights):
            raise UserError("a set of tokens is named twice", where="train.mixture", found=", ".join(folders))
    sets = {name: TokenSet(_there(path), "train", settings.seq_len) for name, path in folders.items()}
    first = next(iter(sets.values()))
    for name, tokens in sets.items():
        if (tokens.vocab_size, tokens.eos_id) != (first.vocab_size, first.eos_id):
            raise UserError(
                "these tokens were made with different tokenizers",
                where="train.mixture",
                expected=f"a vocabulary of {first.vocab_size:,}, end of document {first.eos_id}",
                found=f"{tokens.vocab_size:,} and {tokens.eos_id} in {name}",
                hint="encode all of them with one tokenizer (tokenizer: {use: …})",
            )
    length = first.seq_len
    if settings.stride >= length:
        raise UserError(
            "windows that overlap by their whole length never move on",
            where="train.stride",
            expected=f"less than the {length} tokens of a window",
            found=str(settings.stride),
        )
    windows = {
        name: _windows(settings, sets[name], _there(path), length, scratch) for name, path in folders.items()
    }
    feed = WindowFeed(
        windows,
        batch_size=settings.batch_size or 1,
        seed=seed,
        weights=weights,
        mask_documents=settings.mask_documents,
    )
    return TrainingData(
        feed,
        _held_out(settings, folders),
        first.vocab_size,
        first.eos_id,
        length,
        sum(tokens.tokens for tokens in sets.values()),
        _digest(list(folders.values())),
        sum(tokens.documents for tokens in sets.values()),
    )


def _windows(
    settings: TrainSection, tokens: TokenSet, folder: Path, length: int, scratch: Path | None
) -> Windows:
    return cut_windows(
        settings.windows,
        tokens,
        folder,
        length,
        stride=settings.stride,
        min_tokens=settings.min_tokens,
        borders=settings.mask_documents,
        cache=scratch / f"packing-{folder.parent.name}" if scratch else None,
    )


def _held_out(settings: TrainSection, folders: dict[str, Path | None]) -> dict[str, Samples]:
    found: dict[str, Samples] = {}
    for name, path in folders.items():
        try:
            samples = TokenSet(_there(path), "validation", settings.seq_len)
        except UserError:
            continue  # this one holds nothing out
        if len(samples):
            found[name or "validation"] = samples
    return found


def _digest(folders: list[Path | None]) -> str:
    digests = [hashlib.sha256((_there(path) / INDEX).read_bytes()).hexdigest() for path in folders]
    return digests[0] if len(digests) == 1 else hashlib.sha256(" ".join(digests).encode()).hexdigest()


def _name(path: Path | None) -> str:
    """A name for a set of tokens: its run's folder."""
    if path is None:
        return "own"
    return path.parent.name if path.name == "tokens" else path.name


def _there(path: Path | None) -> Path:
    if path is None:
        raise UserError(
            "there are no tokens of the run itself",
            where="train.mixture",
            hint="name a folder of tokens for every source, or add sections tokenizer: and tokens:",
        )
    return path
