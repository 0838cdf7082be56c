"""Words by the default word boundary rules of Unicode (UAX #29, section 4.1; rules WB1 to WB999).

    "Can't stop, U.S.A. 3.14!"  ->  Can't | stop | , | U.S.A | . | 3.14 | !

A segment made of White_Space alone is no token; every other segment is. Scripts written without spaces (Han,
Thai ...) give one token per character, as the default rules have it.

Memory: 13 bytes per token, at most three times that while running, plus 13 bytes of address space per byte of
the longest document (of which only pages that hold tokens are ever touched).
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from textmill.text.classes import (
    CATEGORY_SHIFT,
    EXTENDED_PICTOGRAPHIC,
    WHITE_SPACE,
    WORD_BREAK_MASK,
    class_of,
    class_table,
    classify,
)
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked
from textmill.text.wide import item, letters_from

SYMBOL, NUMBER, LETTER = 0, 1, 2


@dataclass(frozen=True)
class Words:
    """The tokens of a batch of documents, in the order of the text.

    Attributes:
        starts: int32[tokens], first byte of each token in the batch's buffer.
        ends: int32[tokens], the byte after it.
        kinds: uint8[tokens]: LETTER if it holds a letter (L*), else NUMBER if it holds a number (N*), else
            SYMBOL (punctuation, symbols, marks and controls only).
        characters: int32[tokens], length in code points.
        document_offsets: int64[documents + 1]: document d owns tokens [offsets[d], offsets[d + 1]).
    """

    starts: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int32]
    kinds: npt.NDArray[np.uint8]
    characters: npt.NDArray[np.int32]
    document_offsets: npt.NDArray[np.int64]


def segment_words(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> Words:
    """Find the words of documents that lie one after another in one buffer.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].

    Raises:
        ValueError: offsets do not ascend within the buffer, or the last document ends beyond 2 GiB.
    """
    data, offsets = checked(data, offsets)
    index, blocks = class_table()
    starts, ends, kinds, characters, document_offsets = _segment(data, offsets, index, blocks, _byte_roles())
    # What lies behind the last token was never touched, and takes no memory.
    total = int(document_offsets[-1])
    return Words(
        starts[:total],
        ends[:total],
        kinds[:total],
        characters[:total],
        document_offsets,
    )


# Positions in WORD_BREAKS; kernels see them as constants.
ALETTER, HEBREW_LETTER, NUMERIC, KATAKANA, EXTEND_NUM_LET = 1, 2, 3, 4, 5
EXTEND, FORMAT, ZWJ = 6, 7, 8
MID_LETTER, MID_NUM, MID_NUM_LET, SINGLE_QUOTE, DOUBLE_QUOTE = 9, 10, 11, 12, 13
CR, LF, NEWLINE, WSEG_SPACE, REGIONAL_INDICATOR = 14, 15, 16, 17, 18
NOTHING = -1

# What a byte may be to a token. A word character has LETTER or NUMBER added; the rest stand alone.
WORD_CHARACTER, MIDDLE, SPACE, CONTROL_SPACE, OTHER, BEYOND_ASCII, END_OF_TEXT = 4, 8, 16, 24, 32, 64, 0


@lru_cache(maxsize=1)
def _byte_roles() -> npt.NDArray[np.uint8]:
    """uint8[256]: the role of every byte, from the classes of ASCII."""
    roles = np.full(256, BEYOND_ASCII, np.uint8)
    for byte in range(128):
        value = class_of(byte)
        word_break = value & WORD_BREAK_MASK
        if word_break in (ALETTER, NUMERIC, EXTEND_NUM_LET):
            roles[byte] = WORD_CHARACTER | {ALETTER: LETTER, NUMERIC: NUMBER}.get(word_break, SYMBOL)
        elif MID_LETTER <= word_break <= SINGLE_QUOTE:
            roles[byte] = MIDDLE
        elif word_break == WSEG_SPACE:
            roles[byte] = SPACE
        else:
            roles[byte] = CONTROL_SPACE if value & WHITE_SPACE else OTHER
    return roles


@kernel
def _segment(data, offsets, index, blocks, byte_roles):
    """All tokens of all documents; arrays grow at the border of a document, to its worst case."""
    data, index, blocks, byte_roles = borrowed(data), borrowed(index), borrowed(blocks), borrowed(byte_roles)
    documents = offsets.size - 1
    capacity = (offsets[documents] - offsets[0]) // 4 + 64
    starts = np.empty(capacity, np.int32)
    ends = np.empty(capacity, np.int32)
    kinds = np.empty(capacity, np.uint8)
    characters = np.empty(capacity, np.int32)
    document_offsets = np.zeros(documents + 1, np.int64)
    count = 0
    for document in range(documents):
        begin, end = offsets[document], offsets[document + 1]
        if count + end - begin > capacity:
            capacity = max(2 * capacity, count + end - begin)
            starts = _grown(starts, count, capacity)
            ends = _grown(ends, count, capacity)
            kinds = _grown(kinds, count, capacity)
            characters = _grown(characters, count, capacity)
        count = _segment_document(
            data, begin, end, index, blocks, byte_roles, starts, ends, kinds, characters, count
        )
        document_offsets[document + 1] = count
    return starts, ends, kinds, characters, document_offsets


@kernel
def _grown(array, used, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[:used] = array[:used]
    return larger


@kernel
def _segment_document(data, begin, end, index, blocks, byte_roles, starts, ends, kinds, characters, count):
    """Tokens of data[begin:end], written from place `count` on; returns the place after the last.

    What ASCII alone decides is decided here; wherever another character has a say, `_segment_end` does it.
    """
    at = begin
    while at < end:
        role = item(byte_roles, item(data, at))
        after = NOTHING
        length = 0
        if role & WORD_CHARACTER:
            stop = at + max(1, letters_from(data, at, end))
            next_role = END_OF_TEXT
            while stop < end:
                next_role = item(byte_roles, item(data, stop))
                if next_role & WORD_CHARACTER == 0:
                    break
                role |= next_role
                stop += 1
                next_role = END_OF_TEXT
            if next_role == MIDDLE and stop + 1 < end:
                # WB6, WB11: an apostrophe, a stop or a comma may join what stands on its two sides.
                next_role = item(byte_roles, item(data, stop + 1)) & (WORD_CHARACTER | BEYOND_ASCII)
            if next_role & (WORD_CHARACTER | BEYOND_ASCII) == 0:
                after = stop
                length = stop - at
                starts[count] = at
                ends[count] = stop
                kinds[count] = LETTER if role & LETTER else role & NUMBER
                characters[count] = length
                count += 1
                # One space behind a word is no token, unless more spaces or something beyond ASCII join it.
                at = stop
                if next_role == SPACE and stop + 1 < end and 32 != item(data, stop + 1) < 128:
                    at = stop + 1
                continue
        elif role == SPACE:
            after = at + 1
            while after < end and item(data, after) == 32:
                after += 1
            if (
                after < end
                and item(data, after) >= 128
                and _belongs_to_space(data, after, end, index, blocks)
            ):
                after = NOTHING
        elif role != BEYOND_ASCII and (at + 1 >= end or item(data, at + 1) < 128):
            # No rule joins ASCII punctuation to an ASCII character that follows; CR LF is joined, but no token.
            after = at + 1
            length = 0 if role == CONTROL_SPACE else 1
        kind = LETTER if role & LETTER else role & NUMBER
        if after == NOTHING:
            after, kind, length = _segment_end(data, at, end, index, blocks)
        if length > 0:
            starts[count] = at
            ends[count] = after
            kinds[count] = kind
            characters[count] = length
            count += 1
        at = after
    return count


@kernel
def _belongs_to_space(data, at, end, index, blocks):
    """Whether the character at byte `at` lies in the segment of a space before it (WB3d, WB4)."""
    value, _ = classify(data, at, end, index, blocks)
    here = value & WORD_BREAK_MASK
    return here == WSEG_SPACE or EXTEND <= here <= ZWJ


@kernel
def _segment_end(data, at, end, index, blocks):
    """End, kind and length in code points of the segment that begins at `at`; length 0 if all White_Space.

    A segment always begins at a boundary, and no rule looks back beyond one: the middle of WB7, WB7c and WB11
    has been joined by WB6, WB7b and WB12, and pairs of regional indicators (WB15, WB16) are counted from a
    boundary.
    """
    value, at = classify(data, at, end, index, blocks)
    left = value & WORD_BREAK_MASK  # the last character that WB4 does not skip
    previous = left  # the last character of all
    length = 1
    white = value & WHITE_SPACE
    kind = _kind(value)
    if left in (CR, LF, NEWLINE):
        if left == CR and at < end and data[at] == 10:
            at += 1  # WB3
        return at, kind, 0  # WB3a
    promised = False  # the character in the middle of WB6, WB7b or WB12 was joined: so is the next
    paired = False  # `left` is the second of two regional indicators
    while at < end:
        value, after = classify(data, at, end, index, blocks)
        here = value & WORD_BREAK_MASK
        if here in (CR, LF, NEWLINE):
            break  # WB3b
        skipped = here in (EXTEND, FORMAT, ZWJ)
        if skipped:
            pass  # WB4
        elif (previous == ZWJ and value & EXTENDED_PICTOGRAPHIC) or (
            previous == WSEG_SPACE and here == WSEG_SPACE
        ):
            promised = False  # WB3c, WB3d
        elif promised:
            promised = False  # WB7, WB7c, WB11
        elif _joins(left, here):
            paired = here == REGIONAL_INDICATOR and not paired
            if here == REGIONAL_INDICATOR and not paired:
                break  # WB15, WB16: the pair is complete
        elif _may_join(left, here):
            following = _next_word_break(data, after, end, index, blocks)
            promised = _is_flanked(left, here, following)
            if not promised and not (left == HEBREW_LETTER and here == SINGLE_QUOTE):  # WB7a
                break
        else:
            break  # WB999
        if not skipped:
            left = here
        previous = here
        white &= value
        kind = max(kind, _kind(value))
        length += 1
        at = after
    if white:
        length = 0
    return at, kind, length


@kernel
def _kind(value):
    category = value >> CATEGORY_SHIFT
    if 1 <= category <= 5:
        return LETTER
    if 9 <= category <= 11:
        return NUMBER
    return SYMBOL


@kernel
def _joins(left, here):
    """Rules that need two characters: WB5, WB8 to WB10, WB13 to WB13b, WB15."""
    if left in (ALETTER, HEBREW_LETTER, NUMERIC):
        return here in (ALETTER, HEBREW_LETTER, NUMERIC, EXTEND_NUM_LET)
    if left == KATAKANA:
        return here in (KATAKANA, EXTEND_NUM_LET)
    if left == EXTEND_NUM_LET:
        return 1 <= here <= EXTEND_NUM_LET
    return left == REGIONAL_INDICATOR and here == REGIONAL_INDICATOR


@kernel
def _may_join(left, here):
    """Whether a rule with a character on either side (WB6, WB7a, WB7b, WB12) may apply."""
    return 1 <= left <= NUMERIC and MID_LETTER <= here <= DOUBLE_QUOTE


@kernel
def _is_flanked(left, here, following):
    """WB6, WB7b and WB12: `here` stands between the right sort of characters."""
    if left == NUMERIC:
        return following == NUMERIC and (here in (MID_NUM, MID_NUM_LET, SINGLE_QUOTE))
    if here in (MID_LETTER, MID_NUM_LET, SINGLE_QUOTE):
        return following in (ALETTER, HEBREW_LETTER)
    return left == HEBREW_LETTER and here == DOUBLE_QUOTE and following == HEBREW_LETTER


@kernel
def _next_word_break(data, at, end, index, blocks):
    """Word_Break of the next character that WB4 does not skip; NOTHING at the end."""
    while at < end:
        value, at = classify(data, at, end, index, blocks)
        here = value & WORD_BREAK_MASK
        if here != EXTEND and here != FORMAT and here != ZWJ:
            return here
    return NOTHING
