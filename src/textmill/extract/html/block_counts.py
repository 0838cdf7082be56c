"""What a block is made of: words, characters, links, marks (the counts in `tree`'s rows of blocks)."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.extract.layout import (
    CAPITALS,
    CHARACTERS,
    COMMAS,
    END,
    END_RUN,
    FIRST_RUN,
    FLAGS,
    LAST_CHARACTER,
    LINK_CHARACTERS,
    LINK_WORDS,
    NUMBERS,
    RUN_ELEMENT,
    SENTENCES,
    START,
    TEXT_END,
    TEXT_START,
    UNSPACED,
)
from textmill.text.classes import CATEGORIES, CATEGORY_SHIFT, decode
from textmill.text.classes import UNSPACED as UNSPACED_CLASS
from textmill.text.compilation import apart, inlined, small_kernel
from textmill.text.folded_words import next_words
from textmill.text.wide import item

UPPER, TITLE, DIGIT = (CATEGORIES.index(_name) for _name in ("Lu", "Lt", "Nd"))
CHUNK = 256

# Bits of ROLES, by byte; beyond ASCII a look at the code point decides.
INNER, STOP, COMMA, BEYOND = 1, 2, 4, 8
ROLES = np.zeros(256, np.uint8)
ROLES[33:] = INNER
ROLES[[ord(_mark) for _mark in ".!?"]] |= STOP
ROLES[[ord(_mark) for _mark in ",;"]] |= COMMA
ROLES[0x80:0xC0] = 0
ROLES[[0xD8, 0xDB, 0xE0, 0xE2, 0xE3, 0xEF]] |= BEYOND
STOPS = np.array([ord(_mark) for _mark in "…。！？｡؟।۔"], np.int64)
COMMAS_BEYOND = np.array([ord(_mark) for _mark in "、，،；؛"], np.int64)


@small_kernel
def count_block(elements, blocks, block, runs, text, words, count, tables, link_flag):
    """Count what is in a block, append the hashes of its words from place `count`; returns the place behind them."""
    apart()
    fold_index, folds, class_index, classes, hashes, places = tables
    start, end = np.int64(blocks[block, TEXT_START]), np.int64(blocks[block, TEXT_END])
    run, last_run = np.int64(blocks[block, FIRST_RUN]), np.int64(blocks[block, END_RUN])
    at = start
    while at < end:
        at, found = next_words(text, at, end, fold_index, folds, hashes, np.int64(0), places)
        for place in range(found):
            words[count] = hashes[place]
            count += 1
            first = places[0, place]
            while run + 1 < last_run and first >= runs[run + 1, START]:
                run += 1
            if elements[runs[run, RUN_ELEMENT], FLAGS] & link_flag:
                blocks[block, LINK_WORDS] += 1
            byte = item(text, first)
            if byte < 0x80:
                if 65 <= byte <= 90:
                    blocks[block, CAPITALS] += 1
                elif 48 <= byte <= 57:
                    blocks[block, NUMBERS] += 1
            else:
                point, _ = decode(text, first, end)
                value = np.int64(classes[(np.int64(class_index[point >> 7]) << 7) | (point & 127)])
                category = value >> CATEGORY_SHIFT
                if category == UPPER or category == TITLE:
                    blocks[block, CAPITALS] += 1
                elif category == DIGIT:
                    blocks[block, NUMBERS] += 1
                elif value & UNSPACED_CLASS:
                    blocks[block, UNSPACED] += 1
    for run in range(blocks[block, FIRST_RUN], last_run):
        characters = _count_marks(text, np.int64(runs[run, START]), np.int64(runs[run, END]), blocks, block)
        if elements[runs[run, RUN_ELEMENT], FLAGS] & link_flag:
            blocks[block, LINK_CHARACTERS] += characters
        blocks[block, CHARACTERS] += characters
    last = end - 1
    while last > start and text[last] & 0xC0 == 0x80:
        last -= 1
    point, _ = decode(text, last, end)
    blocks[block, LAST_CHARACTER] = point
    return count


@inlined
def append_words(text, at, end, tables, words, count):
    """Append the hashes of the words in text[at:end] from place `count`; returns the place behind them."""
    fold_index, folds, _, _, hashes, places = tables
    while at < end:
        at, found = next_words(text, at, end, fold_index, folds, hashes, np.int64(0), places)
        for place in range(found):
            words[count] = hashes[place]
            count += 1
    return count


@inlined
def _count_marks(text, at, end, blocks, block):
    """Code points that are not white space in text[at:end]; marks are added to the block's."""
    characters = np.int64(0)
    sentences = np.int64(0)
    commas = np.int64(0)
    stopped = False
    while at < end:
        role = item(ROLES, np.int64(item(text, at)))
        if role == INNER:
            characters += 1
            stopped = False
        elif role:
            characters += 1
            stop = role & STOP != 0
            if role & COMMA:
                commas += 1
            elif role & BEYOND:
                point, _ = decode(text, at, end)
                for mark in STOPS:
                    stop |= point == mark
                for mark in COMMAS_BEYOND:
                    commas += point == mark
            elif stop and at + 1 < end and text[at + 1] > 32 and _is_word_byte(text[at + 1]):
                stop = False  # 3.14, example.com
            if stop and not stopped:
                sentences += 1
            stopped = stop
        at += 1
    blocks[block, SENTENCES] += sentences
    blocks[block, COMMAS] += commas
    return characters


@inlined
def _is_word_byte(byte):
    return byte >= 0x80 or 48 <= byte <= 57 or 65 <= byte <= 90 or 97 <= byte <= 122
