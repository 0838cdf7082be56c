"""How one chunk of English text, a stretch without White_Space, is cut: the rules behind `english_tokens`.

Characters of the chunk come as `points` (code points) and `roles` (bits, below); `begins` gets a 1 wherever a token
begins. Every rule looks at a bounded number of neighbours, and what is cut off is not looked at again.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np

from textmill.text.compilation import kernel

# What a character is to these rules: bits.
CUT, OPENS, CURRENCY, SMALL, CAPITAL, ALPHA, DIGIT, NUMERAL, QUOTE, INSIDE = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
    256,
    512,
)

# The lists of words, in the order of their borders.
IN_WHOLE, IN_THREE, IN_BEFORE_NOT, IN_PRONOUNS, IN_MODALS, IN_UNITS = 0, 1, 2, 3, 4, 5
OTHER_SYMBOL = 22


@kernel
def cut_chunk(points, roles, size, begins, words, borders):
    """Set `begins` where a token of the chunk begins."""
    start, end = 0, size
    special = _special(points, start, end, words, borders)
    changed = True
    while start < end and changed and special == 0:
        before = _before(points, roles, start, end)
        if before > 0 and start + before < end:
            special = _special(points, start + before, end, words, borders)
            if special != 0:
                start += before
                begins[start] = 1
                break
        behind = _behind(points, roles, start + before, end, words, borders)
        if behind > 0 and end - behind > start:
            special = _special(points, start, end - behind, words, borders)
            if special != 0:
                end -= behind
                begins[end] = 1
                break
        start += before
        end -= behind
        begins[start] = 1
        begins[end] = 1
        changed = before + behind > 0
        if start < end:
            special = _special(points, start, end, words, borders)
    if special > 0:
        begins[special] = 1
    elif special == 0 and start < end and not _is_address(points, start, end):
        _cut_inside(points, roles, start, end, begins)


@kernel
def role_of_category(category):
    """What a character's General_Category alone makes of it."""
    if category == 1:
        return CAPITAL | ALPHA
    if category == 2:
        return SMALL | ALPHA
    if category == 3:
        return ALPHA
    if category == 4 or category == 5:
        return SMALL | CAPITAL | ALPHA  # without case: both
    if 9 <= category <= 11:
        return NUMERAL
    return 0


@kernel
def find_point(points, point):
    """The place of a code point in an ascending list, or -1."""
    low, high = 0, points.size
    while low < high:
        middle = (low + high) // 2
        if points[middle] < point:
            low = middle + 1
        else:
            high = middle
    return low if low < points.size and points[low] == point else -1


@kernel
def _is_listed(word, which, words, borders):
    low, high = borders[which], borders[which + 1]
    last = high
    while low < high:
        middle = (low + high) // 2
        if words[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low < last and words[low] == word


@kernel
def splits_after_three(data, at, size, words, borders):
    """Whether the letters data[at:at + size] are `cannot`, `gonna` or `gotta`."""
    first = data[at] | 0x20
    if first != 0x63 and first != 0x67:
        return False
    word = np.uint64(first)
    for place in range(1, size):
        word |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return _is_listed(word, IN_THREE, words, borders)


@kernel
def is_abbreviation(data, at, size, words, borders):
    """Whether at most seven letters data[at:at + size] and a full stop stay whole."""
    word = np.uint64(46) << np.uint64(8 * size)
    for place in range(size):
        word |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return _is_listed(word, IN_WHOLE, words, borders)


@kernel
def _word(points, start, end, small_first):
    """At most eight ASCII characters as a number, 0 if that is not what they are; the first one small if asked."""
    if end <= start or end - start > 8:
        return np.uint64(0)
    word = np.uint64(0)
    for place in range(start, end):
        point = points[place]
        if point > 127:
            return np.uint64(0)
        if small_first and place == start and 65 <= point <= 90:
            point += 32
        word |= np.uint64(point) << np.uint64(8 * (place - start))
    return word


@kernel
def _is_apostrophe(point):
    return point == 0x27 or point == 0x2019


@kernel
def _special(points, start, end, words, borders):
    """-1 for what stays whole, the place of its one border for what is cut in two, 0 for anything else."""
    size = end - start
    if size < 2 or size > 10:
        return 0
    first, last = points[start], points[end - 1]
    third = points[end - 3] if size > 2 else 0
    quoted = _is_apostrophe(points[end - 2]) or _is_apostrophe(third) or _is_apostrophe(first)
    if quoted or last == 46 or last == 43 or points[end - 2] == 47 or third == 47:
        if _is_listed(_word(points, start, end, False), IN_WHOLE, words, borders):
            return -1
    elif (
        (size == 5 or size == 6)
        and last >= 97
        and _is_listed(_word(points, start, end, True), IN_THREE, words, borders)
    ):
        return start + 3
    if 49 <= first <= 57:
        return _before_noon(points, start, end)
    if not quoted:
        return 0
    if size >= 4 and last == 0x74 and _is_apostrophe(points[end - 2]) and points[end - 3] == 0x6E:
        if _is_listed(_word(points, start, end - 3, True), IN_BEFORE_NOT, words, borders):
            return end - 3
    elif size >= 3 and _is_apostrophe(points[end - 2]) and (last == 0x64 or last == 0x6D):
        listed = _is_listed(_word(points, start, end - 2, True), IN_PRONOUNS, words, borders)
        return end - 2 if listed else 0
    elif size >= 4 and _is_apostrophe(points[end - 3]):
        left = points[end - 2]
        if (last == 0x6C and left == 0x6C) or (last == 0x65 and (left == 0x72 or left == 0x76)):
            stem = _word(points, start, end - 3, True)
            if _is_listed(stem, IN_PRONOUNS, words, borders):
                return end - 3
            if left == 0x76 and _is_listed(stem, IN_MODALS, words, borders):
                return end - 3
    return 0


@kernel
def _before_noon(points, start, end):
    """The border in `9am`, `12pm`, `9a.m.`, `12p.m.`, or 0."""
    digits = 0
    hour = 0
    while digits < 3 and start + digits < end and 48 <= points[start + digits] <= 57:
        hour = 10 * hour + points[start + digits] - 48
        digits += 1
    at = start + digits
    if digits == 0 or digits > 2 or points[start] == 48 or hour > 12:
        return 0
    if at == end or (points[at] != 0x61 and points[at] != 0x70):
        return 0
    if end - at == 2 and points[at + 1] == 0x6D:
        return at
    if end - at == 4 and points[at + 1] == 46 and points[at + 2] == 0x6D and points[at + 3] == 46:
        return at
    return 0


@kernel
def _before(points, roles, start, end):
    """Characters to cut from the beginning."""
    first = points[start]
    following = points[start + 1] if start + 1 < end else 0
    if first == 46 and following == 46:
        return _dots(points, start, end)
    if roles[start] & (CUT | OPENS):
        return 1
    if first == 43 and not 48 <= following <= 57:
        return 1
    if first == 85 and following == 83 and start + 2 < end and points[start + 2] == 36:
        return 3  # US$
    if (first == 65 or first == 67) and following == 36:
        return 2  # A$, C$
    return 0


@kernel
def _dots(points, start, end):
    """How many full stops follow one another from `start` on."""
    at = start
    while at < end and points[at] == 46:
        at += 1
    return at - start


@kernel
def _behind(points, roles, start, end, words, borders):
    """Characters to cut from the end of what begins at `start`."""
    if start >= end:
        return 0
    last = points[end - 1]
    if end - start >= 2 and (last == 0x73 or last == 0x53) and _is_apostrophe(points[end - 2]):
        return 2
    if last == 46:
        return _full_stops_behind(points, roles, start, end)
    if roles[end - 1] & CUT:
        return 1
    if end - start < 2:
        return 0
    if roles[end - 2] & DIGIT and (last == 43 or last == 37 or roles[end - 1] & CURRENCY):
        return 1
    letters = 0
    while (
        letters < 5
        and letters < end - start
        and points[end - 1 - letters] < 128
        and roles[end - 1 - letters] & ALPHA
    ):
        letters += 1
    if 0 < letters < 5 and letters < end - start and roles[end - 1 - letters] & DIGIT:
        listed = _is_listed(_word(points, end - letters, end, False), IN_UNITS, words, borders)
        return letters if listed else 0
    return 0


@kernel
def _full_stops_behind(points, roles, start, end):
    at = end
    while at > start and points[at - 1] == 46:
        at -= 1
    if end - at >= 2:
        return end - at
    if at == start:
        return 0
    left, role = points[at - 1], roles[at - 1]
    if role & (DIGIT | SMALL | CUT) or left == 37 or left == 43 or left == 45 or left == 0xB2:
        return 1
    if role & CAPITAL and at - 1 > start and roles[at - 2] & CAPITAL:
        return 1
    return 0


@kernel
def _cut_inside(points, roles, start, end, begins):
    at = start
    while at < end:
        point = points[at]
        left = np.int64(roles[at - 1]) if at > start else 0
        right = np.int64(roles[at + 1]) if at + 1 < end else 0
        size = 0
        if point == 46 and at + 1 < end and points[at + 1] == 46:
            size = _dots(points, at, end)
        elif point == 0x2026 or roles[at] & INSIDE:
            size = 1
        elif left == 0 or at + 1 == end:
            size = 0
        elif (
            (
                (point == 43 or point == 45 or point == 42 or point == 94)
                and (left & DIGIT and (right & DIGIT or points[at + 1] == 45))
            )
            or (point == 46 and left & (SMALL | QUOTE) and right & (CAPITAL | QUOTE))
            or (point == 44 and left & ALPHA and right & ALPHA)
        ):
            size = 1
        elif left & (ALPHA | DIGIT):
            if point == 45 or point == 0x2013 or point == 0x2014 or point == 126:
                hyphens = 1
                while point == 45 and hyphens < 3 and at + hyphens < end and points[at + hyphens] == 45:
                    hyphens += 1
                if at + hyphens < end and roles[at + hyphens] & ALPHA:
                    size = hyphens
            elif right & ALPHA and (point == 58 or 60 <= point <= 62 or point == 47):
                size = 1
        if size > 0:
            begins[at] = 1
            begins[at + size] = 1
            at += size
        else:
            at += 1


@kernel
def _is_host_character(point):
    return (
        48 <= point <= 57
        or 65 <= point <= 90
        or 97 <= point <= 122
        or point == 95
        or point == 45
        or (0xA1 <= point <= 0xFFFF)
    )


@kernel
def _is_address(points, start, end):
    """[scheme://][user@]host.tld[:port][/path], where the last label is two or more small letters."""
    at = start
    while at < end and (48 <= points[at] <= 57 or 97 <= points[at] <= 122 or points[at] in (43, 45, 46)):
        at += 1
    host = start
    if (
        at > start
        and 97 <= points[start] <= 122
        and at + 2 < end
        and points[at] == 58
        and points[at + 1] == 47
        and points[at + 2] == 47
    ):
        host = at + 3
    at = host
    while at < end and points[at] != 47 and points[at] != 63 and points[at] != 35:
        if points[at] == 64:
            host = at + 1
        at += 1
    at = host
    label = host
    labels = 0
    while at < end and (_is_host_character(points[at]) or points[at] == 46):
        if points[at] == 46:
            if at == label:
                return False
            labels += 1
            label = at + 1
        at += 1
    if labels == 0 or not 2 <= at - label <= 63:
        return False
    for place in range(label, at):
        if not (97 <= points[place] <= 122 or points[place] >= 0xA1):
            return False
    if at < end and points[at] == 58:
        digits = 0
        at += 1
        while at < end and 48 <= points[at] <= 57:
            digits += 1
            at += 1
        if not 2 <= digits <= 5:
            return False
    return at == end or points[at] == 47 or points[at] == 63 or points[at] == 35
