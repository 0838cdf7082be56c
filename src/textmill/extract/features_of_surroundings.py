"""Features of what stands around a block: neighbours, windows, headings, the main element, the whole page."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.block_sums import COPIED, HEADINGS, LENGTH, LINKED, PROSE, SCORES, over
from textmill.extract.layout import BLOCK_ELEMENT, ELEMENT, END_BLOCK, FIRST_BLOCK, FLAGS, IMAGES, TAG
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.names import TAG_IDS
from textmill.text.compilation import inner_kernel

NEIGHBOURS = (-1, -2, 1, 2)
WINDOWS = (3, 10)
SURROUNDING_NAMES = (
    *(f"neighbour {at:+} {name}" for at in NEIGHBOURS for name in ("length", "link share", "score", "tag")),
    *(f"window {size} {name}" for size in WINDOWS for name in ("length", "link share", "score", "copied")),
)
HEADING_NAMES = ("distance", "level", "from h1", "after h1", "to next")
MAIN_NAMES = ("length", "share", "inside", "place")
PAGE_NAMES = (
    *("length", "link share", "blocks", "prose", "main", "article", "articles", "headings", "images", "form"),
    *("table", "list", "smallest container", "in smallest container", "score"),
)

_ARTICLE, _MAIN_TAG = TAG_IDS["article"], TAG_IDS["main"]
_IN = {name: 1 << bit for bit, name in enumerate(FLAG_NAMES)}
_IN_MAIN, _IN_ARTICLE = _IN["main"], _IN["article"]
_IN_LIST, _IN_TABLE, _IN_FORM = _IN["li"], _IN["table"], _IN["form"]


@inner_kernel
def fill_surroundings(elements, blocks, sums, inherited, tag_classes, rows):
    """The blocks before and after, and means over windows."""
    count = blocks.shape[0]
    for b in range(count):
        column = 0
        for step in NEIGHBOURS:
            other = b + step
            if 0 <= other < count:
                e = blocks[other, ELEMENT]
                length = over(sums, LENGTH, other, other + 1)
                rows[b, column] = length
                rows[b, column + 1] = over(sums, LINKED, other, other + 1) / max(0.5, length)
                rows[b, column + 2] = inherited[e, 3]
                rows[b, column + 3] = tag_classes[elements[elements[e, BLOCK_ELEMENT], TAG]]
            else:
                rows[b, column : column + 4] = -1.0
            column += 4
        for size in WINDOWS:
            first = max(0, b - size)
            end = min(count, b + size + 1)
            length = over(sums, LENGTH, first, end)
            rows[b, column] = length / (end - first)
            rows[b, column + 1] = over(sums, LINKED, first, end) / max(0.5, length)
            rows[b, column + 2] = over(sums, SCORES, first, end) / max(0.5, length)
            rows[b, column + 3] = over(sums, COPIED, first, end) / max(0.5, length)
            column += 4


@inner_kernel
def fill_headings(elements, blocks, heading_levels, rows):
    """Distances to headings."""
    count = blocks.shape[0]
    last = -1
    top = -1
    for b in range(count):
        level = heading_levels[elements[elements[blocks[b, ELEMENT], BLOCK_ELEMENT], TAG]]
        if level > 0:
            last = b
        if level == 1:
            top = b
        row = rows[b]
        row[0] = b - last if last >= 0 else 999
        row[1] = (
            heading_levels[elements[elements[blocks[last, ELEMENT], BLOCK_ELEMENT], TAG]] if last >= 0 else 0
        )
        row[2] = b - top if top >= 0 else 999
        row[3] = 1 if top >= 0 else 0
    following = -1
    for back in range(count):
        b = count - 1 - back
        rows[b, 4] = following - b if following >= 0 else 999
        if heading_levels[elements[elements[blocks[b, ELEMENT], BLOCK_ELEMENT], TAG]] > 0:
            following = b


@inner_kernel
def fill_main(elements, sums, rows):
    """Where a block stands to the `article` or `main` that holds most prose."""
    count = rows.shape[0]
    best = -1
    most = -1.0
    for e in range(1, elements.shape[0]):
        if elements[e, TAG] == _ARTICLE or elements[e, TAG] == _MAIN_TAG:
            prose = over(sums, PROSE, elements[e, FIRST_BLOCK], elements[e, END_BLOCK])
            if prose > most:
                most = prose
                best = e
    for b in range(count):
        row = rows[b]
        row[0] = most
        row[1] = -1.0
        if best >= 0:
            first = elements[best, FIRST_BLOCK]
            end = elements[best, END_BLOCK]
            row[1] = most / max(1.0, sums[PROSE, count])
            row[2] = 1 if first <= b < end else 0
            row[3] = (b - first) / max(1, end - first)


@inner_kernel
def fill_page(elements, blocks, sums, rows):
    """What holds for the page, and whether a block is in the smallest element with most of its prose."""
    count = blocks.shape[0]
    total = max(1.0, sums[LENGTH, count])
    prose = max(1.0, sums[PROSE, count])
    inside = np.zeros(5)
    for b in range(count):
        flags = elements[blocks[b, ELEMENT], FLAGS]
        length = over(sums, LENGTH, b, b + 1)
        for place, flag in enumerate((_IN_MAIN, _IN_ARTICLE, _IN_FORM, _IN_TABLE, _IN_LIST)):
            if flags & flag:
                inside[place] += length
    articles = 0
    images = 0
    smallest = 0
    held = np.inf
    for e in range(1, elements.shape[0]):
        images += elements[e, IMAGES]
        first = elements[e, FIRST_BLOCK]
        end = elements[e, END_BLOCK]
        if end > first and elements[e, TAG] == _ARTICLE:
            articles += 1
        if over(sums, PROSE, first, end) >= 0.6 * prose and over(sums, LENGTH, first, end) <= held:
            held = over(sums, LENGTH, first, end)
            smallest = e
    for b in range(count):
        row = rows[b]
        row[0] = total
        row[1] = sums[LINKED, count] / total
        row[2] = count
        row[3] = sums[PROSE, count] / total
        row[4] = inside[0] / total
        row[5] = inside[1] / total
        row[6] = articles
        row[7] = sums[HEADINGS, count] / count
        row[8] = images
        row[9] = inside[2] / total
        row[10] = inside[3] / total
        row[11] = inside[4] / total
        row[12] = held / total if smallest > 0 else 1.0
        row[13] = 1 if elements[smallest, FIRST_BLOCK] <= b < elements[smallest, END_BLOCK] else 0
        row[14] = sums[SCORES, count] / total
