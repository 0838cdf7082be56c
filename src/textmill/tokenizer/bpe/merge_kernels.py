"""The kernels that learn merges: words as cells, a table of pairs, a heap of entries.

Cells: one row (symbol, word) of int32 per byte of each distinct word, with a :data:`BORDER` before, between and
behind words. A symbol of ``n`` bytes has its id in its first cell and, if ``n`` > 1, ``-n`` in its last; what lies
between is negative. So both neighbours of a symbol are one step away, and a place that is remembered from long
ago shows by its cell whether its symbol is still there.

Entries: when a merge makes new pairs, all the places of one such pair are laid down side by side in ``places``,
and an entry (count, pair, first, how many) goes on the heap. Counts change later and the heap is not told: an
entry whose count is no longer that of its pair is put back with the new one when it comes up.

Nothing is allocated here: a kernel that lacks room says so before it changes anything, and is called again.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.text.compilation import kernel
from textmill.tokenizer.fast.kernels import inlined
from textmill.tokenizer.fast.memory import signed, unsigned

BORDER = -(2**31)
# Columns of the table of pairs (uint64): the pair, its count times four plus how often it was put on the heap.
PAIR, COUNT = 0, 1
PUT_ONCE, PUT_AGAIN = 1, 2
# Columns of what a merge does to the neighbours of a symbol (int64, one row per symbol).
LOST, GAINED, PLACES, NEXT = 0, 1, 2, 3
# State of the work (int64): all that must outlive a call.
HEAP, USED, FREED, PAIRS, SYMBOLS, MERGES, NEEDED = 0, 1, 2, 3, 4, 5, 6
STATES = 7
# What `merge_pairs` returns: no pair is left, the vocabulary is full, enough for one call, or no room in...
EXHAUSTED, FULL, PAUSED, NO_PLACES, NO_HEAP, NO_PAIRS, NO_FOUND, NO_CHANGES, NO_MERGES = range(9)

NOTHING = np.uint64(0xFFFFFFFFFFFFFFFF)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)


@inlined
def before(a_count, a_pair, a_first, b_count, b_pair, b_first):
    """Whether entry a is merged before b: larger count, then smaller ids, then the older."""
    return a_count > b_count or (
        a_count == b_count and (a_pair < b_pair or (a_pair == b_pair and a_first < b_first))
    )


@kernel
def heap_put(heap, size, count, pair, first, places):
    """Put an entry on a heap of ``size`` entries."""
    k = size
    while k > 0:
        parent = (k - 1) >> 1
        if not before(count, pair, first, heap[parent, 0], heap[parent, 1], heap[parent, 2]):
            break
        heap[k] = heap[parent]
        k = parent
    heap[k, 0], heap[k, 1], heap[k, 2], heap[k, 3] = count, pair, first, places


@kernel
def heap_replace(heap, size, count, pair, first, places):
    """Put an entry in the place of the first of ``size`` entries."""
    k = 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        other = child + 1
        if other < size and before(
            heap[other, 0], heap[other, 1], heap[other, 2], heap[child, 0], heap[child, 1], heap[child, 2]
        ):
            child = other
        if not before(heap[child, 0], heap[child, 1], heap[child, 2], count, pair, first):
            break
        heap[k] = heap[child]
        k = child
    heap[k, 0], heap[k, 1], heap[k, 2], heap[k, 3] = count, pair, first, places


@inlined
def pair_of(left, right):
    """Two ids as one number, which orders as they do."""
    return (np.int64(left) << 32) | np.int64(right)


@inlined
def slot_of(table, pair):
    """Where a pair stands in the table, or would stand."""
    mixed = unsigned(pair) * _MIX
    size = np.uint64(len(table))
    slot = signed(((mixed >> _HALF) * size) >> _HALF)
    while table[slot, PAIR] != unsigned(pair) and table[slot, PAIR] != NOTHING:
        slot += 1
        if slot == len(table):
            slot = 0
    return slot


@kernel
def copy_pairs(source, table):
    """Put all pairs of one table into another, which is empty."""
    for k in range(len(source)):
        if source[k, PAIR] != NOTHING:
            slot = slot_of(table, signed(source[k, PAIR]))
            table[slot, PAIR] = source[k, PAIR]
            table[slot, COUNT] = source[k, COUNT]


@kernel
def pack_places(heap, size, order, places):
    """Move the places of all entries together; ``order`` sorts the entries by their first. Returns the end."""
    end = 0
    for k in range(size):
        entry = order[k]
        first = heap[entry, 2]
        count = heap[entry, 3]
        for i in range(count):
            places[end + i] = places[first + i]
        heap[entry, 2] = end
        end += count
    return end


@kernel
def fill_cells(data, starts, counts, byte_ids, cells, text, weights):
    """Lay down the words of two bytes and more as cells, and their bytes as ``text`` beside them."""
    at = 0
    word = 0
    cells[0, 0] = BORDER
    for k in range(len(counts)):
        first, last = starts[k], starts[k + 1]
        if last - first < 2:
            continue
        weights[word] = counts[k]
        at += 1
        for i in range(first, last):
            cells[at, 0] = byte_ids[data[i]]
            cells[at, 1] = word
            text[at] = data[i]
            at += 1
        cells[at, 0] = BORDER
        word += 1


@kernel
def count_places(cells, weights, counts, numbers):
    """Sum the weights, and the number, of all pairs of bytes; both int64, shape (256 * 256,)."""
    total = 0
    for p in range(1, len(cells) - 1):
        left, right = cells[p, 0], cells[p + 1, 0]
        if left >= 0 and right >= 0:
            counts[left << 8 | right] += weights[cells[p, 1]]
            numbers[left << 8 | right] += 1
            total += 1
    return total


@kernel
def first_entries(cells, counts, numbers, table, heap, places, state):
    """Put the pairs of bytes into the table and on the heap, and lay down their places."""
    end = 0
    for pair in range(256 * 256):
        if numbers[pair]:
            key = pair_of(pair >> 8, pair & 255)
            slot = slot_of(table, key)
            table[slot, PAIR] = unsigned(key)
            table[slot, COUNT] = unsigned(counts[pair] << 2 | PUT_ONCE)
            state[PAIRS] += 1
            heap_put(heap, state[HEAP], counts[pair], key, end, numbers[pair])
            state[HEAP] += 1
            first = end
            end += numbers[pair]
            numbers[pair] = first
    for p in range(1, len(cells) - 1):
        left, right = cells[p, 0], cells[p + 1, 0]
        if left >= 0 and right >= 0:
            pair = left << 8 | right
            places[numbers[pair]] = p
            numbers[pair] += 1
    state[USED] = end


@inlined
def known_symbol(symbols, mixed, length, place, text, mixes, lengths, examples):
    """Id of a symbol spelled ``text[place:place + length]``, or -1 minus the slot where it would stand."""
    mask = len(symbols) - 1
    slot = signed((mixed * _MIX) >> _HALF) & mask
    found = np.int64(-1)
    while found < 0 and symbols[slot] >= 0:
        other = np.int64(symbols[slot])
        if mixes[other] == mixed and lengths[other] == length:
            k = 0
            while k < length and text[place + k] == text[examples[other] + k]:
                k += 1
            if k == length:
                found = other
        slot = (slot + 1) & mask
    if found < 0:
        found = np.int64(-1) - slot
    return found


@inlined
def previous_cell(cells, p):
    """First cell of the symbol before the one at ``p``; ``p`` itself if a word begins there."""
    symbol = np.int64(cells[p - 1, 0])
    found = p
    if symbol >= 0:
        found = p - 1
    elif symbol != BORDER:
        found = p + symbol
    return found


@inlined
def lose(table, pair, weight):
    """Take ``weight`` from a pair's count. A pair that was too long to be counted has none."""
    slot = slot_of(table, pair)
    if weight and table[slot, PAIR] != NOTHING:
        table[slot, COUNT] -= unsigned(weight << 2)


@inlined
def gain(table, pair, weight, state):
    """Add ``weight`` to the count of a pair."""
    slot = slot_of(table, pair)
    if table[slot, PAIR] == NOTHING:
        table[slot, PAIR] = unsigned(pair)
        table[slot, COUNT] = np.uint64(0)
        state[PAIRS] += 1
    table[slot, COUNT] += unsigned(weight << 2)


@inlined
def enter(table, heap, size, pair, first, number):
    """Put a pair with new places on the heap, unless all of them are gone again; whether it did."""
    slot = slot_of(table, pair)
    count = signed(table[slot, COUNT]) >> 2
    if count > 0:
        put = PUT_AGAIN if signed(table[slot, COUNT]) & 3 else PUT_ONCE
        table[slot, COUNT] = unsigned(count << 2 | put)
        heap_put(heap, size, count, pair, first, number)
    return count > 0


@kernel
def places_in_words(cells, lengths, left, right, places, first, number, found):
    """Places of a pair in all the words that these places lie in; -1 if there are too many."""
    count = 0
    word = -1
    for k in range(first, first + number):
        p = np.int64(places[k])
        if cells[p, 1] == word:
            continue
        word = cells[p, 1]
        # The place may lie inside a symbol by now: its word begins behind the border on its left.
        while cells[p - 1, 0] != BORDER:
            p -= 1
        while cells[p, 0] != BORDER:
            symbol = np.int64(cells[p, 0])
            following = p + lengths[symbol]
            if symbol == left and cells[following, 0] == right:
                if count == len(found):
                    return -1
                found[count] = p
                count += 1
            p = following
    return count


@kernel
def merge_pairs(
    cells,
    text,
    weights,
    lengths,
    mixes,
    powers,
    examples,
    symbols,
    table,
    heap,
    places,
    found,
    changes,
    before_it,
    behind_it,
    touched,
    merges,
    state,
    entries,
    minimum,
    longest,
    merges_per_call,
):
    """Merge the pair of the highest count, again and again; returns why it stopped.

    Args:
        cells: int32, shape (n, 2); see above.
        text: uint8, shape (n,): the bytes that the cells began with.
        weights: int64: how often each word occurs.
        lengths: int32: bytes of each symbol.
        mixes: uint64: a hash of each symbol's bytes.
        powers: uint64: by what a hash is multiplied when the symbol is put behind it.
        examples: int64: a place in ``text`` where a symbol is spelled.
        symbols: int32, a power of two: ids by that hash; -1 where there is none.
        table: uint64, shape (m, 2): pairs and their counts.
        heap: int64, shape (h, 4): entries: count, pair, first of its places, how many.
        places: uint32: places of entries.
        found: uint32: room for the places of one pair.
        changes: int64: room for the new places that one merge makes.
        before_it: int64, shape (entries, 4), zeros: what happens to the symbols before a merged pair.
        behind_it: the same behind it.
        touched: int64, shape (2, entries): which of their rows.
        merges: int32, shape (k, 2): the pairs merged, in order.
        state: int64; see above.
        entries: symbols in all at the end.
        minimum: a pair with a smaller count is not merged.
        longest: bytes of the longest symbol that is made of more than two bytes.
        merges_per_call: pause after so many.
    """
    for _ in range(merges_per_call):
        if state[SYMBOLS] >= entries:
            return FULL
        size = state[HEAP]
        while True:
            if size == 0:
                return EXHAUSTED
            pair = heap[0, 1]
            slot = slot_of(table, pair)
            count = signed(table[slot, COUNT]) >> 2
            if count == heap[0, 0]:
                break
            heap_replace(heap, size, count, pair, heap[0, 2], heap[0, 3])
        if count < 1 or count < minimum:
            return EXHAUSTED
        left, right = pair >> 32, pair & 0xFFFFFFFF
        first, number = heap[0, 2], heap[0, 3]
        again = (signed(table[slot, COUNT]) & 3) == PUT_AGAIN

        # Room for the worst case, before anything changes.
        if again:
            number = places_in_words(cells, lengths, left, right, places, first, number, found)
            if number < 0:
                state[NEEDED] = 2 * len(found)
                return NO_FOUND
        if 2 * number > len(changes):
            state[NEEDED] = 2 * number
            return NO_CHANGES
        if state[USED] + 2 * number > len(places):
            state[NEEDED] = state[USED] + 2 * number
            return NO_PLACES
        pairs = min(2 * number, 2 * state[SYMBOLS] + 2)
        if size + pairs > len(heap):
            state[NEEDED] = size + pairs
            return NO_HEAP
        if 3 * (state[PAIRS] + pairs) > 2 * len(table):
            state[NEEDED] = 3 * (state[PAIRS] + pairs) // 2 + 1
            return NO_PAIRS
        if state[MERGES] == len(merges):
            state[NEEDED] = 2 * len(merges)
            return NO_MERGES

        # The symbol that the two make: a new one, unless another merge has spelled it before. Whether or not
        # the pair still stands there, its first place spells it.
        place = np.int64(places[first])
        length_left, length_right = np.int64(lengths[left]), np.int64(lengths[right])
        length = length_left + length_right
        mixed = mixes[left] * powers[right] + mixes[right]
        made = known_symbol(symbols, mixed, length, place, text, mixes, lengths, examples)
        if made < 0:
            free = np.int64(-1) - made
            made = state[SYMBOLS]
            state[SYMBOLS] += 1
            symbols[free] = made
            mixes[made] = mixed
            powers[made] = powers[left] * powers[right]
            lengths[made] = length
            examples[made] = place
        merges[state[MERGES], 0] = left
        merges[state[MERGES], 1] = right
        state[MERGES] += 1
        state[FREED] += heap[0, 3]
        size -= 1
        if size:
            heap_replace(heap, size, heap[size, 0], heap[size, 1], heap[size, 2], heap[size, 3])

        lefts = rights = new_places = 0
        for k in range(number):
            p = np.int64(found[k]) if again else np.int64(places[first + k])
            q = p + length_left
            # The place may have been merged with something else since it was laid down.
            if cells[p, 0] != left or cells[q, 0] != right:
                continue
            weight = weights[cells[p, 1]]
            earlier = previous_cell(cells, p)
            if earlier != p:
                symbol = np.int64(cells[earlier, 0])
                if before_it[symbol, LOST] == 0 and before_it[symbol, PLACES] == 0:
                    touched[0, lefts] = symbol
                    lefts += 1
                before_it[symbol, LOST] += weight
                if lengths[symbol] + length <= longest:
                    before_it[symbol, GAINED] += weight
                    before_it[symbol, PLACES] += 1
                    changes[new_places] = symbol << 33 | earlier
                    new_places += 1
            end = p + length
            symbol = np.int64(cells[end, 0])
            if symbol != BORDER:
                if behind_it[symbol, LOST] == 0:
                    touched[1, rights] = symbol
                    rights += 1
                behind_it[symbol, LOST] += weight
                if lengths[symbol] + length <= longest:
                    # The pair of the new symbol and itself has one row, on whichever side the new one is.
                    if symbol == made:
                        if before_it[symbol, LOST] == 0 and before_it[symbol, PLACES] == 0:
                            touched[0, lefts] = symbol
                            lefts += 1
                        before_it[symbol, GAINED] += weight
                        before_it[symbol, PLACES] += 1
                        changes[new_places] = symbol << 33 | p
                    else:
                        behind_it[symbol, GAINED] += weight
                        behind_it[symbol, PLACES] += 1
                        changes[new_places] = symbol << 33 | 1 << 32 | p
                    new_places += 1
            cells[q, 0] = -1
            cells[end - 1, 0] = -length
            cells[p, 0] = made

        # First what was gained, because a pair may have come and gone within this merge; then what was lost, the
        # entries of the pairs that gained places, and the places.
        for k in range(lefts):
            symbol = touched[0, k]
            if before_it[symbol, PLACES]:
                gain(table, pair_of(symbol, made), before_it[symbol, GAINED], state)
        for k in range(rights):
            symbol = touched[1, k]
            if behind_it[symbol, PLACES]:
                gain(table, pair_of(made, symbol), behind_it[symbol, GAINED], state)
        for k in range(lefts):
            lose(table, pair_of(touched[0, k], left), before_it[touched[0, k], LOST])
        for k in range(rights):
            lose(table, pair_of(right, touched[1, k]), behind_it[touched[1, k], LOST])
        used = state[USED]
        for k in range(lefts):
            symbol = touched[0, k]
            new = before_it[symbol, PLACES]
            before_it[symbol, NEXT] = -1
            if new and enter(table, heap, size, pair_of(symbol, made), used, new):
                before_it[symbol, NEXT] = used
                used += new
                size += 1
        for k in range(rights):
            symbol = touched[1, k]
            new = behind_it[symbol, PLACES]
            behind_it[symbol, NEXT] = -1
            if new and enter(table, heap, size, pair_of(made, symbol), used, new):
                behind_it[symbol, NEXT] = used
                used += new
                size += 1
        for k in range(new_places):
            symbol = changes[k] >> 33
            if changes[k] >> 32 & 1:
                at = behind_it[symbol, NEXT]
                behind_it[symbol, NEXT] = at + (at >= 0)
            else:
                at = before_it[symbol, NEXT]
                before_it[symbol, NEXT] = at + (at >= 0)
            if at >= 0:
                places[at] = changes[k] & 0xFFFFFFFF
        for k in range(lefts):
            for column in range(4):
                before_it[touched[0, k], column] = 0
        for k in range(rights):
            for column in range(4):
                behind_it[touched[1, k], column] = 0
        state[USED] = used
        state[HEAP] = size
    return PAUSED
