"""Drawing by hand: elements, coordinates and the ticks of an axis."""

from __future__ import annotations

import math
from collections.abc import Callable

from markupsafe import Markup, escape

from textmill.report.numerals import visible

Scale = Callable[[float], float]


def element(tag: str, *content: str | Markup, **attributes: object) -> Markup:
    """``<tag …>content</tag>``, escaped; ``class_`` and ``text_anchor`` become ``class`` and ``text-anchor``.

    Numbers are written with two decimals (a hundredth of a pixel); attributes that are None are left out.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _value(value))
        for name, value in attributes.items()
        if value is not None
    )
    inside = Markup("").join(part if isinstance(part, Markup) else escape(visible(part)) for part in content)
    if not content:
        return Markup("<{}{}/>").format(Markup(tag), written)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), written, inside)


def drawing(width: float, height: float, label: str, *content: Markup, class_: str = "") -> Markup:
    """An ``<svg>`` that scales with its box; ``label`` says in words what it shows."""
    return element(
        "svg",
        *content,
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=visible(label),
        class_=class_ or None,
    )


def text(x: float, y: float, content: str, class_: str = "", anchor: str | None = None) -> Markup:
    """Text whose baseline starts (or, by ``anchor``, ends or is centred) at x, y."""
    return element("text", content, x=x, y=y, class_=class_ or None, text_anchor=anchor)


def title(content: str) -> Markup:
    """What is shown when the pointer rests on the parent."""
    return element("title", content)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Maps [low, high] to [start, end]; a range without extent maps to the middle."""
    if not high > low:
        return lambda value: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """Maps [low, high], both positive, to [start, end] by the logarithm; smaller values to ``start``."""
    inner = linear(math.log(low), math.log(high), start, end)
    return lambda value: inner(math.log(max(value, low)))


def ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers within [low, high]: about ``count`` of them, 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.7)
    first = math.ceil(low / apart - 1e-9)
    last = math.floor(high / apart + 1e-9)
    return [round(position * apart, 12) + 0.0 for position in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Powers of ten within [low, high], thinned to about ``count``; with 2 and 5 between when few."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    powers = list(range(first, last + 1))
    if len(powers) < 2:
        fine = [f * 10.0**p for p in range(first - 1, last + 1) for f in (1, 2, 5)]
        return [value for value in fine if low * 0.999 <= value <= high * 1.001]
    every = max(1, math.ceil(len(powers) / count))
    return [10.0**power for power in powers[::every]]


def _value(value: object) -> str:
    if isinstance(value, float):
        rounded = f"{value:.2f}".rstrip("0").rstrip(".")
        return "0" if rounded in ("-0", "") else rounded
    return str(value)
