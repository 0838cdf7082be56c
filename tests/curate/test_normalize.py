"""The transform ``normalize`` against one that looks at every text by itself, plainly."""

from __future__ import annotations

import re
import unicodedata

import ftfy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textmill.curate import Normalize
from textmill.curate.normalize import _MOJIBAKE, _signs
from textmill.documents import Batch
from textmill.steps import Edit, StepContext

SPACES = " \t\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(
            "aZé .\n\n\n\r\t\x00\x0b\x0c\x1f\x7f\x80\x85\x9f\xa0ÃÂ©â€œ\ufeff\u2028\u2029\u3000\ufffd😀"
        ),
        st.sampled_from("e\u0301가\u1100\u1161ﬁＡ²ñn\u0303"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=40,
)


def run(texts: list[str], **options: object) -> Edit:
    return Normalize(**options).open(StepContext()).transform(Batch.from_texts(texts))


def one(text: str, **options: object) -> str:
    result: list[str] = run([text], **options).texts.to_pylist()
    return result[0]


def oracle(text: str, unicode: str, blank_lines: int) -> str:
    """Every rule tried on every text; mojibake apart, whose oracle is ftfy."""
    text = text.replace("\r\n", "\n")
    text = re.sub("[\r\x0b\x0c\x85\u2028\u2029]", "\n", text)
    text = "".join(c for c in text if c in "\n\t" or (unicodedata.category(c) != "Cc" and c != "\ufeff"))
    if unicode != "none":
        text = unicodedata.normalize(unicode, text)
    text = "\n".join(
        line if number == last else line.rstrip(SPACES)
        for lines in [text.split("\n")]
        for last in [len(lines) - 1]
        for number, line in enumerate(lines)
    )
    text = re.sub(f"\n{{{blank_lines + 2},}}", "\n" * (blank_lines + 1), text)
    lines = text.split("\n")
    while len(lines) > 1 and not lines[0].strip(SPACES):
        lines.pop(0)
    return "\n".join(lines).rstrip()


@settings(max_examples=500, deadline=None)
@given(st.lists(HOSTILE, max_size=6), st.sampled_from(["NFC", "NFKC", "none"]), st.integers(0, 3))
def test_equals_the_oracle(texts: list[str], unicode: str, blank_lines: int) -> None:
    edit = run(texts, mojibake=False, unicode=unicode, max_blank_lines=blank_lines)
    assert edit.texts.to_pylist() == [oracle(text, unicode, blank_lines) for text in texts]


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, max_size=6), st.integers(0, 3), st.integers(0, 3))
def test_a_slice_of_a_batch_gives_the_same(texts: list[str], start: int, length: int) -> None:
    batch = Batch.from_texts(texts).slice(start, length)
    edit = Normalize().open(StepContext()).transform(batch)
    assert edit.texts.to_pylist() == run(texts).texts.to_pylist()[start : start + length]


@settings(max_examples=300, deadline=None)
@given(st.lists(HOSTILE, max_size=6))
def test_twice_is_once(texts: list[str]) -> None:
    once = run(texts, mojibake=False).texts.to_pylist()
    again = run(once, mojibake=False)
    assert again.texts.to_pylist() == once
    assert all(not counts.any() for counts in again.counts.values())


@settings(max_examples=500, deadline=None)
@given(
    st.text(st.sampled_from("abc é à ü ß “Hi” – … € ñ ° £ © ж д Я α ω 中 文 😀 ﬁ\xa0"), max_size=12),
    st.sampled_from(["latin-1", "cp1252", "cp1250", "cp1251", "cp1253", "cp437", "macroman"]),
    st.booleans(),
)
def test_no_sign_of_mojibake_no_mojibake(text: str, encoding: str, lost_space: bool) -> None:
    broken = text.encode().decode(encoding, "replace")
    if lost_space:
        broken = broken.replace("\xa0", " ")
    config = Normalize().open(StepContext())._ftfy  # type: ignore[attr-defined]
    for candidate in (text, broken):
        batch = Batch.from_texts([candidate])
        if not _signs(batch.data, batch.offsets, 1)[0] & _MOJIBAKE:
            assert ftfy.fix_text(candidate, config) == candidate


@pytest.mark.parametrize(
    "broken, mended",
    [
        ("cafÃ© au lait", "café au lait"),
        ("â€œquotedâ€\x9d and â€™s", "“quoted” and ’s"),
        ("voilÃ  tout", "voilà tout"),
        ("clean\nÐ¿Ñ€Ð¸Ð²ÐµÑ‚ Ð¼Ð¸Ñ€\nprÃ¨s", "clean\nпривет мир\nprès"),
        ("ä¸­æ–‡", "中文"),
        ("Grüße, naïve façade — “ça va”, 5 €", "Grüße, naïve façade — “ça va”, 5 €"),
        ("Привет, мир", "Привет, мир"),
        ("A ligature ﬁ, an &amp; and ‘quotes’ stay", "A ligature ﬁ, an &amp; and ‘quotes’ stay"),
    ],
)
def test_mojibake(broken: str, mended: str) -> None:
    assert one(broken) == mended
    assert one(broken, mojibake=False) == one(broken, mojibake=False, whitespace=False).strip()


def test_counts_say_what_was_found() -> None:
    edit = run(["a\r\nb\rc", "x \n\n\n\n\ny\t\nz", "e\u0301\x00\x07", "prÃ¨s\nprÃ¨s\nok", "fine"])
    found = {name: counts.tolist() for name, counts in edit.counts.items()}
    assert found == {
        "line_ends": [2, 0, 0, 0, 0],
        "trailing_spaces": [0, 2, 0, 0, 0],
        "blank_lines": [0, 1, 0, 0, 0],
        "controls": [0, 0, 2, 0, 0],
        "unicode": [0, 0, 1, 0, 0],
        "mojibake": [0, 0, 0, 2, 0],
    }
    assert edit.texts.to_pylist() == ["a\nb\nc", "x\n\ny\nz", "é", "près\nprès\nok", "fine"]


def test_options_switch_rules_off() -> None:
    text = "ﬁ e\u0301\x07 \n\n\n\n\tx\n"
    assert one(text, unicode="none", controls=False, whitespace=False) == text
    assert one(text, unicode="NFKC") == "fi é\n\n\tx"
    assert one(text, max_blank_lines=0) == "ﬁ é\n\tx"
    assert one("  indented\n    more", max_blank_lines=3) == "  indented\n    more"


ASKED = {
    "remove_urls": True,
    "remove_emails": True,
    "expand_ligatures": True,
    "collapse_punctuation": True,
    "collapse_spaces": True,
}


@pytest.mark.parametrize(
    "option, text, rewritten",
    [
        ("remove_urls", "see https://x.org/a?b=c#d now", "see now"),
        ("remove_urls", "HTTP://X.ORG/ and WWW.x.org, too", "and, too"),
        ("remove_urls", "(www.x.org). ftp://y.org/z.tar.gz!", "().!"),
        ("remove_urls", '<a href="http://x.org">b</a> www. http:// xwww.y.z', '<a href="">b</a> www. http:// xwww.y.z'),
        ("remove_emails", "write to a.b+c@x-y.co.uk. Thanks", "write to. Thanks"),
        ("remove_emails", "é.è@exemple.fr: oui, a@b non", ": oui, a@b non"),
        ("expand_ligatures", "Œuvre et cœur, Æsop, ﬁ", "OEuvre et coeur, AEsop, ﬁ"),
        ("collapse_punctuation", "What??!! Wait... no. No..", "What?! Wait. no. No."),
        ("collapse_spaces", "a  b\t\tc \t d\n    e", "a b c d\n e"),
    ],
)  # fmt: skip
def test_what_may_be_asked_for(option: str, text: str, rewritten: str) -> None:
    assert one(text) == text
    assert one(text, **{option: True}) == rewritten
    assert one(f"clean\n{text}", **{option: True}) == f"clean\n{rewritten}"


def test_everything_asked_for_is_counted() -> None:
    edit = run(["http://a.b  a@b.c œ!! x", "clean"], **ASKED)
    found = {name: counts.tolist() for name, counts in edit.counts.items()}
    assert edit.texts.to_pylist() == ["oe! x", "clean"]
    assert {name: found[name] for name in ("urls", "emails", "ligatures", "punctuation", "spaces")} == {
        "urls": [1, 0],
        "emails": [1, 0],
        "ligatures": [1, 0],
        "punctuation": [1, 0],
        "spaces": [0, 0],
    }


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ("http://", "WWW.", "wWw.", "a", "x.org", "@", "a@b.c", *".!? \t\nœÆé)")
        ),
        max_size=14,
    ).map("".join)
)  # fmt: skip
def test_signs_of_what_is_asked_for_miss_nothing(text: str) -> None:
    for options in ({name: True} for name in ASKED):
        normalizer = Normalize(**options, whitespace=False, mojibake=False).open(StepContext())  # type: ignore[arg-type]
        batch = Batch.from_texts(["before", text, "after"])
        everything, _ = normalizer.mend(text, 2047)  # type: ignore[attr-defined]
        assert normalizer.transform(batch).texts.to_pylist() == ["before", everything, "after"]


def test_long_runs_of_what_is_asked_for() -> None:
    for hostile in ("www.", "a.", "http://", "...", " ", "a@", "@a", "(", "x" * 9):
        one(hostile * 100_000 + "!", **ASKED)


def test_clean_text_is_handed_on_untouched() -> None:
    batch = Batch.from_texts(["Clean text.\n\n\tIndented, with a tab.", "", "x"])
    given = batch.records.column("text")
    handed_on = Normalize().open(StepContext()).transform(batch).texts
    assert handed_on.buffers()[2].address == given.buffers()[2].address  # not even copied


def test_long_runs_take_no_quadratic_time() -> None:
    hostile = " " * 500_000 + "x" + "\n" * 500_000 + "\t" * 500_000 + "y" + (" \n" * 200_000) + "z"
    assert one(hostile) == " " * 500_000 + "x\n\n" + "\t" * 500_000 + "y\n\nz"


def test_empty_batch() -> None:
    edit = run([])
    assert len(edit.texts) == 0
    assert all(counts.shape == (0,) and counts.dtype == np.int64 for counts in edit.counts.values())
