"""Trains the extractor's classifier on marked pages, so that what is measured was never seen.

::

    for a set of folds left out:
      names, signs ─► lexicon, page types ─► features ─► first trees ─► p of every page ─► second trees
           without the fold of the page itself, too ──┘      without its fold, too ──┘

The classifier of all folds but one is what cross-validation measures on that one; the classifier of all is shipped.
Both stages learn from numbers as they will see them: the lexicon, the page types and the first stage's probabilities
of a training page come from models that know nothing of its fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.extraction_statistics import Example, NameStatistics, SignStatistics
from benchmarks.extraction_trees import FIRST, SECOND, complete_trees, fit_trees, page_weights, sampled
from textmill.extract.block_sums import block_lengths
from textmill.extract.classifier import SECOND_COLUMNS, Classifier
from textmill.extract.features import FEATURES, block_features
from textmill.extract.grouping import page_groups
from textmill.extract.lexicon import Lexicon
from textmill.extract.page_type import PageTypeModel
from textmill.extract.smoothing import SECOND_FEATURES, second_features
from textmill.extract.trees import Trees

Rows = npt.NDArray[np.float32]
Folds = tuple[int, ...]


class Trainer:
    """Trains classifiers without any set of folds; what several of them need is computed once.

    Args:
        examples: labelled pages.
        report: told what is being computed.
    """

    def __init__(self, examples: Sequence[Example], report: Callable[[str], None] = lambda _: None) -> None:
        self.examples = examples
        self.report = report
        self.folds = sorted({example.fold for example in examples})
        self.members = {k: [e for e in examples if e.fold == k] for k in self.folds}
        self.labels = {k: np.concatenate([e.labels for e in self.members[k]]) for k in self.folds}
        self.weights = {k: page_weights(self.members[k]) for k in self.folds}
        self.names = NameStatistics(examples)
        self.signs = SignStatistics(examples)
        self._lexicons: dict[Folds, Lexicon] = {}
        self._page_types: dict[Folds, PageTypeModel] = {}
        self._first: dict[Folds, Trees] = {}

    def classifier(self, without: Folds = (), articles_beta: float = 1.0) -> Classifier:
        """The classifier trained on all folds but some."""
        first = self.first(without)
        rows, labels, weights = [], [], []
        for k in self._others(without):
            inner = _with(without, k)
            trees = self.first(inner)
            features = self.features(k, inner)
            wide = np.pad(features, ((0, 0), (SECOND_COLUMNS, 0)))
            self.report(f"second look at fold {k} by what was trained without {inner}")
            second = self._second_features(k, trees.probabilities(wide))
            kept, new_weights = sampled(self.weights[k], seed=k)
            rows.append(np.hstack((second, features))[kept])
            labels.append(self.labels[k][kept])
            weights.append(new_weights)
        self.report(f"second trees without {without}")
        booster = fit_trees(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights), SECOND)
        second_trees = complete_trees(booster, SECOND["max_depth"])
        return Classifier(self.page_types(without), self.lexicon(without), first, second_trees, articles_beta)

    def first(self, without: Folds) -> Trees:
        """The first trees, trained on all folds but some."""
        if without not in self._first:
            rows, labels, weights = [], [], []
            for k in self._others(without):
                kept, new_weights = sampled(self.weights[k], seed=k)
                rows.append(self.features(k, _with(without, k))[kept])
                labels.append(self.labels[k][kept])
                weights.append(new_weights)
            self.report(f"first trees without {without}")
            booster = fit_trees(np.concatenate(rows), np.concatenate(labels), np.concatenate(weights), FIRST)
            self._first[without] = complete_trees(booster, FIRST["max_depth"], SECOND_COLUMNS)
        return self._first[without]

    def features(self, fold: int, without: Folds) -> Rows:
        """float32[blocks of the fold's pages, features], by models that know nothing of some folds."""
        lexicon, page_types = self.lexicon(without), self.page_types(without)
        rows = [np.zeros((0, len(FEATURES)), np.float32)]
        for example in self.members[fold]:
            types = page_types.probabilities(example.page, example.url)
            rows.append(
                block_features(
                    example.page,
                    page_groups(example.page),
                    lexicon.element_scores(example.page, types),
                    types,
                )
            )
        return np.concatenate(rows)

    def _second_features(self, fold: int, probabilities: Rows) -> Rows:
        rows = [np.zeros((0, len(SECOND_FEATURES)), np.float32)]
        start = 0
        for example in self.members[fold]:
            end = start + len(example.labels)
            rows.append(
                second_features(
                    example.page,
                    page_groups(example.page),
                    probabilities[start:end],
                    block_lengths(example.page),
                )
            )
            start = end
        return np.concatenate(rows)

    def lexicon(self, without: Folds) -> Lexicon:
        """The lexicon of all folds but some."""
        if without not in self._lexicons:
            self._lexicons[without] = self.names.lexicon(without)
        return self._lexicons[without]

    def page_types(self, without: Folds) -> PageTypeModel:
        """The page-type model of all folds but some."""
        if without not in self._page_types:
            self.report(f"page types without {without}")
            self._page_types[without] = self.signs.model(without)
        return self._page_types[without]

    def _others(self, without: Folds) -> list[int]:
        return [k for k in self.folds if k not in without]


def _with(folds: Folds, one: int) -> Folds:
    return tuple(sorted({*folds, one}))
