"""Classes of code points, frozen at one version of Unicode.

A code point's class is one uint16:

    bits 0-4   Word_Break property (UAX #29)            constants in WORD_BREAKS
    bit  5     Extended_Pictographic
    bit  6     White_Space
    bit  7     script without spaces between words (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar)
    bits 8-12  General_Category                         constants in CATEGORIES; 0 is unassigned

Tables come from `unicode_classes.tsv`, not from the interpreter's `unicodedata`: results must not change with
the version of Python. Kernels receive the two stages as arguments and look a code point up as
`blocks[(index[c >> 7] << 7) | (c & 127)]`; the first 128 entries of `blocks` are ASCII.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import kernel

SOURCE = Path(__file__).with_name("unicode_classes.tsv")
CODE_POINTS = 0x110000
BLOCK = 128

WORD_BREAKS = (
    "Other",
    "ALetter",
    "Hebrew_Letter",
    "Numeric",
    "Katakana",
    "ExtendNumLet",
    "Extend",
    "Format",
    "ZWJ",
    "MidLetter",
    "MidNum",
    "MidNumLet",
    "Single_Quote",
    "Double_Quote",
    "CR",
    "LF",
    "Newline",
    "WSegSpace",
    "Regional_Indicator",
)
CATEGORIES = (
    *("Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps"),
    *("Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co"),
)
WORD_BREAK_MASK = 31
EXTENDED_PICTOGRAPHIC = 32
WHITE_SPACE = 64
UNSPACED = 128
CATEGORY_SHIFT = 8
LETTERS = (1, 5)  # Lu .. Lo, first and last position in CATEGORIES
MARKS = (6, 8)
NUMBERS = (9, 11)
PUNCTUATION = (12, 18)
SYMBOLS = (19, 22)
REPLACEMENT = 0xFFFD

Index = npt.NDArray[np.uint16]
Blocks = npt.NDArray[np.uint16]


@lru_cache(maxsize=1)
def class_table() -> tuple[Index, Blocks]:
    """The two stages: uint16[8704], the block of each 128 code points, and uint16[128 x blocks]."""
    flat = _read()
    number: dict[bytes, int] = {}
    index = np.empty(CODE_POINTS // BLOCK, np.uint16)
    for position, block in enumerate(flat.reshape(-1, BLOCK)):
        index[position] = number.setdefault(block.tobytes(), len(number))
    blocks = np.frombuffer(b"".join(number), np.uint16).copy()
    return index, blocks


@lru_cache(maxsize=1)
def unicode_version() -> str:
    """The version of the Unicode Character Database that the tables hold."""
    with SOURCE.open(encoding="utf-8") as lines:
        return next(lines).removeprefix("# Unicode ").strip()


def class_of(code_point: int) -> int:
    """The class of one code point; for tests and for building other tables.

    Raises:
        ValueError: not a code point.
    """
    if not 0 <= code_point < CODE_POINTS:
        raise ValueError(f"not a code point: {code_point:#x}")
    index, blocks = class_table()
    return int(blocks[(int(index[code_point >> 7]) << 7) | (code_point & 127)])


def _read() -> npt.NDArray[np.uint16]:
    """The class of every code point, from the ranges in the file."""
    word_break = {name: value for value, name in enumerate(WORD_BREAKS)}
    category = {name: value << CATEGORY_SHIFT for value, name in enumerate(CATEGORIES)}
    flag = {"E": EXTENDED_PICTOGRAPHIC, "W": WHITE_SPACE, "U": UNSPACED}
    flat = np.zeros(CODE_POINTS, np.uint16)
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        first, last, break_name, category_name, flags = line.split("\t")
        value = word_break[break_name] | category[category_name] | sum(flag[letter] for letter in flags)
        flat[int(first, 16) : int(last, 16) + 1] = value
    return flat


@kernel
def decode(data, at, end):
    """The code point at byte `at` and the position after it; never reads at or beyond `end`.

    Bytes that are not UTF-8 count one by one as U+FFFD, so that no input can lead a kernel astray.
    """
    first = np.int64(data[at])
    if first < 0x80:
        return first, at + 1
    if 0xC2 <= first < 0xE0:
        if at + 1 < end and data[at + 1] & 0xC0 == 0x80:
            return ((first & 0x1F) << 6) | (np.int64(data[at + 1]) & 0x3F), at + 2
    elif 0xE0 <= first < 0xF0:
        if at + 2 < end and data[at + 1] & 0xC0 == 0x80 and data[at + 2] & 0xC0 == 0x80:
            return (
                ((first & 0x0F) << 12)
                | ((np.int64(data[at + 1]) & 0x3F) << 6)
                | (np.int64(data[at + 2]) & 0x3F)
            ), at + 3
    elif (
        0xF0 <= first < 0xF5
        and at + 3 < end
        and data[at + 1] & 0xC0 == 0x80
        and data[at + 2] & 0xC0 == 0x80
        and data[at + 3] & 0xC0 == 0x80
    ):
        code_point = (
            ((first & 0x07) << 18)
            | ((np.int64(data[at + 1]) & 0x3F) << 12)
            | ((np.int64(data[at + 2]) & 0x3F) << 6)
            | (np.int64(data[at + 3]) & 0x3F)
        )
        if code_point < 0x110000:
            return code_point, at + 4
    return REPLACEMENT, at + 1


@kernel
def classify(data, at, end, index, blocks):
    """The class of the code point at byte `at`, and the position after it."""
    code_point, after = decode(data, at, end)
    return np.int64(blocks[(np.int64(index[code_point >> 7]) << 7) | (code_point & 127)]), after


@kernel
def skip_white_space(data, at, end, index, blocks):
    """The first position in [at, end) whose code point is not White_Space, else `end`."""
    while at < end:
        value, after = classify(data, at, end, index, blocks)
        if value & WHITE_SPACE == 0:
            break
        at = after
    return at


@kernel
def trim_white_space(data, at, end, index, blocks):
    """The end of [at, end) without the White_Space at its end."""
    while end > at:
        start = end - 1
        while start > at and end - start < 4 and data[start] & 0xC0 == 0x80:
            start -= 1
        value, after = classify(data, start, end, index, blocks)
        if after != end or value & WHITE_SPACE == 0:
            break
        end = start
    return end
