"""Sums over the blocks of a page, from which means over any range of blocks are two look-ups away.

**Length** is in words, but two letters of a script written without spaces count as one word, so that a sentence in
Japanese is about as long as its translation.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.extract.layout import (
    BLOCK_ELEMENT,
    ELEMENT,
    END_BLOCK,
    END_WORD,
    FIRST_BLOCK,
    FIRST_WORD,
    FLAGS,
    LINK_WORDS,
    PARENT,
    SENTENCES,
    TAG,
    UNSPACED,
)
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.extract.names import TAG_IDS, TAGS
from textmill.extract.tree import Page
from textmill.text.compilation import inner_kernel

LENGTH, LINKED, IN_SENTENCES, PROSE, HEADINGS, SCORES, COPIED = range(7)
"""Rows of the sums: length, length inside links, sentence marks, length of prose, headings, score times length, length
of copies of earlier blocks."""
_SUMS = 7
PROSE_LENGTH = 15
"""Words outside links from which a block is prose wherever it stands; inside `p` every word is."""

HEADING_LEVELS = np.zeros(len(TAGS), np.int32)
"""Of a tag: 1 to 6 for headings, 0 for others."""
for _level in range(1, 7):
    HEADING_LEVELS[TAG_IDS[f"h{_level}"]] = _level
_IN_P = 1 << FLAG_NAMES.index("p")


def block_lengths(page: Page) -> npt.NDArray[np.float64]:
    """float64[blocks]: words, where two letters of a script without spaces make one."""
    blocks = page.blocks
    return (blocks[:, END_WORD] - blocks[:, FIRST_WORD] - 0.5 * blocks[:, UNSPACED]).astype(np.float64)


@inner_kernel
def block_length(blocks, b):
    """Words, where two letters of a script without spaces make one."""
    return blocks[b, END_WORD] - blocks[b, FIRST_WORD] - 0.5 * blocks[b, UNSPACED]


@inner_kernel
def running_sums(elements, blocks, inherited, copies, heading_levels):
    """float64[sums, blocks + 1]; for `features_of_containers.inherit` and `copy_numbers`."""
    sums = np.zeros((_SUMS, blocks.shape[0] + 1))
    for b in range(blocks.shape[0]):
        e = blocks[b, ELEMENT]
        length = block_length(blocks, b)
        word_count = blocks[b, END_WORD] - blocks[b, FIRST_WORD]
        linked = length * blocks[b, LINK_WORDS] / word_count
        free = length - linked
        prose = free if elements[e, FLAGS] & _IN_P or free >= PROSE_LENGTH else 0.0
        heading = 1.0 if heading_levels[elements[elements[e, BLOCK_ELEMENT], TAG]] else 0.0
        sums[LENGTH, b + 1] = sums[LENGTH, b] + length
        sums[LINKED, b + 1] = sums[LINKED, b] + linked
        sums[IN_SENTENCES, b + 1] = sums[IN_SENTENCES, b] + blocks[b, SENTENCES]
        sums[PROSE, b + 1] = sums[PROSE, b] + prose
        sums[HEADINGS, b + 1] = sums[HEADINGS, b] + heading
        sums[COPIED, b + 1] = sums[COPIED, b] + (length if copies[b] > 0 else 0.0)
        sums[SCORES, b + 1] = sums[SCORES, b] + inherited[e, 3] * length
    return sums


@inner_kernel
def over(sums, row, first, end):
    """The sum of a row over blocks from first to before end."""
    return sums[row, end] - sums[row, first]


@inner_kernel
def container_above(elements, sums, row, e):
    """The nearest block-level ancestor of e, or e, that holds more than `sums[row]` of e; the page (0) at last."""
    held = sums[row, elements[e, END_BLOCK]] - sums[row, elements[e, FIRST_BLOCK]]
    while e > 0:
        e = elements[elements[e, PARENT], BLOCK_ELEMENT]
        if e == 0 or sums[row, elements[e, END_BLOCK]] - sums[row, elements[e, FIRST_BLOCK]] > held:
            return e
    return 0


@inner_kernel
def copy_numbers(texts):
    """int32[blocks]: how many earlier blocks have the same words; `texts` numbers the texts."""
    seen = np.zeros(texts.size, np.int32)
    copies = np.empty(texts.size, np.int32)
    for b in range(texts.size):
        copies[b] = seen[texts[b]]
        seen[texts[b]] += 1
    return copies
