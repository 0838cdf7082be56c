"""What the site is about: the documentation that the source ``python_docs`` finds, read by several processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from textmill.documents import Document
from textmill.sources.docstrings import InstalledReader
from textmill.sources.python_docs import PythonDocs
from textmill.steps import Split

# Small enough that several processes end together.
_SPLIT_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Article:
    """One text of the site.

    Attributes:
        locator: ``module/json.decoder``, ``readme/numpy`` or ``licence/numpy/LICENSE.txt``.
        text: docstrings under ``# name`` headings, or a README or licence as it is.
        package: the distribution that it belongs to; ``python`` for the standard library.
        version: that distribution's version.
    """

    locator: str
    text: str
    package: str
    version: str


def installed_articles(
    max_source_bytes: int, processes: int = 1, advance: Callable[[int], None] = lambda _: None
) -> list[Article]:
    """The installed documentation, sorted by locator; a module that does not parse has no article.

    Args:
        max_source_bytes: source code to read, as the source ``python_docs`` has it.
        processes: how many read at a time; 1 reads in this very process.
        advance: told the bytes of source that have been read.

    Raises:
        UserError: the standard library's source is not installed.
    """
    splits = PythonDocs(max_source_bytes=max_source_bytes).plan(_SPLIT_BYTES)
    articles: list[Article] = []
    if processes < 2:
        for split in splits:
            articles += _read(split)
            advance(split.bytes)
    else:
        # Not forked: this process may have threads.
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for split, found in zip(splits, pool.map(_read, splits), strict=True):
                articles += found
                advance(split.bytes)
    return sorted(articles, key=lambda article: article.locator.encode())


def _read(split: Split) -> Sequence[Article]:
    articles = []
    for record in InstalledReader().read(split):
        if isinstance(record, Document):
            about = json.loads(record.metadata or "{}")
            articles.append(Article(record.locator, record.text, about["package"], about["version"]))
    return articles
