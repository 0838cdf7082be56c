"""The filter ``gopher_quality``: does it look like prose."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule

if TYPE_CHECKING:
    from textmill.documents import Batch

_SCORES = (
    "words",
    "mean_word_length",
    "hash_ratio",
    "ellipsis_ratio",
    "bullet_lines_ratio",
    "ellipsis_lines_ratio",
    "alphabetic_words_ratio",
    "stop_words",
)


class GopherQuality(Filter):
    """The quality rules of Gopher (Rae et al., 2021, https://arxiv.org/abs/2112.11446, table A1).

    Tokens are words by UAX #29 and punctuation marks; *words* are the tokens that hold a letter or a number.
    A bound set to null is no rule. Words and stop words say nothing (NaN) about a text that is mostly in a
    script written without spaces.
    """

    name: ClassVar[str] = "gopher_quality"

    min_words: int | None = Field(default=50, ge=0, description="Least words.")
    max_words: int | None = Field(default=100_000, ge=0, description="Most words.")
    min_mean_word_length: float | None = Field(default=3, ge=0, description="Least mean length (characters).")
    max_mean_word_length: float | None = Field(default=10, ge=0, description="Most mean length (characters).")
    max_hash_ratio: float | None = Field(default=0.1, ge=0, description="Most ``#`` per token.")
    max_ellipsis_ratio: float | None = Field(
        default=0.1, ge=0, description="Most ``...`` and ``…`` per token."
    )
    max_bullet_lines_ratio: float | None = Field(
        default=0.9, ge=0, le=1, description="Largest share of lines that begin with ``•`` or ``-``."
    )
    max_ellipsis_lines_ratio: float | None = Field(
        default=0.3, ge=0, le=1, description="Largest share of lines that end in an ellipsis."
    )
    min_alphabetic_words_ratio: float | None = Field(
        default=0.8, ge=0, le=1, description="Least share of tokens that hold a letter."
    )
    min_stop_words: int | None = Field(default=2, ge=0, description="Least different stop words.")
    stop_words: list[str] = Field(
        default=["the", "be", "to", "of", "and", "that", "have", "with"],
        description="Words of which any ordinary text holds some; case matters.",
    )

    def rules(self) -> list[Rule]:
        """In the order of the reference implementation (datatrove), whose verdict is the first that fails."""
        rules = [
            Rule("words", self.min_words, self.max_words),
            Rule("mean_word_length", self.min_mean_word_length, self.max_mean_word_length),
            Rule("hash_ratio", maximum=self.max_hash_ratio),
            Rule("ellipsis_ratio", maximum=self.max_ellipsis_ratio),
            Rule("bullet_lines_ratio", maximum=self.max_bullet_lines_ratio),
            Rule("ellipsis_lines_ratio", maximum=self.max_ellipsis_lines_ratio),
            Rule("alphabetic_words_ratio", minimum=self.min_alphabetic_words_ratio),
            Rule("stop_words", minimum=self.min_stop_words),
        ]
        return [rule for rule in rules if rule.minimum is not None or rule.maximum is not None]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner."""
        return _Quality(tuple(dict.fromkeys(self.stop_words)))


class _Quality:
    def __init__(self, stop_words: tuple[str, ...]) -> None:
        self._stop_words = stop_words

    def scores(self, batch: Batch) -> Scores:
        """The eight numbers of the paper."""
        from textmill.text import quality_statistics

        numbers = quality_statistics(batch.data, batch.offsets, batch.words, batch.lines, self._stop_words)
        blind = numbers["unspaced"] * 2 > numbers["letters"]
        scores = {name: numbers[name] for name in _SCORES}
        for name in ("words", "mean_word_length", "stop_words"):
            scores[name] = np.where(blind, np.nan, scores[name])
        return scores
