"""English tokens as treebank-style tokenizers cut them, and the reference implementations of filters count them.

    "Don't pay 10€ (or 24/7 IL-3 fees)."  ->  Do | n't | pay | 10 | € | ( | or | 24/7 | IL-3 | fees | ) | .

Thresholds such as "80 % of the words hold a letter" were set by counting such tokens. UAX #29 cuts the same text in
other places (`24 | / | 7`, `Don't`), which moves that share by some points; see `docs/parity.md`.

A *chunk* is what White_Space separates. From a chunk are cut, again and again, at its beginning: quotes, brackets
and other punctuation, currency and other symbols, `..`; at its end: the same, `'s`, a unit behind a digit, and a full
stop behind a digit, a small letter, punctuation or two capitals. What is left is cut inside: at `..`, `…` and symbols,
at `+ - * ^` between digits, at hyphens, dashes and `: < > = /` before a letter, at a comma between letters, at a full
stop between a small letter and a capital. Abbreviations (`Mr.`, `e.g.`) and web addresses stay whole, contractions
are cut in two. Rules that name a single abbreviation or an emoticon elsewhere are left out.

Memory: as `segment_words`, and 11 bytes per byte of the longest chunk.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.classes import CATEGORY_SHIFT, WHITE_SPACE, class_table, classify, decode
from textmill.text.compilation import borrowed, kernel
from textmill.text.english_chunks import (
    ALPHA,
    CAPITAL,
    CUT,
    DIGIT,
    INSIDE,
    NUMERAL,
    OTHER_SYMBOL,
    SMALL,
    cut_chunk,
    find_point,
    is_abbreviation,
    role_of_category,
    splits_after_three,
)
from textmill.text.english_tables import tables
from textmill.text.inputs import checked
from textmill.text.known_chunks import (
    KNOWN_CHUNKS,
    KnownChunks,
    chunk_key,
    remember,
    short_chunk_end,
    write_known,
)
from textmill.text.wide import (
    WIDTH,
    equal_mask,
    item,
    letters_from,
    put,
)
from textmill.text.words import LETTER, NUMBER, SYMBOL, Words

# A character to which no rule gives a role, such as a hyphen.
OTHER = 1024


def english_tokens(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.integer]) -> Words:
    """Find the English tokens of documents that lie one after another in one buffer.

    Args:
        data: uint8[bytes], UTF-8.
        offsets: int[documents + 1]: document d is data[offsets[d]:offsets[d + 1]].

    Raises:
        ValueError: offsets do not ascend within the buffer, or the last document ends beyond 2 GiB.
    """
    data, offsets = checked(data, offsets)
    index, blocks = class_table()
    longest = _longest_chunk(data, offsets[0], offsets[-1])
    starts, ends, kinds, characters, document_offsets = _tokens(
        data,
        offsets,
        index,
        blocks,
        *tables(),
        KnownChunks(
            np.zeros(KNOWN_CHUNKS, np.uint64),
            np.zeros(KNOWN_CHUNKS, np.uint64),
            np.zeros(KNOWN_CHUNKS, np.uint16),
            np.zeros(KNOWN_CHUNKS, np.int64),
        ),
        np.empty(longest, np.int32),
        np.empty(longest, np.uint16),
        np.empty(longest + 1, np.int32),
        np.empty(longest + 1, np.uint8),
    )
    # What lies behind the last token was never touched, and takes no memory.
    total = int(document_offsets[-1])
    return Words(
        starts[:total],
        ends[:total],
        kinds[:total],
        characters[:total],
        document_offsets,
    )


@kernel
def _longest_chunk(data, at, end):
    """Bytes of the longest stretch without a space or LF, or up to 62 more: no chunk has more characters."""
    data = borrowed(data)
    longest = np.int64(0)
    start = at
    while at + WIDTH <= end:
        if equal_mask(data, at, 32) | equal_mask(data, at, 10):
            longest = max(longest, at + WIDTH - start)
            start = at
        at += WIDTH
    return max(longest, end - start)


@kernel
def _tokens(
    data,
    offsets,
    index,
    blocks,
    ascii_roles,
    own_points,
    own_roles,
    words,
    borders,
    chunks,
    points,
    roles,
    places,
    begins,
):
    """All tokens of all documents; the last four arrays hold the characters of one chunk."""
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    ascii_roles, own_points, own_roles = borrowed(ascii_roles), borrowed(own_points), borrowed(own_roles)
    words, borders = borrowed(words), borrowed(borders)
    points, roles, places, begins = borrowed(points), borrowed(roles), borrowed(places), borrowed(begins)
    capacity = (offsets[-1] - offsets[0]) // 3 + 64
    starts = np.empty(capacity, np.int32)
    ends = np.empty(capacity, np.int32)
    kinds = np.empty(capacity, np.uint8)
    characters = np.empty(capacity, np.int32)
    document_offsets = np.zeros(offsets.size, np.int64)
    count = 0
    for document in range(offsets.size - 1):
        at, end = offsets[document], offsets[document + 1]
        if count + end - at > capacity:
            capacity = max(2 * capacity, count + end - at)
            starts = _grown(starts, count, capacity)
            ends = _grown(ends, count, capacity)
            kinds = _grown(kinds, count, capacity)
            characters = _grown(characters, count, capacity)
        count = _cut_document(
            data,
            at,
            end,
            index,
            blocks,
            ascii_roles,
            own_points,
            own_roles,
            words,
            borders,
            chunks,
            points,
            roles,
            places,
            begins,
            starts,
            ends,
            kinds,
            characters,
            count,
        )
        document_offsets[document + 1] = count
    return starts, ends, kinds, characters, document_offsets


@kernel
def _cut_document(
    data,
    at,
    end,
    index,
    blocks,
    ascii_roles,
    own_points,
    own_roles,
    words,
    borders,
    chunks,
    points,
    roles,
    places,
    begins,
    starts,
    ends,
    kinds,
    characters,
    count,
):
    """Tokens of data[at:end], written from place `count` on; returns the place after the last."""
    starts, ends, kinds, characters = borrowed(starts), borrowed(ends), borrowed(kinds), borrowed(characters)
    known_low, known_high = borrowed(chunks.low), borrowed(chunks.high)
    known_begins, known_kinds = borrowed(chunks.begins), borrowed(chunks.kinds)
    while at < end:
        size = letters_from(data, at, end)
        stop = at + size
        follows = np.int64(item(data, stop)) if stop < end else 32
        if follows == 32 or follows == 10:
            # Most chunks: letters and no more.
            if size == 0:
                at = stop + 1
                continue
            if not (size == 5 or size == 6) or not splits_after_three(data, at, size, words, borders):
                put(starts, count, at)
                put(ends, count, stop)
                put(kinds, count, LETTER)
                put(characters, count, size)
                count += 1
                at = stop + 1
                continue
        elif size > 0 and (stop + 1 == end or data[stop + 1] == 32 or data[stop + 1] == 10):
            # A word and one mark; a full stop may belong to it.
            plain = ascii_roles[follows] & CUT and follows != 0x27
            if follows == 46:
                last = data[stop - 1]
                plain = 97 <= last <= 122 and not (
                    size <= 7 and is_abbreviation(data, at, size, words, borders)
                )
            if plain and not (
                (size == 5 or size == 6) and splits_after_three(data, at, size, words, borders)
            ):
                starts[count], ends[count], kinds[count], characters[count] = at, stop, LETTER, size
                starts[count + 1], ends[count + 1], kinds[count + 1] = stop, stop + 1, SYMBOL
                characters[count + 1] = 1
                count += 2
                at = stop + 1
                continue
        chunk = at
        known = short_chunk_end(data, at, end, blocks)
        if known > at:
            slot, low, high = chunk_key(data, at, known)
            if item(known_low, slot) == low and item(known_high, slot) == high:
                count = write_known(
                    data,
                    at,
                    known,
                    np.uint64(item(known_begins, slot)),
                    item(known_kinds, slot),
                    starts,
                    ends,
                    kinds,
                    characters,
                    count,
                )
                at = known
                continue
        size = 0
        together = np.int64(0)
        places[0] = at
        while at < end:
            if data[at] < 128:
                point, value, after = np.int64(data[at]), np.int64(blocks[data[at]]), at + 1
                role = np.int64(ascii_roles[point])
            else:
                point, after = decode(data, at, end)
                value, _ = classify(data, at, end, index, blocks)
                role = role_of_category(value >> CATEGORY_SHIFT)
                own = find_point(own_points, point)
                if own >= 0:
                    role |= own_roles[own]
                elif value >> CATEGORY_SHIFT == OTHER_SYMBOL:
                    role |= CUT | INSIDE
            if value & WHITE_SPACE:
                break
            points[size] = point
            roles[size] = role
            begins[size] = 0
            together |= role if role else OTHER
            size += 1
            at = after
            places[size] = at
        if size == 0:
            at = after
            continue
        begins[0] = 1
        letters = together & ~(ALPHA | SMALL | CAPITAL) == 0
        if not (together & ~(DIGIT | NUMERAL) == 0 or (letters and (size < 5 or size > 6))):
            cut_chunk(points, roles, size, begins, words, borders)
        begins[size] = 1
        first = 0
        kind = SYMBOL
        first_token = count
        for place in range(1, size + 1):
            if roles[place - 1] & ALPHA:
                kind = LETTER
            elif roles[place - 1] & NUMERAL and kind == SYMBOL:
                kind = NUMBER
            if begins[place]:
                starts[count], ends[count] = places[first], places[place]
                kinds[count], characters[count] = kind, place - first
                count += 1
                first = place
                kind = SYMBOL
        if known == at:
            remember(chunks, slot, low, high, chunk, starts, kinds, first_token, count)
    return count


@kernel
def _grown(array, used, capacity):
    larger = np.empty(capacity, array.dtype)
    larger[:used] = array[:used]
    return larger
