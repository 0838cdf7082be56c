"""Which elements and blocks are of one kind: siblings, places in the tree, equal texts.

Groups are numbered from 0 in the order of their first member. They are told apart by 64-bit hashes.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from textmill.extract.layout import BLOCK_ELEMENT, ELEMENT, END_WORD, FIRST_WORD, PARENT, SIGNATURE, TAG
from textmill.extract.tree import Page
from textmill.text.compilation import inner_kernel, kernel

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Groups(NamedTuple):
    """Numbers of groups, for every element or block of a page.

    Attributes:
        siblings: int32[elements]: elements with one parent, tag and class attribute.
        paths: int32[blocks]: blocks at one place of the tree, which is the tags from the page down to the nearest
            block-level element, and the class of that one.
        texts: int32[blocks]: blocks of equal words.
    """

    siblings: npt.NDArray[np.int32]
    paths: npt.NDArray[np.int32]
    texts: npt.NDArray[np.int32]


def page_groups(page: Page) -> Groups:
    """The groups of a page."""
    return Groups(*_page_groups(page.elements, page.blocks, page.words))


@kernel
def _page_groups(elements, blocks, words):
    paths, texts = _block_groups(elements, blocks, words)
    return _sibling_groups(elements), paths, texts


@inner_kernel
def _sibling_groups(elements):
    keys = np.empty(elements.shape[0], np.uint64)
    for e in range(elements.shape[0]):
        keys[e] = _mixed(_mixed(np.uint64(elements[e, PARENT] + 1), elements[e, TAG]), elements[e, SIGNATURE])
    return numbered(keys)


@inner_kernel
def _block_groups(elements, blocks, words):
    places = _path_hashes(elements)
    path_keys = np.empty(blocks.shape[0], np.uint64)
    text_keys = np.empty(blocks.shape[0], np.uint64)
    for b in range(blocks.shape[0]):
        holder = elements[blocks[b, ELEMENT], BLOCK_ELEMENT]
        path_keys[b] = _mixed(places[holder], elements[holder, SIGNATURE])
        key = np.uint64(1)
        for place in range(blocks[b, FIRST_WORD], blocks[b, END_WORD]):
            key = _mixed(key, words[place])
        text_keys[b] = key
    return numbered(path_keys), numbered(text_keys)


@inner_kernel
def _path_hashes(elements):
    """uint64[elements]: hash of the tags from the page down to an element."""
    hashes = np.zeros(elements.shape[0], np.uint64)
    for e in range(1, elements.shape[0]):
        hashes[e] = _mixed(hashes[elements[e, PARENT]], elements[e, TAG] + 1)
    return hashes


@inner_kernel
def _mixed(state, value):
    """A hash of 64 bits with one more value in it."""
    state = (state ^ np.uint64(value)) * _MIX
    return state ^ (state >> np.uint64(29))


@kernel
def numbered(keys):
    """int32[keys]: equal keys get equal numbers, in the order in which they first appear."""
    size = 16
    while size < 2 * keys.size:
        size *= 2
    slots = np.full(size, -1, np.int32)
    mask = np.uint64(size - 1)
    numbers = np.empty(keys.size, np.int32)
    first = np.empty(keys.size, np.int32)  # of each number, the place of the key that it was given to
    count = 0
    for place in range(keys.size):
        slot = (keys[place] ^ (keys[place] >> np.uint64(32))) & mask
        while slots[slot] >= 0 and keys[first[slots[slot]]] != keys[place]:
            slot = (slot + np.uint64(1)) & mask
        if slots[slot] < 0:
            slots[slot] = count
            first[count] = place
            count += 1
        numbers[place] = slots[slot]
    return numbers
