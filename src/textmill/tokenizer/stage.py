"""The tokenizer section at work: train or take over, write the folder, measure."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer.folder import (
    CONFIG,
    SPECIAL_TOKENS,
    TOKENIZER,
    read_end_token,
    read_object,
    tokenizer_files,
    write_config,
)
from textmill.tokenizer.load import load_encoder
from textmill.tokenizer.sampling import sample_evenly, sample_texts
from textmill.tokenizer.training import train_bpe

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext
    from textmill.tokenizer.settings import TokenizerSection

# Bytes of text on which bytes_per_token is measured; the exact figure of a corpus comes from its tokens.
MEASURED_BYTES = 2 * 2**20


def run_tokenizer(settings: TokenizerSection, context: StageContext) -> StageResult:
    """Write ``tokenizer/`` and say what the tokenizer is like. An interrupted attempt is begun anew.

    Raises:
        UserError: no documents to train on, or no usable tokenizer to take over.
    """
    documents = context.upstream("documents")
    shards = [context.local(path) for path in documents.outputs]
    with tempfile.TemporaryDirectory(dir=context.scratch, prefix="tokenizer-") as name:
        folder = Path(name)
        if settings.train is not None:
            trained_on = _train(settings, context, shards, folder)
        else:
            trained_on = 0
            _take_over(settings, folder)
        encoder = load_encoder(folder)
        numbers: dict[str, Any] = {
            "vocab_size": encoder.vocab_size,
            "eos_id": encoder.eos_id,
            "eos_token": encoder.eos_token,
            "lossless": encoder.lossless,
            "bytes_per_token": _bytes_per_token(encoder, shards),
        }
        if settings.train is not None:
            numbers["trained_on_bytes"] = trained_on
            numbers["pattern"] = settings.train.pattern
        names = sorted(path.name for path in folder.iterdir())
        # A file that an earlier attempt left and this one does not write would still be loaded.
        kept = {f"tokenizer/{name}" for name in names}
        for path in context.published("tokenizer"):
            if path not in kept:
                context.remove(path)
        outputs = [context.publish(folder / name, f"tokenizer/{name}") for name in names]
    return StageResult(outputs, numbers)


def _train(settings: TokenizerSection, context: StageContext, shards: list[Path], folder: Path) -> int:
    training = settings.train
    assert training is not None
    corpus_bytes = int(context.upstream("documents").numbers["text_bytes"])
    if corpus_bytes == 0:
        raise UserError(
            "there is no text to train a tokenizer on",
            expected="documents that the curate: steps keep",
            found=f"{len(shards)} shards with no text",
            hint="textmill status shows which step dropped them",
        )
    if corpus_bytes > training.sample_bytes:
        context.say(
            f"training the tokenizer on a sample by document id: {training.sample_bytes:,} of "
            f"{corpus_bytes:,} bytes (tokenizer.train.sample_bytes)"
        )
    seen = 0

    def texts() -> Any:
        nonlocal seen
        stream = sample_texts(
            shards,
            sample_bytes=training.sample_bytes,
            corpus_bytes=corpus_bytes,
            seed=context.seed,
            read=lambda done: context.progress("reading text for the tokenizer", done, len(shards)),
        )
        for text in stream:
            seen += len(text.encode())
            yield text

    try:
        content = train_bpe(
            texts(),
            vocab_size=training.vocab_size,
            pattern=training.pattern,
            eos_token=settings.end_token,
            special_tokens=training.special_tokens,
            min_frequency=training.min_frequency,
        )
    except ValueError as error:
        raise UserError(
            "the tokenizer cannot be trained",
            found=str(error),
            where="tokenizer:",
            hint="choose a spelling that no text holds as one word, like <|name|>",
        ) from None
    (folder / TOKENIZER).write_text(content, "utf-8")
    write_config(folder, settings.end_token, list(training.special_tokens), {})
    size = load_encoder(folder).vocab_size
    if size < training.vocab_size:
        context.say(
            f"the tokenizer has {size:,} entries, not {training.vocab_size:,}: the text holds no more pairs "
            f"that occur {training.min_frequency} times"
        )
    return seen


def _take_over(settings: TokenizerSection, folder: Path) -> None:
    path = Path(settings.use or "")
    files = tokenizer_files(path)
    for name, file in files.items():
        shutil.copyfile(file, folder / name)
    encoder = load_encoder(path, settings.eos_token)
    own_end_token = read_end_token({CONFIG: folder / CONFIG}) if CONFIG in files else None
    if own_end_token != encoder.eos_token or SPECIAL_TOKENS not in files:
        base = read_object(folder / CONFIG) if CONFIG in files else {}
        specials = base.get("additional_special_tokens") or []
        write_config(folder, encoder.eos_token, specials, base)


def _bytes_per_token(encoder: Any, shards: list[Path]) -> float | None:
    """Bytes of text per token over some evenly spaced documents; None when there is no text."""
    from textmill.tokenizer.encode import EncodingError

    text_bytes = tokens = 0
    for text in sample_evenly(shards, texts_bytes=MEASURED_BYTES):
        try:
            ids, _ = encoder.encode_batch([text])
        except EncodingError:
            continue
        text_bytes += len(text.encode())
        tokens += len(ids)
    return round(text_bytes / tokens, 4) if tokens else None
