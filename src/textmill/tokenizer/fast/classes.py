r"""The class of every code point, as the tokenizers library's regular expressions see it.

Frozen in ``letters_numbers.tsv``, because Python's own tables differ from the engine's by thousands of
letters, which no ordinary text would show. ``\s`` is Unicode's White_Space.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.fast.kernels import (
    GPT2,
    LETTER,
    LOWER,
    MARK,
    NEWLINE,
    NUMBER,
    O200K,
    OTHER,
    SPACE,
    START_BEFORE_LETTERS,
    START_LETTER,
    START_OTHER,
    UPPER,
)

WHITE_SPACE = (
    0x09,
    0x0B,
    0x0C,
    0x20,
    0x85,
    0xA0,
    0x1680,
    *range(0x2000, 0x200B),
    0x2028,
    0x2029,
    0x202F,
    0x205F,
    0x3000,
)

_KINDS = {"U": UPPER, "D": LOWER, "O": LETTER, "M": MARK, "N": NUMBER}


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """Class of each code point: uint8, shape (0x110000,)."""
    classes = np.zeros(0x110000, np.uint8)
    table = resources.files("textmill.tokenizer.fast").joinpath("letters_numbers.tsv").read_text("ascii")
    for line in table.splitlines():
        if not line.startswith("#"):
            kind, first, last = line.split("\t")
            classes[int(first, 16) : int(last, 16) + 1] = _KINDS[kind]
    classes[list(WHITE_SPACE)] = SPACE
    classes[[0x0A, 0x0D]] = NEWLINE
    classes.flags.writeable = False
    return classes


@cache
def class_table(pattern: int) -> npt.NDArray[np.uint8]:
    """The classes that a pattern tells apart, laid out for the kernels (see there), with padding behind.

    Blocks of 256 code points that are alike are kept once: some 60 KB instead of a megabyte.
    """
    classes = character_classes()
    if pattern != O200K:
        classes = classes.copy()
        classes[(classes == UPPER) | (classes == LOWER)] = LETTER
        classes[classes == MARK] = OTHER
    starts = np.full(256, START_OTHER, np.uint8)
    for byte in range(128):
        kind = classes[byte]
        if kind in (LETTER, UPPER, LOWER):
            starts[byte] = START_LETTER
        elif pattern == GPT2:
            starts[byte] = START_BEFORE_LETTERS if byte == 0x20 else START_OTHER
        elif kind in (OTHER, SPACE) and (pattern == O200K or byte != 0x27):
            # An apostrophe may begin a contraction, which cl100k looks for first.
            starts[byte] = START_BEFORE_LETTERS
    blocks, numbers = np.unique(classes.reshape(-1, 256), axis=0, return_inverse=True)
    numbered = numbers.ravel().astype("<u2").view(np.uint8)
    table = np.concatenate([classes[:128], starts, numbered, blocks.ravel(), np.zeros(64, np.uint8)])
    table.flags.writeable = False
    return table
