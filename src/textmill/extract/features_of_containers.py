"""Features of what a block stands in: names above it, containers, siblings, records, its path."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.block_sums import (
    COPIED,
    HEADINGS,
    IN_SENTENCES,
    LENGTH,
    LINKED,
    PROSE,
    container_above,
    over,
)
from textmill.extract.layout import BLOCK_ELEMENT, ELEMENT, END_BLOCK, FIRST_BLOCK, PARENT
from textmill.text.compilation import inner_kernel

CONTAINERS = 5
"""So many ancestors of a block are looked at, counting only those that hold more text than the one below."""

SCORE_NAMES = (
    *("own", "parent", "grandparent", "sum", "lowest", "highest", "decayed", "general", "general lowest"),
)
_OF_CONTAINER = (
    "length",
    "link share",
    "share",
    "sentences",
    "blocks",
    "score",
    "prose",
    "headings",
    "copied",
    "part",
)
CONTAINER_NAMES = tuple(f"{level} {name}" for level in range(1, CONTAINERS + 1) for name in _OF_CONTAINER)
REPETITION_NAMES = (
    *(f"siblings {level} {name}" for level in (1, 2, 3) for name in ("count", "length")),
    *(f"record {name}" for name in ("count", "length", "share", "place", "link share")),
    *(f"path {name}" for name in ("count", "share", "length", "link share", "distinct")),
)


@inner_kernel
def inherit(elements, scores):
    """float32[elements, 6]: sum, lowest, highest, decayed score from the page down; general decayed and lowest."""
    inherited = np.zeros((elements.shape[0], 6), np.float32)
    for e in range(1, elements.shape[0]):
        above = inherited[elements[e, PARENT]]
        score = scores[e, 0]
        general = scores[e, 1]
        inherited[e, 0] = above[0] + score
        inherited[e, 1] = min(above[1], score)
        inherited[e, 2] = max(above[2], score)
        inherited[e, 3] = above[3] * np.float32(0.7) + score
        inherited[e, 4] = above[4] * np.float32(0.7) + general
        inherited[e, 5] = min(above[5], general)
    return inherited


@inner_kernel
def fill_scores(elements, blocks, scores, inherited, rows):
    """Scores of the names of a block's element and of those above it."""
    for b in range(blocks.shape[0]):
        e = blocks[b, ELEMENT]
        holder = elements[e, BLOCK_ELEMENT]
        above = elements[elements[holder, PARENT], BLOCK_ELEMENT] if holder > 0 else 0
        further = elements[elements[above, PARENT], BLOCK_ELEMENT] if above > 0 else 0
        row = rows[b]
        row[0] = scores[holder, 0]
        row[1] = scores[above, 0]
        row[2] = scores[further, 0]
        for column in range(6):
            row[3 + column] = inherited[e, column]


@inner_kernel
def fill_containers(elements, blocks, scores, sums, rows):
    """Sizes and shares of the containers around a block."""
    count = blocks.shape[0]
    total = max(1.0, sums[LENGTH, count])
    width = rows.shape[1] // CONTAINERS
    for b in range(count):
        e = elements[blocks[b, ELEMENT], BLOCK_ELEMENT]
        below = 0.0
        for level in range(CONTAINERS):
            if level > 0:
                e = container_above(elements, sums, LENGTH, e)
            first = elements[e, FIRST_BLOCK]
            end = elements[e, END_BLOCK]
            if e == 0:
                first, end = 0, count
            length = over(sums, LENGTH, first, end)
            some = max(0.5, length)
            row = rows[b, level * width : (level + 1) * width]
            row[0] = length
            row[1] = over(sums, LINKED, first, end) / some
            row[2] = length / total
            row[3] = over(sums, IN_SENTENCES, first, end) / some
            row[4] = end - first
            row[5] = scores[e, 0]
            row[6] = over(sums, PROSE, first, end) / some
            row[7] = over(sums, HEADINGS, first, end) / max(1, end - first)
            row[8] = over(sums, COPIED, first, end) / some
            row[9] = below / some
            below = length


@inner_kernel
def fill_repetition(elements, blocks, siblings, paths, texts, sums, rows):
    """How often what a block stands in, or its place, occurs on the page."""
    count = blocks.shape[0]
    total = max(1.0, sums[LENGTH, count])
    group_count = np.zeros(elements.shape[0], np.int32)
    group_length = np.zeros(elements.shape[0])
    for e in range(1, elements.shape[0]):
        if elements[e, END_BLOCK] > elements[e, FIRST_BLOCK]:
            group_count[siblings[e]] += 1
            group_length[siblings[e]] += over(sums, LENGTH, elements[e, FIRST_BLOCK], elements[e, END_BLOCK])
    # The record an element stands in: the ancestor, or itself, whose group of three or more holds most text.
    record = np.zeros(elements.shape[0], np.int32)
    for e in range(1, elements.shape[0]):
        record[e] = record[elements[e, PARENT]]
        if group_count[siblings[e]] >= 3 and (
            record[e] == 0 or group_length[siblings[e]] >= 0.7 * group_length[siblings[record[e]]]
        ):
            record[e] = e
    path_count = np.zeros(count, np.int32)
    path_length = np.zeros(count)
    path_linked = np.zeros(count)
    path_texts = np.zeros(count, np.int32)
    seen = np.full(count, -1, np.int32)
    for b in range(count):
        path_count[paths[b]] += 1
        path_length[paths[b]] += over(sums, LENGTH, b, b + 1)
        path_linked[paths[b]] += over(sums, LINKED, b, b + 1)
        if seen[texts[b]] != paths[b]:  # nearly: a text that changes between two paths is counted again
            seen[texts[b]] = paths[b]
            path_texts[paths[b]] += 1
    for b in range(count):
        e = elements[blocks[b, ELEMENT], BLOCK_ELEMENT]
        held = record[e]
        for level in range(3):
            group = siblings[e]
            rows[b, 2 * level] = group_count[group]
            rows[b, 2 * level + 1] = group_length[group] / max(1, group_count[group])
            if e > 0:
                e = elements[elements[e, PARENT], BLOCK_ELEMENT]
        row = rows[b, 6:11]
        if held > 0:
            group = siblings[held]
            first = elements[held, FIRST_BLOCK]
            end = elements[held, END_BLOCK]
            row[0] = group_count[group]
            row[1] = group_length[group] / group_count[group]
            row[2] = group_length[group] / total
            row[3] = (b - first) / max(1, end - first)
            row[4] = over(sums, LINKED, first, end) / max(0.5, over(sums, LENGTH, first, end))
        row = rows[b, 11:16]
        path = paths[b]
        row[0] = path_count[path]
        row[1] = path_length[path] / total
        row[2] = path_length[path] / path_count[path]
        row[3] = path_linked[path] / max(0.5, path_length[path])
        row[4] = path_texts[path] / path_count[path]
