"""Which share of each block of a page people marked as main text.

Marked texts are not copies of the page: order, white space and headings differ, parts are left out. A word of the page
counts as marked if one of the three trigrams that cover it occurs in the marked text; a block's label is the share of
such words. Words are the parser's, so both sides are cut alike.

A trigram can be marked only as often as the marked text holds it. Where the page has it more often (a table of
contents and the headings, a paragraph for wide screens and once more for narrow ones) it goes to where the longest
runs of words agree, and among equal ones to the first.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.extraction_pages import MarkedPage
from benchmarks.extraction_statistics import Example
from textmill.extract.layout import END_WORD, FIRST_WORD
from textmill.extract.page_type import PAGE_TYPES, declared_address
from textmill.extract.tree import Page, PageParser


def labelled(pages: Sequence[MarkedPage]) -> list[Example]:
    """Parsed pages with labels; of an address the classifier knows what the page itself tells."""
    parser = PageParser()
    examples = []
    for page in pages:
        marked = parser.parse(as_page(page.text)).words.copy()
        parsed = parser.parse(page.html)
        address = declared_address(parsed)
        nothing = {"data": parsed.data[:0], "attributes": parsed.attributes[:0], "text": parsed.text[:0]}
        kept = replace(parsed, **nothing).copy()  # what features need: the rest is many times as large
        examples.append(
            Example(
                kept,
                block_labels(kept, marked),
                len(marked),
                page.domain,
                page.fold,
                PAGE_TYPES.index(page.page_type),
                address,
            )
        )
    return examples


def block_labels(page: Page, marked: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    """float32[blocks]: share of each block's words that are marked, from the words of the marked text."""
    count = len(page.blocks)
    if not count or not marked.size:
        return np.zeros(count, np.float32)
    theirs, theirs_count = np.unique(_trigrams(marked), return_counts=True)
    ours = _trigrams(page.words)
    place = np.minimum(np.searchsorted(theirs, ours), len(theirs) - 1)
    found = theirs[place] == ours
    order = np.lexsort((np.arange(len(ours)), -_run_lengths(found), ours))
    first = np.maximum.accumulate(
        np.where(np.diff(ours[order], prepend=~ours[order[:1]]) != 0, np.arange(len(ours)), 0)
    )
    rank = np.empty(len(ours), np.int64)
    rank[order] = np.arange(len(ours)) - first
    share = (found & (rank < theirs_count[place])).astype(np.float64)
    covered = np.maximum(np.maximum(share[:-2], share[1:-1]), share[2:])
    sums = np.concatenate(([0.0], np.cumsum(covered)))
    start, end = page.blocks[:, FIRST_WORD], page.blocks[:, END_WORD]
    return ((sums[end] - sums[start]) / (end - start)).astype(np.float32)


def as_page(text: str) -> bytes:
    """A text as a page of one paragraph, for the parser to cut into words."""
    return b"<p>" + html.escape(text).encode() + b"</p>"


def _trigrams(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    """uint64[words + 2]: hashes of the trigrams of a text with two marks at either end; i .. i+2 cover word i."""
    padded = np.concatenate(([1, 2], words, [3, 4])).astype(np.uint64)
    prime = np.uint64(0x9E3779B97F4A7C15)
    mixed = (padded[:-2] * prime) ^ (padded[1:-1] + np.uint64(7))
    return ((mixed * prime) ^ (mixed >> np.uint64(29)) ^ padded[2:]) * prime


def _run_lengths(found: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """int64[n]: of every true place, how many true places stand together there; 0 for others."""
    borders = np.flatnonzero(np.diff(found, prepend=False, append=False))
    lengths = np.zeros(len(found), np.int64)
    for start, end in borders.reshape(-1, 2).tolist():
        lengths[start:end] = end - start
    return lengths
