"""Doctypes: which of them ask for quirks mode, where a table may stand inside a paragraph (section 13.2.6.4.1)."""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.extract.html.scanning import find_byte, holds, is_space, skip_space
from textmill.text.compilation import apart, small_kernel

_QUIRKY_PREFIXES = """
+//silmaril//dtd html pro v0r11 19970101//
-//as//dtd html 3.0 aswedit + extensions//
-//advasoft ltd//dtd html 3.0 aswedit + extensions//
-//ietf//dtd html 2.0 level 1//
-//ietf//dtd html 2.0 level 2//
-//ietf//dtd html 2.0 strict level 1//
-//ietf//dtd html 2.0 strict level 2//
-//ietf//dtd html 2.0 strict//
-//ietf//dtd html 2.0//
-//ietf//dtd html 2.1e//
-//ietf//dtd html 3.0//
-//ietf//dtd html 3.2 final//
-//ietf//dtd html 3.2//
-//ietf//dtd html 3//
-//ietf//dtd html level 0//
-//ietf//dtd html level 1//
-//ietf//dtd html level 2//
-//ietf//dtd html level 3//
-//ietf//dtd html strict level 0//
-//ietf//dtd html strict level 1//
-//ietf//dtd html strict level 2//
-//ietf//dtd html strict level 3//
-//ietf//dtd html strict//
-//ietf//dtd html//
-//metrius//dtd metrius presentational//
-//microsoft//dtd internet explorer 2.0 html strict//
-//microsoft//dtd internet explorer 2.0 html//
-//microsoft//dtd internet explorer 2.0 tables//
-//microsoft//dtd internet explorer 3.0 html strict//
-//microsoft//dtd internet explorer 3.0 html//
-//microsoft//dtd internet explorer 3.0 tables//
-//netscape comm. corp.//dtd html//
-//netscape comm. corp.//dtd strict html//
-//o'reilly and associates//dtd html 2.0//
-//o'reilly and associates//dtd html extended 1.0//
-//o'reilly and associates//dtd html extended relaxed 1.0//
-//sq//dtd html 2.0 hotmetal + extensions//
-//softquad software//dtd hotmetal pro 6.0::19990601::extensions to html 4.0//
-//softquad//dtd hotmetal pro 4.0::19971010::extensions to html 4.0//
-//spyglass//dtd html 2.0 extended//
-//sun microsystems corp.//dtd hotjava html//
-//sun microsystems corp.//dtd hotjava strict html//
-//w3c//dtd html 3 1995-03-24//
-//w3c//dtd html 3.2 draft//
-//w3c//dtd html 3.2 final//
-//w3c//dtd html 3.2//
-//w3c//dtd html 3.2s draft//
-//w3c//dtd html 4.0 frameset//
-//w3c//dtd html 4.0 transitional//
-//w3c//dtd html experimental 19960712//
-//w3c//dtd html experimental 970421//
-//w3c//dtd w3 html//
-//w3o//dtd w3 html 3.0//
-//webtechs//dtd mozilla html 2.0//
-//webtechs//dtd mozilla html//
"""
_QUIRKY = """
-//w3o//dtd w3 html strict 3.0//en//
-/w3c/dtd html 4.0 transitional/en
html
"""
_QUIRKY_WITHOUT_SYSTEM = """
-//w3c//dtd html 4.01 frameset//
-//w3c//dtd html 4.01 transitional//
"""


def _lines(text: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    lines = [line.encode() for line in text.strip().split("\n")]
    return np.frombuffer(b"".join(lines), np.uint8).copy(), np.cumsum([0, *map(len, lines)])


_PREFIXES, _PREFIX_OFFSETS = _lines(_QUIRKY_PREFIXES)
_EXACT, _EXACT_OFFSETS = _lines(_QUIRKY)
_BARE, _BARE_OFFSETS = _lines(_QUIRKY_WITHOUT_SYSTEM)
_HTML, _ = _lines("html")
_PUBLIC, _ = _lines("public")
_SYSTEM, _ = _lines("system")
_IBM, _ = _lines("http://www.ibm.com/data/dtd/v11/ibmxhtml1-transitional.dtd")


@small_kernel
def is_quirky(data, at, end):
    """Whether a doctype, data[at:end] from behind its name, asks for quirks mode ."""
    apart()
    at = skip_space(data, at, end)
    if not holds(data, at, end, _HTML):
        return 1
    at += 4
    if at < end and not is_space(data[at]):
        return 1
    at = skip_space(data, at, end)
    public = holds(data, at, end, _PUBLIC)
    system = holds(data, at, end, _SYSTEM)
    if not public and not system:
        return 1 if at < end else 0
    at = skip_space(data, at + 6, end)
    if at >= end or (data[at] != 34 and data[at] != 39):
        return 1
    stop = find_byte(data, at + 1, end, np.int64(data[at]))
    if stop >= end:
        return 1
    if system:
        return 1 if _is_word(data, at + 1, stop, _IBM) else 0
    start = at + 1
    at = skip_space(data, stop + 1, end)
    has_system = at < end and (data[at] == 34 or data[at] == 39)
    if has_system:
        last = find_byte(data, at + 1, end, np.int64(data[at]))
        if last >= end or _is_word(data, at + 1, last, _IBM):
            return 1
    elif at < end:
        return 1
    for place in range(_EXACT_OFFSETS.size - 1):
        if _is_word(data, start, stop, _EXACT[_EXACT_OFFSETS[place] : _EXACT_OFFSETS[place + 1]]):
            return 1
    for place in range(_PREFIX_OFFSETS.size - 1):
        if holds(data, start, stop, _PREFIXES[_PREFIX_OFFSETS[place] : _PREFIX_OFFSETS[place + 1]]):
            return 1
    if not has_system:
        for place in range(_BARE_OFFSETS.size - 1):
            if holds(data, start, stop, _BARE[_BARE_OFFSETS[place] : _BARE_OFFSETS[place + 1]]):
                return 1
    return 0


@small_kernel
def _is_word(data, start, stop, word):
    return stop - start == word.size and holds(data, start, stop, word)
