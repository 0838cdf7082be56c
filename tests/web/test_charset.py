"""Encodings of pages: declared, mislabelled, undeclared, broken."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.development_data import development_data
from textmill.web.charset import Decoded, charset_of_content_type, decode_page, detect_encoding
from textmill.web.encodings import (
    LEGACY,
    codec_of,
    decode_leniently,
    decode_strictly,
    encoding_of_label,
)

KOREAN = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах."
FRENCH = "Tous les êtres humains naissent libres et égaux en dignité et en droits. L’œuvre coûte 3 €."
JAPANESE = "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"


def page(text: str, head: str = "") -> str:
    return f"<!doctype html><html><head>{head}<title>x</title></head><body><p>{text}</p></body></html>"


def decoded(body: bytes, content_type: str | None = None) -> tuple[str, str]:
    result = decode_page(body, content_type)
    return result.encoding, result.how


def test_labels() -> None:
    assert encoding_of_label(" ISO-8859-1\n") == "windows-1252"
    assert encoding_of_label("gb2312") == "gb18030"
    assert encoding_of_label("KS_C_5601-1987") == "euc-kr"
    assert encoding_of_label("utf-7") is None
    for name in LEGACY:
        assert encoding_of_label(name) in (name, "windows-1252")
        "a".encode(codec_of(name))


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("text/html; charset=utf-8", "utf-8"),
        ('text/html;Charset = "EUC-KR" ; x=y', "euc-kr"),
        ("text/html; charset='latin1'", "windows-1252"),
        ("text/html; charset=none", None),
        ("text/html", None),
        ("", None),
    ],
)
def test_content_types(value: str, encoding: str | None) -> None:
    assert charset_of_content_type(value) == encoding


@pytest.mark.parametrize(
    ("mark", "codec", "encoding"),
    [
        (b"\xef\xbb\xbf", "utf-8", "utf-8"),
        (b"\xff\xfe", "utf-16-le", "utf-16le"),
        (b"\xfe\xff", "utf-16-be", "utf-16be"),
        (b"\xff\xfe\0\0", "utf-32-le", "utf-32le"),
    ],
)
def test_a_mark_decides(mark: bytes, codec: str, encoding: str) -> None:
    text = page(RUSSIAN, "<meta charset=latin1>")
    assert decode_page(mark + text.encode(codec), "text/html; charset=koi8-r") == Decoded(
        text, encoding, "mark"
    )


@pytest.mark.parametrize(
    ("head", "header", "codec", "expected"),
    [
        ("<meta charset=euc-kr>", None, "cp949", ("euc-kr", "meta")),
        (
            "<META Content='text/html;charset=EUC-KR' HTTP-EQUIV=Content-Type>",
            None,
            "cp949",
            ("euc-kr", "meta"),
        ),
        ("<!-- <meta charset=utf-8> --><meta charset=euc-kr>", None, "cp949", ("euc-kr", "meta")),
        ("<script>'<meta charset=utf-8>'</script><meta charset=euc-kr>", None, "cp949", ("euc-kr", "meta")),
        ("", "text/html; charset=euc-kr", "cp949", ("euc-kr", "header")),
        ("<meta charset=gbk>", "text/html; charset=euc-kr", "cp949", ("euc-kr", "header")),
        ("<meta charset=utf-16>", None, "utf-8", ("utf-8", "meta")),
        ("<meta charset=nonsense>", None, "utf-8", ("utf-8", "valid")),
        ("", None, "utf-8", ("utf-8", "valid")),
        # Mislabelled pages.
        ("", "text/html; charset=iso-8859-1", "utf-8", ("utf-8", "valid")),
        ("<meta charset=euc-kr>", None, "utf-8", ("utf-8", "valid")),
        ("<meta charset=euc-kr>", "text/html; charset=iso-8859-1", "cp949", ("euc-kr", "meta")),
        ("", "text/html; charset=utf-8", "cp949", ("euc-kr", "detected")),
        ("<meta charset=utf-8>", None, "cp949", ("euc-kr", "detected")),
        ("", None, "cp949", ("euc-kr", "detected")),
    ],
)
def test_what_is_declared_and_what_fits(
    head: str, header: str | None, codec: str, expected: tuple[str, str]
) -> None:
    text = page(KOREAN, head)
    result = decode_page(text.encode(codec), header)
    assert (result.encoding, result.how) == expected
    assert result.text == text
    assert result.replaced == result.nuls == 0


def test_an_xml_declaration_speaks_before_a_meta_tag() -> None:
    text = '<?xml version="1.0" encoding="koi8-r"?>' + page(RUSSIAN, "<meta charset=windows-1251>")
    assert decode_page(text.encode("koi8-r")) == Decoded(text, "koi8-r", "xml")


@pytest.mark.parametrize(
    ("text", "codec", "encoding"),
    [
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (FRENCH, "cp1252", "windows-1252"),
        (JAPANESE, "cp932", "shift_jis"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (FRENCH, "utf-16-le", "utf-16le"),
        (FRENCH, "utf-16-be", "utf-16be"),
    ],
)
def test_undeclared(text: str, codec: str, encoding: str) -> None:
    assert decode_page(page(text).encode(codec)) == Decoded(page(text), encoding, "detected")


def test_two_letters_do_not_overrule_a_declaration() -> None:
    # "Ã©" is what these bytes say in windows-1252, and a page may quote that.
    body = "<p>Ã©".encode("cp1252")
    assert decoded(body, "text/html; charset=windows-1252") == ("windows-1252", "header")
    assert decoded(body) == ("utf-8", "valid")


def test_nearly_utf_8_is_utf_8() -> None:
    body = page(FRENCH * 3).encode()
    cut = body[: body.index("œ".encode()) + 1]
    result = decode_page(cut, "text/html; charset=utf-8")
    assert (result.encoding, result.how, result.replaced) == ("utf-8", "header", 1)
    assert result.text.endswith("L’\ufffd")
    stray = decode_page(body.replace("ê".encode(), b"\xea", 1))
    assert (stray.encoding, stray.replaced) == ("utf-8", 1)
    own = decode_page(page("é\ufffdéé").encode() + b"\xff")
    assert own.replaced == 1


def test_undefined_bytes_of_windows_code_pages_are_controls() -> None:
    assert decode_strictly(b"\x81\x9d", "windows-1252") == "\x81\x9d"
    assert decode_leniently(b"a\xaa\xd9", "windows-1253") == ("a\ufffdΩ", 1)
    assert decode_strictly(b"\x85\xff", "euc-kr") is None
    assert decode_leniently(b"\xb0\xa1\xff", "euc-kr") == ("가\ufffd", 1)


def test_circled_numbers_of_euc_jp() -> None:
    assert decode_strictly(b"\xad\xa1\xa4\xa2", "euc-jp") == "①あ"


def test_nul_characters_are_left_out_and_counted() -> None:
    assert decode_page(b"<p>a\0b\0</p>") == Decoded("<p>ab</p>", "utf-8", "valid", 0, 2)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"\xfe", b"\xff\xfe", b"\x00", b"\xef\xbb\xbf", b"\x1b$", b"\x80" * 100]
)
def test_small_and_odd_bodies(body: bytes) -> None:
    decode_page(body).text.encode()


@given(
    st.binary(max_size=400) | st.text(max_size=80).map(lambda text: text.encode("utf-16-le", "replace")),
    st.sampled_from(
        (None, "charset=utf-8", "charset=gbk", "charset=utf-16", "charset=big5", "charset=hz-gb-2312")
    ),
)
def test_any_bytes_become_valid_unicode(body: bytes, content_type: str | None) -> None:
    result = decode_page(body, content_type)
    result.text.encode()
    assert "\0" not in result.text
    assert 0 <= result.replaced <= len(result.text)


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60),
    st.sampled_from(("utf-8", "gb18030")),
)
def test_declared_unicode_is_kept(text: str, encoding: str) -> None:
    # Three letters of three bytes say UTF-8 beyond doubt, and gb18030 has other bytes for them.
    text = text.replace("\ufeff", "") + "人间漢"
    result = decode_page(text.encode(encoding), f"text/html; charset={encoding}")
    assert result.text == text


CODECS = {
    "cp1252": ("dan", "deu_1901", "fra", "isl", "por_BR", "spa", "swe"),
    "cp1250": ("ces", "hun", "pol", "slk"),
    "cp1251": ("bul", "rus", "srp_cyrl", "ukr"),
    "iso8859_5": ("bul", "rus"),
    "koi8_r": ("rus",),
    "cp1253": ("ell_monotonic",),
    "cp1254": ("tur",),
    "cp1255": ("heb",),
    "cp1256": ("arb", "pes_1", "urd"),
    "cp874": ("tha",),
    "cp932": ("jpn",),
    "euc_jp": ("jpn",),
    "gb18030": ("cmn_hans",),
    "big5": ("cmn_hant",),
    "cp949": ("kor",),
}


@pytest.mark.parametrize("codec", CODECS)
def test_the_declaration_of_human_rights_undeclared(codec: str) -> None:
    for language in CODECS[codec]:
        text = (development_data("multilingual/udhr2") / f"{language}.txt").read_text(encoding="utf-8")
        body = unicodedata.normalize("NFC", text).encode(codec, "ignore")
        assert decode_page(body).text == body.decode(codec), language


def test_detection_looks_where_the_letters_are() -> None:
    body = b"<p>" + b"x " * 100_000 + RUSSIAN.encode("koi8-r")
    assert detect_encoding(body) == "koi8-r"
