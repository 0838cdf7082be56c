"""The filter ``heuristics``: bounds on what can be counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field, model_validator

from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule

if TYPE_CHECKING:
    from textmill.documents import Batch


class Heuristics(Filter):
    """Bounds on lengths and shares, each of them yours to set; what is not set is no rule.

    Two sets of bounds that courses and papers use:

    - prose: ``{min_words: 50, max_words: 10000, min_mean_word_length: 3, min_letters: 0.7}``
    - short texts: ``{min_characters: 10, max_characters: 10000, min_words: 3, min_distinct_words: 0.3,
      min_letters_and_spaces: 0.7}``

    Words are the tokens by UAX #29 that hold a letter or a number; letters are those of every script (Unicode's
    category L). About a text that is mostly in a script written without spaces, the rules on words say nothing
    (NaN).
    """

    name: ClassVar[str] = "heuristics"

    min_characters: int | None = Field(default=None, ge=0, description="Least characters.")
    max_characters: int | None = Field(default=None, ge=0, description="Most characters.")
    min_words: int | None = Field(default=None, ge=0, description="Least words.")
    max_words: int | None = Field(default=None, ge=0, description="Most words.")
    min_mean_word_length: float | None = Field(
        default=None, ge=0, description="Least mean length of a word (characters)."
    )
    max_mean_word_length: float | None = Field(
        default=None, ge=0, description="Most mean length of a word (characters)."
    )
    min_distinct_words: float | None = Field(
        default=None, ge=0, le=1, description="Least share of different words among all words; case matters."
    )
    min_letters: float | None = Field(
        default=None, ge=0, le=1, description="Least share of letters among all characters."
    )
    min_letters_and_spaces: float | None = Field(
        default=None, ge=0, le=1, description="Least share of letters and white space among all characters."
    )
    min_lines: int | None = Field(default=None, ge=0, description="Least lines, blank ones included.")
    max_lines: int | None = Field(default=None, ge=0, description="Most lines, blank ones included.")

    @model_validator(mode="after")
    def _some_bound(self) -> Heuristics:
        if not self.rules():
            raise ValueError(
                "no bound is set; write some, for example {min_words: 50, max_words: 10000, min_letters: 0.7}"
            )
        for rule in self.rules():
            if rule.minimum is not None and rule.maximum is not None and rule.minimum > rule.maximum:
                raise ValueError(f"min_{rule.name} is more than max_{rule.name}: nothing would be kept")
        return self

    def rules(self) -> list[Rule]:
        """One rule per score that has a bound."""
        rules = [
            Rule("characters", self.min_characters, self.max_characters),
            Rule("words", self.min_words, self.max_words),
            Rule("mean_word_length", self.min_mean_word_length, self.max_mean_word_length),
            Rule("distinct_words", self.min_distinct_words),
            Rule("letters", self.min_letters),
            Rule("letters_and_spaces", self.min_letters_and_spaces),
            Rule("lines", self.min_lines, self.max_lines),
        ]
        return [rule for rule in rules if rule.minimum is not None or rule.maximum is not None]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner."""
        return _Counter()


class _Counter:
    def scores(self, batch: Batch) -> Scores:
        """All seven numbers, with or without a bound; shares of an empty text are 0."""
        from textmill.text import distinct_words_ratio, quality_statistics

        numbers = quality_statistics(batch.data, batch.offsets, batch.words, batch.lines, ())
        characters = numbers["characters"]
        filled = np.maximum(characters, 1)
        scores = {
            "characters": characters,
            "words": numbers["words"],
            "mean_word_length": numbers["mean_word_length"],
            "distinct_words": distinct_words_ratio(batch.data, batch.offsets, batch.words),
            "letters": numbers["letters"] / filled,
            "letters_and_spaces": (numbers["letters"] + numbers["white_space"]) / filled,
            "lines": numbers["lines"],
        }
        blind = numbers["unspaced"] * 2 > numbers["letters"]
        for name in ("words", "mean_word_length", "distinct_words"):
            scores[name] = np.where(blind, np.nan, scores[name])
        return scores
