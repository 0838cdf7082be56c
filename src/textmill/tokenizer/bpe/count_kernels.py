"""The kernels that count words: an exact table in memory, and the merging of sorted tables on disk.

A row is four numbers of 64 bits, in memory and in files: two that identify the word, its count, and a place. A word
of up to 15 bytes is its own key, with its length in the highest byte. A longer one has a hash and, above
:data:`LONG_WORD`, its length; its bytes lie at the place in a buffer of their own and are compared one by one.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.text.compilation import kernel
from textmill.tokenizer.fast.kernels import (
    CACHED_BYTES,
    NUMBER,
    character,
    inlined,
    next_piece,
    piece_hash,
    same_bytes,
)
from textmill.tokenizer.fast.memory import load_8, load_64, signed, store_64, unsigned

ROW_BYTES = 32
# Columns of a row.
LOW, HIGH, COUNT, PLACE = 0, 1, 2, 3
LONG_WORD = np.uint64(0xFF00000000000000)
# State of a counter (int64): text and byte to go on with, rows and bytes in use, bytes that had no room.
TEXT, BYTE, ROWS, BYTES, WANTED = 0, 1, 2, 3, 4
# Whether the digits of a text are cut before its pattern, and how.
DIGITS_BY_PATTERN, DIGITS_SINGLE, DIGITS_THREE = 0, 1, 2

_NOTHING = np.uint64(0)
_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_3 = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_LENGTH_AT = np.uint64(56)


@inlined
def mixed_key(low, high):
    """What decides where a row stands in a table: its highest bits."""
    if high >= LONG_WORD:
        return low * _MIX_2
    mixed = low * _MIX_1 + high * _MIX_2
    mixed ^= mixed >> _SHIFT
    return mixed * _MIX_3


@kernel
def copy_rows(source, table, bits):
    """Put all rows of a table into a larger one of 2**bits rows, which is empty."""
    shift = np.uint64(64 - bits)
    mask = (1 << bits) - 1
    for row in range(len(source)):
        if source[row, HIGH] != _NOTHING:
            slot = signed(mixed_key(source[row, LOW], source[row, HIGH]) >> shift)
            while table[slot, HIGH] != _NOTHING:
                slot = (slot + 1) & mask
            for column in range(4):
                table[slot, column] = source[row, column]


@kernel
def count_pieces(data, offsets, pattern, classes, key_masks, table, bits, most_rows, long, long_bytes, state):
    """Count the pieces of texts ``data[offsets[d]:offsets[d + 1]]``; whether it got to their end.

    It stops, and goes on from ``state``, when the table or the buffer of long words is full.

    Args:
        data: address of UTF-8.
        offsets: int64, shape (n + 1,).
        pattern: one of the encoder's patterns.
        classes: address of its table of classes.
        key_masks: address of 16 pairs of uint64 that keep the first bytes of a piece.
        table: address of 2**bits rows; no row that is used is zero in its second number.
        bits: as above.
        most_rows: rows that may be used.
        long: address of the buffer of long words.
        long_bytes: its size.
        state: int64; see above.
    """
    shift = np.uint64(64 - bits)
    mask = (1 << bits) - 1
    rows, used = state[ROWS], state[BYTES]
    d = state[TEXT]
    i = max(state[BYTE], offsets[d])
    done = True
    while d < len(offsets) - 1:
        end = offsets[d + 1]
        while i < end:
            j = next_piece(data, i, end, pattern, classes)
            n = j - i
            if n <= CACHED_BYTES:
                low = load_64(data, i) & load_64(key_masks, n << 4)
                high = load_64(data, i + 8) & load_64(key_masks, (n << 4) + 8) | unsigned(n) << _LENGTH_AT
            else:
                low = piece_hash(data, i, n)
                high = LONG_WORD | unsigned(n)
            slot = signed(mixed_key(low, high) >> shift)
            while True:
                key = load_64(table, (slot << 5) + 8)
                if key == _NOTHING or (
                    key == high
                    and load_64(table, slot << 5) == low
                    and (
                        n <= CACHED_BYTES
                        or same_bytes(long, signed(load_64(table, (slot << 5) + 24)), data, i, n)
                    )
                ):
                    break
                slot = (slot + 1) & mask
            if key == _NOTHING:
                if rows == most_rows or (n > CACHED_BYTES and used + n > long_bytes):
                    done = False
                    state[WANTED] = n
                    break
                store_64(table, slot << 5, low)
                store_64(table, (slot << 5) + 8, high)
                rows += 1
                if n > CACHED_BYTES:
                    store_64(table, (slot << 5) + 24, unsigned(used))
                    for k in range(0, n, 8):
                        store_64(long, used + k, load_64(data, i + k))
                    used += n
            store_64(table, (slot << 5) + 16, load_64(table, (slot << 5) + 16) + np.uint64(1))
            i = j
        if not done:
            break
        d += 1
    state[TEXT], state[BYTE], state[ROWS], state[BYTES] = d, i, rows, used
    return done


@kernel
def cut_texts(data, offsets, classes, digits, cjk_ranges, borders):
    """Where texts are cut before their pattern is looked for: all offsets, and more between; returns how many.

    Args:
        data: address of UTF-8.
        offsets: int64, shape (n + 1,).
        classes: address of a table of classes.
        digits: DIGITS_BY_PATTERN, DIGITS_SINGLE (each number by itself) or DIGITS_THREE (up to three).
        cjk_ranges: int64, shape (m, 2): first and last code points that stand by themselves; m may be 0.
        borders: int64, room for one more than there are bytes.
    """
    count = 0
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        borders[count] = i
        count += 1
        numbers = 0
        while i < end:
            c = character(data, i, classes)
            size = c >> 8
            cut_before = cut_behind = False
            if digits != DIGITS_BY_PATTERN:
                if c & 255 == NUMBER:
                    cut_before = numbers == 0 or digits == DIGITS_SINGLE or numbers == 3
                    numbers = 1 if cut_before else numbers + 1
                else:
                    cut_before = numbers > 0
                    numbers = 0
            if len(cjk_ranges) and size >= 3:
                point = (load_8(data, i) & 0x0F) << 12 | (load_8(data, i + 1) & 0x3F) << 6
                point |= load_8(data, i + 2) & 0x3F
                if size == 4:
                    point = (load_8(data, i) & 0x07) << 18 | (load_8(data, i + 1) & 0x3F) << 12
                    point |= (load_8(data, i + 2) & 0x3F) << 6 | load_8(data, i + 3) & 0x3F
                for k in range(len(cjk_ranges)):
                    if cjk_ranges[k, 0] <= point <= cjk_ranges[k, 1]:
                        cut_before = cut_behind = True
                        break
            if cut_before and borders[count - 1] < i:
                borders[count] = i
                count += 1
            i += size
            if cut_behind and i < end:
                borders[count] = i
                count += 1
    borders[count] = offsets[len(offsets) - 1]
    return count + 1


@inlined
def word_order(a_low, a_high, a_bytes, b_low, b_high, b_bytes):
    """Below, above or zero as word a stands before, behind or in the place of word b."""
    order = 0
    if a_high != b_high:
        order = -1 if a_high < b_high else 1
    elif a_low != b_low:
        order = -1 if a_low < b_low else 1
    elif a_high >= LONG_WORD:
        n = signed(a_high & ~LONG_WORD)
        k = 0
        while order == 0 and k < n:
            order = load_8(a_bytes, k) - load_8(b_bytes, k)
            k += 1
    return order


@kernel
def merge_rows(blocks, at, ends, bases, out, long, long_bytes, state):
    """Merge sorted rows of several files; returns the file whose block is used up, or -1 if there is no room.

    Args:
        blocks: uint64, shape (files, rows, 4).
        at: int64, shape (files,): the next row of each; a file that has come to its end has ``at == ends``.
        ends: int64, shape (files,): rows in each block.
        bases: int64, shape (files,): added to a row's place, the address of a long word's bytes.
        out: uint64, shape (rows, 4).
        long: address of room for the bytes of long words.
        long_bytes: its size.
        state: int64, shape (3,): rows and bytes written, bytes that had no room.
    """
    files = len(at)
    while True:
        best = -1
        for file in range(files):
            if at[file] == ends[file]:
                continue
            if best < 0:
                best = file
                continue
            row, other = at[file], at[best]
            if (
                word_order(
                    blocks[file, row, LOW],
                    blocks[file, row, HIGH],
                    bases[file] + signed(blocks[file, row, PLACE]),
                    blocks[best, other, LOW],
                    blocks[best, other, HIGH],
                    bases[best] + signed(blocks[best, other, PLACE]),
                )
                < 0
            ):
                best = file
        if best < 0:
            return files
        row = at[best]
        low, high = blocks[best, row, LOW], blocks[best, row, HIGH]
        source = bases[best] + signed(blocks[best, row, PLACE])
        written, used = state[0], state[1]
        n = signed(high & ~LONG_WORD) if high >= LONG_WORD else 0
        # The same word may have been written last, from another file.
        if (
            written == 0
            or word_order(
                low, high, source, out[written - 1, LOW], out[written - 1, HIGH],
                long + signed(out[written - 1, PLACE]),
            )
            != 0
        ):  # fmt: skip
            if written == len(out) or used + n > long_bytes:
                state[2] = n
                return -1
            out[written, LOW], out[written, HIGH] = low, high
            out[written, COUNT], out[written, PLACE] = np.uint64(0), unsigned(used)
            for k in range(0, n, 8):
                store_64(long, used + k, load_64(source, k))
            state[1] = used + n
            state[0] = written = written + 1
        out[written - 1, COUNT] += blocks[best, row, COUNT]
        at[best] += 1
        if at[best] == ends[best]:
            return best


@kernel
def spell_words(rows, long, least, data, starts, counts, state):
    """Write out the bytes of the words that occur ``least`` times or more.

    Args:
        rows: uint64, shape (n, 4).
        long: address of the bytes of long words, to which the rows' places are relative.
        least: as above.
        data: uint8: bytes of words, one behind the other.
        starts: int64: where each begins, and behind the last.
        counts: int64.
        state: int64, shape (2,): words and bytes written so far.
    """
    word, at = state[0], state[1]
    for row in range(len(rows)):
        if signed(rows[row, COUNT]) < least:
            continue
        high = rows[row, HIGH]
        if high >= LONG_WORD:
            place = signed(rows[row, PLACE])
            for k in range(signed(high & ~LONG_WORD)):
                data[at] = load_8(long, place + k)
                at += 1
        else:
            for k in range(signed(high >> _LENGTH_AT)):
                part = rows[row, LOW] if k < 8 else high
                data[at] = signed(part >> unsigned((k & 7) << 3)) & 255
                at += 1
        counts[word] = signed(rows[row, COUNT])
        word += 1
        starts[word] = at
    state[0], state[1] = word, at
