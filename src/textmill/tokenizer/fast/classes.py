r"""The class of every code point, as the tokenizers library's regular expressions see it.

Frozen in ``letters_numbers.tsv``, because Python's own tables differ from the engine's by thousands of
letters, which no ordinary text would show. ``\s`` is Unicode's White_Space.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.fast.kernels import LETTER, NEWLINE, NUMBER, SPACE

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


@cache
def character_classes() -> npt.NDArray[np.uint8]:
    """Class of each code point: uint8, shape (0x110000,)."""
    classes = np.zeros(0x110000, np.uint8)
    table = resources.files("textmill.tokenizer.fast").joinpath("letters_numbers.tsv").read_text("ascii")
    for line in table.splitlines():
        if not line.startswith("#"):
            kind, first, last = line.split("\t")
            classes[int(first, 16) : int(last, 16) + 1] = LETTER if kind == "L" else NUMBER
    classes[list(WHITE_SPACE)] = SPACE
    classes[[0x0A, 0x0D]] = NEWLINE
    classes.flags.writeable = False
    return classes
