"""Which blocks of a page are its main text.

::

    Page ─► page type ─► scores of names ─► features ─► trees ─► p ─► + features of p ─► trees ─► p ─► best cut
            (page_type)  (lexicon)          (features)           (smoothing)                      (decoding)

    >>> from textmill.extract.classifier import Classifier  # doctest: +SKIP
    >>> Classifier.shipped().keep(page)  # doctest: +SKIP
    array([False,  True,  True, False])

The numbers (`weights/main_text.npz`, made by `scripts/train_extractor.py`) are plain arrays; nothing in them can run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import IO

import numpy as np
import numpy.typing as npt

from textmill.extract.block_sums import block_lengths
from textmill.extract.decoding import kept_blocks
from textmill.extract.features import FEATURES, fill_features
from textmill.extract.grouping import page_groups
from textmill.extract.lexicon import Lexicon
from textmill.extract.page_type import PageTypeModel
from textmill.extract.smoothing import SECOND_FEATURES, fill_second_features
from textmill.extract.tree import Page
from textmill.extract.trees import Trees

SECOND_COLUMNS = len(SECOND_FEATURES)
"""The features of the second classifier stand before those of the first, in one table."""


@dataclass(frozen=True)
class Classifier:
    """A page-type model, a lexicon and two sets of trees, trained together.

    Attributes:
        page_type: guesses the kind of page.
        lexicon: knows names of elements.
        first, second: trees over `smoothing.SECOND_FEATURES` and, after them, `features.FEATURES`; the first ones look
            at the latter only.
        articles_beta: the beta of F_beta that `keep(articles=True)` makes highest.
    """

    page_type: PageTypeModel
    lexicon: Lexicon
    first: Trees
    second: Trees
    articles_beta: float

    def keep(self, page: Page, url: str | None = None, *, articles: bool = False) -> npt.NDArray[np.bool_]:
        """bool[blocks]: the blocks of a page's main text.

        Args:
            page: a parsed page.
            url: its address, if it is known.
            articles: rather leave out than take in what stands around an article.
        """
        lengths = block_lengths(page)
        return kept_blocks(self.probabilities(page, url), lengths, self.articles_beta if articles else 1.0)

    def probabilities(self, page: Page, url: str | None = None) -> npt.NDArray[np.float32]:
        """float32[blocks]: the share of each block's words that is expected to be main text."""
        if not len(page.blocks):
            return np.zeros(0, np.float32)
        types = self.page_type.probabilities(page, url)
        groups = page_groups(page)
        rows = np.zeros((len(page.blocks), SECOND_COLUMNS + len(FEATURES)), np.float32)
        scores = self.lexicon.element_scores(page, types)
        fill_features(page, groups, scores, types, rows[:, SECOND_COLUMNS:])
        alone = self.first.probabilities(rows)
        fill_second_features(page, groups, alone, block_lengths(page), rows[:, :SECOND_COLUMNS])
        return self.second.probabilities(rows)

    @staticmethod
    @cache
    def shipped() -> Classifier:
        """The classifier that comes with the package."""
        with files("textmill.extract").joinpath("weights/main_text.npz").open("rb") as stored:
            return Classifier.load(stored)

    @staticmethod
    def load(stored: IO[bytes]) -> Classifier:
        """A classifier from the arrays that `save` wrote."""
        with np.load(stored, allow_pickle=False) as numbers:
            return Classifier(
                PageTypeModel(*(numbers[f"type_{name}"] for name in _PAGE_TYPE)),
                Lexicon(*(numbers[f"lexicon_{name}"] for name in _LEXICON)),
                Trees(*(numbers[f"first_{name}"] for name in _TREES)),
                Trees(*(numbers[f"second_{name}"] for name in _TREES)),
                float(numbers["articles_beta"]),
            )

    def save(self, stored: IO[bytes]) -> None:
        """Write all numbers as an `.npz` file; equal classifiers make equal bytes."""
        parts = {"type": (self.page_type, _PAGE_TYPE), "lexicon": (self.lexicon, _LEXICON)}
        trees = {"first": (self.first, _TREES), "second": (self.second, _TREES)}
        arrays = {
            f"{part}_{name}": getattr(owner, name)
            for part, (owner, names) in (parts | trees).items()
            for name in names
        }
        np.savez_compressed(
            stored, allow_pickle=False, **arrays, articles_beta=np.float64(self.articles_beta)
        )


_PAGE_TYPE = ("keys", "weights", "units", "rarity", "biases")
_LEXICON = ("keys", "log_odds")
_TREES = ("columns", "thresholds", "leaves")
