"""The transform ``normalize``: one way of writing the same text.

Signs that something may need mending are looked for in the bytes of the whole batch at once. Clean ASCII text
never becomes a Python string, and of the other documents each meets only the rules that its signs call for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.transform import Edit, Transform, TransformRunner

if TYPE_CHECKING:
    from textmill.documents import Batch

COUNTS = ("mojibake", "line_ends", "controls", "unicode", "trailing_spaces", "blank_lines")


class Normalize(Transform):
    """Repairs mojibake, and makes Unicode, line ends and white space uniform.

    In this order: text that was decoded with the wrong encoding is repaired line by line (``cafÃ©`` to
    ``café``, by ftfy: Speer, 2019); CRLF, CR, NEL, form feeds and Unicode's line and paragraph separators
    become newlines; control characters and inner byte-order marks go; Unicode normalisation (UAX #15); if it
    is asked for, web and e-mail addresses go with the space before them, ligatures of vowels are written as two
    letters, runs of the same mark (``!!!``, ``...``) and runs of spaces become one; spaces at the end of lines
    go; more than ``max_blank_lines`` blank lines become that many; blank lines and spaces go from both ends of
    the text. Tabs and indentation stay, but for ``collapse_spaces``.
    """

    name: ClassVar[str] = "normalize"
    shorthand: ClassVar[str | None] = "unicode"

    mojibake: bool = Field(default=True, description="Repair text that was decoded with the wrong encoding.")
    unicode: Literal["NFC", "NFKC", "none"] = Field(
        default="NFC",
        description="Normalisation form. NFKC also replaces look-alikes (ligatures, full-width letters, "
        "superscripts) and loses what they mean.",
    )
    remove_urls: bool = Field(
        default=False, description="Remove web addresses (``https://…``, ``ftp://…``, ``www.…``)."
    )
    remove_emails: bool = Field(default=False, description="Remove e-mail addresses.")
    expand_ligatures: bool = Field(
        default=False,
        description="Write ``œ`` as ``oe`` and ``æ`` as ``ae``; French loses its spelling by it.",
    )
    collapse_punctuation: bool = Field(
        default=False, description="Make one of the same ``.``, ``!`` or ``?`` several times in a row."
    )
    collapse_spaces: bool = Field(
        default=False, description="Make one space of several spaces or tabs in a row, also in indentation."
    )
    controls: bool = Field(default=True, description="Remove control characters other than newline and tab.")
    whitespace: bool = Field(default=True, description="Remove spaces at line ends, and surplus blank lines.")
    max_blank_lines: int = Field(default=1, ge=0, description="Most blank lines in a row (lines).")

    def open(self, context: StepContext) -> TransformRunner:
        """Return the runner."""
        return _Normalizer(self)


class _Normalizer:
    def __init__(self, settings: Normalize) -> None:
        self._settings = settings
        self._surplus = re.compile(f"\n{{{settings.max_blank_lines + 2},}}")
        self._allowed = "\n" * (settings.max_blank_lines + 1)
        self._heeded = _CONTROL
        if settings.whitespace:
            self._heeded |= _TRAILING_SPACE | _BLANK_LINES | _EDGE
        if settings.mojibake:
            self._heeded |= _MOJIBAKE
        if settings.unicode != "none":
            self._heeded |= _OUTSIDE
        self._asked = 0
        self._counts: tuple[str, ...] = COUNTS
        for asked, sign, count in (
            (settings.remove_urls, _URL, "urls"),
            (settings.remove_emails, _EMAIL, "emails"),
            (settings.expand_ligatures, _LIGATURE, "ligatures"),
            (settings.collapse_punctuation, _REPEATED, "punctuation"),
            (settings.collapse_spaces, _SPACES_RUN, "spaces"),
        ):
            if asked:
                self._asked |= sign
                self._counts = (*self._counts, count)
        self._heeded |= self._asked

    def transform(self, batch: Batch) -> Edit:
        """Mended texts; ``counts`` says per document what was found (lines, characters or runs)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = batch.records.column("text")
        counts = {name: np.zeros(len(batch), np.int64) for name in self._counts}
        signs = _signs(batch.data, batch.offsets, self._settings.max_blank_lines, self._asked)
        suspects = (signs & self._heeded) != 0
        if not suspects.any():
            return Edit(column, counts)
        mended = []
        for position in np.flatnonzero(suspects):
            text, found = self.mend(column[int(position)].as_py(), int(signs[position]))
            mended.append(text)
            for name, count in found.items():
                counts[name][position] = count
        texts = pc.replace_with_mask(column, pa.array(suspects), pa.array(mended, column.type))
        return Edit(texts, counts)

    def mend(self, text: str, signs: int) -> tuple[str, dict[str, int]]:
        """One text, and how often each rule struck; ``signs`` tell which rules need not be tried."""
        settings = self._settings
        found: dict[str, int] = {}
        if settings.mojibake and signs & _MOJIBAKE:
            repaired, found["mojibake"] = self._repair(text)
            if repaired is not text:
                text, signs = repaired, _ALL
        if signs & _CONTROL:
            text, found["line_ends"] = _LINE_ENDS.subn("\n", text)
            if settings.controls:
                text, found["controls"] = _CONTROLS.subn("", text)
            signs = _ALL
        form = settings.unicode
        if form != "none" and signs & _OUTSIDE and not unicodedata.is_normalized(form, text):
            text, found["unicode"] = unicodedata.normalize(form, text), 1
            signs = _ALL
        if signs & self._asked:
            text, asked = self._rewrite(text, signs & self._asked)
            found |= asked
            signs = _ALL
        if settings.whitespace:
            if signs & _TRAILING_SPACE:
                text, found["trailing_spaces"] = _TRAILING.subn("\n", text)
                signs |= _BLANK_LINES
            if signs & _BLANK_LINES:
                text, found["blank_lines"] = self._surplus.subn(self._allowed, text)
            if signs & _EDGE:
                text = _LEADING.sub("", text, count=1).rstrip()
        return text, found

    def _rewrite(self, text: str, signs: int) -> tuple[str, dict[str, int]]:
        """What was asked for beyond mending; ``signs`` tell what need not be tried."""
        found: dict[str, int] = {}
        if signs & _URL:
            text, found["urls"] = _URLS.subn("", text)
        if signs & _EMAIL:
            text, found["emails"] = _EMAILS.subn("", text)
        if found:
            # What stood on both sides of an address now touches.
            signs = self._asked
        if signs & _LIGATURE:
            found["ligatures"] = sum(text.count(letter) for letter in "œŒæÆ")
            text = text.translate(_TWO_LETTERS)
        if signs & _REPEATED:
            text, found["punctuation"] = _REPETITIONS.subn(r"\1", text)
        if signs & _SPACES_RUN:
            text, found["spaces"] = _SPACE_RUNS.subn(" ", text)
        return text, found

    def _repair(self, text: str) -> tuple[str, int]:
        """The lines that ftfy holds for mojibake, decoded as they should have been."""
        from ftfy import fix_text
        from ftfy.badness import is_bad

        if not is_bad(text):
            return text, 0
        count = 0
        lines = text.split("\n")
        for number, line in enumerate(lines):
            if not line.isascii() and is_bad(line):
                repaired = fix_text(line, self._ftfy)
                count += repaired != line
                lines[number] = repaired
        return "\n".join(lines), count

    @cached_property
    def _ftfy(self) -> Any:
        """Only what concerns wrong encodings; the rest is decided above, or by other steps."""
        from ftfy import TextFixerConfig

        return TextFixerConfig(
            unescape_html=False,
            remove_terminal_escapes=False,
            fix_latin_ligatures=False,
            fix_character_width=False,
            uncurl_quotes=False,
            fix_line_breaks=False,
            fix_surrogates=False,
            remove_control_chars=False,
            normalization=None,
            explain=False,
        )


# Signs that a text may need mending, found in its bytes; never one too few.
_CONTROL = 1  # a control character other than newline and tab, an inner byte-order mark, a line separator
_TRAILING_SPACE = 2  # a space, or something outside ASCII, before a newline
_BLANK_LINES = 4  # more newlines in a row than allowed
_EDGE = 8  # white space, or something outside ASCII, at one of its ends
_OUTSIDE = 16  # something outside ASCII
_MOJIBAKE = 32  # what ftfy might repair
# And signs of what is only rewritten if somebody asks for it.
_URL = 64  # a colon before a slash, or www
_EMAIL = 128  # an @
_LIGATURE = 256
_REPEATED = 512  # twice the same mark
_SPACES_RUN = 1024  # a tab, or two spaces
_ALL = 2047


def _signs(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], max_blank_lines: int, asked: int = 0
) -> npt.NDArray[np.uint16]:
    """The signs of every text: uint16, shape (n,); those of ``asked`` only if they are asked for."""
    base, end = int(offsets[0]), int(offsets[-1])
    data = data[base:end]
    signs = np.zeros(len(offsets) - 1, np.uint16)

    def mark(hits: npt.NDArray[np.bool_], sign: int) -> None:
        places = np.flatnonzero(hits)
        if len(places):
            # A hit across the border of two texts marks the first without need, and does no harm.
            signs[np.unique(np.searchsorted(offsets, places + base, side="right") - 1)] |= sign

    newline = data == 0x0A
    mark((data < 0x20) & ~newline & (data != 0x09) | (data == 0x7F), _CONTROL)
    before = data[:-1]
    mark(newline[1:] & ((before == 0x20) | (before == 0x09) | (before >= 0x80)), _TRAILING_SPACE)
    run = newline
    for _ in range(max_blank_lines + 1):
        run = run[:-1] & newline[len(newline) - len(run) + 1 :]
    mark(run, _BLANK_LINES)
    outside = data >= 0x80
    if outside.any():
        mark(outside, _OUTSIDE)
        _mark_outside(data, mark)
    if asked:
        _mark_asked(data, asked, mark)
    filled = offsets[1:] > offsets[:-1]
    ends = data[offsets[:-1][filled] - base], data[offsets[1:][filled] - base - 1]
    edge = np.isin(ends, (0x09, 0x0A, 0x20)) | (np.stack(ends) >= 0x80)
    signs[np.flatnonzero(filled)[edge.any(axis=0)]] |= _EDGE
    return signs


def _mark_outside(data: npt.NDArray[np.uint8], mark: Callable[[npt.NDArray[np.bool_], int], None]) -> None:
    """Signs that only UTF-8 sequences of several bytes can give."""
    first, second = data[:-1], data[1:]
    # U+0080 to U+009F, which are also what ftfy takes for Windows' punctuation.
    c1 = (first == 0xC2) & (second < 0xA0)
    mark(c1, _CONTROL | _MOJIBAKE)
    # Every character that UTF-8 writes in several bytes comes out of a wrong decoding as several characters
    # outside ASCII, so two of them must touch; only a no-break space among them may have become a plain one
    # (U+00C2 or U+00C3 before a space), and a lost byte U+FFFD.
    mark((first >= 0x80) & (first < 0xC0) & (second >= 0xC0), _MOJIBAKE)
    first, second, third = data[:-2], data[1:-1], data[2:]
    mark((first == 0xC3) & ((second == 0x82) | (second == 0x83)) & (third == 0x20), _MOJIBAKE)
    mark((first == 0xC2) & (second == 0xA0) & (third == 0x20), _MOJIBAKE)
    mark((first == 0xEF) & (second == 0xBB) & (third == 0xBF), _CONTROL)
    mark((first == 0xEF) & (second == 0xBF) & (third == 0xBD), _MOJIBAKE)
    mark((first == 0xE2) & (second == 0x80) & ((third == 0xA8) | (third == 0xA9)), _CONTROL)


def _mark_asked(
    data: npt.NDArray[np.uint8], asked: int, mark: Callable[[npt.NDArray[np.bool_], int], None]
) -> None:
    first, second = data[:-1], data[1:]
    same = first == second
    if asked & _URL:
        mark((first == 0x3A) & (second == 0x2F), _URL)
        mark(same & ((first == 0x77) | (first == 0x57)), _URL)
        mark((first ^ second == 0x20) & ((first == 0x77) | (first == 0x57)), _URL)
    if asked & _EMAIL:
        mark(data == 0x40, _EMAIL)
    if asked & _LIGATURE:
        mark((first == 0xC5) & ((second == 0x92) | (second == 0x93)), _LIGATURE)
        mark((first == 0xC3) & ((second == 0x86) | (second == 0xA6)), _LIGATURE)
    if asked & _REPEATED:
        mark(same & ((first == 0x2E) | (first == 0x21) | (first == 0x3F)), _REPEATED)
    if asked & _SPACES_RUN:
        mark(same & (first == 0x20), _SPACES_RUN)
        mark(data == 0x09, _SPACES_RUN)


# An address ends before what ends a sentence or closes a bracket. Each pattern is entered at the beginning of
# a run alone (look behind) and never gives back what it took in the middle (possessive), so that it is linear.
_ENDS = r".,;:!?'()\[\]{}»"
_ADDRESS = (
    r"(?<![A-Za-z0-9])(?:(?:https?|ftp)://|www\.)"
    rf"(?:[^\s<>\"{_ENDS}]|[{_ENDS}]++(?=[^\s<>\"]))++"
)
_URLS = re.compile(rf"(?im:^{_ADDRESS}[ \t]*+|[ \t]?{_ADDRESS})")
_MAILBOX = r"(?<![\w.%+\-])[\w.%+\-]++@[\w\-]++(?:\.[\w\-]++)++"
_EMAILS = re.compile(rf"(?m:^{_MAILBOX}[ \t]*+|[ \t]?{_MAILBOX})")
_TWO_LETTERS = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"})
_REPETITIONS = re.compile(r"([.!?])\1+")
_SPACE_RUNS = re.compile(r"[ \t]{2,}|\t")
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
# The look behind makes it linear: a run of spaces is entered at its beginning alone.
_SPACES = r" \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_TRAILING = re.compile(rf"(?<![{_SPACES}])[{_SPACES}]++\n")
_LEADING = re.compile(rf"\A(?:[{_SPACES}]*+\n)++")
