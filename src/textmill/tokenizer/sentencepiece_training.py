"""Training SentencePiece's BPE and Unigram models, with bytes for characters that are not in the vocabulary.

The library is Kudo and Richardson's (https://arxiv.org/abs/1808.06226; Unigram: https://arxiv.org/abs/1804.10959).
It is set up as LLaMA's vocabulary was (https://arxiv.org/abs/2302.13971, section 2.1): text stays as it is,
digits stand alone, a character without an entry is spelled in bytes.

Texts are handed over line by line; line feeds are therefore bytes of their own, never a part of an entry.
The same texts in the same order give the same file on any machine: sums of floating-point numbers depend on
how many threads share the work, so their number is fixed.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

from textmill.errors import UserError
from textmill.tokenizer.sentencepiece_model import round_scores

Kind = Literal["bpe", "unigram"]

THREADS = 4
# The library skips longer lines without a word; they are cut here instead, at spaces where there are any.
LINE_BYTES = 4096
BYTES = 256
# <unk>, <s> and the end token come first, then special tokens, then the bytes.
ALWAYS = 3 + BYTES


def train_sentencepiece(
    texts: Iterable[str],
    *,
    kind: Kind,
    vocab_size: int,
    eos_token: str = "</s>",
    special_tokens: Sequence[str] = (),
    character_coverage: float = 0.9995,
    scratch: Path | None = None,
) -> bytes:
    """Train a model and return the content of its ``tokenizer.model``.

    Ids 0, 1 and 2 are ``<unk>``, ``<s>`` and ``eos_token``; then come the special tokens, the 256 bytes, and
    the entries that were learned. No text is ever encoded to one of the first.

    Args:
        texts: streamed once; the library needs 20 (BPE) to 30 (Unigram) bytes of memory for each of theirs.
        kind: ``bpe`` or ``unigram``.
        vocab_size: entries in all; fewer when the texts hold no more.
        eos_token: the end-of-text token.
        special_tokens: further special tokens.
        character_coverage: share of all characters that get an entry of their own; the rest is bytes.
        scratch: folder for a temporary file with the texts.

    Raises:
        ValueError: the texts have more characters than the vocabulary has room for, or the library refuses
            something else.
        UserError: the library is not installed.
    """
    library = sentencepiece()
    size = vocab_size
    spool = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 closed below, after both attempts
    with spool:
        for line in _packed(texts):
            spool.write(line.encode("utf-8", "replace") + b"\n")
        for _ in range(2):
            spool.seek(0)
            written = io.BytesIO()
            try:
                _train(library, spool, written, kind, size, eos_token, special_tokens, character_coverage)
            except RuntimeError as error:
                fewer = re.search(r"Vocabulary size too high.*<= (\d+)", str(error))
                if fewer is None or int(fewer[1]) >= size:
                    raise ValueError(_plain(str(error), vocab_size)) from None
                size = int(fewer[1])
            else:
                return round_scores(written.getvalue()) if kind == "unigram" else written.getvalue()
    raise ValueError(f"no vocabulary of {vocab_size} entries or fewer comes of these texts")


def _train(
    library: Any,
    lines: BinaryIO,
    written: io.BytesIO,
    kind: Kind,
    vocab_size: int,
    eos_token: str,
    special_tokens: Sequence[str],
    character_coverage: float,
) -> None:
    library.SentencePieceTrainer.train(
        sentence_iterator=(line[:-1].decode() for line in lines),
        model_writer=written,
        model_type=kind,
        vocab_size=vocab_size,
        # Asks Unigram for what there is; BPE says itself how many entries there are.
        hard_vocab_limit=False,
        character_coverage=character_coverage,
        byte_fallback=True,
        split_digits=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        add_dummy_prefix=True,
        max_sentence_length=4 * LINE_BYTES,
        input_sentence_size=0,
        shuffle_input_sentence=False,
        num_threads=THREADS,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        eos_piece=eos_token,
        control_symbols=list(special_tokens),
        minloglevel=2,
    )


def sentencepiece() -> Any:
    """The library, if it is installed.

    Raises:
        UserError: it is not.
    """
    try:
        import sentencepiece as library
    except ImportError:
        raise UserError(
            "the SentencePiece library is missing",
            expected="the package sentencepiece, which reads and trains tokenizer.model files",
            hint="pip install 'textmill[sentencepiece]'",
        ) from None
    return library


def _packed(texts: Iterable[str]) -> Iterator[str]:
    """Short lines put together, with a space between: the library puts one before each line all the same.

    A line of its own costs the library as much memory as some words.
    """
    waiting: list[str] = []
    size = 0
    for line in _lines(texts):
        if size + len(line) > LINE_BYTES // 2 and waiting:
            yield " ".join(waiting)
            waiting, size = [], 0
        waiting.append(line)
        size += 1 + len(line)
    if waiting:
        yield " ".join(waiting)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for line in text.split("\n"):
            # The library takes a NUL for the end of a line; it is a byte for the encoder in any case.
            for part in line.split("\0"):
                if part:
                    yield from _cut(part)


def _cut(line: str) -> Iterator[str]:
    """Parts of at most :data:`LINE_BYTES` bytes, cut before a space where one is near."""
    characters = LINE_BYTES // 4
    while len(line) > LINE_BYTES or len(line.encode()) > LINE_BYTES:
        place = line.rfind(" ", characters // 2, characters)
        place = characters if place < 0 else place
        yield line[:place]
        line = line[place:]
    yield line


def _plain(message: str, vocab_size: int) -> str:
    least = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    if least:
        return (
            f"the characters of the texts, the bytes and the special tokens alone need {int(least[1]):,} "
            f"entries, and vocab_size is {vocab_size:,}; raise it, or lower character_coverage"
        )
    return message.splitlines()[0]
