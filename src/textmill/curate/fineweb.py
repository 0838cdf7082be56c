"""The filter ``fineweb``: is it running text, or a list of short lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from textmill.curate.tokens import TOKENS_DESCRIPTION, Tokens, tokens_of
from textmill.steps.context import StepContext
from textmill.steps.filter import Filter, FilterRunner, Scores
from textmill.steps.rules import Rule

if TYPE_CHECKING:
    from textmill.documents import Batch


class FineWeb(Filter):
    """The rules that FineWeb added (Penedo et al., 2024, https://arxiv.org/abs/2406.17557, section 3.6).

    Lines are what newlines separate, blank ones left out; a text without any is dropped by the first rule. Words
    are tokens by UAX #29, punctuation marks among them. A bound set to null is no rule.
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

    tokens: Tokens = Field(default="unicode", description=TOKENS_DESCRIPTION)

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
        """Return the runner."""
        return _Lines(self.short_line, self.tokens)


class _Lines:
    def __init__(self, short_line: int, tokens: Tokens) -> None:
        self._short_line = short_line
        self._tokens = tokens

    def scores(self, batch: Batch) -> Scores:
        """The four numbers of the paper."""
        from textmill.text.fineweb import line_statistics

        return line_statistics(
            batch.data, batch.offsets, tokens_of(batch, self._tokens), batch.lines, self._short_line
        )
