"""The filter ``gopher_quality``: does it look like prose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator, model_validator

from textmill.curate.language import Language
from textmill.curate.language_profiles import SOURCE, LanguageProfile, language_profiles, profiled_language
from textmill.curate.tokens import (
    DICTIONARY_DESCRIPTION,
    TOKENS_DESCRIPTION,
    Tokens,
    chosen,
    dictionary_words_of,
    require_dictionaries,
    tokens_of,
)
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

    Tokens are words and punctuation marks; *words* are the tokens that hold a letter or a number. As they are, the
    rules give the verdicts of the reference implementation (datatrove), see docs/parity.md.
    A bound set to null is no rule. Words and stop words say nothing (NaN) about a text that is mostly in a
    script written without spaces, unless ``dictionary: true`` finds its words; its stop words and word lengths
    are judged with ``language`` only.

    The paper's numbers are for English. With ``language``, stop words are those of that language, and word
    lengths are measured in relation to its own: the score is divided by the language's mean word length over
    that of English, so that 3 and 10 mean the same everywhere. Both are known of 281 languages, from the
    Universal Declaration of Human Rights (of ``zh``, ``ja``, ``th``, ``lo``, ``km``, ``my`` with
    ``dictionary: true``). ``auto`` finds out the language of every document as the step
    ``language`` does; about documents in a language that is not known the stop words say nothing (NaN).
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

    tokens: Tokens = Field(default="auto", description=TOKENS_DESCRIPTION)
    dictionary: bool = Field(default=False, description=DICTIONARY_DESCRIPTION)
    language: str | None = Field(
        default=None, description="Language whose stop words and word lengths count (``fr``), or ``auto``."
    )

    @field_validator("language")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        return profiled_language(
            value,
            otherwise="stop words of your own with stop_words and the bounds with min_mean_word_length and "
            "max_mean_word_length",
        )

    @model_validator(mode="after")
    def _one_list_of_stop_words(self) -> GopherQuality:
        # Workers get settings with all values written out: what is set is told by its value.
        if self.language is not None and self.stop_words != type(self).model_fields["stop_words"].default:
            raise ValueError("write language or stop_words: a language brings its own stop words")
        known = language_profiles().get(self.language or "")
        if known is not None and known.unspaced and not self.dictionary:
            raise ValueError(
                f"the words of {self.language!r} are found in a dictionary: write dictionary: true beside language"
            )
        return self

    def files(self) -> list[str]:
        """What is known of languages, and the model that tells them apart."""
        if self.language is None:
            return []
        return [str(SOURCE), *(Language().files() if self.language == "auto" else [])]

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
        """Return the runner; loads the language model if the language is ``auto``.

        Raises:
            UserError: dictionaries are asked for and not installed; the language model is missing.
        """
        if self.dictionary:
            require_dictionaries(self.step_id)
        if self.language == "auto":
            return _OfEveryLanguage(Language().open(context), self)
        if self.language is not None:
            return _Quality(self, language_profiles()[self.language])
        return _Quality(self, None)


class _Quality:
    """All documents by the same numbers."""

    def __init__(self, settings: GopherQuality, profile: LanguageProfile | None) -> None:
        self._settings = settings
        self._profile = profile
        self._stop_words = profile.stop_words if profile else tuple(dict.fromkeys(settings.stop_words))

    def scores(self, batch: Batch) -> Scores:
        """The eight numbers of the paper."""
        count = len(batch)
        return _scores(batch, self._settings, [self._profile] * count, self._stop_words)


class _OfEveryLanguage:
    """Each document by the numbers of its own language."""

    def __init__(self, identifier: FilterRunner, settings: GopherQuality) -> None:
        from textmill.text.stop_words import stop_word_table

        self._identifier = identifier
        self._settings = settings
        self._profiles = language_profiles()
        self._numbers = {language: number for number, language in enumerate(self._profiles)}
        self._table = stop_word_table([profile.stop_words for profile in self._profiles.values()])

    def scores(self, batch: Batch) -> Scores:
        """The eight numbers of the paper, and the label ``language``."""
        from textmill.text.stop_words import NO_LIST, count_stop_words

        languages = [str(language) for language in self._identifier.scores(batch)["language"]]
        profiles = [self._profiles.get(language) for language in languages]
        table = _scores(batch, self._settings, profiles, ())
        which = np.array([self._numbers.get(language, NO_LIST) for language in languages], np.int64)
        words = tokens_of(batch, self._settings.tokens, self._settings.dictionary, self._settings.language)
        found = count_stop_words(batch.data, words, self._table, which)
        unknown = np.isnan(table["stop_words"]) | (which == NO_LIST)
        return {**table, "stop_words": np.where(unknown, np.nan, found), "language": languages}


def _scores(
    batch: Batch,
    settings: GopherQuality,
    profiles: Sequence[LanguageProfile | None],
    stop_words: tuple[str, ...],
) -> dict[str, Any]:
    """The eight numbers; NaN where they say nothing about a script without spaces."""
    from textmill.text import quality_statistics

    words = tokens_of(batch, settings.tokens, settings.dictionary, settings.language)
    numbers = quality_statistics(batch.data, batch.offsets, words, batch.lines, stop_words)
    scores = {name: numbers[name] for name in _SCORES}
    lengths = np.array([profile.word_length if profile else 1 for profile in profiles], np.float64)
    scores["mean_word_length"] = scores["mean_word_length"] / lengths
    blind = numbers["unspaced"] * 2 > numbers["letters"]
    foreign = blind
    if settings.dictionary:
        # A word is looked up by the script of the text, and judged by its language: both must agree.
        looked_up = dictionary_words_of(batch).unspaced
        foreign = looked_up != np.array(
            [profile is not None and profile.unspaced for profile in profiles], bool
        )
        blind = blind & ~looked_up
    scores["words"] = np.where(blind, np.nan, scores["words"])
    if chosen(settings.tokens, settings.language) == "english":
        # Between spaces stand whole sentences, and marks: most tokens are marks.
        scores["alphabetic_words_ratio"] = np.where(blind, np.nan, scores["alphabetic_words_ratio"])
    for name in ("mean_word_length", "stop_words"):
        scores[name] = np.where(blind | foreign, np.nan, scores[name])
    return scores
