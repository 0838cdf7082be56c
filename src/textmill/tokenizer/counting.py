"""Counting the tokens of raw text, per file and per language, without keeping any."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.encode import Encoder, EncodingError

BATCH_CHARACTERS = 2**20
BATCH_TEXTS = 4096


@dataclass
class Tally:
    """Documents, UTF-8 bytes, words (separated by white space) and tokens."""

    documents: int = 0
    text_bytes: int = 0
    words: int = 0
    tokens: int = 0

    @property
    def bytes_per_token(self) -> float:
        """Bytes of text per token; 0.0 without any."""
        return self.text_bytes / self.tokens if self.tokens else 0.0

    @property
    def fertility(self) -> float:
        """Tokens per word; 0.0 without any."""
        return self.tokens / self.words if self.words else 0.0


@dataclass
class TokenCounter:
    """Counts tokens of texts as they come; holds a batch of texts.

    Attributes:
        encoder: the tokenizer.
        total: over all texts.
        files: by file.
        languages: by language, where texts have one.
        used: how often each id occurred, shape (vocab_size,).
        failed: texts that the tokenizer cannot encode.
    """

    encoder: Encoder
    total: Tally = field(default_factory=Tally)
    files: dict[str, Tally] = field(default_factory=dict)
    languages: dict[str, Tally] = field(default_factory=dict)
    failed: int = 0
    used: npt.NDArray[np.int64] = field(init=False)
    _waiting: list[tuple[str, str, str | None]] = field(default_factory=list)
    _characters: int = 0

    def __post_init__(self) -> None:
        self.used = np.zeros(self.encoder.vocab_size, np.int64)

    def add(self, text: str, file: str, language: str | None = None) -> None:
        """Count a text that belongs to a file and, if known, to a language."""
        self._waiting.append((text, file, language))
        self._characters += len(text)
        if self._characters >= BATCH_CHARACTERS or len(self._waiting) >= BATCH_TEXTS:
            self.finish()

    def finish(self) -> None:
        """Count what is still waiting."""
        waiting, self._waiting, self._characters = self._waiting, [], 0
        try:
            self._count(waiting)
        except EncodingError:
            for one in waiting:
                try:
                    self._count([one])
                except EncodingError:
                    self.failed += 1

    def _count(self, waiting: list[tuple[str, str, str | None]]) -> None:
        ids, offsets = self.encoder.encode_batch([text for text, _, _ in waiting])
        self.used += np.bincount(ids, minlength=len(self.used))
        for (text, file, language), tokens in zip(waiting, np.diff(offsets).tolist(), strict=True):
            tallies = [self.total, self.files.setdefault(file, Tally())]
            if language is not None:
                tallies.append(self.languages.setdefault(language, Tally()))
            size, words = len(text.encode()), len(text.split())
            for tally in tallies:
                tally.documents += 1
                tally.text_bytes += size
                tally.words += words
                tally.tokens += tokens
