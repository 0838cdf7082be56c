"""Tags that hold links or speak to crawlers, found in a page by the rules of HTML's tokeniser.

::

    bytes ─► text │ <!-- comment --> │ <script>, <style>, <textarea> … to their end tag │ tag ─► attributes
                                                                                            └─► one row

What stands in comments, scripts, style sheets, text areas and attribute values of others is no tag (HTML standard,
13.2.5). There is no tree: inside ``<svg>`` and ``<math>``, where scripts and CDATA sections follow rules of their own,
one bit for each open level is kept (13.2.6.5). A page is read once, at some hundred megabytes a second.
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import borrowed, kernel

A, AREA, BASE, FRAME, IFRAME, LINK, META = range(1, 8)
TARGET, REL, NAME, HTTP_EQUIV, CONTENT, CHARSET = 1, 3, 5, 7, 9, 11
"""Columns of a row: the first byte of a value; the column behind it holds the byte after its last."""

_COLUMNS = 13
_MAX_LEVELS = 62

# Elements whose contents are no tags, those that open foreign levels or HTML inside them, and those that only HTML has:
# they close all foreign levels (HTML, 13.2.6.5).
_SCRIPT, _RAW, _PLAINTEXT, _SVG, _MATH, _HTML_INSIDE, _BREAKOUT = range(20, 27)

_ELEMENTS_BY_NAME = {
    **{"a": A, "area": AREA, "base": BASE, "frame": FRAME, "iframe": IFRAME, "link": LINK, "meta": META},
    **dict.fromkeys(("style", "xmp", "noembed", "noframes", "textarea"), _RAW),
    **{"script": _SCRIPT, "plaintext": _PLAINTEXT, "svg": _SVG, "math": _MATH},
    **dict.fromkeys(("title", "desc", "foreignobject", "annotation-xml"), _HTML_INSIDE),
    **dict.fromkeys(
        (
            *(
                "b",
                "big",
                "blockquote",
                "body",
                "br",
                "center",
                "code",
                "dd",
                "div",
                "dl",
                "dt",
                "em",
                "embed",
            ),
            *("h1", "h2", "h3", "h4", "h5", "h6", "head", "hr", "i", "img", "li", "listing", "menu", "nobr"),
            *(
                "ol",
                "p",
                "pre",
                "ruby",
                "s",
                "small",
                "span",
                "strong",
                "strike",
                "sub",
                "sup",
                "table",
                "tt",
            ),
            *("u", "ul", "var"),
        ),
        _BREAKOUT,
    ),
}


def _packed(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(name.encode()[:8], "little"))


# Names in the order of their lengths: those of length n stand from _FIRST[n] to _FIRST[n + 1]. The first eight letters
# and the length tell these names apart from each other, though not from all that nobody uses.
_NAMES = sorted(_ELEMENTS_BY_NAME, key=len)
_WORDS = np.array([_packed(name) for name in _NAMES], np.uint64)
_ELEMENTS = np.array([_ELEMENTS_BY_NAME[name] for name in _NAMES], np.int64)
_FIRST = np.searchsorted([len(name) for name in _NAMES], np.arange(len(_NAMES[-1]) + 2)).astype(np.int64)
(
    _IS_NAME,
    _IS_CONTENT,
    _IS_CHARSET,
    _IS_HTTP_EQUIV,
    _IS_SRC,
    _IS_HREF,
    _IS_REL,
    _IS_COMMENT,
    _IS_SCRIPT_END,
    _IS_SCRIPT,
    _IS_CDATA,
) = (
    _packed(name)
    for name in (
        "name",
        "content",
        "charset",
        "http-equiv",
        "src",
        "href",
        "rel",
        "<!--",
        "</script",
        "<script",
        "![CDATA[",
    )
)


def find_tags(page: bytes) -> npt.NDArray[np.int32]:
    """A row for each start tag of ``a area base frame iframe link meta``, in the order of the page.

    Args:
        page: bytes in an encoding that contains ASCII, less than 2 GiB.

    Returns:
        int32[tags, 13]: the element (``A`` …), and for each of ``href`` (``src`` of frames), ``rel``, ``name``,
        ``http-equiv``, ``content`` and ``charset`` the first byte of its value and the byte after the last; -1, -1
        where the tag has no such attribute. Of an attribute that stands twice the first counts.
    """
    data = np.frombuffer(page, np.uint8)
    rows = np.empty((256, _COLUMNS), np.int32)
    count = _scan(data, rows)
    if count > len(rows):
        rows = np.empty((count, _COLUMNS), np.int32)
        _scan(data, rows)
    return rows[:count]


@kernel
def _scan(data, rows):
    data, rows = borrowed(data), borrowed(rows)
    size = data.size
    count = 0
    at = 0
    levels = (
        1  # a sentinel, and below it a bit for each level that is open: 1 is foreign, 0 is HTML inside it
    )
    values = np.empty(_COLUMNS, np.int32)
    while at < size:
        while at < size and data[at] != 0x3C:
            at += 1
        if at + 1 >= size:
            break
        first = data[at + 1]
        if first == 0x21:  # <!
            at = _after_declaration(data, at, levels != 1 and levels & 1 == 1)
        elif first == 0x3F:  # <?
            at = _after_byte(data, at + 2, 0x3E)
        elif first == 0x2F:  # </
            if at + 2 < size and _is_letter(data[at + 2]):
                start = at + 2
                at = _after_tag(data, start, values, 0)
                if at < 0:
                    break
                levels = _after_end_tag(_element(data, start), levels)
            elif at + 2 < size and data[at + 2] == 0x3E:
                at += 3
            else:
                at = _after_byte(data, at + 2, 0x3E)
        elif _is_letter(first):
            start = at + 1
            element = _element(data, start)
            at = _after_tag(data, start, values, element)
            if at < 0:
                break
            if element == 0:
                continue
            self_closing = values[0] == 1
            if element in (META, _BREAKOUT):
                while levels != 1 and levels & 1 == 1:
                    levels >>= 1
            foreign = levels != 1 and levels & 1 == 1
            if element <= META:
                if not foreign or element == A:
                    if count < len(rows):
                        values[0] = element
                        for column in range(_COLUMNS):
                            rows[count, column] = values[column]
                    count += 1
                if element == IFRAME and not foreign:
                    at = _after_raw_text(data, at, start)
            elif element in (_SVG, _MATH):
                if not self_closing and levels < 1 << _MAX_LEVELS:
                    levels = levels << 1 | 1
            elif element == _HTML_INSIDE:
                if foreign:
                    if not self_closing and levels < 1 << _MAX_LEVELS:
                        levels <<= 1
                elif _is_title(data, start):
                    at = _after_raw_text(data, at, start)
            elif not foreign:
                if element == _SCRIPT:
                    at = _after_script(data, at)
                elif element == _RAW:
                    at = _after_raw_text(data, at, start)
                elif element == _PLAINTEXT:
                    break
        else:
            at += 1
    return count


@kernel
def _after_end_tag(element, levels):
    if element == _HTML_INSIDE and levels != 1 and levels & 1 == 0:
        return levels >> 1
    if element in (_SVG, _MATH) and levels != 1:
        while levels != 1 and levels & 1 == 0:
            levels >>= 1
        if levels != 1:
            levels >>= 1
    return levels


@kernel
def _after_byte(data, at, byte):
    while at < data.size and data[at] != byte:
        at += 1
    return min(at + 1, data.size)


@kernel
def _after_declaration(data, at, foreign):
    """Behind a comment, doctype or CDATA section that begins at ``at`` with ``<!``."""
    size = data.size
    if at + 3 < size and data[at + 2] == 0x2D and data[at + 3] == 0x2D:
        at += 4
        start = at
        if at < size and data[at] == 0x3E:  # <!-->
            return at + 1
        if at + 1 < size and data[at] == 0x2D and data[at + 1] == 0x3E:  # <!--->
            return at + 2
        while at < size:
            if data[at] == 0x3E:
                if data[at - 1] == 0x2D and data[at - 2] == 0x2D:
                    return at + 1
                if at - 3 >= start and data[at - 1] == 0x21 and data[at - 2] == 0x2D and data[at - 3] == 0x2D:
                    return at + 1
            at += 1
        return size
    if foreign and data[at + 1 : at + 9].size == 8 and _exact_word(data, at + 1) == _IS_CDATA:
        at += 9
        while at + 2 < size:
            if data[at] == 0x5D and data[at + 1] == 0x5D and data[at + 2] == 0x3E:
                return at + 3
            at += 1
        return size
    return _after_byte(data, at + 2, 0x3E)


@kernel
def _after_tag(data, at, values, element):
    """Behind the tag whose name begins at ``at``; -1 if the page ends inside it, for then it is no tag.

    Writes the values that are wanted of ``element``; values[0] tells whether the tag ends in a solidus of its own.
    """
    size = data.size
    values[0] = 0
    for column in range(1, _COLUMNS):
        values[column] = -1
    while at < size and not _ends_name(data[at]):
        at += 1
    while True:
        solidus = False
        while at < size and (_is_space(data[at]) or data[at] == 0x2F):
            solidus = data[at] == 0x2F
            at += 1
        if at >= size:
            return -1
        if data[at] == 0x3E:
            values[0] = solidus
            return at + 1
        name_start = at
        at += 1  # even "=" begins a name
        while at < size and data[at] != 0x3D and not _ends_name(data[at]):
            at += 1
        name_end = at
        while at < size and _is_space(data[at]):
            at += 1
        start = name_end
        end = name_end
        if at < size and data[at] == 0x3D:
            at += 1
            while at < size and _is_space(data[at]):
                at += 1
            if at >= size:
                return -1
            quote = data[at]
            if quote == 0x22 or quote == 0x27:
                at += 1
                start = at
                while at < size and data[at] != quote:
                    at += 1
                if at >= size:
                    return -1
                end = at
                at += 1
            else:
                start = at
                while at < size and data[at] != 0x3E and not _is_space(data[at]):
                    at += 1
                end = at
        if 0 < element <= META:
            column = _column(data, name_start, name_end, element)
            if column and values[column] < 0:
                values[column] = start
                values[column + 1] = end


@kernel
def _column(data, start, end, element):
    """Where the value of an attribute goes, 0 if nobody wants it."""
    size = end - start
    word = _word(data, start, size)
    if element == META:
        if size == 4 and word == _IS_NAME:
            return NAME
        if size == 7 and word == _IS_CONTENT:
            return CONTENT
        if size == 7 and word == _IS_CHARSET:
            return CHARSET
        if (
            size == 10
            and word == _IS_HTTP_EQUIV
            and _lower(data[start + 8]) == 0x69
            and _lower(data[start + 9]) == 0x76
        ):
            return HTTP_EQUIV
    elif element in (FRAME, IFRAME):
        if size == 3 and word == _IS_SRC:
            return TARGET
    elif size == 4 and word == _IS_HREF:
        return TARGET
    elif size == 3 and word == _IS_REL:
        return REL
    return 0


@kernel
def _after_raw_text(data, at, name):
    """Behind the end tag of the element whose name begins at ``name``; the page's end if there is none."""
    size = data.size
    length = 0
    while not _ends_name(data[name + length]):
        length += 1
    while at + 2 + length < size:
        if data[at] == 0x3C and data[at + 1] == 0x2F and _ends_name(data[at + 2 + length]):
            same = 0
            while same < length and _lower(data[at + 2 + same]) == _lower(data[name + same]):
                same += 1
            if same == length:
                return at  # the end tag itself is read as any tag
        at += 1
    return size


@kernel
def _after_script(data, at):
    """The end tag of a script that begins at ``at``; a script inside ``<!--`` may hold another (HTML, 4.12.1.3)."""
    size = data.size
    escaped = False
    doubly = False
    dashes = 0
    while at < size:
        byte = data[at]
        if byte == 0x2D:
            dashes += 1
        elif byte == 0x3E and dashes >= 2:
            escaped = False
            doubly = False
            dashes = 0
        elif byte == 0x3C:
            dashes = 0
            if not escaped and _word(data, at, 4) == _IS_COMMENT:
                escaped = True
                dashes = 2  # <!--> closes what it opens
                at += 4
                continue
            if at + 8 < size and _word(data, at, 8) == _IS_SCRIPT_END and _ends_name(data[at + 8]):
                if not doubly:
                    return at
                doubly = False
                at += 8
                continue
            opens = at + 7 < size and _word(data, at, 7) == _IS_SCRIPT and _ends_name(data[at + 7])
            if escaped and not doubly and opens:
                doubly = True
                at += 7
                continue
        else:
            dashes = 0
        at += 1
    return size


@kernel
def _element(data, start):
    """What element a name means; 0 for those that matter to nobody here."""
    length = 0
    while start + length < data.size and length < _FIRST.size - 1 and not _ends_name(data[start + length]):
        length += 1
    if length >= _FIRST.size - 1:
        return 0
    word = _word(data, start, length)
    for place in range(_FIRST[length], _FIRST[length + 1]):
        if _WORDS[place] == word:
            return _ELEMENTS[place]
    return 0


@kernel
def _is_title(data, start):
    return _lower(data[start]) == 0x74


@kernel
def _word(data, start, size):
    """The first eight of ``size`` bytes, or as many as there are, letters small, in one number."""
    word = np.uint64(0)
    for place in range(min(size, 8, data.size - start)):
        word |= np.uint64(_lower(data[start + place])) << np.uint64(8 * place)
    return word


@kernel
def _exact_word(data, start):
    word = np.uint64(0)
    for place in range(8):
        word |= np.uint64(data[start + place]) << np.uint64(8 * place)
    return word


@kernel
def _lower(byte):
    return byte | 0x20 if 0x41 <= byte <= 0x5A else byte


@kernel
def _is_letter(byte):
    return 0x61 <= byte | 0x20 <= 0x7A


@kernel
def _is_space(byte):
    return byte == 0x20 or (9 <= byte <= 13 and byte != 11)


@kernel
def _ends_name(byte):
    return byte == 0x2F or byte == 0x3E or _is_space(byte)
