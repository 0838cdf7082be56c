"""The rules of C4 (Raffel et al. 2020, arXiv:1910.10683, section 2.2): which lines stay, and what they say.

    "Home | About\\nIt rained all day.[3] We stayed in.\\nPlease enable Javascript now."
         no_end        kept, less [3]                      javascript

Rules that the paper leaves open follow the code that C4 was published with (tensorflow/datasets, c4_utils) and
its reimplementation in datatrove. Words are what White_Space separates; phrases are found in any case of
ASCII letters, also inside of words.
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
    WHITE_SPACE,
    class_of,
    class_table,
    classify,
    skip_white_space,
    trim_white_space,
)
from textmill.text.compilation import borrowed, kernel
from textmill.text.inputs import checked
from textmill.text.lines import Lines
from textmill.text.sentences import abbreviations, sentence_roles, sentences_between, terminals
from textmill.text.wide import (
    WIDTH,
    below,
    caseless_mask,
    copy_bytes,
    count_leads,
    equal_mask,
    holds_byte,
    item,
    trailing_zeros,
)

CUTS = ("long_word", "no_terminal_punctuation", "few_words", "javascript", "policy", "citation")
LONG_WORD, NO_END, FEW_WORDS, JAVASCRIPT, POLICY, CITATION, KEPT = 0, 1, 2, 3, 4, 5, 6
STATISTICS = ("lorem_ipsum", "curly_brackets", "sentences")

# What one line may say: bits.
SAYS_LOREM_IPSUM, SAYS_JAVASCRIPT, SAYS_BRACKET, SAYS_POLICY = 1, 2, 4, 8


@dataclass(frozen=True)
class LineRules:
    """Which lines `cut_lines` cuts, in this order.

    Attributes:
        max_word_length: a line with a longer word goes (code points); negative for no such rule.
        citations: `[12]`, `[]`, `[edit]` and `[citation needed]` are taken out of lines.
        terminal_punctuation: a line goes unless it ends in one of `. ? ! " '`, or if it ends in `...`.
        min_words: a line with fewer words goes.
        javascript: a line that says "javascript" goes.
        policy: a line goes that says one of "terms of use", "privacy policy", "cookie policy", "uses cookies",
            "use of cookies", "use cookies".
    """

    max_word_length: int = 1000
    citations: bool = True
    terminal_punctuation: bool = True
    min_words: int = 3
    javascript: bool = True
    policy: bool = True


@dataclass(frozen=True)
class CutTexts:
    """What is left of a batch of documents.

    Attributes:
        data: uint8[bytes], UTF-8.
        offsets: int64[documents + 1], borders of the documents in `data`.
        counts: int64[rules, documents]: how often each of CUTS struck (lines; for citations, places).
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def cut_lines(data: npt.NDArray[np.uint8], lines: Lines, rules: LineRules) -> CutTexts:
    """The lines that `rules` keep, stripped, joined by newlines; the result is stripped as a whole.

    Lines that condemn their document ("lorem ipsum"; `{` outside of lines about Javascript) stay, so that
    `c4_statistics` of what is left finds them.

    Args:
        data: uint8[bytes], UTF-8.
        lines: from `split_lines` of the same buffer.
        rules: what to cut.
    """
    data, _ = checked(data, np.zeros(1, np.int64))
    index, blocks = class_table()
    out, offsets, counts = _cut(
        data,
        lines.text_starts,
        lines.text_ends,
        lines.document_offsets,
        rules.max_word_length,
        rules.citations,
        rules.terminal_punctuation,
        rules.min_words,
        rules.javascript,
        rules.policy,
        index,
        blocks,
        _copy_roles(),
    )
    return CutTexts(out, offsets, counts)


def c4_statistics(data: npt.NDArray[np.uint8], lines: Lines) -> dict[str, npt.NDArray[np.float64]]:
    """What C4 judges whole documents by: float64[documents] for each name in STATISTICS, 0 if empty.

    - lorem_ipsum: lines that say "lorem ipsum"; curly_brackets: lines that hold `{`.
    - sentences: sum over lines, each stripped, of its sentences (see `sentences`).

    Args:
        data: uint8[bytes], UTF-8.
        lines: from `split_lines` of the same buffer.
    """
    data, _ = checked(data, np.zeros(1, np.int64))
    index, blocks = class_table()
    table = np.zeros((len(STATISTICS), lines.document_offsets.size - 1), np.float64)
    _count(
        data,
        lines.text_starts,
        lines.text_ends,
        lines.document_offsets,
        index,
        blocks,
        sentence_roles(),
        terminals(),
        abbreviations(),
        table,
    )
    return dict(zip(STATISTICS, table, strict=True))


PLAIN, SPACE, BRACKET, BEYOND_ASCII = 0, 1, 2, 3


@lru_cache(maxsize=1)
def _copy_roles() -> npt.NDArray[np.uint8]:
    """uint8[256]: what a byte is to `_copy_line`."""
    roles = np.full(256, BEYOND_ASCII, np.uint8)
    for byte in range(128):
        roles[byte] = SPACE if class_of(byte) & WHITE_SPACE else PLAIN
    roles[0x5B] = BRACKET
    return roles


@kernel
def _cut(
    data,
    text_starts,
    text_ends,
    document_offsets,
    max_word_length,
    citations,
    terminal,
    min_words,
    javascript,
    policy,
    index,
    blocks,
    roles,
):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    roles = borrowed(roles)
    room = 0
    for line in range(text_starts.size):
        room += np.int64(text_ends[line]) - text_starts[line] + 1
    out = np.empty(room, np.uint8)
    offsets = np.zeros(document_offsets.size, np.int64)
    counts = np.zeros((KEPT, document_offsets.size - 1), np.int64)
    at = 0
    for document in range(document_offsets.size - 1):
        begin = at
        for line in range(document_offsets[document], document_offsets[document + 1]):
            start, end = np.int64(text_starts[line]), np.int64(text_ends[line])
            after, words, longest, removed = _copy_line(
                data, start, end, out, at, citations, max_word_length, min_words, index, blocks, roles
            )
            if max_word_length >= 0 and longest > max_word_length:
                verdict = LONG_WORD
            elif terminal and not _ends_well(out, at, after):
                verdict = NO_END
            elif words < min_words:
                verdict = FEW_WORDS
            else:
                verdict = _verdict(_says(out, at, after), javascript, policy)
            if verdict != LONG_WORD:
                counts[CITATION, document] += removed
            if verdict == KEPT:
                out[after] = 10
                at = after + 1
            elif start < end:
                counts[verdict, document] += 1
        at = _strip(out, begin, at, index, blocks)
        offsets[document + 1] = at
    return out[:at].copy(), offsets, counts


@kernel
def _copy_line(data, start, end, out, at, citations, max_word_length, min_words, index, blocks, roles):
    """Copy a line without its citations; where the copy ends, words and longest word of the line, citations.

    Words are counted up to `min_words` at least; a word is measured in code points only if its bytes are too many.
    """
    if (max_word_length < 0 or end - start <= max_word_length) and not (
        citations and holds_byte(data, start, end, 0x5B)
    ):
        words = _count_words(data, start, end, min_words, roles)
        if words >= 0:
            copy_bytes(out, at, data, start, end - start)
            return at + end - start, words, 0, 0
    words = 0
    longest = 0
    removed = 0
    limit = max_word_length if max_word_length >= 0 else end - start
    word = start  # where the word began, or will if no white space follows
    outside = 1  # of a word
    place = start
    while place < end:
        # Words are short: a branch at the border of each would cost more than the rest.
        role = np.int64(roles[data[place]])
        while role <= SPACE:
            out[at] = data[place]
            words += outside & ~role
            outside = role
            if place - word > limit and role:
                longest = max(longest, count_leads(data, word, place))
            word = place + 1 if role else word
            at += 1
            place += 1
            if place == end:
                break
            role = np.int64(roles[data[place]])
        if place == end:
            break
        if role == BRACKET:
            words += outside
            outside = 0
            after = place + 1
            stop = _citation_end(data, place, end, index, blocks) if citations else place
            if stop > place:
                removed += 1
                if stop - place == 17 and data[place + 9] == 0x20:
                    # "[citation needed]" ends one word and begins another.
                    if place + 9 - word > limit:
                        longest = max(longest, count_leads(data, word, place + 9))
                    word = place + 10
                    words += 1
                place = stop
                continue
        else:
            value, after = classify(data, place, end, index, blocks)
            if value & WHITE_SPACE:
                if place - word > limit:
                    longest = max(longest, count_leads(data, word, place))
                word = after
                outside = 1
            else:
                words += outside
                outside = 0
        while place < after:
            out[at] = data[place]
            at += 1
            place += 1
    if end - word > limit:
        longest = max(longest, count_leads(data, word, end))
    return at, words, longest, removed


@kernel
def _count_words(data, start, end, enough, roles):
    """Words of data[start:end], at most `enough`; -1 if that depends on what is not ASCII."""
    words = 0
    outside = True
    for at in range(start, end):
        if words >= enough:
            break
        role = item(roles, np.int64(item(data, at)))
        if role == BEYOND_ASCII:
            return -1
        words += outside and role != SPACE
        outside = role == SPACE
    return words


@kernel
def _citation_end(data, place, end, index, blocks):
    """Where the citation that opens at `place` ends; `place` if it is none."""
    at = place + 1
    while at < end:
        if data[at] == 0x5D:
            return at + 1
        value, after = classify(data, at, end, index, blocks)
        if value >> CATEGORY_SHIFT != 9:
            break
        at = after
    if at == place + 1:
        for phrase in (b"[edit]", b"[citation needed]"):
            if end - place >= len(phrase) and _is_here(data, place, phrase):
                return place + len(phrase)
    return place


@kernel
def _is_here(data, at, phrase):
    same = True
    for position in range(len(phrase)):
        same &= data[at + position] == phrase[position]
    return same


@kernel
def _ends_well(data, start, end):
    """Whether data[start:end] ends in terminal punctuation and not in `...`."""
    if end == start:
        return False
    last = data[end - 1]
    if last == 0x2E:
        return end - start < 3 or data[end - 2] != 0x2E or data[end - 3] != 0x2E
    return last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27


@kernel
def _verdict(says, javascript, policy):
    if says & SAYS_LOREM_IPSUM:
        return KEPT
    if javascript and says & SAYS_JAVASCRIPT:
        return JAVASCRIPT
    if policy and says & SAYS_POLICY and not says & SAYS_BRACKET:
        return POLICY
    return KEPT


@kernel
def _says(data, start, end):
    """Which of the phrases data[start:end] holds, as bits."""
    says = 0
    at = start
    while at < end and at + WIDTH + 2 <= data.size:
        found = _rare_triples(data, at)
        if end - at < WIDTH:
            found &= below(end - at)
        while found:
            says |= _says_at(data, start, end, at + np.int64(trailing_zeros(found)))
            found &= found - np.uint64(1)
        at += WIDTH
    while at < end:
        says |= _says_at(data, start, end, at)
        at += 1
    return says


@kernel
def _rare_triples(data, at):
    """Where of data[at:at + 32] a triple of letters begins that is rare and in one of the phrases, or a `{`."""
    return (
        equal_mask(data, at, 0x7B)
        | _triple(data, at, 0x6A, 0x61, 0x76)  # jav: javascript
        | _triple(data, at, 0x70, 0x73, 0x75)  # psu: lorem ipsum
        | _triple(data, at, 0x70, 0x6F, 0x6C)  # pol: privacy policy, cookie policy
        | _triple(data, at, 0x6B, 0x69, 0x65)  # kie: uses cookies, use of cookies, use cookies
        | _triple(data, at, 0x66, 0x20, 0x75)  # f u: terms of use
    )


@kernel
def _triple(data, at, one, two, three):
    return (
        caseless_mask(data, at, one) & caseless_mask(data, at + 1, two) & caseless_mask(data, at + 2, three)
    )


@kernel
def _says_at(data, start, end, at):
    """Which of the phrases has its rare triple at `at`, as a bit."""
    letter = item(data, at)
    if letter == 0x7B:
        return SAYS_BRACKET
    letter |= 0x20
    if letter == 0x6A:
        return SAYS_JAVASCRIPT if _reads(data, start, end, at, b"javascript") else 0
    if letter == 0x70:
        if _reads(data, start, end, at - 7, b"lorem ipsum"):
            return SAYS_LOREM_IPSUM
        policy = _reads(data, start, end, at - 8, b"privacy policy") or _reads(
            data, start, end, at - 7, b"cookie policy"
        )
        return SAYS_POLICY if policy else 0
    if letter == 0x6B:
        cookies = (
            _reads(data, start, end, at - 8, b"uses cookies")
            or _reads(data, start, end, at - 10, b"use of cookies")
            or _reads(data, start, end, at - 7, b"use cookies")
        )
        return SAYS_POLICY if cookies else 0
    if letter == 0x66:
        return SAYS_POLICY if _reads(data, start, end, at - 7, b"terms of use") else 0
    return 0


@kernel
def _reads(data, start, end, at, phrase):
    """Whether `phrase` (small ASCII letters and spaces) stands at `at`, in any case, within [start, end)."""
    if at < start or at + len(phrase) > end:
        return False
    for position in range(len(phrase)):
        byte = data[at + position]
        if 0x41 <= byte <= 0x5A:
            byte |= 0x20
        if byte != phrase[position]:
            return False
    return True


@kernel
def _strip(data, begin, end, index, blocks):
    """Take White_Space from both ends of data[begin:end], moving what is left to `begin`; its new end."""
    first = skip_white_space(data, begin, end, index, blocks)
    last = trim_white_space(data, first, end, index, blocks)
    if first > begin:
        for position in range(first, last):
            data[begin + position - first] = data[position]
    return begin + last - first


@kernel
def _count(
    data,
    text_starts,
    text_ends,
    document_offsets,
    index,
    blocks,
    roles,
    marks,
    short,
    table,
):
    data, index, blocks = borrowed(data), borrowed(index), borrowed(blocks)
    roles, marks, short = borrowed(roles), borrowed(marks), borrowed(short)
    for document in range(document_offsets.size - 1):
        lorem = 0
        brackets = 0
        sentences = 0
        for line in range(document_offsets[document], document_offsets[document + 1]):
            start, end = np.int64(text_starts[line]), np.int64(text_ends[line])
            says = _says(data, start, end)
            lorem += (says & SAYS_LOREM_IPSUM) != 0
            brackets += (says & SAYS_BRACKET) != 0
            sentences += sentences_between(data, start, end, index, blocks, roles, marks, short)
        table[0, document] = lorem
        table[1, document] = brackets
        table[2, document] = sentences
