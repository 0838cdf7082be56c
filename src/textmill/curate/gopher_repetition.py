"""The filter ``gopher_repetition``: does it say the same thing over and over."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from textmill.curate.tokens import (
    DICTIONARY_DESCRIPTION,
    TOKENS_DESCRIPTION,
    Tokens,
    is_mostly_unspaced,
    require_dictionaries,
    tokens_of,
)
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule

if TYPE_CHECKING:
    from textmill.documents import Batch


class GopherRepetition(Filter):
    """The repetition rules of Gopher (Rae et al., 2021, https://arxiv.org/abs/2112.11446, table A1).

    N-grams are made of tokens: words and punctuation marks. Shares of characters are of all characters of the
    text, white space included. A bound set to null is no rule.

    Runs of *characters* come back in any text: about one that is mostly in a script written without spaces, the
    rules about n-grams say nothing (NaN), unless ``dictionary: true`` finds its words. The paper's numbers hold for
    these then (docs/decisions/0015-words-by-dictionary.md).
    """

    name: ClassVar[str] = "gopher_repetition"
    version: ClassVar[int] = 2

    max_duplicate_paragraphs: float | None = Field(
        default=0.30, ge=0, description="Largest share of paragraphs that stand before already."
    )
    max_duplicate_paragraph_characters: float | None = Field(
        default=0.20, ge=0, description="Largest share of characters in such paragraphs."
    )
    max_duplicate_lines: float | None = Field(
        default=0.30, ge=0, description="Largest share of lines that stand before already."
    )
    max_duplicate_line_characters: float | None = Field(
        default=0.20, ge=0, description="Largest share of characters in such lines."
    )
    max_top_2gram: float | None = Field(
        default=0.20, ge=0, description="Largest share of characters in the most frequent pair of words."
    )
    max_top_3gram: float | None = Field(default=0.18, ge=0, description="The same for three words.")
    max_top_4gram: float | None = Field(default=0.16, ge=0, description="The same for four words.")
    max_duplicate_5grams: float | None = Field(
        default=0.15, ge=0, description="Largest share of characters in runs of five words met before."
    )
    max_duplicate_6grams: float | None = Field(default=0.14, ge=0, description="The same for six words.")
    max_duplicate_7grams: float | None = Field(default=0.13, ge=0, description="The same for seven words.")
    max_duplicate_8grams: float | None = Field(default=0.12, ge=0, description="The same for eight words.")
    max_duplicate_9grams: float | None = Field(default=0.11, ge=0, description="The same for nine words.")
    max_duplicate_10grams: float | None = Field(default=0.10, ge=0, description="The same for ten words.")

    tokens: Tokens = Field(default="auto", description=TOKENS_DESCRIPTION)
    dictionary: bool = Field(default=False, description=DICTIONARY_DESCRIPTION)

    def rules(self) -> list[Rule]:
        """In the order of the reference implementation (datatrove), whose verdict is the first that fails."""
        bounds = {
            "duplicate_paragraphs": self.max_duplicate_paragraphs,
            "duplicate_paragraph_characters": self.max_duplicate_paragraph_characters,
            "duplicate_lines": self.max_duplicate_lines,
            "duplicate_line_characters": self.max_duplicate_line_characters,
            "top_2_gram": self.max_top_2gram,
            "top_3_gram": self.max_top_3gram,
            "top_4_gram": self.max_top_4gram,
            "duplicate_5_grams": self.max_duplicate_5grams,
            "duplicate_6_grams": self.max_duplicate_6grams,
            "duplicate_7_grams": self.max_duplicate_7grams,
            "duplicate_8_grams": self.max_duplicate_8grams,
            "duplicate_9_grams": self.max_duplicate_9grams,
            "duplicate_10_grams": self.max_duplicate_10grams,
        }
        return [Rule(score, maximum=bound) for score, bound in bounds.items() if bound is not None]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner.

        Raises:
            UserError: dictionaries are asked for and not installed.
        """
        if self.dictionary:
            require_dictionaries(self.step_id)
        return _Repetition(self.tokens, self.dictionary)


class _Repetition:
    def __init__(self, tokens: Tokens, dictionary: bool) -> None:
        self._tokens = tokens
        self._dictionary = dictionary

    def scores(self, batch: Batch) -> Scores:
        """The thirteen shares of the paper."""
        from textmill.text import repetition_statistics

        words = tokens_of(batch, self._tokens, self._dictionary)
        numbers = repetition_statistics(batch.data, batch.offsets, words, batch.lines, batch.paragraphs)
        scores = {name: numbers[name] for name in _SCORES}
        if not self._dictionary:
            blind = is_mostly_unspaced(batch)
            for name in _N_GRAMS:
                scores[name] = np.where(blind, np.nan, scores[name])
        return scores


_N_GRAMS = (*(f"top_{n}_gram" for n in (2, 3, 4)), *(f"duplicate_{n}_grams" for n in range(5, 11)))
_SCORES = (
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "duplicate_lines",
    "duplicate_line_characters",
    *_N_GRAMS,
)
