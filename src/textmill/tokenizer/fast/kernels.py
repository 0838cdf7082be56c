"""Kernels of the encoder: cutting a text into pieces, merging a piece, remembering pieces.

All in one module, because Numba notices a change only in the file that holds a kernel, not in files whose
functions it inlined. Texts must be valid UTF-8; nothing is read beyond a text's end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from textmill.text.compilation import kernel

OTHER, LETTER, NUMBER, SPACE, NEWLINE = 0, 1, 2, 3, 4
GPT2, CL100K = 0, 1

NO_RANK = np.int64(2**62)
# Up to here the lowest rank is found by looking at all of them; beyond, by a heap.
SCANNED_BYTES = 48
# A piece of up to 15 bytes and its length make an exact 128-bit key; up to 7 ids fit beside it.
CACHED_BYTES = 15
CACHED_IDS = 7

_MIX_1 = np.uint64(0x9E3779B97F4A7C15)
_MIX_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(32)
_ONE_BYTE = np.uint64(8)


@kernel
def character(data: Any, i: int, classes: Any) -> Any:
    """Class of the code point at byte ``i``, and its length in bytes."""
    first = np.int64(data[i])
    if first < 0x80:
        return np.int64(classes[first]), 1
    if first < 0xE0:
        return np.int64(classes[(first & 0x1F) << 6 | data[i + 1] & 0x3F]), 2
    if first < 0xF0:
        point = (first & 0x0F) << 12 | (data[i + 1] & 0x3F) << 6 | data[i + 2] & 0x3F
        return np.int64(classes[point]), 3
    point = (first & 0x07) << 18 | (data[i + 1] & 0x3F) << 12 | (data[i + 2] & 0x3F) << 6 | data[i + 3] & 0x3F
    return np.int64(classes[point]), 4


@kernel
def run_end(data: Any, i: int, end: int, wanted: int, classes: Any) -> Any:
    """Where the run of characters of class ``wanted`` that starts at or before ``i`` ends."""
    while i < end:
        kind, length = character(data, i, classes)
        if kind != wanted:
            break
        i += length
    return i


@kernel
def contraction(data: Any, i: int, end: int, any_case: bool) -> Any:
    """Bytes of a contraction ('s 't 'm 'd 're 've 'll) at the apostrophe ``i``; 0 if there is none."""
    if i + 1 >= end:
        return 0
    one = np.int64(data[i + 1])
    two = np.int64(data[i + 2]) if i + 2 < end else 0
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
def space_end(data: Any, i: int, end: int, classes: Any, keep_newlines: bool) -> Any:
    r"""End of a piece of white space: ``\s*[\r\n]+`` (if ``keep_newlines``), ``\s+(?!\S)`` or ``\s+``."""
    j = i
    last = i
    after_newline = -1
    while j < end:
        kind, length = character(data, j, classes)
        if kind < SPACE:
            break
        last = j
        j += length
        if kind == NEWLINE:
            after_newline = j
    if keep_newlines and after_newline >= 0:
        return after_newline
    if j >= end or last == i:
        return j
    return last


@kernel
def next_piece(data: Any, i: int, end: int, pattern: int, classes: Any) -> Any:
    """Where the piece that starts at byte ``i`` ends, by the pattern of GPT-2 or cl100k."""
    kind, length = character(data, i, classes)
    if kind == LETTER:
        return run_end(data, i + length, end, LETTER, classes)
    byte = data[i]
    if byte == 39:
        size = contraction(data, i, end, pattern == CL100K)
        if size:
            return i + size
    following = -1
    following_length = 0
    if kind != NUMBER and kind != NEWLINE and i + length < end:
        following, following_length = character(data, i + length, classes)
    if pattern == GPT2:
        if kind < SPACE:
            return run_end(data, i + length, end, kind, classes)
        if byte == 32 and 0 <= following < SPACE:
            return run_end(data, i + length + following_length, end, following, classes)
        return space_end(data, i, end, classes, False)
    if kind == NUMBER:
        j = i + length
        for _ in range(2):
            if j >= end:
                break
            kind, length = character(data, j, classes)
            if kind != NUMBER:
                break
            j += length
        return j
    if following == LETTER:
        return run_end(data, i + length + following_length, end, LETTER, classes)
    if kind == OTHER or (byte == 32 and following == OTHER):
        return run_end(data, run_end(data, i + length, end, OTHER, classes), end, NEWLINE, classes)
    return space_end(data, i, end, classes, True)


@kernel
def split_pieces(data: Any, start: int, end: int, pattern: int, classes: Any, ends: Any) -> Any:
    """Ends of all pieces of one text into ``ends``; returns how many."""
    count = 0
    while start < end:
        start = next_piece(data, start, end, pattern, classes)
        ends[count] = start
        count += 1
    return count


@kernel
def build_pairs(left: Any, right: Any, keys: Any, ranks: Any) -> None:
    """Fill an open-addressing table (a power of two of slots) of pairs of ids and their ranks."""
    mask = len(keys) - 1
    for rank in range(len(left)):
        key = (np.uint64(left[rank]) << _SHIFT) | np.uint64(right[rank])
        slot = np.int64((key * _MIX_1) >> _SHIFT) & mask
        while ranks[slot] != NO_RANK and keys[slot] != key:
            slot = (slot + 1) & mask
        keys[slot] = key
        ranks[slot] = rank


@kernel
def pair_rank(left: int, right: int, keys: Any, ranks: Any) -> Any:
    """Rank of the merge of two ids; ``NO_RANK`` if there is none."""
    mask = len(keys) - 1
    key = (np.uint64(left) << _SHIFT) | np.uint64(right)
    slot = np.int64((key * _MIX_1) >> _SHIFT) & mask
    while ranks[slot] != NO_RANK:
        if keys[slot] == key:
            return ranks[slot]
        slot = (slot + 1) & mask
    return NO_RANK


@kernel
def merge_scanning(out: Any, at: int, n: int, keys: Any, ranks: Any, merged: Any, scratch: Any) -> Any:
    """Merge the ``n`` ids at ``out[at:]`` in place, lowest rank first, leftmost first; returns how many stay."""
    for k in range(n - 1):
        scratch[k] = pair_rank(out[at + k], out[at + k + 1], keys, ranks)
    while n > 1:
        best = NO_RANK
        place = 0
        for k in range(n - 1):
            if scratch[k] < best:
                best = scratch[k]
                place = k
        if best == NO_RANK:
            break
        out[at + place] = merged[best]
        n -= 1
        for k in range(place + 1, n):
            out[at + k] = out[at + k + 1]
            scratch[k - 1] = scratch[k]
        if place > 0:
            scratch[place - 1] = pair_rank(out[at + place - 1], out[at + place], keys, ranks)
        if place < n - 1:
            scratch[place] = pair_rank(out[at + place], out[at + place + 1], keys, ranks)
    return n


@kernel
def heap_push(heap_rank: Any, heap_place: Any, size: int, rank: int, place: int) -> None:
    """Put a pair on a binary heap of ``size`` entries, ordered by rank, then place."""
    k = size
    while k > 0:
        parent = (k - 1) >> 1
        above = heap_rank[parent]
        if above < rank or (above == rank and heap_place[parent] <= place):
            break
        heap_rank[k] = above
        heap_place[k] = heap_place[parent]
        k = parent
    heap_rank[k] = rank
    heap_place[k] = place


@kernel
def heap_pop(heap_rank: Any, heap_place: Any, size: int) -> None:
    """Take the first of ``size`` entries off the heap."""
    size -= 1
    rank, place = heap_rank[size], heap_place[size]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        other = child + 1
        if other < size and (
            heap_rank[other] < heap_rank[child]
            or (heap_rank[other] == heap_rank[child] and heap_place[other] < heap_place[child])
        ):
            child = other
        if heap_rank[child] > rank or (heap_rank[child] == rank and heap_place[child] >= place):
            break
        heap_rank[k] = heap_rank[child]
        heap_place[k] = heap_place[child]
        k = child
    heap_rank[k] = rank
    heap_place[k] = place


@kernel
def merge_by_heap(out: Any, at: int, n: int, keys: Any, ranks: Any, merged: Any) -> Any:
    """As :func:`merge_scanning`, in O(n log n): for long pieces."""
    current = np.full(n, NO_RANK, np.int64)
    after = np.empty(n, np.int64)
    before = np.empty(n, np.int64)
    # Each of fewer than n merges makes at most two new pairs, so no more than 3n pairs are ever pushed.
    heap_rank = np.empty(3 * n, np.int64)
    heap_place = np.empty(3 * n, np.int64)
    size = 0
    for k in range(n):
        after[k] = k + 1
        before[k] = k - 1
    for k in range(n - 1):
        rank = pair_rank(out[at + k], out[at + k + 1], keys, ranks)
        current[k] = rank
        if rank != NO_RANK:
            heap_push(heap_rank, heap_place, size, rank, k)
            size += 1
    while size > 0:
        rank, place = heap_rank[0], heap_place[0]
        heap_pop(heap_rank, heap_place, size)
        size -= 1
        # A pair that has changed since it was pushed is not merged any more.
        if current[place] != rank:
            continue
        out[at + place] = merged[rank]
        gone = after[place]
        current[gone] = NO_RANK
        right = after[gone]
        after[place] = right
        current[place] = NO_RANK
        if right < n:
            before[right] = place
            rank = pair_rank(out[at + place], out[at + right], keys, ranks)
            current[place] = rank
            if rank != NO_RANK:
                heap_push(heap_rank, heap_place, size, rank, place)
                size += 1
        left = before[place]
        if left >= 0:
            rank = pair_rank(out[at + left], out[at + place], keys, ranks)
            current[left] = rank
            if rank != NO_RANK:
                heap_push(heap_rank, heap_place, size, rank, left)
                size += 1
    count = 0
    position = np.int64(0)
    while position < n:
        out[at + count] = out[at + position]
        count += 1
        position = after[position]
    return count


@kernel
def encode_texts(
    data: Any,
    offsets: Any,
    pattern: int,
    classes: Any,
    byte_ids: Any,
    keys: Any,
    ranks: Any,
    merged: Any,
    cache_keys: Any,
    cache_ids: Any,
    out: Any,
    out_offsets: Any,
) -> Any:
    """Encode texts ``data[offsets[d]:offsets[d + 1]]``; returns the number of ids written to ``out``.

    ``out`` must have room for as many ids as there are bytes. ``cache_keys``: uint64, shape (slots, 2);
    ``cache_ids``: uint32, shape (slots, 8), the count and the ids; slots in pairs, the later used first.
    """
    scratch = np.empty(SCANNED_BYTES, np.int64)
    buckets = np.uint64(len(cache_keys) // 2 - 1)
    total = np.int64(0)
    for d in range(len(offsets) - 1):
        i, end = offsets[d], offsets[d + 1]
        out_offsets[d] = total
        while i < end:
            j = next_piece(data, i, end, pattern, classes)
            n = j - i
            low = np.uint64(0)
            high = np.uint64(0)
            slot = np.int64(0)
            if n <= CACHED_BYTES:
                for k in range(min(n, 8)):
                    low |= np.uint64(data[i + k]) << (_ONE_BYTE * np.uint64(k))
                for k in range(8, n):
                    high |= np.uint64(data[i + k]) << (_ONE_BYTE * np.uint64(k - 8))
                high |= np.uint64(n) << np.uint64(56)
                mixed = low * _MIX_1 + high * _MIX_2
                mixed ^= mixed >> _SHIFT
                mixed *= _MIX_2
                slot = np.int64((mixed >> _SHIFT) & buckets) * 2
                hit = np.int64(-1)
                if cache_keys[slot, 0] == low and cache_keys[slot, 1] == high:
                    hit = slot
                elif cache_keys[slot + 1, 0] == low and cache_keys[slot + 1, 1] == high:
                    hit = slot + 1
                if hit >= 0:
                    remembered = np.int64(cache_ids[hit, 0])
                    for k in range(remembered):
                        out[total + k] = cache_ids[hit, 1 + k]
                    total += remembered
                    i = j
                    continue
            for k in range(n):
                out[total + k] = byte_ids[data[i + k]]
            if n <= SCANNED_BYTES:
                count = merge_scanning(out, total, n, keys, ranks, merged, scratch)
            else:
                count = merge_by_heap(out, total, n, keys, ranks, merged)
            if n <= CACHED_BYTES and count <= CACHED_IDS:
                cache_keys[slot + 1] = cache_keys[slot]
                cache_ids[slot + 1] = cache_ids[slot]
                cache_keys[slot, 0] = low
                cache_keys[slot, 1] = high
                cache_ids[slot, 0] = count
                for k in range(count):
                    cache_ids[slot, 1 + k] = out[total + k]
            total += count
            i = j
    out_offsets[len(offsets) - 1] = total
    return total
