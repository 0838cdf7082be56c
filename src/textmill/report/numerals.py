"""Numbers and texts as a page shows them.

Rounding never lies: what is not nothing is never written as 0 %, what is not everything never as 100 %, and a
value that broke a threshold is written with as many digits as it takes to see that it did.
"""

from __future__ import annotations

import math
import re

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"

_THOUSANDS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


def whole(number: int | None) -> str:
    """An exact count: ``12,345``."""
    return NOTHING if number is None else f"{number:,}".replace("-", MINUS)


def short(number: float | None) -> str:
    """A count in at most three digits and a letter: ``12.3M``; whole below 1,000."""
    if number is None or not math.isfinite(number):
        return NOTHING
    size = abs(number)
    sign = MINUS if number < 0 else ""
    for factor, letter in _THOUSANDS:
        # 999,999 is 1M, not 1,000k: what rounds up to the next unit is written in it.
        if round(size / factor, 0) >= 1000 or size >= 0.9995 * factor:
            scaled = size / factor
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{sign}{_trim(f'{scaled:.{digits}f}')}{letter}"
    return sign + _trim(f"{size:.3g}")


def percent(part: float, whole_: float) -> str:
    """A share: ``27.3%``; ``<0.1%`` and ``>99.9%`` at the ends."""
    if not whole_:
        return NOTHING
    value = 100 * part / whole_
    if part == 0:
        return "0%"
    if 0 < value < 0.1:
        return "<0.1%"
    if 99.9 < value < 100:
        return ">99.9%"
    return f"{value:.1f}%".replace("-", MINUS).replace("100.0%", "100%")


def size(bytes_: int | None) -> str:
    """Bytes with a unit: ``12.3 MB`` (powers of ten)."""
    if bytes_ is None:
        return NOTHING
    for factor, unit in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.1f} {unit}"
    return f"{bytes_} B"


def duration(seconds: float) -> str:
    """Seconds as people say them: ``0.8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    rounded = round(seconds)
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60} min"


def number(value: float | None, digits: int = 4) -> str:
    """A measured value: four significant digits, thousands separated, no exponent where it can be avoided."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else MINUS + "\N{INFINITY}"
    size_ = abs(value)
    if size_ >= 1e15 or 0 < size_ < 1e-4:
        text = f"{value:.{digits - 1}g}"
    elif size_ >= 10 ** (digits - 1):
        text = f"{value:,.{0 if value == int(value) or size_ >= 10**digits else 1}f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def beside(value: float | None, threshold: float | None) -> str:
    """``value`` with enough digits to tell it from ``threshold``."""
    for digits in range(4, 10):
        text = number(value, digits)
        if value is None or threshold is None or value == threshold or text != number(threshold, digits):
            break
    return text


# Code points that a reader cannot see but that change what the reader sees: C0 and C1 controls, bidirectional
# formatting (UAX #9, section 2), line and paragraph separators, the byte order mark, tags, non-characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
# Noncharacters end every plane: U+FFFE, U+FFFF, U+1FFFE … (Unicode 23.7).
_NONCHARACTER = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)


def visible(text: str) -> str:
    """``text`` with everything invisible written out, so that it can neither hide nor reorder anything.

    Each such code point becomes its number, ``[U+202E]``; tabs and newlines stay. HTML's own characters are the
    template's business.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _NONCHARACTER.sub(_named, _UNSEEN.sub(_named, text))


def _named(match: re.Match[str]) -> str:
    return f"[U+{ord(match[0]):04X}]"


def _trim(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
