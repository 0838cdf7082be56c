"""Encodings as the web names them, and the codecs that decode them.

The labels are those of the WHATWG Encoding Standard, section 4.2: what a page calls ISO-8859-1 or ASCII is
windows-1252, GB2312 is gb18030, EUC-KR is what Windows calls code page 949, Shift_JIS code page 932. Where browsers
refuse to decode (ISO-2022-KR, HZ), text is still text, and Python's codec reads it.
"""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import NamedTuple

_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf8 x-unicode20utf8",
    "ibm866": "866 cp866 csibm866",
    "iso-8859-2": "csisolatin2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso-8859-3": "csisolatin3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso-8859-4": "csisolatin4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso-8859-5": "csisolatincyrillic cyrillic iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
    "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6-e iso-8859-6-i "
    "iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-ir-126 iso8859-7 iso88597 iso_8859-7 "
    "iso_8859-7:1987 sun_eu_greek",
    "iso-8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 "
    "iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical",
    "iso-8859-10": "csisolatin6 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso-8859-13": "iso8859-13 iso885913",
    "iso-8859-14": "iso8859-14 iso885914",
    "iso-8859-15": "csisolatin9 iso8859-15 iso885915 iso_8859-15 l9",
    "iso-8859-16": "",
    "koi8-r": "cskoi8r koi koi8 koi8_r",
    "koi8-u": "koi8-ru",
    "macintosh": "csmacintosh mac x-mac-roman",
    "windows-874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620",
    "windows-1250": "cp1250 x-cp1250",
    "windows-1251": "cp1251 x-cp1251",
    "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 "
    "iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii x-cp1252 x-user-defined",
    "windows-1253": "cp1253 x-cp1253",
    "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 "
    "latin5 x-cp1254",
    "windows-1255": "cp1255 x-cp1255",
    "windows-1256": "cp1256 x-cp1256",
    "windows-1257": "cp1257 x-cp1257",
    "windows-1258": "cp1258 x-cp1258",
    "x-mac-cyrillic": "x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "big5": "big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese x-euc-jp",
    "iso-2022-jp": "csiso2022jp",
    "shift_jis": "csshiftjis ms932 ms_kanji shift-jis sjis windows-31j x-sjis",
    "euc-kr": "cseuckr csksc56011987 iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
    "iso-2022-kr": "csiso2022kr",
    "hz-gb-2312": "",
    "utf-16be": "unicodefffe",
    "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16",
}

# Python's name of the codec, where it is not the label itself.
_CODECS = {
    "ibm866": "cp866",
    "macintosh": "mac-roman",
    "x-mac-cyrillic": "mac-cyrillic",
    "windows-874": "cp874",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc-kr": "cp949",
    "hz-gb-2312": "hz",
    # JIS X 0213 has the circled numbers and Roman numerals that JIS X 0208 lacks and Windows writes in the same place.
    "euc-jp": "euc-jis-2004",
}

_BY_LABEL = {label: name for name, labels in _LABELS.items() for label in (name, *labels.split())}

MULTI_BYTE = frozenset(
    ("gb18030", "big5", "euc-jp", "iso-2022-jp", "shift_jis", "euc-kr", "iso-2022-kr", "hz-gb-2312")
)
"""Encodings whose bytes are not all valid: text that decodes is evidence for them."""

LEGACY = tuple(name for name in _LABELS if not name.startswith("utf"))
"""Every encoding of the web but those of Unicode."""


class Lenient(NamedTuple):
    """Text, and how many of its characters are U+FFFD in place of bytes that mean nothing."""

    text: str
    replaced: int


def encoding_of_label(label: str) -> str | None:
    """The encoding that a label means, in whatever case and between blanks; None where it means none."""
    return _BY_LABEL.get(label.strip("\t\n\f\r ").lower())


def codec_of(encoding: str) -> str:
    """The Python codec of an encoding of this module."""
    return _CODECS.get(encoding, encoding)


def decode_strictly(data: bytes, encoding: str) -> str | None:
    """The text, or None if a byte means nothing in the encoding."""
    try:
        return data.decode(codec_of(encoding), "strict" if encoding in _UNIFORM else _HANDLER)
    except UnicodeDecodeError:
        return None


def decode_leniently(data: bytes, encoding: str) -> Lenient:
    """The text, each maximal run of bytes that begins no character replaced by U+FFFD."""
    text = data.decode(codec_of(encoding), "replace" if encoding in _UNIFORM else _LENIENT_HANDLER)
    if "\ufffd" not in text:
        return Lenient(text, 0)
    own = data.count(_REPLACEMENT_IN.get(encoding, b"\xef\xbf\xbd")) if encoding in _UNICODE else 0
    # U+FFFD that the page itself holds replaces nothing.
    return Lenient(text, max(0, text.count("\ufffd") - own))


def _control_or_fail(error: UnicodeError) -> tuple[str, int]:
    """Windows code pages leave bytes from 0x80 to 0x9F undefined; in the standard they are control characters."""
    assert isinstance(error, UnicodeDecodeError)
    if error.end - error.start == 1 and _is_single_byte(error.encoding):
        byte = error.object[error.start]
        if 0x80 <= byte < 0xA0:
            return chr(byte), error.end
    raise error


def _control_or_replace(error: UnicodeError) -> tuple[str, int]:
    try:
        return _control_or_fail(error)
    except UnicodeDecodeError as same:
        return "\ufffd", same.end


@lru_cache(64)
def _is_single_byte(codec: str) -> bool:
    name = codec.replace("_", "-").lower()
    return name == "charmap" or name.startswith(
        ("cp125", "windows-125", "cp874", "iso8859", "iso-8859", "koi8")
    )


_UNICODE = frozenset(("utf-8", "utf-16le", "utf-16be", "utf-32le", "utf-32be", "gb18030"))
_UNIFORM = _UNICODE | MULTI_BYTE
_REPLACEMENT_IN = {
    "utf-16le": b"\xfd\xff",
    "utf-16be": b"\xff\xfd",
    "utf-32le": "\ufffd".encode("utf-32-le"),
    "utf-32be": "\ufffd".encode("utf-32-be"),
    "gb18030": "\ufffd".encode("gb18030"),
}
_HANDLER, _LENIENT_HANDLER = "textmill-control-or-fail", "textmill-control-or-replace"
codecs.register_error(_HANDLER, _control_or_fail)
codecs.register_error(_LENIENT_HANDLER, _control_or_replace)
