"""The tokenizer section at work: train or take over, write the folder, measure."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textmill.errors import UserError
from textmill.steps.stage import StageResult
from textmill.tokenizer.chat import chat_template
from textmill.tokenizer.counting import TokenCounter
from textmill.tokenizer.folder import (
    CONFIG,
    MERGES,
    SENTENCEPIECE,
    SPECIAL_TOKENS,
    TIKTOKEN,
    TOKENIZER,
    read_end_token,
    read_object,
    write_config,
)
from textmill.tokenizer.languages import LanguageGuesser
from textmill.tokenizer.load import find_tokenizer, load_encoder, why_not_compiled
from textmill.tokenizer.patterns import Cuts, pattern_of
from textmill.tokenizer.sampling import sample_by_group, sample_evenly, sample_texts
from textmill.tokenizer.training import train

if TYPE_CHECKING:
    from textmill.steps.stage import StageContext
    from textmill.tokenizer.bpe.runs import Cut
    from textmill.tokenizer.encode import Encoder
    from textmill.tokenizer.settings import TokenizerSection, TokenizerTraining

# Bytes of text on which the tokenizer is measured; the exact figure of a corpus comes from its tokens.
MEASURED_BYTES = 2 * 2**20
# Languages named in the numbers, most text first; the manifest is no place for all 176.
MEASURED_LANGUAGES = 40


def run_tokenizer(settings: TokenizerSection, context: StageContext) -> StageResult:
    """Write ``tokenizer/`` and say what the tokenizer is like. An interrupted attempt is begun anew.

    Raises:
        UserError: no documents to train on, or no usable tokenizer to take over.
    """
    documents = context.upstream("documents")
    shards = [context.local(path) for path in documents.outputs]
    with tempfile.TemporaryDirectory(dir=context.scratch, prefix="tokenizer-") as name:
        folder = Path(name)
        facts: dict[str, Any] = {}
        if settings.train is not None:
            facts = _train(settings, settings.train, context, shards, folder)
        else:
            _take_over(settings, context, folder)
        encoder = load_encoder(folder)
        numbers: dict[str, Any] = {
            "vocab_size": encoder.vocab_size,
            "eos_id": encoder.eos_id,
            "eos_token": encoder.eos_token,
            "lossless": encoder.lossless,
            **_measured(encoder, shards),
            **facts,
        }
        names = sorted(path.name for path in folder.iterdir())
        # A file that an earlier attempt left and this one does not write would still be loaded.
        kept = {f"tokenizer/{name}" for name in names}
        for path in context.published("tokenizer"):
            if path not in kept:
                context.remove(path)
        outputs = [context.publish(folder / name, f"tokenizer/{name}") for name in names]
    return StageResult(outputs, numbers)


def _train(
    settings: TokenizerSection,
    training: TokenizerTraining,
    context: StageContext,
    shards: list[Path],
    folder: Path,
) -> dict[str, Any]:
    corpus_bytes = int(context.upstream("documents").numbers["text_bytes"])
    if corpus_bytes == 0:
        raise UserError(
            "there is no text to train a tokenizer on",
            expected="documents that the curate: steps keep",
            found=f"{len(shards)} shards with no text",
            hint="textmill status shows which step dropped them",
        )
    if corpus_bytes > training.most_bytes:
        context.say(
            f"training the tokenizer on a sample by document id: {training.most_bytes:,} of "
            f"{corpus_bytes:,} bytes (tokenizer.train.sample_bytes)"
        )
    seen = 0
    facts: dict[str, Any] = {"kind": training.kind}

    def counted(stream: Iterator[str]) -> Iterator[str]:
        nonlocal seen
        for text in stream:
            seen += len(text.encode())
            yield text

    texts = counted(_training_texts(training, context, shards, corpus_bytes, facts))
    try:
        if training.kind == "bpe":
            facts |= _write_bpe(settings, training, context, texts, folder)
        else:
            _write_sentencepiece(settings, training, texts, folder, context.scratch)
    except ValueError as error:
        raise UserError(
            "the tokenizer cannot be trained",
            found=str(error),
            where="tokenizer:",
            hint="choose a vocab_size that fits the texts, and spellings of special tokens that no text holds as "
            "one word, like <|name|>",
        ) from None
    size = load_encoder(folder).vocab_size
    if size < training.vocab_size:
        least = f" that occur {training.min_frequency} times" if training.kind == "bpe" else ""
        context.say(
            f"the tokenizer has {size:,} entries, not {training.vocab_size:,}: the text holds no more pairs{least}"
        )
    return facts | {"trained_on_bytes": seen}


def _training_texts(
    training: TokenizerTraining,
    context: StageContext,
    shards: list[Path],
    corpus_bytes: int,
    facts: dict[str, Any],
) -> Iterator[str]:
    balance = training.sample
    passes = 1 if balance is None else 2

    def read(done: int) -> None:
        context.progress("reading text for the tokenizer", done, passes * len(shards))

    if balance is None:
        return sample_texts(
            shards,
            sample_bytes=training.most_bytes,
            corpus_bytes=corpus_bytes,
            seed=context.seed,
            read=read,
        )
    guesser = LanguageGuesser() if balance.by == "language" else None

    def group(record: Mapping[str, Any]) -> str:
        if guesser is None:
            return str(record["source"])
        return guesser.language(record["text"], record["metadata"])

    shares, texts = sample_by_group(
        shards,
        sample_bytes=training.most_bytes,
        corpus_bytes=corpus_bytes,
        seed=context.seed,
        group=group,
        weights=balance.weights,
        exponent=balance.exponent,
        repeat=balance.repeat,
        read=read,
    )
    strangers = sorted(balance.weights.keys() - shares.keys())
    strangers = [name for name in strangers if balance.weights[name]]
    if strangers:
        context.say(
            f"tokenizer.train.sample.weights name {', '.join(strangers)}, which no document belongs to"
        )
    if not any(share.target for share in shares.values()):
        raise UserError(
            "the weights leave no text to train a tokenizer on",
            expected=f"a weight above 0 for a {balance.by} of the documents",
            found=f"weights {dict(balance.weights)}",
            where="tokenizer.train.sample.weights",
        )
    facts["sample_by"] = balance.by
    facts["sample"] = {
        name: {"available_bytes": share.available, "target_bytes": share.target}
        for name, share in sorted(shares.items(), key=lambda item: (-item[1].target, item[0]))
    }
    return texts


def _write_bpe(
    settings: TokenizerSection,
    training: TokenizerTraining,
    context: StageContext,
    texts: Iterator[str],
    folder: Path,
) -> dict[str, Any]:
    from textmill.tokenizer.tiktoken_file import NotExpressibleError, tiktoken_file

    def progress(text: str, done: float, total: float) -> None:
        # What is read before that tells its own progress.
        if total:
            context.progress(text, done, total)

    cuts = Cuts(training.pattern, training.digits, training.cjk, training.normalizer)
    trained = train(
        texts,
        cuts=cuts,
        vocab_size=training.vocab_size,
        eos_token=settings.end_token,
        special_tokens=training.all_special_tokens,
        min_frequency=training.min_frequency,
        max_token_length=training.max_token_length,
        scratch=context.scratch,
        progress=progress,
    )
    content = trained.content
    facts: dict[str, Any] = {"pattern": training.pattern}
    if trained.cut is not None:
        facts |= _tell_cut(trained.cut, context)
    if cuts != Cuts(training.pattern):
        context.say(
            "tokens will be made by the tokenizers library, which is slower: the fast encoder knows the bare "
            "patterns only, without digits, cjk and normalizer"
        )
    (folder / TOKENIZER).write_text(content, "utf-8")
    notes: dict[str, Any] = {}
    parsed = json.loads(content)
    try:
        (folder / TIKTOKEN).write_bytes(tiktoken_file(parsed))
        # What tiktoken needs beside its file.
        special = {token["content"]: token["id"] for token in parsed["added_tokens"]}
        notes = {"pattern": training.pattern, "special_tokens": special}
    except NotExpressibleError:
        pass
    write_config(
        folder,
        settings.end_token,
        list(training.all_special_tokens),
        {},
        chat_template=chat_template(training.chat_template),
        notes=notes,
    )
    return facts


def _tell_cut(cut: Cut, context: StageContext) -> dict[str, Any]:
    """How many words there were, and which of them were too rare to have a say."""
    if cut.words_kept < cut.words:
        context.say(
            f"the tokenizer's text has {cut.words:,} distinct words; merges were learned from the "
            f"{cut.words_kept:,} that occur {cut.least_count:,} times or more, which are "
            f"{cut.occurrences_kept / cut.occurrences:.2%} of all words"
        )
    return {
        "distinct_words": cut.words,
        "words_used": cut.words_kept,
        "least_word_count": cut.least_count,
        "occurrences_used": round(cut.occurrences_kept / max(1, cut.occurrences), 6),
    }


def _write_sentencepiece(
    settings: TokenizerSection,
    training: TokenizerTraining,
    texts: Iterator[str],
    folder: Path,
    scratch: Path,
) -> None:
    from textmill.tokenizer.sentencepiece_model import tokenizer_json
    from textmill.tokenizer.sentencepiece_training import train_sentencepiece

    content = train_sentencepiece(
        texts,
        kind="bpe" if training.kind == "sentencepiece-bpe" else "unigram",
        vocab_size=training.vocab_size,
        eos_token=settings.end_token,
        special_tokens=training.all_special_tokens,
        character_coverage=training.character_coverage,
        scratch=scratch,
    )
    (folder / SENTENCEPIECE).write_bytes(content)
    (folder / TOKENIZER).write_text(tokenizer_json(content), "utf-8")
    write_config(
        folder,
        settings.end_token,
        list(training.all_special_tokens),
        {},
        chat_template=chat_template(training.chat_template),
        notes={"ids": SENTENCEPIECE},
        roles={"bos_token": "<s>", "unk_token": "<unk>"},
    )


def _take_over(settings: TokenizerSection, context: StageContext, folder: Path) -> None:
    assert settings.use is not None
    found = find_tokenizer(settings.use, settings.eos_token, pattern=settings.pattern)
    encoder = load_encoder(settings.use, settings.eos_token, pattern=settings.pattern)
    for role, file in found.files.items():
        if role != MERGES:
            shutil.copyfile(file, folder / role)
    notes: dict[str, Any] = {}
    if found.form != "huggingface" or found.files[TOKENIZER].name != TOKENIZER:
        # Everything after this section reads tokenizer.json, whatever the tokenizer came as.
        (folder / TOKENIZER).write_text(found.content, "utf-8")
    if found.model is not None:
        (folder / SENTENCEPIECE).write_bytes(found.model)
        notes = {"ids": SENTENCEPIECE}
    elif found.form == "tiktoken":
        parsed = json.loads(found.content)
        special = {token["content"]: token["id"] for token in parsed["added_tokens"]}
        shutil.copyfile(found.files[TOKENIZER], folder / TIKTOKEN)
        notes = {"pattern": pattern_of(parsed), "special_tokens": special}
    base = read_object(folder / CONFIG) if CONFIG in found.files else {}
    own_end_token = read_end_token({CONFIG: folder / CONFIG}) if CONFIG in found.files else None
    if own_end_token != encoder.eos_token or SPECIAL_TOKENS not in found.files or notes:
        specials = base.get("additional_special_tokens") or []
        write_config(folder, encoder.eos_token, specials, base, notes=notes)
    reason = why_not_compiled(found)
    if reason is not None:
        context.say(f"tokens will be made by the tokenizer's own library, which is slower: {reason}")


def _measured(encoder: Encoder, shards: list[Path]) -> dict[str, Any]:
    """Bytes per token and tokens per word over some evenly spaced documents, in all and by language."""
    counter = TokenCounter(encoder)
    guesser = LanguageGuesser()
    for text, metadata in sample_evenly(shards, texts_bytes=MEASURED_BYTES):
        counter.add(text, "", guesser.language(text, metadata))
    counter.finish()
    total = counter.total
    ordered = sorted(counter.languages.items(), key=lambda item: (-item[1].text_bytes, item[0]))
    return {
        "bytes_per_token": round(total.bytes_per_token, 4) if total.tokens else None,
        "tokens_per_word": round(total.fertility, 4) if total.words else None,
        "measured_bytes": total.text_bytes,
        "languages": {
            name: {
                "documents": tally.documents,
                "bytes": tally.text_bytes,
                "tokens": tally.tokens,
                "bytes_per_token": round(tally.bytes_per_token, 4),
                "tokens_per_word": round(tally.fertility, 4),
            }
            for name, tally in ordered[:MEASURED_LANGUAGES]
        },
    }
