"""The filter ``fineweb``: is it running text, or a list of short lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from textmill.curate.language import Language
from textmill.curate.language_profiles import SOURCE, language_profiles, profiled_language
from textmill.curate.tokens import (
    DICTIONARY_DESCRIPTION,
    TOKENS_DESCRIPTION,
    Tokens,
    require_dictionaries,
    tokens_of,
)
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule

if TYPE_CHECKING:
    from textmill.documents import Batch


class FineWeb(Filter):
    """The rules that FineWeb added (Penedo et al., 2024, https://arxiv.org/abs/2406.17557, section 3.6).

    Lines are what newlines separate, blank ones left out; a text without any is dropped by the first rule. Words
    are tokens, punctuation marks among them. A bound set to null is no rule.

    The numbers are for English. Chinese says in 8 characters what English says in 30: with ``language``, a line is
    short if it has at most ``short_line`` characters times the length of texts in that language over that of
    English, known of 281 languages from the Universal Declaration of Human Rights. ``auto`` finds out the language
    of every document as the step ``language`` does; one that is not known is taken for English. About Thai and Lao,
    which put no mark at the end of a sentence, the rule on terminal punctuation says nothing (NaN).
    """

    name: ClassVar[str] = "fineweb"

    min_punctuated_lines: float | None = Field(
        default=0.12, ge=0, le=1, description="Least share of lines that end in terminal punctuation."
    )
    max_short_lines: float | None = Field(
        default=0.67, ge=0, le=1, description="Largest share of lines of at most ``short_line`` characters."
    )
    short_line: int = Field(default=30, ge=0, description="What a short line is (characters).")
    max_duplicate_line_characters: float | None = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Largest share of characters, newlines not counted, in lines that stand before already.",
    )
    max_newlines_per_word: float | None = Field(default=0.3, ge=0, description="Most newlines per word.")

    tokens: Tokens = Field(default="auto", description=TOKENS_DESCRIPTION)
    dictionary: bool = Field(default=False, description=DICTIONARY_DESCRIPTION)
    language: str | None = Field(
        default=None, description="Language whose lines are short or long (``zh``), or ``auto``."
    )

    @field_validator("language")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return profiled_language(value, otherwise="set short_line yourself")

    def files(self) -> list[str]:
        """What is known of languages, and the model that tells them apart."""
        if self.language is None:
            return []
        return [str(SOURCE), *(Language().files() if self.language == "auto" else [])]

    def rules(self) -> list[Rule]:
        """In the order of the reference implementation (datatrove), whose verdict is the first that fails."""
        rules = [
            Rule("punctuated_lines", minimum=self.min_punctuated_lines),
            Rule("short_lines", maximum=self.max_short_lines),
            Rule("duplicate_line_characters", maximum=self.max_duplicate_line_characters),
            Rule("newlines_per_word", maximum=self.max_newlines_per_word),
        ]
        return [rule for rule in rules if rule.minimum is not None or rule.maximum is not None]

    def open(self, context: StepContext) -> FilterRunner:
        """Return the runner; loads the language model if the language is ``auto``.

        Raises:
            UserError: dictionaries are asked for and not installed; the language model is missing.
        """
        if self.dictionary:
            require_dictionaries(self.step_id)
        return _Lines(self, Language().open(context) if self.language == "auto" else None)


class _Lines:
    def __init__(self, settings: FineWeb, identifier: FilterRunner | None) -> None:
        self._settings = settings
        self._identifier = identifier

    def scores(self, batch: Batch) -> Scores:
        """The four numbers of the paper; the label ``language`` if it is found out."""
        from textmill.text.fineweb import line_statistics

        settings = self._settings
        words = tokens_of(batch, settings.tokens, settings.dictionary, settings.language)
        scores: Scores = line_statistics(batch.data, batch.offsets, words, batch.lines, settings.short_line)
        if settings.language is None:
            return scores
        languages = [settings.language] * len(batch)
        labels: Scores = {}
        if self._identifier is not None:
            languages = [str(language) for language in self._identifier.scores(batch)["language"]]
            labels = {"language": languages}
        unmarked = [each in _WITHOUT_FULL_STOP for each in languages]
        return {
            **scores,
            "punctuated_lines": np.where(unmarked, np.nan, scores["punctuated_lines"]),
            "short_lines": _short_lines(batch, settings.short_line, languages),
            **labels,
        }


# Sentences end in a space there (Unicode has no Sentence_Terminal for these scripts).
_WITHOUT_FULL_STOP = frozenset({"th", "lo"})


def _short_lines(batch: Batch, short_line: int, languages: Sequence[str]) -> npt.NDArray[np.float64]:
    """Share of the lines that are short in a document's language; 0 if all are blank."""
    from textmill.text.lines import BLANK

    lines, profiles = batch.lines, language_profiles()
    limits = np.array(
        [short_line * profiles[each].text_length if each in profiles else short_line for each in languages],
        np.float64,
    )
    counts = np.diff(lines.document_offsets)
    written = (lines.flags & BLANK) == 0
    short = written & (lines.characters <= np.repeat(limits, counts))
    totals = np.zeros((2, lines.flags.size + 1), np.int64)
    np.cumsum([written, short], axis=1, out=totals[:, 1:])
    all_lines, short_ones = np.diff(totals[:, lines.document_offsets])
    share: npt.NDArray[np.float64] = short_ones / np.maximum(all_lines, 1)
    return share
