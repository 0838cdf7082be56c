"""Which blocks of a page are its main text.

::

    Page ─► page type ─► scores of names ─► features ─► trees ─► probabilities ─► best cut
            (page_type)  (lexicon)          (features)  (trees)                   (decoding)

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
from textmill.extract.features import block_features
from textmill.extract.grouping import page_groups
from textmill.extract.lexicon import Lexicon
from textmill.extract.page_type import PageTypeModel
from textmill.extract.tree import Page
from textmill.extract.trees import Trees


@dataclass(frozen=True)
class Classifier:
    """A page-type model, a lexicon and trees, trained together.

    Attributes:
        page_type: guesses the kind of page.
        lexicon: knows names of elements.
        trees: over `features.FEATURES`.
        articles_beta: the beta of F_beta that `keep(articles=True)` makes highest.
    """

    page_type: PageTypeModel
    lexicon: Lexicon
    trees: Trees
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
        scores = self.lexicon.element_scores(page, types)
        return self.trees.probabilities(block_features(page, page_groups(page), scores, types))

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
                Trees(*(numbers[f"trees_{name}"] for name in _TREES)),
                float(numbers["articles_beta"]),
            )

    def save(self, stored: IO[bytes]) -> None:
        """Write all numbers as an `.npz` file; equal classifiers make equal bytes."""
        parts = {
            "type": (self.page_type, _PAGE_TYPE),
            "lexicon": (self.lexicon, _LEXICON),
            "trees": (self.trees, _TREES),
        }
        arrays = {
            f"{part}_{name}": getattr(owner, name) for part, (owner, names) in parts.items() for name in names
        }
        np.savez_compressed(
            stored, allow_pickle=False, **arrays, articles_beta=np.float64(self.articles_beta)
        )


_PAGE_TYPE = ("keys", "weights", "units", "rarity", "biases")
_LEXICON = ("keys", "log_odds")
_TREES = ("columns", "thresholds", "leaves")
