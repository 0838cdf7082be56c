"""Names that people give to elements ("sidebar", "post-body", role="navigation"), and how much content they hold.

For every known part of a class, id, role and the like the lexicon has log-odds that text below it is content: in
general, and for each kind of page (a "price" belongs to a product's page, not to an article). What is known was seen
on several registered domains, and its odds are drawn towards those of any text the more, the rarer it is. An element's
score is the sum over its names; for a page whose names are all unknown every score is 0.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from textmill.extract.page_type import PAGE_TYPES
from textmill.extract.tree import Page
from textmill.extract.vocabulary import Slots, row_of, vocabulary_slots
from textmill.text.compilation import kernel

SCORE_UNIT = 1 / 32  # log-odds of one step of the stored numbers: they reach from -4 to 4
HIGHEST = 6.0
"""Scores of an element are cut at this, either way: many names do not make certainty."""


@dataclass(frozen=True)
class Lexicon:
    """Log-odds of names.

    Attributes:
        keys: uint32[names], `names.token_hash` of each.
        log_odds: int8[names, len(PAGE_TYPES) + 1] in `SCORE_UNIT`: for each page type, and in general.
    """

    keys: npt.NDArray[np.uint32]
    log_odds: npt.NDArray[np.int8]

    @cached_property
    def slots(self) -> Slots:
        """Where `vocabulary.row_of` finds the keys."""
        slots: Slots = vocabulary_slots(self.keys)
        return slots

    def element_scores(self, page: Page, page_types: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """float32[elements, 2]: log-odds that text in an element is content, for such a page and for any page.

        Args:
            page: a parsed page.
            page_types: float32[len(PAGE_TYPES)], probabilities that weigh the log-odds by type.
        """
        scores: npt.NDArray[np.float32] = _element_scores(
            *(page.tokens, page.token_elements, len(page.elements)),
            *(self.keys, self.slots, self.log_odds, page_types),
        )
        return scores


@kernel
def _element_scores(tokens, token_elements, element_count, keys, slots, log_odds, page_types):
    scores = np.zeros((element_count, 2), np.float32)
    for place in range(tokens.size):
        e = token_elements[place]
        if e > 0:
            row = row_of(keys, slots, tokens[place])
            if row >= 0:
                by_type = np.float32(0)
                for t in range(page_types.size):
                    by_type += log_odds[row, t] * page_types[t]
                scores[e, 0] += by_type * np.float32(SCORE_UNIT)
                scores[e, 1] += log_odds[row, page_types.size] * np.float32(SCORE_UNIT)
    for e in range(element_count):
        for column in range(2):
            scores[e, column] = min(np.float32(HIGHEST), max(np.float32(-HIGHEST), scores[e, column]))
    return scores


def no_names(types: int = len(PAGE_TYPES)) -> Lexicon:
    """The lexicon that knows no name."""
    return Lexicon(np.zeros(0, np.uint32), np.zeros((0, types + 1), np.int8))
