"""What attributes tell of an element: whether it is hidden, which others are like it, and the words in its names."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.extract.html.scanning import find_byte, holds, skip_space
from textmill.extract.layout import (
    CLASS,
    GENERATOR,
    ITEMTYPE,
    JSON_LD,
    NAME,
    OG_TYPE,
    ROLE,
    VALUE_END,
    VALUE_START,
)
from textmill.extract.names import ATTRIBUTE_IDS, TAG_IDS, TOKEN_PRIME, TOKEN_SALT, TOKEN_SEED
from textmill.extract.names import FLAGS as FLAG_NAMES
from textmill.text.compilation import apart, inlined, small_kernel

(A_CLASS, A_ID, A_ROLE, A_ITEMPROP, A_ITEMTYPE, A_STYLE, A_HIDDEN, A_ARIA_HIDDEN, A_ARIA_LABEL, A_TESTID) = (
    ATTRIBUTE_IDS[_name]
    for _name in [
        "class",
        "id",
        "role",
        "itemprop",
        "itemtype",
        "style",
        "hidden",
        "aria-hidden",
        "aria-label",
        "data-testid",
    ]
)
A_PROPERTY, A_NAME, A_CONTENT, A_TYPE = (
    ATTRIBUTE_IDS[_name] for _name in ["property", "name", "content", "type"]
)
T_META, T_SCRIPT = TAG_IDS["meta"], TAG_IDS["script"]
HIDDEN_FLAG, ARIA_HIDDEN_FLAG = (1 << FLAG_NAMES.index(_name) for _name in ("hidden", "aria_hidden"))
SEED, PRIME = np.uint32(TOKEN_SEED), np.uint32(TOKEN_PRIME)
LONGEST_CLASS, LONGEST_NAME, LONGEST_ROLE = 200, 60, 40
"""Bytes of class, of id and itemtype, and of the others that are read: more than that is made, not written."""
SIGNED = 60
JSON_BYTES = 100_000


def _word(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8).copy()


_TRUE, _DISPLAY, _NONE, _VISIBILITY, _HIDDEN = map(_word, ("true", "display", "none", "visibility", "hidden"))
_OG_TYPE, _GENERATOR, _LD_JSON, _AT_TYPE = map(
    _word, ("og:type", "generator", "application/ld+json", '"@type"')
)


@inlined
def is_hidden(data, attributes, first, end):
    """The flags that attributes give an element: hidden, aria_hidden."""
    flags = 0
    for row in range(first, end):
        name = attributes[row, NAME]
        if name == A_HIDDEN:
            flags |= HIDDEN_FLAG
        elif name == A_ARIA_HIDDEN:
            start, stop = np.int64(attributes[row, VALUE_START]), np.int64(attributes[row, VALUE_END])
            if holds(data, skip_space(data, start, stop), stop, _TRUE):
                flags |= ARIA_HIDDEN_FLAG
        elif name == A_STYLE and _hides(
            data, np.int64(attributes[row, VALUE_START]), np.int64(attributes[row, VALUE_END])
        ):
            flags |= HIDDEN_FLAG
    return flags


@inlined
def _hides(data, at, end):
    """Whether a style says `display: none` or `visibility: hidden`."""
    while at < end:
        at = skip_space(data, at, end)
        shown = holds(data, at, end, _DISPLAY)
        seen = holds(data, at, end, _VISIBILITY)
        if shown or seen:
            after = skip_space(data, at + (7 if shown else 10), end)
            if after < end and data[after] == 58:
                after = skip_space(data, after + 1, end)
                if holds(data, after, end, _NONE if shown else _HIDDEN):
                    return True
        at = find_byte(data, at, end, 59) + 1
    return False


@inlined
def signature(data, attributes, first, end, tag):
    """31 bits of hash of a tag and the beginning of its class."""
    value = SEED ^ np.uint32(tag * 2654435761 & 0xFFFFFFFF)
    for row in range(first, end):
        if attributes[row, NAME] == A_CLASS:
            start = attributes[row, VALUE_START]
            for at in range(start, min(attributes[row, VALUE_END], start + SIGNED)):
                value = np.uint32((value ^ np.uint32(data[at])) * PRIME)
    return np.int64(value & np.uint32(0x7FFFFFFF))


@inlined
def element_tokens(data, attributes, element, tag, first, end, tokens, places, count):
    """Append the tokens of an element from place `count`; returns the place behind them."""
    for row in range(first, end):
        name = attributes[row, NAME]
        kind = -1
        longest = LONGEST_ROLE
        if name == A_CLASS:
            kind = CLASS
            longest = LONGEST_CLASS
        elif name == A_ID:
            kind = CLASS
            longest = LONGEST_NAME
        elif name == A_ROLE or name == A_ITEMPROP or name == A_TESTID or name == A_ARIA_LABEL:
            kind = ROLE
        elif name == A_ITEMTYPE:
            kind = ITEMTYPE
            longest = LONGEST_NAME
        if kind >= 0:
            start = np.int64(attributes[row, VALUE_START])
            stop = min(np.int64(attributes[row, VALUE_END]), start + longest)
            count = _split(data, start, stop, kind, element, tokens, places, count)
    if tag == T_META:
        count = _meta_tokens(data, attributes, first, end, tokens, places, count)
    return count


@inlined
def _meta_tokens(data, attributes, first, end, tokens, places, count):
    """og:type and generator belong to the page."""
    kind = -1
    content = -1
    for row in range(first, end):
        name = attributes[row, NAME]
        start, stop = np.int64(attributes[row, VALUE_START]), np.int64(attributes[row, VALUE_END])
        if name == A_CONTENT:
            content = row
        elif name == A_PROPERTY or name == A_NAME:
            if stop - start == 7 and holds(data, start, stop, _OG_TYPE):
                kind = OG_TYPE
            elif stop - start == 9 and holds(data, start, stop, _GENERATOR):
                kind = GENERATOR
    if kind >= 0 and content >= 0:
        start = np.int64(attributes[content, VALUE_START])
        stop = min(np.int64(attributes[content, VALUE_END]), start + LONGEST_ROLE)
        count = _split(data, start, stop, kind, np.int64(0), tokens, places, count)
    return count


@inlined
def is_json_ld(data, attributes, first, end):
    """Whether a script is of the type application/ld+json."""
    for row in range(first, end):
        if attributes[row, NAME] == A_TYPE:
            start, stop = np.int64(attributes[row, VALUE_START]), np.int64(attributes[row, VALUE_END])
            return holds(data, skip_space(data, start, stop), stop, _LD_JSON)
    return False


@small_kernel
def json_tokens(data, at, end, tokens, places, count):
    """Append what follows "@type" in the JSON of data[at:end]: the strings up to the end of a list."""
    apart()
    end = min(end, at + JSON_BYTES)
    while True:
        at = find_byte(data, at, end, 64)
        if at >= end:
            return count
        if at == 0 or not holds(data, at - 1, end, _AT_TYPE):
            at += 1
            continue
        at = skip_space(data, at + 6, end)
        if at >= end or data[at] != 58:
            continue
        at = skip_space(data, at + 1, end)
        many = at < end and data[at] == 91
        stop = min(end, at + 200)
        while at < stop:
            byte = data[at]
            if byte == 34:
                close = find_byte(data, at + 1, stop, 34)
                count = _split(
                    data, at + 1, min(close, at + LONGEST_NAME), JSON_LD, np.int64(0), tokens, places, count
                )
                at = close + 1
                if not many:
                    break
            elif byte == 93 or byte == 125:
                break
            else:
                at += 1
    return count


@small_kernel
def _split(data, at, end, kind, element, tokens, places, count):
    """Append the parts of a value: runs of letters; a capital behind a small letter begins another."""
    apart()
    salted = SEED ^ np.uint32(np.uint32(kind) * np.uint32(TOKEN_SALT))
    value = salted
    size = 0
    small = False
    for place in range(at, end + 1):
        byte = np.uint32(data[place]) if place < end else np.uint32(32)
        capital = 65 <= byte <= 90
        letter = capital or 97 <= byte <= 122 or byte >= 128
        if not letter or (capital and small):
            if size >= 2 and count < tokens.size:
                tokens[count] = value
                places[0, count] = element
                places[1, count] = kind
                count += 1
            value = salted
            size = 0
        if letter:
            value = np.uint32((value ^ (byte | np.uint32(32) if capital else byte)) * PRIME)
            size += 1
        small = letter and not capital
    return count
