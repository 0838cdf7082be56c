"""Sentences: how many a line or a document holds.

    Dr. Who came at 9 p.m. on foot. | “Why?” | he asked... No answer.       3 sentences

A sentence ends at a mark with Unicode's property Sentence_Terminal (UAX #29; `.`, `!`, `?`, `。`, `।` ...), and
the next one begins with the next letter, number or symbol. `!` and `?` are no marks before a letter or a number.
A full stop is no mark

- beside another one (an ellipsis);
- before a letter, a number or a symbol (`3.14`, `textmill.py`), unless it stands between a small letter and a
  capital (`the end.Then`);
- after a single letter (`J.`, `e.g.`, `U.S.`; not `don't.`), after a capital that follows a small letter
  (`Ph.D.`, `PhD.`), after a symbol, and after the abbreviations in ABBREVIATIONS.

These are the cases that decide in the tokenizer that the reference implementation of C4's rules uses (datatrove,
by way of spaCy), and few enough to be decided while reading bytes.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.classes import (
    CATEGORY_SHIFT,
    WHITE_SPACE,
    class_of,
    class_table,
    classify,
    decode,
    trim_white_space,
)
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked_spans
from textmill.text.wide import WIDTH, beyond_ascii_mask, equal_mask, item, trailing_zeros

# Unicode 18.0, PropList.txt, Sentence_Terminal beyond ASCII: first and last code point of each range.
TERMINALS = (
    "0589 061D-061F 06D4 0700-0702 07F9 0837 0839 083D-083E 0964-0965 104A-104B 1362 1367-1368 166E 1735-1736 "
    "17D4-17D5 1803 1809 1944-1945 1AA8-1AAB 1B4E-1B4F 1B5A-1B5B 1B5E-1B5F 1B7D-1B7F 1C3B-1C3C 1C7E-1C7F 2024 "
    "203C-203D 2047-2049 2CF9-2CFB 2E2E 2E3C 2E53-2E54 2E60-2E61 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 "
    "A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE12 FE15-FE16 FE52 FE56-FE57 FF01 FF0E FF1F FF61 "
    "10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF "
    "11238-11239 1123B-1123C 112A9 113D4-113D5 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 "
    "11946 11A42-11A43 11A9B-11A9C 11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 "
    "16D6E-16D6F 16E98 1BC9F 1DA88"
)
# Titles, firms, months and states, as English abbreviates them; a sentence that ends in one is missed.
ABBREVIATIONS = (
    *(
        "Mr",
        "Mrs",
        "Ms",
        "Messrs",
        "Dr",
        "Prof",
        "Rev",
        "Gen",
        "Gov",
        "Sen",
        "Rep",
        "Adm",
        "Jr",
        "St",
        "Ph",
        "vs",
    ),
    *("Inc", "Ltd", "Corp", "Co", "co", "Bros"),
    *("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sep", "Sept", "Oct", "Nov", "Dec"),
    *(
        "Ala",
        "Ariz",
        "Ark",
        "Calif",
        "Colo",
        "Conn",
        "Del",
        "Fla",
        "Ga",
        "Ill",
        "Ind",
        "Kan",
        "Ky",
        "La",
        "Mass",
    ),
    *(
        "Md",
        "Mich",
        "Minn",
        "Miss",
        "Mo",
        "Mont",
        "Neb",
        "Nev",
        "Okla",
        "Ore",
        "Pa",
        "Tenn",
        "Va",
        "Wash",
        "Wis",
    ),
)
LONGEST_ABBREVIATION = 8

CONTENT, SKIPPED, MARK, STOP, BEYOND_ASCII = 0, 1, 2, 3, 4


def count_sentences(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.integer], ends: npt.NDArray[np.integer]
) -> npt.NDArray[np.int32]:
    """int32[spans]: sentences in data[starts[i]:ends[i]]; 0 if there is nothing but White_Space.

    Raises:
        ValueError: a span lies outside the buffer or ends before it starts.
    """
    buffer, first, last = checked_spans(data, starts, ends)
    index, blocks = class_table()
    counts: npt.NDArray[np.int32] = _count(
        buffer, first, last, index, blocks, sentence_roles(), terminals(), abbreviations()
    )
    return counts


@lru_cache(maxsize=1)
def terminals() -> npt.NDArray[np.int32]:
    """Code points beyond ASCII with the property Sentence_Terminal, ascending."""
    points: list[int] = []
    for entry in TERMINALS.split():
        first, _, last = entry.partition("-")
        points.extend(range(int(first, 16), int(last or first, 16) + 1))
    return np.array(points, np.int32)


@lru_cache(maxsize=1)
def abbreviations() -> npt.NDArray[np.uint64]:
    """Abbreviations of at most eight ASCII letters, each as one little-endian number, ascending."""
    return np.array(sorted(int.from_bytes(word.encode(), "little") for word in ABBREVIATIONS), np.uint64)


@lru_cache(maxsize=1)
def sentence_roles() -> npt.NDArray[np.uint8]:
    """uint8[256]: what a byte is to a sentence."""
    roles = np.full(256, BEYOND_ASCII, np.uint8)
    for byte in range(128):
        roles[byte] = CONTENT if _is_content(class_of(byte)) else SKIPPED
    roles[[0x21, 0x3F]] = MARK
    roles[0x2E] = STOP
    return roles


@kernel
def _count(data, starts, ends, index, blocks, roles, marks, short):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    roles, marks, short = borrowed(roles), borrowed(marks), borrowed(short)
    counts = np.empty(starts.size, np.int32)
    for span in range(starts.size):
        counts[span] = sentences_between(data, starts[span], ends[span], index, blocks, roles, marks, short)
    return counts


@kernel
def sentences_between(data, start, end, index, blocks, roles, marks, short):
    """Sentences in data[start:end]; the last three arguments are sentence_roles, terminals, abbreviations."""
    end = trim_white_space(data, start, end, index, blocks)
    if end == start:
        return 0
    count = 1
    ended = False
    at = start
    while at < end:
        if not ended:
            at = _next_mark(data, at, end)
            if at == end:
                break
        role = roles[data[at]]
        if role == CONTENT:
            count += ended
            ended = False
            at += 1
        elif role == BEYOND_ASCII:
            value, after = classify(data, at, end, index, blocks)
            if _is_content(value):
                count += ended
                ended = False
            elif is_terminal(decode(data, at, end)[0], marks):
                ended = True
            at = after
        else:
            if role == STOP:
                ended |= _is_final_stop(data, start, at, end, index, blocks, short)
            elif role == MARK:
                ended |= not _is_word(_class_at(data, at + 1, end, index, blocks))
            at += 1
    return count


@kernel
def _next_mark(data, at, end):
    """The first byte of data[at:end] that may end a sentence: `.`, `!`, `?` or what is not ASCII; else `end`."""
    while at + WIDTH <= data.size:
        found = (
            equal_mask(data, at, 0x2E)
            | equal_mask(data, at, 0x21)
            | equal_mask(data, at, 0x3F)
            | beyond_ascii_mask(data, at)
        )
        if found:
            return min(at + np.int64(trailing_zeros(found)), end)
        at += WIDTH
        if at >= end:
            return end
    while at < end:
        byte = item(data, at)
        if byte == 0x2E or byte == 0x21 or byte == 0x3F or byte >= 0x80:
            return at
        at += 1
    return end


@kernel
def is_terminal(code_point, marks):
    """Whether a code point beyond ASCII is in `marks` (sorted)."""
    low, high = 0, marks.size
    while low < high:
        middle = (low + high) // 2
        if marks[middle] < code_point:
            low = middle + 1
        else:
            high = middle
    return low < marks.size and marks[low] == code_point


@kernel
def _is_content(value):
    """Letters, numbers and symbols: what a sentence begins with."""
    category = value >> CATEGORY_SHIFT
    return 1 <= category <= 5 or 9 <= category <= 11 or 19 <= category <= 22


@kernel
def _is_word(value):
    """Letters and numbers."""
    category = value >> CATEGORY_SHIFT
    return 1 <= category <= 5 or 9 <= category <= 11


@kernel
def _class_at(data, at, end, index, blocks):
    """The class of the character at `at`, that of a space at the end."""
    if at >= end:
        return np.int64(WHITE_SPACE)
    return classify(data, at, end, index, blocks)[0]


@kernel
def _before(data, start, at):
    """Where the character before `at` begins; `start` if there is none."""
    place = at
    while place > start:
        place -= 1
        if data[place] & 0xC0 != 0x80:
            break
    return place


UPPER, LOWER, OTHER_LETTER, OTHER = 1, 2, 3, 0


@kernel
def _letter_case(value):
    category = value >> CATEGORY_SHIFT
    if category == 1 or category == 3:
        return UPPER
    if category == 2:
        return LOWER
    # Letters without case, and what stands over a letter.
    if 4 <= category <= 8:
        return OTHER_LETTER
    return OTHER


@kernel
def _is_final_stop(data, start, at, end, index, blocks, short):
    """Whether the full stop at `at` ends a sentence."""
    if at + 1 < end and data[at + 1] == 0x2E:
        return False
    if at == start:
        return not _is_content(_class_at(data, at + 1, end, index, blocks))
    if data[at - 1] == 0x2E:
        return False
    place = _before(data, start, at)
    before = _class_at(data, place, at, index, blocks)
    case = _letter_case(before)
    following = _class_at(data, at + 1, end, index, blocks)
    if _is_content(following):
        between = case == LOWER and _letter_case(following) == UPPER
        return between and not _is_abbreviation(data, start, at, index, blocks, short)
    category = before >> CATEGORY_SHIFT
    if 19 <= category <= 22:
        return False
    if case == OTHER:
        return True
    before_that = np.int64(WHITE_SPACE)
    dotted = False
    if place > start:
        before_that = _class_at(data, _before(data, start, place), place, index, blocks)
        dotted = data[place - 1] == 0x2E or data[place - 1] == 0x28
    if case == UPPER:
        return _letter_case(before_that) == UPPER
    if before_that & WHITE_SPACE or dotted:
        return case == OTHER_LETTER
    return not _is_abbreviation(data, start, at, index, blocks, short)


@kernel
def _is_abbreviation(data, start, at, index, blocks, short):
    """Whether the ASCII letters before the full stop at `at` are a word of `short` and a whole word."""
    word = np.uint64(0)
    place = at
    while place > start and at - place < LONGEST_ABBREVIATION:
        letter = data[place - 1] | 0x20
        if letter < 0x61 or letter > 0x7A:
            break
        place -= 1
        word = (word << np.uint64(8)) | np.uint64(data[place])
    if place > start and _is_word(_class_at(data, _before(data, start, place), place, index, blocks)):
        return False
    low, high = 0, short.size
    while low < high:
        middle = (low + high) // 2
        if short[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low < short.size and short[low] == word
