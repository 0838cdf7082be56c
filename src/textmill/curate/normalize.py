"""The transform ``normalize``: one way of writing the same text.

Clean ASCII text is recognised over the bytes of the whole batch at once and never becomes a Python string;
only a document with something to mend, or outside ASCII, is looked at by itself.
"""

from __future__ import annotations

import re
import unicodedata
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
    become newlines; control characters and inner byte-order marks go; Unicode normalisation (UAX #15);
    spaces at the end of lines go; more than ``max_blank_lines`` blank lines become that many; blank lines
    and spaces go from both ends of the text. Tabs and indentation stay.
    """

    name: ClassVar[str] = "normalize"
    shorthand: ClassVar[str | None] = "unicode"

    mojibake: bool = Field(default=True, description="Repair text that was decoded with the wrong encoding.")
    unicode: Literal["NFC", "NFKC", "none"] = Field(
        default="NFC",
        description="Normalisation form. NFKC also replaces look-alikes (ligatures, full-width letters, "
        "superscripts) and loses what they mean.",
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

    def transform(self, batch: Batch) -> Edit:
        """Mended texts; ``counts`` says per document what was found (lines, characters or runs)."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = batch.records.column("text")
        counts = {name: np.zeros(len(batch), np.int64) for name in COUNTS}
        suspects = self._suspects(batch.data, batch.offsets)
        if not suspects.any():
            return Edit(column, counts)
        mended = []
        for position in np.flatnonzero(suspects):
            text, found = self.mend(column[int(position)].as_py())
            mended.append(text)
            for name, count in found.items():
                counts[name][position] = count
        texts = pc.replace_with_mask(column, pa.array(suspects), pa.array(mended, column.type))
        return Edit(texts, counts)

    def mend(self, text: str) -> tuple[str, dict[str, int]]:
        """One text, and how often each rule struck."""
        settings = self._settings
        found: dict[str, int] = {}
        outside = not text.isascii()
        if settings.mojibake and outside and may_be_mojibake(text):
            text, found["mojibake"] = self._repair(text)
        text, found["line_ends"] = _LINE_ENDS.subn("\n", text)
        if settings.controls:
            text, found["controls"] = _CONTROLS.subn("", text)
        if settings.unicode != "none" and outside and not unicodedata.is_normalized(settings.unicode, text):
            text, found["unicode"] = unicodedata.normalize(settings.unicode, text), 1
        if settings.whitespace:
            text, found["trailing_spaces"] = _TRAILING.subn("\n", text)
            text, found["blank_lines"] = self._surplus.subn(self._allowed, text)
            text = _LEADING.sub("", text, count=1).rstrip()
        return text, found

    def _suspects(self, data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Documents in which there may be something to mend: bool, shape (n,); never one too few."""
        start, end = int(offsets[0]), int(offsets[-1])
        data = data[start:end]
        odd = data >= 0x7F
        newline = data == 0x0A
        odd |= (data < 0x20) & ~newline & (data != 0x09)
        if self._settings.whitespace and len(data) > 1:
            space = (data == 0x20) | (data == 0x09)
            odd[:-1] |= space[:-1] & newline[1:]
            run = newline.copy()
            for step in range(1, self._settings.max_blank_lines + 2):
                run[:-step] &= newline[step:]
                run[-step:] = False
            odd |= run
        result = np.zeros(len(offsets) - 1, np.bool_)
        result[np.searchsorted(offsets, np.flatnonzero(odd) + start, side="right") - 1] = True
        if self._settings.whitespace and len(data):
            filled = offsets[1:] > offsets[:-1]
            edges = np.isin(data[offsets[:-1][filled] - start], _SPACE_BYTES)
            edges |= np.isin(data[offsets[1:][filled] - start - 1], _SPACE_BYTES)
            result[filled] |= edges
        return result

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


def may_be_mojibake(text: str) -> bool:
    """Whether ftfy could find anything: a look of a tenth of its time, that never misses.

    Every character that UTF-8 writes in two bytes or more comes out of a wrong decoding as as many characters
    outside ASCII; only a no-break space among them may have become a plain one (``Ã `` for ``à``).
    """
    return _TWO_OUTSIDE_ASCII.search(text) is not None


_TWO_OUTSIDE_ASCII = re.compile(r"[^\x00-\x7f][^\x00-\x7f]|[\x80-\x9f]|[ÂÃâ]\x20|\ufffd")
_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff]")
# The look behind makes it linear: a run of spaces is entered at its beginning alone.
_SPACES = r" \t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_TRAILING = re.compile(rf"(?<![{_SPACES}])[{_SPACES}]++\n")
_LEADING = re.compile(rf"\A(?:[{_SPACES}]*+\n)++")
_SPACE_BYTES = np.frombuffer(b"\n \t", np.uint8)
