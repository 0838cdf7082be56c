"""What is counted over marked pages: names of elements beside marked text, signs beside page types.

Everything is counted per fold, so that whoever measures on a fold can have a lexicon or a page-type model without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from textmill.extract.block_sums import block_lengths
from textmill.extract.layout import END_BLOCK, FIRST_BLOCK
from textmill.extract.lexicon import SCORE_UNIT, Lexicon
from textmill.extract.page_type import PAGE_TYPES, PageTypeModel, page_signs
from textmill.extract.tree import Page

FEWEST_DOMAINS = 3
"""Names and signs that fewer registered domains show are left out."""
NAME_PRIOR, TYPE_PRIOR = 4.0, 6.0
"""So many imagined domains draw a name's odds towards those of any text, and those of a type towards the name's."""


@dataclass(frozen=True)
class Example:
    """A parsed page with its labels.

    Attributes:
        page: its arrays, copied.
        labels: float32[blocks], the share of each block that is marked.
        marked_words: in its marked text.
        domain, fold: see `extraction_pages`.
        page_type: position in `PAGE_TYPES`.
        url: its address, if the classifier is to know it.
    """

    page: Page
    labels: npt.NDArray[np.float32]
    marked_words: int
    domain: str
    fold: int
    page_type: int
    url: str | None = None


class NameStatistics:
    """How much of the text below elements of a name is marked, page by page."""

    def __init__(self, examples: Sequence[Example]) -> None:
        domains = {domain: number for number, domain in enumerate(sorted({e.domain for e in examples}))}
        self.folds = np.array([e.fold for e in examples])
        tokens, shares, owners = [], [], []
        for number, example in enumerate(examples):
            names, share = _shares_below(example)
            tokens.append(names)
            shares.append(share)
            owners.append(np.full(len(names), number))
        self.keys, self.rows = np.unique(np.concatenate(tokens), return_inverse=True)
        self.shares = np.concatenate(shares)
        self.owners = np.concatenate(owners)
        self.types = np.array([e.page_type for e in examples])[self.owners]
        self.domains = np.array([domains[e.domain] for e in examples])[self.owners]

    def lexicon(self, without: Sequence[int] = ()) -> Lexicon:
        """The lexicon of all folds but some.

        Every domain has one voice per name (and page type), however many of its pages there are.
        """
        used = ~np.isin(self.folds, without)[self.owners]
        rows, shares = self.rows[used], self.shares[used]
        types, domains = self.types[used], self.domains[used]
        general, general_count = _by_domain(rows, domains, shares, len(self.keys))
        prior = general.sum() / general_count.sum()
        share = (general + NAME_PRIOR * prior) / (general_count + NAME_PRIOR)
        columns = []
        for page_type in range(len(PAGE_TYPES)):
            of_type = types == page_type
            marked, count = _by_domain(rows[of_type], domains[of_type], shares[of_type], len(self.keys))
            columns.append(_log_odds((marked + TYPE_PRIOR * share) / (count + TYPE_PRIOR)) - _log_odds(prior))
        columns.append(_log_odds(share) - _log_odds(prior))
        known = general_count >= FEWEST_DOMAINS
        steps = np.rint(np.stack(columns, axis=1)[known] / SCORE_UNIT)
        return Lexicon(self.keys[known], np.clip(steps, -127, 127).astype(np.int8))


def _shares_below(example: Example) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float64]]:
    """Names of a page's elements, and which share of the words below each is marked."""
    page = example.page
    lengths = block_lengths(page)
    sums = np.concatenate(([0.0], np.cumsum(lengths)))
    marked = np.concatenate(([0.0], np.cumsum(lengths * example.labels)))
    first, end = (
        page.elements[:, FIRST_BLOCK][page.token_elements],
        page.elements[:, END_BLOCK][page.token_elements],
    )
    below = sums[end] - sums[first]
    used = (below > 0) & (page.token_elements > 0)
    names, rows = np.unique(page.tokens[used], return_inverse=True)
    share = np.bincount(rows, (marked[end] - marked[first])[used]) / np.bincount(rows, below[used])
    return names, share


def _by_domain(
    rows: npt.NDArray[np.int64], domains: npt.NDArray[np.int64], shares: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Per name: the sum over domains of the domain's mean share, and the number of domains."""
    pairs, inverse = np.unique(rows * (1 << 20) + domains, return_inverse=True)
    means = np.bincount(inverse, shares, len(pairs)) / np.maximum(
        1, np.bincount(inverse, minlength=len(pairs))
    )
    names = pairs >> 20
    return np.bincount(names, means, count), np.bincount(names, minlength=count).astype(np.float64)


def _log_odds(share: Any) -> Any:
    return np.log(share / (1 - share))


class SignStatistics:
    """The signs of page types that each page shows."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.folds = np.array([e.fold for e in examples])
        self.types = np.array([e.page_type for e in examples])
        domains = {domain: number for number, domain in enumerate(sorted({e.domain for e in examples}))}
        self.domains = np.array([domains[e.domain] for e in examples])
        shown = [np.unique(page_signs(e.page, e.url)) for e in examples]
        self.keys, self.columns = np.unique(np.concatenate(shown), return_inverse=True)
        self.owners = np.repeat(np.arange(len(examples)), [len(signs) for signs in shown])

    def model(self, without: Sequence[int] = ()) -> PageTypeModel:
        """The model of all folds but some."""
        from scipy.sparse import csr_matrix
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        used = ~np.isin(self.folds, without)
        entries = used[self.owners]
        owners, columns = self.owners[entries], self.columns[entries]
        pairs = np.unique(columns * (1 << 20) + self.domains[owners])
        known = np.bincount(pairs >> 20, minlength=len(self.keys)) >= FEWEST_DOMAINS
        pages = np.bincount(columns, minlength=len(self.keys))
        rarity = np.log((1 + used.sum()) / (1 + pages)).astype(np.float32)
        entries &= known[self.columns]
        position = np.cumsum(known) - 1
        matrix = csr_matrix(
            (rarity[self.columns[entries]], (self.owners[entries], position[self.columns[entries]])),
            shape=(len(self.folds), int(known.sum())),
        )
        norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
        matrix = matrix.multiply(1 / np.maximum(norms, 1e-9)[:, None]).tocsr()
        with threadpool_limits(1):  # sums in a fixed order
            fitted = LogisticRegression(C=20, max_iter=100, tol=1e-3).fit(matrix[used], self.types[used])
        weights = (fitted.coef_ * rarity[known]).T
        units = np.abs(weights).max(axis=0) / 127
        return PageTypeModel(
            self.keys[known],
            np.rint(weights / units).astype(np.int8),
            units.astype(np.float32),
            rarity[known],
            fitted.intercept_.astype(np.float32),
        )
