"""English tokens: every rule by example, and the kernel against a plain reading of the rules."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.strategies import hostile_documents
from tests.text import oracle

from textmill.text import english_tables
from textmill.text.english import english_tokens

PUNCTUATION, CURRENCIES, QUOTES = english_tables.PUNCTUATION, english_tables.CURRENCIES, english_tables.QUOTES
WHOLE, SPLIT_AFTER_THREE = set(english_tables.WHOLE.split()), set(english_tables.THREE_AND_THE_REST.split())
BEFORE_NOT, PRONOUNS = set(english_tables.BEFORE_NOT.split()), set(english_tables.PRONOUNS.split())
MODALS, UNITS = (
    set(english_tables.MODALS.split()),
    sorted(english_tables.UNITS.split(), key=len, reverse=True),
)
ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.\-]*://)?(?:[^/?#]*@)?(?:[A-Za-z0-9_\u00a1-\uffff-]+\.)+[a-z\u00a1-\U0010ffff]{2,63}"
    r"(?::[0-9]{2,5})?(?:[/?#].*)?",
    re.DOTALL,
)


def found(texts: list[str]) -> list[list[tuple[str, int, int]]]:
    data, offsets = oracle.buffer(texts)
    words = english_tokens(data, offsets)
    content = data.tobytes()
    return [
        [
            (content[words.starts[i] : words.ends[i]].decode(), int(words.kinds[i]), int(words.characters[i]))
            for i in range(first, last)
        ]
        for first, last in itertools.pairwise(words.document_offsets)
    ]


def expected(texts: list[str]) -> list[list[tuple[str, int, int]]]:
    return [[(token, oracle.kind(token), len(token)) for token in tokens(text)] for text in texts]


def tokens(text: str) -> list[str]:
    return [token for chunk in oracle.split_white(text) if chunk for token in tokens_of(chunk)]


def tokens_of(chunk: str) -> list[str]:
    before: list[str] = []
    behind: list[str] = []
    middle = special(chunk)
    while not middle and chunk:
        first = opening(chunk)
        if first and (middle := special(chunk[first:])):
            before.append(chunk[:first])
            break
        last = closing(chunk[first:])
        if last and (middle := special(chunk[:-last])):
            behind.append(chunk[-last:])
            break
        if not first and not last:
            middle = [chunk] if ADDRESS.fullmatch(chunk) else inside(chunk)
            break
        before.append(chunk[:first])
        behind.append(chunk[len(chunk) - last :])
        chunk = chunk[first : len(chunk) - last]
        middle = special(chunk)
    return [token for token in (*before, *middle, *reversed(behind)) if token]


def special(chunk: str) -> list[str]:
    if chunk in WHOLE:
        return [chunk]
    small = (chunk[:1].lower() if chunk[:1].isascii() else chunk[:1]) + chunk[1:].replace("’", "'")
    if chunk[1:] == small[1:] and small in SPLIT_AFTER_THREE:
        return [chunk[:3], chunk[3:]]
    cut = 0
    if small.endswith("n't") and small[:-3] in BEFORE_NOT:
        cut = 3
    elif small.endswith(("'d", "'m")) and small[:-2] in PRONOUNS:
        cut = 2
    elif small.endswith(("'ll", "'re", "'ve")) and small[:-3] in PRONOUNS | (
        MODALS if small.endswith("ve") else set()
    ):
        cut = 3
    elif hour := re.fullmatch(r"([1-9]|1[0-2])([ap]m|[ap]\.m\.)", chunk):
        cut = len(hour[2])
    return [chunk[:-cut], chunk[-cut:]] if cut else []


def has(character: str, *categories: str) -> bool:
    return any(oracle.category(character).startswith(each) for each in categories)


def opening(chunk: str) -> int:
    first = chunk[0]
    if dots := re.match(r"\.{2,}", chunk):
        return dots.end()
    if first in PUNCTUATION + CURRENCIES + english_tables.ONLY_BEFORE or is_symbol(first):
        return 1
    if first == "+" and not re.match("[0-9]", chunk[1:]):
        return 1
    marked = re.match(r"US\$|[AC]\$", chunk)
    return marked.end() if marked else 0


def closing(chunk: str) -> int:
    if not chunk:
        return 0
    if re.search("['’][sS]$", chunk):
        return 2
    last, left = chunk[-1], chunk[-2:-1]
    if last == ".":
        if dots := re.search(r"\.{2,}\Z", chunk):
            return len(dots[0])
        if not left:
            return 0
        if left in "0123456789%²-+" or left in PUNCTUATION or is_symbol(left) or is_small(left):
            return 1
        return int(is_capital(left) and len(chunk) > 2 and is_capital(chunk[-3]))
    if last in PUNCTUATION or is_symbol(last):
        return 1
    if re.match("[0-9]", left) and last in "+%" + CURRENCIES:
        return 1
    return next((len(unit) for unit in UNITS if re.search(f"[0-9]{unit}\\Z", chunk)), 0)


def is_symbol(character: str) -> bool:
    return character > "\x7f" and character not in PUNCTUATION + CURRENCIES and has(character, "So")


def is_small(character: str) -> bool:
    return has(character, "Ll", "Lm", "Lo")


def is_capital(character: str) -> bool:
    return has(character, "Lu", "Lm", "Lo")


def inside(chunk: str) -> list[str]:
    borders = {0, len(chunk)}
    at = 0
    while at < len(chunk):
        here, left, right = chunk[at], chunk[at - 1 : at], chunk[at + 1 : at + 2]
        size = 0
        if dots := re.match(r"\.{2,}", chunk[at:]):
            size = dots.end()
        elif here == "…" or is_symbol(here) or (left and right and joins(left, here, right)):
            size = 1
        elif left and right and (has(left, "L") or left in "0123456789"):
            if here in "-–—~":
                run = re.match("-{1,3}|.", chunk[at:])
                size = run.end() if run and has(chunk[at + run.end() :][:1] or " ", "L") else 0
            elif here in ":<=>/" and has(right, "L"):
                size = 1
        if size:
            borders |= {at, at + size}
        at += size or 1
    return [chunk[a:b] for a, b in itertools.pairwise(sorted(borders))]


def joins(left: str, here: str, right: str) -> bool:
    """Characters that are tokens of their own between what joins them."""
    if here in "+-*^" and left in "0123456789" and right in "0123456789-":
        return True
    if here == ".":
        return (is_small(left) or left in QUOTES) and (is_capital(right) or right in QUOTES)
    return here == "," and has(left, "L") and has(right, "L")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Don't pay, they'll cannot.", "Do n't pay , they 'll can not ."),
        ("Can’t We're could've let's", "Ca n’t We 're could 've let 's"),
        ("IL-3 24/7 and/or well-known 10-core", "IL-3 24/7 and/or well - known 10 - core"),
        ("(or 8) [a] 'b' “c”", "( or 8 ) [ a ] ' b ' “ c ”"),
        ("10€ US$5 £7 50% %x 30mph 9am 13am", "10 € US$ 5 £ 7 50 % % x 30 mph 9 am 13am"),
        ("e.g. Mr. X. U.S. USA. end.Then a.b", "e.g. Mr. X. U.S. USA . end . Then a.b"),
        ("wait... what....now…", "wait ... what .... now …"),
        ("http://a.org/x-y?z=b me@mail.com, www.x.de.", "http://a.org/x-y?z=b me@mail.com , www.x.de ."),
        ("a:b a=b x/y 1:2 1+2 3--4 c,d", "a : b a = b x / y 1:2 1 + 2 3 - -4 c , d"),
        ("♥you it♥s ©2024", "♥ you it ♥ s © 2024"),
        ("你好，吗 déjà-vu", "你好，吗 déjà - vu"),
    ],
)
def test_rules(text: str, result: str) -> None:
    assert [token for token, _, _ in found([text])[0]] == result.split()
    assert tokens(text) == result.split()


# What the rules look at, joined without white space more often than hostile text does.
SHAPES = """
    a B z 1 . .. ... , - -- – ' ’ " ( ) : / = + * ^ $ % € § … ♥ @ _ ² é É 你 ? # n't n’t 's ’S 'll
    've 'd do Do can we We cannot Cannot gonna Mr e.g. and/or w/o C++ US$ A$ km MB mph 9 10 12 am
    p.m. a.org http:// user@ .com .COM :80 /x cs.AI U.S U.S. \uffff 𐀀 \u0301
"""


@settings(max_examples=600)
@given(
    hostile_documents()
    | st.lists(
        st.lists(st.sampled_from([*SHAPES.split(), " ", "\n", "\xa0"]), max_size=8).map("".join), max_size=6
    )
)
@example(["", " ", "cannot", "cannot,", "Mr.", "MR.", "gotta."])
@example(["don't" * 300, "a" * 5000 + ".", "'" * 500, "." * 300])
def test_kernel_is_the_plain_reading(texts: list[str]) -> None:
    assert found(texts) == expected(texts)


@given(hostile_documents())
def test_tokens_cover_all_but_white_space(texts: list[str]) -> None:
    for text, row in zip(texts, found(texts), strict=True):
        assert "".join(token for token, _, _ in row) == "".join(oracle.split_white(text))
