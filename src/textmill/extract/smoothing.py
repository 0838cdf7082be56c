"""What the second look at a page adds: where the first one found text, around, above and beside a block.

The first classifier judges blocks one by one. Whether a short line belongs to the text is often decided by its
neighbours, by the rest of its container and of its like, and by how sure everything else on the page is: those are
features of the second classifier, beside those of the first.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.extract.block_sums import HEADING_LEVELS, container_above
from textmill.extract.decoding import best_cut
from textmill.extract.features_of_containers import CONTAINERS
from textmill.extract.grouping import Groups
from textmill.extract.layout import BLOCK_ELEMENT, ELEMENT, END_BLOCK, FIRST_BLOCK, PARENT, TAG
from textmill.extract.tree import Page
from textmill.text.compilation import inner_kernel, kernel

_REACH = 3
_WINDOWS = (3, 10, 25)

SECOND_FEATURES: tuple[str, ...] = (
    *("probability", "above the cut"),
    *(f"{step:+} probability" for distance in range(1, _REACH + 1) for step in (-distance, distance)),
    *(f"{size} around" for size in _WINDOWS),
    *(f"container {level}" for level in range(1, CONTAINERS + 1)),
    *(f"container {level} of all" for level in range(1, CONTAINERS + 1)),
    *("same path", "same text", "copied", "siblings 1", "siblings 2", "siblings 3"),
    *(
        "page",
        "page kept",
        "rank",
        "highest",
        "span",
        "doubt",
        "heading",
        "5 after",
        "5 before",
        "cut",
        "expected",
    ),
)
"""Names of the columns, in order."""


def second_features(
    page: Page,
    groups: Groups,
    probabilities: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.float64],
) -> npt.NDArray[np.float32]:
    """float32[blocks, len(SECOND_FEATURES)]; see `fill_second_features`."""
    rows = np.zeros((len(page.blocks), len(SECOND_FEATURES) + 1), np.float32)[:, :-1]
    fill_second_features(page, groups, probabilities, lengths, rows)
    return rows


def fill_second_features(
    page: Page,
    groups: Groups,
    probabilities: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.float64],
    rows: npt.NDArray[np.float32],
) -> None:
    """Write the second features of all blocks.

    Args:
        page: a parsed page.
        groups: `grouping.page_groups` of it.
        probabilities: float32[blocks] of the first classifier.
        lengths: float64[blocks] of `block_sums.block_lengths`.
        rows: float32[blocks, len(SECOND_FEATURES)], some columns of a wider table.
    """
    if len(rows):
        _fill(
            *(page.elements, page.blocks, *groups),
            *(probabilities.astype(np.float64), lengths, HEADING_LEVELS, rows),
        )


@kernel
def _fill(elements, blocks, siblings, paths, texts, p, lengths, heading_levels, rows):
    count = blocks.shape[0]
    sums = np.zeros((2, count + 1))  # lengths, and expected lengths of text
    by_path = np.zeros((2, count))
    by_text = np.zeros((2, count))
    first_kept = -1
    last_kept = -1
    doubt = 0.0
    for b in range(count):
        for row, value in enumerate((lengths[b], lengths[b] * p[b])):
            sums[row, b + 1] = sums[row, b] + value
            by_path[row, paths[b]] += value
            by_text[row, texts[b]] += value
        doubt += lengths[b] * p[b] * (1 - p[b])
        if p[b] > 0.5:
            first_kept = b if first_kept < 0 else first_kept
            last_kept = b
    by_siblings = np.zeros((2, elements.shape[0]))
    for e in range(1, elements.shape[0]):
        for row in range(2):
            by_siblings[row, siblings[e]] += (
                sums[row, elements[e, END_BLOCK]] - sums[row, elements[e, FIRST_BLOCK]]
            )
    order, kept, expected = best_cut(p, lengths, 1.0)
    cut = p[order[kept - 1]]
    cut_odds = np.log(max(cut, 1e-3) / (1.0001 - cut))
    rank = np.empty(count)
    before = 0.0
    kept_length = 0.0
    for place in range(count):
        before += lengths[order[place]]
        rank[order[place]] = before / sums[0, count]
        if place < kept:
            kept_length = before
    last_heading = -1.0
    likely = np.zeros(count)  # the highest probability of an earlier block of the same words
    for b in range(count):
        out = rows[b]
        sure = min(max(p[b], 1e-4), 1 - 1e-4)
        out[0] = p[b]
        out[1] = np.log(sure / (1 - sure)) - cut_odds
        column = 2
        for distance in range(1, _REACH + 1):
            out[column] = p[b - distance] if b >= distance else -1.0
            out[column + 1] = p[b + distance] if b + distance < count else -1.0
            column += 2
        for size in _WINDOWS:
            out[column] = _mean(sums, max(0, b - size), min(count, b + size + 1))
            column += 1
        holder = elements[blocks[b, ELEMENT], BLOCK_ELEMENT]
        e = holder
        for level in range(CONTAINERS):
            if level > 0:
                e = container_above(elements, sums, 0, e)
            first = elements[e, FIRST_BLOCK]
            end = elements[e, END_BLOCK]
            if e == 0:
                first, end = 0, count
            out[column + level] = _mean(sums, first, end)
            out[column + CONTAINERS + level] = (sums[1, end] - sums[1, first]) / max(0.5, sums[1, count])
        column += 2 * CONTAINERS
        out[column] = by_path[1, paths[b]] / max(0.5, by_path[0, paths[b]])
        out[column + 1] = by_text[1, texts[b]] / max(0.5, by_text[0, texts[b]])
        out[column + 2] = likely[texts[b]]
        likely[texts[b]] = max(likely[texts[b]], p[b])
        e = holder
        for level in range(3):
            group = siblings[e]
            out[column + 3 + level] = (
                by_siblings[1, group] / by_siblings[0, group] if by_siblings[0, group] else -1.0
            )
            if e > 0:
                e = elements[elements[e, PARENT], BLOCK_ELEMENT]
        column += 6
        out[column] = sums[1, count] / sums[0, count]
        out[column + 1] = kept_length / sums[0, count]
        out[column + 2] = rank[b]
        out[column + 3] = p[order[0]]
        out[column + 4] = (
            -2.0 if first_kept < 0 else (-1.0 if b < first_kept else (1.0 if b > last_kept else 0.0))
        )
        out[column + 5] = doubt / max(0.5, sums[1, count])
        out[column + 6] = last_heading
        out[column + 7] = _mean(sums, b + 1, min(count, b + 6)) if b + 1 < count else -1.0
        out[column + 8] = _mean(sums, max(0, b - 5), b) if b > 0 else -1.0
        out[column + 9] = cut
        out[column + 10] = expected
        if heading_levels[elements[holder, TAG]] > 0:
            last_heading = p[b]


@inner_kernel
def _mean(sums, first, end):
    return (sums[1, end] - sums[1, first]) / max(0.5, sums[0, end] - sums[0, first])
