"""Pages to text: which encoding, and what was wrong with it.

::

    byte-order mark ─► decides
    valid UTF-8 with characters that only UTF-8 writes so ─► UTF-8, whatever was declared
    declared: Content-Type header, else <?xml encoding?>, else <meta> ─► if the bytes fit it
    nothing declared, or it does not fit ─► nearly UTF-8, else what the bytes look like (chardet), else windows-1252

That is the order of the WHATWG standards (HTML, 13.2.3; Encoding, 4.2) but for what servers and editors get wrong,
which browsers show as garbage and a corpus should not keep:

- Declared is a legacy encoding, but the bytes are UTF-8 (a server's ``AddDefaultCharset``): UTF-8 is hardly ever valid
  by chance. Three such characters, or one of three bytes or more, decide.
- Header and page contradict each other: the header counts, unless it says windows-1252, which is what a server says
  that was never asked, and the bytes look like what the page says.
- Declared is UTF-8, but the bytes are not: if most of the characters are, what is broken is replaced; if not, the bytes
  are looked at.

Bytes that mean nothing become U+FFFD, NUL characters are left out (as HTML's tree builder leaves them out of text), and
both are counted. The result is valid Unicode whatever the bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from textmill.web.encodings import (
    LEGACY,
    codec_of,
    decode_leniently,
    decode_strictly,
    encoding_of_label,
)
from textmill.web.links import resolve_entities
from textmill.web.tags import CHARSET, CONTENT, HTTP_EQUIV, META, find_tags

How: TypeAlias = Literal["mark", "header", "xml", "meta", "valid", "detected", "fallback"]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A page as text.

    Attributes:
        text: valid Unicode without NUL characters and without a byte-order mark.
        encoding: name in the WHATWG Encoding Standard (and of two encodings that it refuses).
        how: what decided: a byte-order ``mark``, the Content-Type ``header``, an ``xml`` declaration, a ``meta`` tag,
            that the bytes are ``valid`` UTF-8, what they look like (``detected``), or nothing (``fallback``).
        replaced: characters U+FFFD that stand for bytes without meaning.
        nuls: NUL characters that were left out.
    """

    text: str
    encoding: str
    how: How
    replaced: int = 0
    nuls: int = 0


def decode_page(body: bytes, content_type: str | None = None) -> Decoded:
    """The text of a page.

    Args:
        body: the page, with its transfer and content encodings undone.
        content_type: the Content-Type header, or any text with ``charset=`` in it.
    """
    marked = _marked(body)
    if marked is not None:
        return marked
    header = charset_of_content_type(content_type) if content_type else None
    if body.isascii() and b"\x1b" not in body and b"~{" not in body and b"\0" not in body[:1024]:
        how: How = "header" if header == "utf-8" else "valid"
        return _finished(body.decode("ascii"), "utf-8", how)
    declared, how = _declared(body, header)
    text = decode_strictly(body, "utf-8")
    if text is not None:
        if declared is None or declared == "utf-8":
            # UTF-16 of Latin letters is valid UTF-8 too, and so is Japanese written in seven bits.
            seven_bits = declared is None and (b"\x1b$" in body or b"\0" in body)
            if seven_bits and (found := detect_encoding(body)) in _SEVEN_BITS:
                return _with_encoding(body, found, "detected")
            # Bytes are searched several times as fast as wide characters.
            return _finished(text, "utf-8", "valid" if declared is None else how, 0, b"\0" in body)
        if _is_surely_utf_8(text) and not declared.startswith("utf-16"):
            return _finished(text, "utf-8", "valid", 0, b"\0" in body)
    if declared is not None and declared != "utf-8":
        fitting = decode_strictly(body, declared)
        if fitting is not None:
            return _finished(fitting, declared, how)
    lenient = decode_leniently(body, declared or "utf-8")
    # A page cut inside a character, or with a stray byte, is still what it says.
    if 3 * lenient.replaced <= _beyond_ascii(lenient.text) - lenient.replaced:
        return _finished(lenient.text, declared or "utf-8", how, lenient.replaced)
    found = detect_encoding(body)
    if found is not None:
        return _with_encoding(body, found, "detected")
    if declared is not None:
        return _finished(lenient.text, declared, how, lenient.replaced)
    return _with_encoding(body, "windows-1252", "fallback")


def charset_of_content_type(value: str) -> str | None:
    """The encoding that a Content-Type names, None if it names none that the web knows."""
    match = _CHARSET.search(value)
    return encoding_of_label(match[1] or match[2] or match[3] or "") if match else None


def charset_of_page(body: bytes) -> tuple[str | None, Literal["xml", "meta"]]:
    """The encoding that a page names in its XML declaration or in a meta tag, within its first 16 KiB."""
    head = body[:_HEAD]
    match = _XML.match(head)
    if match:
        name = encoding_of_label((match[1] or match[2]).decode("ascii", "replace"))
        if name is not None:
            return _as_written(name), "xml"
    for row in find_tags(head).tolist():
        if row[0] != META:
            continue
        if row[CHARSET] >= 0:
            name = encoding_of_label(_value(head, row, CHARSET))
        elif _value(head, row, HTTP_EQUIV).strip().lower() == "content-type":
            name = charset_of_content_type(_value(head, row, CONTENT))
        else:
            continue
        if name is not None:
            return _as_written(name), "meta"
    return None, "meta"


def detect_encoding(body: bytes) -> str | None:
    """The legacy encoding that bytes look like, None if they look like none; valid UTF-8 is not asked here."""
    wide = _wide(body)
    if wide is not None:
        return wide
    import chardet

    result = chardet.detect(_telling(body), include_encodings=_CANDIDATES)
    label = result["encoding"]
    if label is None or not result["confidence"]:
        return None
    return _DETECTED.get(label.lower()) or encoding_of_label(label)


def _telling(body: bytes) -> bytes:
    """Up to 64 KiB of what tells an encoding: bytes beyond ASCII and what follows them, without markup."""
    parts: list[bytes] = []
    size = 0
    for match in _BEYOND_ASCII.finditer(body):
        parts.append(match[0])
        size += len(match[0])
        if size > _SAMPLE:
            break
    return b"\n".join(parts)[:_SAMPLE] or body[:_SAMPLE]


def _declared(body: bytes, header: str | None) -> tuple[str | None, How]:
    page, how = charset_of_page(body)
    if header is None:
        return page, how
    if header == "windows-1252" and page not in (None, header, "utf-8") and detect_encoding(body) == page:
        return page, how
    return header, "header"


def _marked(body: bytes) -> Decoded | None:
    for mark, encoding in _MARKS:
        if body.startswith(mark):
            return _with_encoding(body[len(mark) :], encoding, "mark")
    return None


def _with_encoding(body: bytes, encoding: str, how: How) -> Decoded:
    lenient = decode_leniently(body, encoding)
    return _finished(lenient.text, encoding, how, lenient.replaced)


def _finished(text: str, encoding: str, how: How, replaced: int = 0, may_hold_nuls: bool = True) -> Decoded:
    nuls = text.count("\0") if may_hold_nuls else 0
    if nuls:
        text = text.replace("\0", "")
    return Decoded(text.removeprefix("\ufeff"), encoding, how, replaced, nuls)


def _is_surely_utf_8(text: str) -> bool:
    """Whether text that decoded as UTF-8 can hardly be that by chance."""
    return len(_BEYOND_ASCII_TEXT.findall(text, 0, 2**16)) >= 3 or bool(_THREE_BYTES.search(text))


def _beyond_ascii(text: str) -> int:
    return len(text) - len(_BEYOND_ASCII_TEXT.sub("", text))


def _wide(body: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of Latin letters and of markup is 0."""
    head = body[:1024]
    half = len(head) // 2
    if half < 4:
        return None
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if odd > 0.4 * half and even < 0.1 * half:
        return "utf-16le"
    if even > 0.4 * half and odd < 0.1 * half:
        return "utf-16be"
    return None


def _as_written(name: str) -> str:
    """What a label inside a page can mean: one that could be read byte by byte is not UTF-16 (HTML, 13.2.3.2)."""
    return "utf-8" if name.startswith("utf-16") else name


def _value(page: bytes, row: list[int], column: int) -> str:
    return resolve_entities(page[row[column] : row[column + 1]].decode("latin-1")) if row[column] >= 0 else ""


_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32le"),  # before UTF-16, whose mark is its beginning
    (b"\x00\x00\xfe\xff", "utf-32be"),
    (b"\xff\xfe", "utf-16le"),
    (b"\xfe\xff", "utf-16be"),
)
_HEAD = 2**14
_SAMPLE = 2**16
_CHARSET = re.compile(r"""charset\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s;"']+))""", re.IGNORECASE)
_XML = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BEYOND_ASCII = re.compile(rb"(?:[\x80-\xff]++[^<>\x80-\xff]{0,40}+)++")
_BEYOND_ASCII_TEXT = re.compile(r"[^\x00-\x7f]")
_THREE_BYTES = re.compile("[\u0800-\U0010ffff]")
# What chardet calls otherwise, and names of supersets that it may give.
_DETECTED = {
    "cp949": "euc-kr",
    "uhc": "euc-kr",
    "cp932": "shift_jis",
    "big5hkscs": "big5",
    "cp950": "big5",
    "cp874": "windows-874",
}
_SEVEN_BITS = ("utf-16le", "utf-16be", "iso-2022-jp", "iso-2022-kr")
_CANDIDATES = tuple(codec_of(name) for name in LEGACY)
