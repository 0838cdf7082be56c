"""Kernels of the encoder: cutting a text into pieces, merging a piece, remembering pieces.

All in one module, because Numba notices a change only in the file that holds a kernel, not in files whose
functions it inlined. Texts must be valid UTF-8. Arrays come as addresses (see :mod:`.memory`): bytes behind a
text's end are loaded, together with those before it, and never looked at.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs
# Comparing with a tuple would be a loop there.
# ruff: noqa: SIM109

from __future__ import annotations

import numba
import numpy as np

from textmill.text.compilation import kernel
from textmill.tokenizer.fast.memory import (
    fetch_soon,
    load_8,
    load_16,
    load_32,
    load_64,
    signed,
    store_32,
    store_64,
    unsigned,
    zero_bits_below,
)

# Classes of code points. GPT-2 and cl100k know one kind of letter and no marks.
OTHER, MARK, NUMBER, LETTER, UPPER, LOWER, SPACE, NEWLINE = 0, 1, 2, 3, 4, 5, 6, 7
GPT2, CL100K, O200K = 0, 1, 2

# A class table: one byte per ASCII character, one per byte that may start a piece (what a fast path does with
# it), the number of the block of each 256 code points (uint16), then the blocks.
STARTS_AT, BLOCKS_AT, CLASSES_AT = 128, 384, 384 + 2 * 4352
START_LETTER, START_BEFORE_LETTERS, START_OTHER = 0, 1, 2

# Ids and ranks have 21 bits in the table of pairs, and 20 in the cache.
VOCABULARY_LIMIT = 2**20
NO_RANK = 0xFFFFFFFF
# Up to here the lowest rank is found by looking at all of them; beyond, by a heap.
SCANNED_BYTES = 64
# A piece of up to 15 bytes and its length make an exact 128-bit key; up to 6 ids fit beside it.
CACHED_BYTES = 15
CACHED_IDS = 6
SLOT_BYTES = 32
WAYS = 4
# Pieces found before they are looked up.
PIECES_AHEAD = 32
# Longer pieces up to here are remembered by hash, and compared byte by byte.
LONG_BYTES = 255

_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_NOTHING = np.uint64(0)
_HIGH_BITS = np.uint64(0x8080808080808080)
_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_CASE_BITS = np.uint64(0x2020202020202020)
# Added to a byte below 0x80, these set its high bit from "a" on, and behind "z"; and so for "A" and "Z".
_FROM_A = np.uint64(0x1F1F1F1F1F1F1F1F)
_BEHIND_Z = np.uint64(0x0505050505050505)
_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_3 = np.uint64(0xD6E8FEB86659FD93)
_SHIFT = np.uint64(32)
_RANK_BITS = np.uint64(21)
_RANK_MASK = 2**21 - 1

inlined = numba.njit(inline="always", nogil=True, error_model="numpy")


@inlined
def character(data, i, classes):
    """Class of the code point at byte ``i``, and its length in bytes times 256."""
    first = load_8(data, i)
    if first < 0x80:
        return load_8(classes, first) | 256
    if first < 0xE0:
        point = (first & 0x1F) << 6 | load_8(data, i + 1) & 0x3F
        length = 512
    elif first < 0xF0:
        point = (first & 0x0F) << 12 | (load_8(data, i + 1) & 0x3F) << 6 | load_8(data, i + 2) & 0x3F
        length = 768
    else:
        point = (
            (first & 0x07) << 18
            | (load_8(data, i + 1) & 0x3F) << 12
            | (load_8(data, i + 2) & 0x3F) << 6
            | load_8(data, i + 3) & 0x3F
        )
        length = 1024
    block = load_16(classes, BLOCKS_AT + ((point >> 8) << 1))
    return load_8(classes, CLASSES_AT + (block << 8) + (point & 255)) | length


@kernel
def invalid_utf8(data, size):
    """The first byte that begins no character of valid UTF-8 (Unicode 17, table 3-7); -1 if all do.

    The padding behind must be zeros.
    """
    i = 0
    while i < size:
        high = load_64(data, i) & _HIGH_BITS
        if high == _NOTHING:
            i += 8
            continue
        i += zero_bits_below(high) >> 3
        while i < size:
            first = load_8(data, i)
            if first < 0x80:
                break
            second = load_8(data, i + 1)
            if first < 0xE0:
                if first < 0xC2 or second & 0xC0 != 0x80:
                    return i
                i += 2
                continue
            low, high_end = 0x80, 0xBF
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high_end = 0x9F
            elif first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high_end = 0x8F
            if first > 0xF4 or second < low or second > high_end or load_8(data, i + 2) & 0xC0 != 0x80:
                return i
            if first < 0xF0:
                i += 3
                continue
            if load_8(data, i + 3) & 0xC0 != 0x80:
                return i
            i += 4
    return -1


@inlined
def ascii_letters(word):
    """The high bit of each byte of ``word`` that is an ASCII letter."""
    folded = (word | _CASE_BITS) & _LOW_BITS
    return (folded + _FROM_A) & ~(folded + _BEHIND_Z) & ~word & _HIGH_BITS


@inlined
def ascii_lower(word):
    """The high bit of each byte of ``word`` that is one of a to z."""
    plain = word & _LOW_BITS
    return (plain + _FROM_A) & ~(plain + _BEHIND_Z) & ~word & _HIGH_BITS


@kernel
def letters_end(data, i, end, classes):
    """Where the run of letters that goes on at ``i`` ends (GPT-2, cl100k)."""
    while True:
        others = ascii_letters(load_64(data, i)) ^ _HIGH_BITS
        if others == _NOTHING:
            i += 8
            if i >= end:
                return end
            continue
        i += zero_bits_below(others) >> 3
        if i >= end:
            return end
        if load_8(data, i) < 0x80:
            return i
        while True:
            c = character(data, i, classes)
            if c & 255 != LETTER:
                return i
            i += c >> 8
            if i >= end:
                return end
            if load_8(data, i) < 0x80:
                break


@kernel
def contraction(data, i, end, any_case):
    """Bytes of a contraction ('s 't 'm 'd 're 've 'll) at the apostrophe ``i``; 0 if there is none."""
    if i + 1 >= end:
        return 0
    one = load_8(data, i + 1)
    two = load_8(data, i + 2) if i + 2 < end else 0
    if any_case:
        # U+017F, the long s, is an s to a pattern that ignores case.
        if one == 0xC5 and two == 0xBF:
            return 3
        if 65 <= one <= 90:
            one += 32
        if 65 <= two <= 90:
            two += 32
    if one == 115 or one == 116 or one == 109 or one == 100:
        return 2
    if (one == 114 or one == 118) and two == 101:
        return 3
    if one == 108 and two == 108:
        return 3
    return 0


@kernel
def space_end(data, i, end, classes, keep_newlines):
    r"""End of a piece of white space: ``\s*[\r\n]+`` (if ``keep_newlines``), ``\s+(?!\S)`` or ``\s+``."""
    j = i
    last = i
    after_newline = -1
    while j < end:
        c = character(data, j, classes)
        kind = c & 255
        if kind < SPACE:
            break
        last = j
        j += c >> 8
        if kind == NEWLINE:
            after_newline = j
    if keep_newlines and after_newline >= 0:
        return after_newline
    if j >= end or last == i:
        return j
    return last


@kernel
def numbers_end(data, i, end, classes):
    """Where a piece of up to three numbers ends whose second could stand at ``i``."""
    for _ in range(2):
        if i >= end:
            break
        c = character(data, i, classes)
        if c & 255 != NUMBER:
            break
        i += c >> 8
    return i


@kernel
def symbols_end(data, i, end, classes, slashes):
    r"""End of ``[^\s\p{L}\p{N}]*[\r\n]*`` (o200k: ``[\r\n/]*``) at ``i``."""
    while i < end:
        c = character(data, i, classes)
        if c & 255 > MARK:
            break
        i += c >> 8
    while i < end:
        byte = load_8(data, i)
        if not (byte == 10 or byte == 13 or (slashes and byte == 47)):
            break
        i += 1
    return i


@kernel
def next_gpt2(data, i, end, classes):
    """Where the piece that starts at byte ``i`` ends, by GPT-2's pattern."""
    c = character(data, i, classes)
    kind = c & 255
    j = i + (c >> 8)
    byte = load_8(data, i)
    if byte == 39:
        size = contraction(data, i, end, False)
        if size:
            return i + size
    if byte == 32 and j < end:
        following = character(data, j, classes)
        if following & 255 < SPACE:
            kind = following & 255
            j += following >> 8
    if kind == LETTER:
        return letters_end(data, j, end, classes) if j < end else end
    if kind >= SPACE:
        return space_end(data, i, end, classes, False)
    while j < end:
        c = character(data, j, classes)
        if c & 255 != kind:
            break
        j += c >> 8
    return j


@kernel
def next_cl100k(data, i, end, classes):
    """Where the piece that starts at byte ``i`` ends, by the pattern of cl100k."""
    c = character(data, i, classes)
    kind = c & 255
    j = i + (c >> 8)
    if kind == LETTER:
        return letters_end(data, j, end, classes) if j < end else end
    if kind == NUMBER:
        return numbers_end(data, j, end, classes)
    byte = load_8(data, i)
    following = -1
    if kind != NEWLINE:
        if byte == 39:
            size = contraction(data, i, end, True)
            if size:
                return i + size
        if j < end:
            c = character(data, j, classes)
            following = c & 255
            if following == LETTER:
                j += c >> 8
                return letters_end(data, j, end, classes) if j < end else end
    if kind == OTHER or (byte == 32 and following == OTHER):
        return symbols_end(data, j, end, classes, False)
    return space_end(data, i, end, classes, True)


@kernel
def word_end(data, i, end, classes):
    """Where a word of o200k that starts at ``i`` ends, without its contraction; -1 if none starts there.

    A word is ``[Lu Lt Lm Lo M]*[Ll Lm Lo M]+``. The second part begins where the run of the first is over, or,
    if no lower case follows there, at the last character of the run that may stand in both parts.
    """
    j = i
    shared = -1
    while j < end:
        c = character(data, j, classes)
        kind = c & 255
        if kind == UPPER:
            j += c >> 8
        elif kind == LETTER or kind == MARK:
            j += c >> 8
            shared = j
        else:
            break
    if j >= end or character(data, j, classes) & 255 != LOWER:
        return shared
    while j < end:
        c = character(data, j, classes)
        kind = c & 255
        if not (kind == LOWER or kind == LETTER or kind == MARK):
            break
        j += c >> 8
    return j


@kernel
def capitals_end(data, i, end, classes):
    """End of a run of ``[Lu Lt Lm Lo M]`` at ``i``; -1 if it is empty."""
    j = i
    while j < end:
        c = character(data, j, classes)
        kind = c & 255
        if not (kind == UPPER or kind == LETTER or kind == MARK):
            break
        j += c >> 8
    return j if j > i else -1


@kernel
def next_o200k(data, i, end, classes):
    """Where the piece that starts at byte ``i`` ends, by the pattern of o200k."""
    c = character(data, i, classes)
    kind = c & 255
    j = i + (c >> 8)
    if kind == NUMBER:
        return numbers_end(data, j, end, classes)
    byte = load_8(data, i)
    if kind != NEWLINE:
        # Anything but a letter, a number or a line end may stand before a word, marks too; but they may
        # also be its beginning. First words that end in lower case, then words of capitals.
        before = kind == OTHER or kind == MARK or kind == SPACE
        found = word_end(data, j, end, classes) if before else -1
        if found < 0 and kind != OTHER and kind != SPACE:
            found = word_end(data, i, end, classes)
        if found < 0 and before:
            found = capitals_end(data, j, end, classes)
        if found < 0 and kind != OTHER and kind != SPACE:
            found = capitals_end(data, i, end, classes)
        if found >= 0:
            if found < end and load_8(data, found) == 39:
                found += contraction(data, found, end, True)
            return found
    following = -1
    if byte == 32 and j < end:
        following = character(data, j, classes) & 255
    if kind == OTHER or following == OTHER:
        return symbols_end(data, j, end, classes, True)
    return space_end(data, i, end, classes, True)


@inlined
def next_piece(data, i, end, pattern, classes):
    """Where the piece that starts at byte ``i`` ends.

    Words of ASCII letters with one character in front, which is most of most texts, are found eight bytes at a
    time; everything else is left to the patterns' own functions.
    """
    start = load_8(classes, STARTS_AT + load_8(data, i))
    found = -1
    if start != START_OTHER:
        word = load_64(data, i)
        if pattern == O200K:
            # A capital may come first; from then on lower case only.
            first = (word >> unsigned(start << 3)) & np.uint64(0xFF)
            skipped = start + np.int64(first - np.uint64(65) < np.uint64(26))
            others = (ascii_lower(word) ^ _HIGH_BITS) >> unsigned(skipped << 3)
            if others != _NOTHING and others & np.uint64(0x80) == _NOTHING:
                j = i + skipped + (zero_bits_below(others) >> 3)
                if j >= end:
                    # The word goes on behind the text's end, or stops there: it is at least one byte long.
                    if i + skipped < end:
                        found = end
                else:
                    byte = load_8(data, j)
                    if byte < 0x80 and byte != 39:
                        found = j
        else:
            others = (ascii_letters(word) ^ _HIGH_BITS) >> unsigned(start << 3)
            if others != _NOTHING and others & np.uint64(0x80) == _NOTHING:
                j = i + start + (zero_bits_below(others) >> 3)
                if j >= end:
                    if i + start < end:
                        found = end
                elif load_8(data, j) < 0x80:
                    found = j
    if found < 0:
        if pattern == CL100K:
            found = next_cl100k(data, i, end, classes)
        elif pattern == GPT2:
            found = next_gpt2(data, i, end, classes)
        else:
            found = next_o200k(data, i, end, classes)
    return found


@kernel
def split_pieces(data, start, end, pattern, classes, ends):
    """Ends of all pieces of one text into ``ends`` (an array); returns how many."""
    count = 0
    while start < end:
        start = next_piece(data, start, end, pattern, classes)
        ends[count] = start
        count += 1
    return count


@kernel
def build_pairs(left, right, pairs):
    """Fill an open-addressing table (uint64, a power of two, emptied) of two ids and the rank of their merge."""
    mask = len(pairs) - 1
    for rank in range(len(left)):
        key = (left[rank] << 21) | right[rank]
        slot = signed((unsigned(key) * _MIX_1) >> _SHIFT) & mask
        while pairs[slot] != _EMPTY and signed(pairs[slot] >> _RANK_BITS) != key:
            slot = (slot + 1) & mask
        pairs[slot] = unsigned((key << 21) | rank)


@inlined
def pair_rank(left, right, pairs, mask):
    """Rank of the merge of two ids; ``NO_RANK`` if there is none."""
    key = (left << 21) | right
    slot = signed((unsigned(key) * _MIX_1) >> _SHIFT) & mask
    found = np.int64(NO_RANK)
    while True:
        entry = load_64(pairs, slot << 3)
        if entry == _EMPTY:
            break
        if signed(entry >> _RANK_BITS) == key:
            found = signed(entry) & _RANK_MASK
            break
        slot = (slot + 1) & mask
    return found


@kernel
def merge_scanning(data, i, n, byte_ids, byte_pairs, pairs, mask, merged, ids, ranks):
    """Merge the ``n`` bytes at ``i``, lowest rank first, leftmost first, into ``ids``; returns how many."""
    before = load_8(data, i)
    store_32(ids, 0, load_32(byte_ids, before << 2))
    best = np.int64(NO_RANK)
    place = 0
    for k in range(1, n):
        byte = load_8(data, i + k)
        store_32(ids, k << 2, load_32(byte_ids, byte << 2))
        rank = load_32(byte_pairs, (before << 8 | byte) << 2)
        before = byte
        store_32(ranks, (k - 1) << 2, rank)
        if rank < best:
            best = rank
            place = k - 1
    store_32(ranks, (n - 1) << 2, np.int64(NO_RANK))
    while best != NO_RANK:
        made = load_32(merged, best << 2)
        n -= 1
        k = place + 1
        while k < n:
            store_32(ids, k << 2, load_32(ids, (k + 1) << 2))
            store_32(ranks, k << 2, load_32(ranks, (k + 1) << 2))
            k += 1
        store_32(ids, place << 2, made)
        rank = np.int64(NO_RANK)
        if place + 1 < n:
            rank = pair_rank(made, load_32(ids, (place + 1) << 2), pairs, mask)
        store_32(ranks, place << 2, rank)
        if place > 0:
            rank = pair_rank(load_32(ids, (place - 1) << 2), made, pairs, mask)
            store_32(ranks, (place - 1) << 2, rank)
        best = np.int64(NO_RANK)
        for k in range(n - 1):
            rank = load_32(ranks, k << 2)
            if rank < best:
                best = rank
                place = k
    return n


@kernel
def heap_push(heap, size, entry):
    """Put an entry on a binary heap of ``size`` entries."""
    k = size
    while k > 0:
        parent = (k - 1) >> 1
        if heap[parent] <= entry:
            break
        heap[k] = heap[parent]
        k = parent
    heap[k] = entry


@kernel
def heap_pop(heap, size):
    """Take the first of ``size`` entries off the heap."""
    size -= 1
    entry = heap[size]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[k] = heap[child]
        k = child
    heap[k] = entry


@kernel
def merge_by_heap(data, i, n, byte_ids, byte_pairs, pairs, mask, merged, out):
    """As :func:`merge_scanning`, in O(n log n): for long pieces, of fewer than 2**31 bytes."""
    ids = np.empty(n, np.int32)
    ranks = np.empty(n, np.uint32)
    after = np.empty(n, np.int32)
    before = np.empty(n, np.int32)
    # An entry is a rank above the place it was seen at. Each of fewer than n merges makes at most two new
    # pairs, so no more than 3n are ever pushed.
    heap = np.empty(3 * n, np.int64)
    size = 0
    byte = load_8(data, i)
    ids[0] = load_32(byte_ids, byte << 2)
    for k in range(1, n):
        left = byte
        byte = load_8(data, i + k)
        ids[k] = load_32(byte_ids, byte << 2)
        ranks[k - 1] = load_32(byte_pairs, (left << 8 | byte) << 2)
    ranks[n - 1] = NO_RANK
    for k in range(n):
        after[k] = k + 1
        before[k] = k - 1
        if ranks[k] != NO_RANK:
            heap_push(heap, size, (np.int64(ranks[k]) << 32) | k)
            size += 1
    while size > 0:
        entry = heap[0]
        heap_pop(heap, size)
        size -= 1
        place = entry & 0xFFFFFFFF
        # A pair that has changed since it was pushed is not merged any more.
        if np.int64(ranks[place]) != entry >> 32:
            continue
        made = load_32(merged, (entry >> 32) << 2)
        ids[place] = made
        gone = np.int64(after[place])
        ranks[gone] = NO_RANK
        right = np.int64(after[gone])
        after[place] = right
        rank = np.int64(NO_RANK)
        if right < n:
            before[right] = place
            rank = pair_rank(made, np.int64(ids[right]), pairs, mask)
            if rank != NO_RANK:
                heap_push(heap, size, (rank << 32) | place)
                size += 1
        ranks[place] = rank
        earlier = np.int64(before[place])
        if earlier >= 0:
            rank = pair_rank(np.int64(ids[earlier]), made, pairs, mask)
            ranks[earlier] = rank
            if rank != NO_RANK:
                heap_push(heap, size, (rank << 32) | earlier)
                size += 1
    count = 0
    k = np.int64(0)
    while k < n:
        store_32(out, count << 2, np.int64(ids[k]))
        count += 1
        k = np.int64(after[k])
    return count


@inlined
def piece_hash(data, i, n):
    """A hash of a piece of at least 8 bytes."""
    mixed = unsigned(n) * _MIX_1
    k = 0
    while k + 8 <= n:
        mixed = (mixed ^ load_64(data, i + k)) * _MIX_2
        mixed ^= mixed >> np.uint64(29)
        k += 8
    mixed = (mixed ^ load_64(data, i + n - 8)) * _MIX_3
    mixed ^= mixed >> _SHIFT
    mixed *= _MIX_1
    return mixed | np.uint64(1)


@inlined
def same_bytes(a, i, b, j, n):
    """Whether the ``n`` bytes (at least 8) at two places are equal."""
    k = 0
    while k + 8 <= n and load_64(a, i + k) == load_64(b, j + k):
        k += 8
    return k + 8 > n and load_64(a, i + n - 8) == load_64(b, j + n - 8)


@kernel
def whole_id(data, i, n, whole):
    """Id of a piece that is an entry of its own although merging does not make it; -1 if it is none.

    ``whole`` is a table of such entries: bytes (padded to 16), length, id, ordered; see the encoder.
    """
    table, entries, content = whole
    low, high = 0, entries
    while low < high:
        middle = (low + high) >> 1
        at = load_64(table, middle * 24)
        size = signed(load_64(table, middle * 24 + 8))
        order = size - n
        k = 0
        while order == 0 and k < n:
            order = load_8(content, signed(at) + k) - load_8(data, i + k)
            k += 1
        if order == 0:
            return signed(load_64(table, middle * 24 + 16))
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return -1


@kernel
def merge_piece(data, i, n, vocabulary, scratch, out):
    """Ids of the piece of ``n`` bytes at ``i`` into ``out``, without looking into the caches; returns how many."""
    byte_ids, byte_pairs, pairs, mask, merged, whole = vocabulary
    if whole[1]:
        found = whole_id(data, i, n, whole)
        if found >= 0:
            store_32(out, 0, found)
            return 1
    if n > SCANNED_BYTES:
        return merge_by_heap(data, i, n, byte_ids, byte_pairs, pairs, mask, merged, out)
    ids, ranks = scratch
    count = merge_scanning(data, i, n, byte_ids, byte_pairs, pairs, mask, merged, ids, ranks)
    for k in range(count):
        store_32(out, k << 2, load_32(ids, k << 2))
    return count


@kernel
def remember(slots, bucket, low, high, out, count, turn):
    """Put a short piece and its ids into its bucket: where there is room, else in place of one of the four."""
    slot = bucket
    for way in range(WAYS):
        if load_64(slots, bucket + way * SLOT_BYTES + 8) == _NOTHING:
            slot = bucket + way * SLOT_BYTES
            break
        if way == WAYS - 1:
            slot = bucket + (turn & (WAYS - 1)) * SLOT_BYTES
    first = unsigned(count)
    second = _NOTHING
    for k in range(count):
        value = unsigned(load_32(out, k << 2))
        if k < 3:
            first |= value << unsigned(20 * k + 4)
        else:
            second |= value << unsigned(20 * (k - 3))
    store_64(slots, slot, low)
    store_64(slots, slot + 8, high)
    store_64(slots, slot + 16, first)
    store_64(slots, slot + 24, second)


@kernel
def encode_texts(
    data,
    offsets,
    pattern,
    classes,
    vocabulary,
    key_masks,
    slots,
    bucket_bits,
    long_slots,
    long_bits,
    arena,
    arena_bytes,
    state,
    scratch,
    out,
    out_offsets,
):
    """Encode texts ``data[offsets[d]:offsets[d + 1]]``; returns the number of ids written to ``out``.

    Args:
        data: address of UTF-8.
        offsets: int64, shape (n + 1,).
        pattern: GPT2, CL100K or O200K.
        classes: address of the class table.
        vocabulary: see :func:`merge_piece`.
        key_masks: address of 16 pairs of uint64 that keep the first bytes of a piece.
        slots: address of 2**bucket_bits buckets of four slots: 16 bytes of key, the count and six ids of 20 bits.
        bucket_bits: of which there are this many, as a power of two.
        long_slots: address of 2**long_bits slots: hash; place in the arena, length and number of ids.
        long_bits: of which there are this many, as a power of two.
        arena: address of the bytes and ids of longer pieces.
        arena_bytes: its size.
        state: int64: pieces missed so far, bytes of the arena and slots in use.
        scratch: two addresses with room for ``SCANNED_BYTES`` numbers of 32 bits, and one for
            ``PIECES_AHEAD`` pieces of 32 bytes.
        out: address of uint32, room for as many ids as there are bytes.
        out_offsets: int64, shape (n + 1,).
    """
    bucket_shift = np.uint64(64 - bucket_bits)
    long_shift = np.uint64(64 - long_bits)
    long_mask = (1 << long_bits) - 1
    misses, arena_used, long_used = state[0], state[1], state[2]
    ids, ranks, found = scratch
    total = np.int64(0)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        out_offsets[d] = total
        while i < end:
            # First some pieces are found and their buckets asked for, then they are looked up: by then the
            # buckets have arrived, and a wrong guess about a piece's end holds up no lookup.
            first = i
            ahead = 0
            while i < end and ahead < PIECES_AHEAD:
                j = next_piece(data, i, end, pattern, classes)
                n = j - i
                at = ahead << 5
                store_64(found, at, unsigned(n))
                if n <= CACHED_BYTES:
                    low = load_64(data, i) & load_64(key_masks, n << 4)
                    high = load_64(data, i + 8) & load_64(key_masks, (n << 4) + 8) | unsigned(n) << np.uint64(
                        56
                    )
                    mixed = low * _MIX_1 + high * _MIX_2
                    mixed ^= mixed >> _SHIFT
                    mixed *= _MIX_3
                    bucket = signed(mixed >> bucket_shift) * (WAYS * SLOT_BYTES)
                    fetch_soon(slots, bucket)
                    fetch_soon(slots, bucket + 2 * SLOT_BYTES)
                    store_64(found, at + 8, low)
                    store_64(found, at + 16, high)
                    store_64(found, at + 24, unsigned(bucket))
                ahead += 1
                i = j
            j = first
            for piece in range(ahead):
                n = signed(load_64(found, piece << 5))
                i = j
                j = i + n
                if n <= CACHED_BYTES:
                    low = load_64(found, (piece << 5) + 8)
                    high = load_64(found, (piece << 5) + 16)
                    bucket = signed(load_64(found, (piece << 5) + 24))
                    slot = bucket
                    if not (load_64(slots, slot) == low and load_64(slots, slot + 8) == high):
                        slot = bucket + SLOT_BYTES
                        if not (load_64(slots, slot) == low and load_64(slots, slot + 8) == high):
                            slot = bucket + 2 * SLOT_BYTES
                            if not (load_64(slots, slot) == low and load_64(slots, slot + 8) == high):
                                slot = bucket + 3 * SLOT_BYTES
                                if not (load_64(slots, slot) == low and load_64(slots, slot + 8) == high):
                                    slot = -1
                    at = out + (total << 2)
                    if slot >= 0:
                        packed = load_64(slots, slot + 16)
                        count = signed(packed) & 15
                        store_32(at, 0, (signed(packed) >> 4) & 0xFFFFF)
                        store_32(at, 4, (signed(packed) >> 24) & 0xFFFFF)
                        store_32(at, 8, signed(packed >> np.uint64(44)))
                        if count > 3:
                            packed = load_64(slots, slot + 24)
                            store_32(at, 12, signed(packed) & 0xFFFFF)
                            store_32(at, 16, (signed(packed) >> 20) & 0xFFFFF)
                            store_32(at, 20, signed(packed >> np.uint64(40)))
                    else:
                        misses += 1
                        count = merge_piece(data, i, n, vocabulary, (ids, ranks), at)
                        if count <= CACHED_IDS:
                            remember(slots, bucket, low, high, at, count, misses)
                    total += count
                elif n <= LONG_BYTES:
                    mixed = piece_hash(data, i, n)
                    slot = signed(mixed >> long_shift)
                    count = -1
                    at = out + (total << 2)
                    while True:
                        key = load_64(long_slots, slot << 4)
                        if key == _NOTHING:
                            break
                        if key == mixed:
                            entry = signed(load_64(long_slots, (slot << 4) + 8))
                            place = entry >> 16
                            if ((entry >> 8) & 255) == n and same_bytes(arena, place, data, i, n):
                                count = entry & 255
                                k = 0
                                while k < count:
                                    store_64(at, k << 2, load_64(arena, place + n + (k << 2)))
                                    k += 2
                                break
                        slot = (slot + 1) & long_mask
                    if count < 0:
                        count = merge_piece(data, i, n, vocabulary, (ids, ranks), at)
                        if arena_used + n + 4 * count > arena_bytes or 2 * long_used > long_mask:
                            # Full: forget everything, which keeps memory bounded whatever the text.
                            for k in range(1 << long_bits):
                                store_64(long_slots, k << 4, _NOTHING)
                            arena_used = long_used = 0
                            slot = signed(mixed >> long_shift)
                        store_64(long_slots, slot << 4, mixed)
                        store_64(long_slots, (slot << 4) + 8, unsigned((arena_used << 16) | (n << 8) | count))
                        for k in range(0, n, 8):
                            store_64(arena, arena_used + k, load_64(data, i + k))
                        arena_used += n
                        for k in range(0, count, 2):
                            store_64(arena, arena_used + (k << 2), load_64(at, k << 2))
                        arena_used += 4 * count
                        long_used += 1
                    total += count
                else:
                    total += merge_piece(data, i, n, vocabulary, (ids, ranks), out + (total << 2))
            i = j
    out_offsets[len(offsets) - 1] = total
    state[0], state[1], state[2] = misses, arena_used, long_used
    return total


@kernel
def merges_make(data, offsets, wanted, vocabulary, scratch, out, made):
    """Whether merging each piece ``data[offsets[k]:offsets[k + 1]]`` gives the one id ``wanted[k]``."""
    for k in range(len(wanted)):
        n = offsets[k + 1] - offsets[k]
        count = merge_piece(data, offsets[k], n, vocabulary, scratch, out)
        made[k] = count == 1 and load_32(out, 0) == wanted[k]
