"""Trains the extractor's classifier on marked pages, so that what is measured was never seen.

::

    for a set of folds left out:
      names, signs ─► lexicon, page types ─► features of every page ─► trees
                        without the fold of the page itself, too

The classifier of all folds but one is what cross-validation measures on that one; the classifier of all is shipped.
Trees learn from numbers as they will see them: the lexicon and the page types that a training page is described by come
from models that know nothing of its fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.extraction_statistics import Example, NameStatistics, SignStatistics
from benchmarks.extraction_trees import PARAMETERS, complete_trees, fit_trees, page_weights, sampled
from textmill.extract.classifier import Classifier
from textmill.extract.features import FEATURES, block_features
from textmill.extract.grouping import page_groups
from textmill.extract.lexicon import Lexicon
from textmill.extract.page_type import PageTypeModel

Rows = npt.NDArray[np.float32]
Folds = tuple[int, ...]

ARTICLES_BETA = 0.6


class Trainer:
    """Trains classifiers without any set of folds; what several of them need is computed once.

    Args:
        examples: labelled pages.
        report: told what is being computed.
    """

    def __init__(self, examples: Sequence[Example], report: Callable[[str], None] = lambda _: None) -> None:
        self.report = report
        self.folds = sorted({example.fold for example in examples})
        self.members = {k: [e for e in examples if e.fold == k] for k in self.folds}
        self.names = NameStatistics(examples)
        self.signs = SignStatistics(examples)
        self._page_types: dict[Folds, PageTypeModel] = {}

    def classifier(self, without: Folds = ()) -> Classifier:
        """The classifier trained on all folds but some."""
        parts = [self._training_rows(k, without) for k in self.folds if k not in without]
        rows, labels, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.report(f"trees without folds {without}: {len(rows):,} blocks")
        booster = fit_trees(rows, labels, weights, PARAMETERS)
        trees = complete_trees(booster, PARAMETERS["max_depth"])
        return Classifier(self.page_types(without), self.names.lexicon(without), trees, ARTICLES_BETA)

    def _training_rows(self, fold: int, without: Folds) -> tuple[Rows, Rows, Rows]:
        """(features, labels, weights) of a sample of the blocks of a fold."""
        members = self.members[fold]
        unknown = tuple(sorted({*without, fold}))
        lexicon, page_types = self.names.lexicon(unknown), self.page_types(unknown)
        kept, weights = sampled(page_weights(members), seed=fold)
        labels = np.concatenate([example.labels for example in members])[kept]
        rows = features(members, lexicon, page_types)[kept]
        return rows, labels, weights

    def page_types(self, without: Folds) -> PageTypeModel:
        """The page-type model of all folds but some."""
        if without not in self._page_types:
            self.report(f"page types without folds {without}")
            self._page_types[without] = self.signs.model(without)
        return self._page_types[without]


def features(examples: Sequence[Example], lexicon: Lexicon, page_types: PageTypeModel) -> Rows:
    """float32[blocks of all, features]."""
    rows = [np.zeros((0, len(FEATURES)), np.float32)]
    for example in examples:
        page = example.page
        types = page_types.probabilities(page, example.url)
        rows.append(block_features(page, page_groups(page), lexicon.element_scores(page, types), types))
    return np.concatenate(rows)
