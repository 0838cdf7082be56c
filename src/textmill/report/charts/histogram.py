"""Histograms: bars to scale, what breaks the rule in the warning colour, thresholds as lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from textmill.report.charts.svg import (
    Scale,
    drawing,
    element,
    line,
    linear,
    log_ticks,
    logarithmic,
    text,
    ticks,
    title,
)
from textmill.report.model import Histogram
from textmill.report.numerals import number, percent, short, whole

_SIDE = 6.0
_TOP = 20.0
_FOOT = 20.0


def histogram(data: Histogram, width: float, height: float, class_: str = "", grid: bool = False) -> Markup:
    """A histogram of ``width`` by ``height`` units; ``grid`` adds a vertical axis with counts.

    Bars are as high as their counts, on a linear scale from zero; a bin that is not empty is at least one
    unit high. A single bar that dwarfs all others is cut and carries its number, so that they can be seen.
    """
    if not data.counts or data.documents == 0:
        note = text(width / 2, height / 2, "no values", "count", "middle")
        return drawing(width, height, f"{data.score}: no values", note, class_=class_)
    left = 46.0 if grid else _SIDE
    frame = _Frame(left, width - _SIDE, _TOP, height - _FOOT)
    across = _scale(data, frame)
    up = linear(0, _highest(data.counts), 0, frame.bottom - frame.top)
    parts = list(_grid(data, frame, up)) if grid else []
    parts.extend(_bars(data, frame, across, up))
    parts.append(line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
    parts.extend(_ticks(data, frame, across))
    parts.extend(_thresholds(data, frame, across))
    return drawing(width, height, _in_words(data), *parts, class_=class_)


@dataclass(frozen=True)
class _Frame:
    left: float
    right: float
    top: float
    bottom: float


def _scale(data: Histogram, frame: _Frame) -> Scale:
    kind = logarithmic if data.logarithmic else linear
    return kind(data.edges[0], data.edges[-1], frame.left, frame.right)


def _bars(data: Histogram, frame: _Frame, across: Scale, up: Scale) -> list[Markup]:
    parts = []
    outside = data.outside or (0,) * len(data.counts)
    for position, count in enumerate(data.counts):
        if not count:
            continue
        x1, x2 = across(data.edges[position]), across(data.edges[position + 1])
        gap = 0.75 if x2 - x1 > 3 else 0.0
        cut = up(count) > frame.bottom - frame.top + 0.01
        tall = frame.bottom - frame.top if cut else max(up(count), 1.0)
        broken = tall * outside[position] / count
        told = f"{_bin(data, position)}: {whole(count)} documents"
        if outside[position]:
            told += f", {whole(outside[position])} outside the threshold"
        box = {"x": x1 + gap / 2, "width": max(x2 - x1 - gap, 0.5)}
        bars = []
        if tall > broken:
            bars.append(element("rect", y=frame.bottom - tall, height=tall - broken, class_="bar", **box))
        if broken:
            # Below the kept part, so that what breaks a rule always stands on the axis and can be compared.
            bars.append(element("rect", y=frame.bottom - broken, height=broken, class_="bar out", **box))
        parts.append(element("g", title(told), *bars, data_count=count))
        if cut:
            parts.extend(_cut_mark(x1, x2, frame, whole(count)))
    return parts


def _highest(counts: Sequence[int]) -> float:
    """Where the scale ends: at the largest count, unless it is more than four times the next."""
    *_, second, largest = (0, *sorted(counts))
    return second * 1.5 if 0 < 4 * second < largest else largest


def _cut_mark(x1: float, x2: float, frame: _Frame, count: str) -> list[Markup]:
    y = frame.top + 14
    mark = line(x1 - 2, y + 3, x2 + 2, y - 3, "cut")
    fits = x2 + 5 + 7 * len(count) < frame.right
    label = text(x2 + 5 if fits else x1 - 5, frame.top + 9, count, "tick", None if fits else "end")
    return [mark, label]


def _bin(data: Histogram, position: int) -> str:
    low, high = number(data.edges[position]), number(data.edges[position + 1])
    first, last = position == 0, position == len(data.counts) - 1
    if last and data.largest is not None and data.largest > data.edges[-1]:
        return f"above {low} (largest {number(data.largest)})"
    if first and data.smallest is not None and data.smallest < data.edges[0]:
        return f"up to {high} (smallest {number(data.smallest)})"
    return f"{low} to {high}"


def _ticks(data: Histogram, frame: _Frame, across: Scale) -> list[Markup]:
    wanted = max(2, int((frame.right - frame.left) / 62))
    low, high = data.edges[0], data.edges[-1]
    values = log_ticks(low, high, wanted) if data.logarithmic else ticks(low, high, wanted)
    parts = []
    for value in values:
        x = across(value)
        label = short(value) if abs(value) >= 10_000 else number(value)
        half = 3.1 * len(label)
        anchor = "start" if x - half < frame.left - 2 else "end" if x + half > frame.right + 2 else "middle"
        parts.append(line(x, frame.bottom, x, frame.bottom + 4, "axis"))
        parts.append(text(x, frame.bottom + 15, label, "tick", anchor))
    return parts


def _thresholds(data: Histogram, frame: _Frame, across: Scale) -> list[Markup]:
    parts = []
    both_near = False
    if data.minimum is not None and data.maximum is not None:
        both_near = abs(across(_clamp(data, data.maximum)) - across(_clamp(data, data.minimum))) < 90
    for name, value in (("min", data.minimum), ("max", data.maximum)):
        if value is None or not math.isfinite(value):
            continue
        label = f"{name} {number(value)}"
        lifted = frame.top - 8
        if not data.edges[0] <= value <= data.edges[-1]:
            above = value > data.edges[-1]
            x = frame.right if above else frame.left
            arrow = f"{label} →" if above else f"← {label}"
            parts.append(text(x, lifted, arrow, "threshold far", "end" if above else "start"))
            continue
        x = across(value)
        # A minimum is read to its right (kept from here on), a maximum to its left; near an end it turns.
        to_right = name == "min"
        room = 6.2 * len(label)
        if both_near:
            to_right = name == "max"
        if to_right and x + room > frame.right:
            to_right = False
        elif not to_right and x - room < frame.left:
            to_right = True
        parts.append(line(x, lifted - 8, x, frame.bottom, "threshold"))
        offset, anchor = (4.0, "start") if to_right else (-4.0, "end")
        parts.append(text(x + offset, lifted, label, "threshold", anchor))
    return parts


def _clamp(data: Histogram, value: float) -> float:
    return min(max(value, data.edges[0]), data.edges[-1])


def _grid(data: Histogram, frame: _Frame, up: Scale) -> list[Markup]:
    parts = []
    for value in ticks(0, _highest(data.counts), 4):
        y = frame.bottom - up(value)
        if value != int(value):
            continue
        parts.append(line(frame.left, y, frame.right, y, "grid"))
        parts.append(text(frame.left - 8, y + 4, short(value), "tick", "end"))
    return parts


def _in_words(data: Histogram) -> str:
    parts = [f"{data.score}: {whole(data.documents)} documents"]
    if data.smallest is not None and data.largest is not None:
        parts.append(f"from {number(data.smallest)} to {number(data.largest)}")
    for name, value in (("minimum", data.minimum), ("maximum", data.maximum)):
        if value is not None and math.isfinite(value):
            parts.append(f"{name} {number(value)}")
    if data.outside:
        lost = sum(data.outside)
        parts.append(f"{whole(lost)} outside ({percent(lost, data.documents)})")
    return ", ".join(parts)
