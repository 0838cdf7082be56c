"""What a block is part of: heading, list item, cell of a table, code, quotation. For rendering."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.layout import ELEMENT, PARENT, TAG
from textmill.extract.names import TAG_IDS
from textmill.text.compilation import borrowed, kernel

LEVEL, ITEM, NUMBER, LIST_DEPTH, CELL, ROW, GRID, CODE, QUOTES, TERM = range(10)
"""Columns: level of a heading; nearest `li`; its number in an ordered list; how many lists it stands in; nearest cell,
its row, its table; outermost `pre`; how many quotations it stands in; 1 in `dt`, 2 in `dd`. 0 where there is none."""
COLUMNS = 10

T_LI, T_UL, T_OL, T_MENU, T_DIR, T_TD, T_TH, T_CAPTION = (
    TAG_IDS[_name] for _name in ["li", "ul", "ol", "menu", "dir", "td", "th", "caption"]
)
T_TR, T_TABLE, T_PRE, T_LISTING, T_XMP, T_PLAINTEXT, T_BLOCKQUOTE, T_DT, T_DD, T_H1 = (
    TAG_IDS[_name]
    for _name in ["tr", "table", "pre", "listing", "xmp", "plaintext", "blockquote", "dt", "dd", "h1"]
)


@kernel
def structure(elements, blocks):
    """int32[blocks, COLUMNS]: what every block is part of."""
    elements, blocks = borrowed(elements), borrowed(blocks)
    numbers = np.zeros(elements.shape[0], np.int32)
    items = np.zeros(elements.shape[0], np.int32)
    for element in range(1, elements.shape[0]):
        parent = elements[element, PARENT]
        if elements[element, TAG] == T_LI and elements[parent, TAG] == T_OL:
            items[parent] += 1
            numbers[element] = items[parent]
    parts = np.zeros((blocks.shape[0], COLUMNS), np.int32)
    for block in range(blocks.shape[0]):
        element = blocks[block, ELEMENT]
        captioned = False
        while element > 0:
            tag = elements[element, TAG]
            if tag == T_LI:
                if parts[block, ITEM] == 0:
                    parts[block, ITEM] = element
                    parts[block, NUMBER] = numbers[element]
            elif tag == T_UL or tag == T_OL or tag == T_MENU or tag == T_DIR:
                parts[block, LIST_DEPTH] += 1
            elif tag == T_TD or tag == T_TH:
                if parts[block, CELL] == 0 and not captioned:
                    parts[block, CELL] = element
            elif tag == T_TR:
                if parts[block, ROW] == 0 and parts[block, CELL] != 0:
                    parts[block, ROW] = element
            elif tag == T_CAPTION:
                captioned = parts[block, CELL] == 0
            elif tag == T_TABLE:
                captioned = False
                if parts[block, GRID] == 0 and parts[block, ROW] != 0:
                    parts[block, GRID] = element
            elif tag == T_PRE or tag == T_LISTING or tag == T_XMP or tag == T_PLAINTEXT:
                parts[block, CODE] = element
            elif tag == T_BLOCKQUOTE:
                parts[block, QUOTES] += 1
            elif tag == T_DT or tag == T_DD:
                if parts[block, TERM] == 0:
                    parts[block, TERM] = 1 if tag == T_DT else 2
            elif T_H1 <= tag < T_H1 + 6 and parts[block, LEVEL] == 0:
                parts[block, LEVEL] = tag - T_H1 + 1
            element = elements[element, PARENT]
    return parts
