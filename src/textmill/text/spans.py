"""Spans cut out of one text, so that what is left reads as before.

    "One.\n\nHome | About\n\nTwo."   without bytes 6 to 18   ->   "One.\n\nTwo."

Only the spans and white space beside them go; every other byte stays, in its order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_WHITE = b" \t\n\r\v\f"

Spans = npt.NDArray[np.int64]


def merge_spans(starts: Spans, ends: Spans) -> tuple[Spans, Spans]:
    """Overlapping and touching spans as one.

    Args:
        starts: int64[spans], ascending.
        ends: int64[spans].

    Returns:
        Starts and ends of the union, ascending, with at least one byte between two spans.
    """
    if not len(starts):
        return starts, ends
    reach = np.maximum.accumulate(ends)
    first = np.ones(len(starts), np.bool_)
    first[1:] = starts[1:] > reach[:-1]
    last = np.append(np.flatnonzero(first)[1:] - 1, len(starts) - 1)
    return starts[first], reach[last]


def cut_spans(text: bytes, starts: Sequence[int] | Spans, ends: Sequence[int] | Spans) -> bytes:
    """``text`` without the spans.

    Where text is joined, the white space on both sides of the cut becomes one piece: that with the most newlines
    (so paragraphs stay apart), with the indentation of the text that follows. Where two letters or numbers would
    touch, a space comes between them. White space at the two ends of the text stays as it was. White space is
    that of ASCII; if nothing else is left, nothing is.

    Args:
        text: UTF-8.
        starts: first byte of each span, ascending and apart (:func:`merge_spans`).
        ends: the byte after each span.
    """
    if not len(starts):
        return text
    kept = [text[end:start] for end, start in zip([0, *ends], [*starts, len(text)], strict=True)]
    parts: list[bytes] = []
    between: list[bytes] = []
    for number, piece in enumerate(kept):
        core = piece.strip(_WHITE)
        if not core:
            between.append(piece)
            continue
        at = piece.index(core)
        lead, tail = piece[:at], piece[at + len(core) :]
        if parts:
            parts.append(_joint([*between, lead], parts[-1], core))
        else:
            parts.append(between[0] if number else lead)
        parts.append(core)
        between = [tail]
    if not parts:
        return b""
    return b"".join([*parts, between[-1]])


def _joint(spaces: list[bytes], left: bytes, right: bytes) -> bytes:
    """What stands between two pieces of text that were apart: the strongest of the white space there."""
    strongest = max(reversed(spaces), key=lambda space: (space.count(b"\n"), bool(space)))
    last = spaces[-1]
    if b"\n" in strongest and b"\n" in last:
        return strongest[: strongest.rindex(b"\n") + 1] + last[last.rindex(b"\n") + 1 :]
    if not strongest and _last_character(left).isalnum() and _first_character(right).isalnum():
        return b" "
    return strongest


def _first_character(text: bytes) -> str:
    return text[:4].decode("utf-8", "ignore")[:1]


def _last_character(text: bytes) -> str:
    return text[-4:].decode("utf-8", "ignore")[-1:]
