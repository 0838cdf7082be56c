"""The loss curve: training and held-out loss over the tokens seen, and where a unigram model lies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from textmill.report.charts.svg import Scale, drawing, element, line, linear, text, ticks, title
from textmill.report.model import Training
from textmill.report.numerals import number, short

_POINTS = 400  # more than a screen has columns to show them
_COLUMNS = 80  # areas that answer the pointer


def loss_curve(data: Training, unigram: float | None, width: float, height: float, class_: str) -> Markup:
    """Loss in nats per token over tokens, ``width`` by ``height`` units.

    Args:
        unigram: loss of a unigram model in nats per token, drawn as a line to compare with.
    """
    train = _thin([point for point in data.loss if _finite(point)], _POINTS)
    held_out = [point for point in data.validation if _finite(point)]
    values = [loss for _, loss in (*train, *held_out)]
    if not values:
        note = text(width / 2, height / 2, "no finite losses", "count", "middle")
        return drawing(width, height, "Loss curve without values", note, class_=class_)
    if unigram is not None and math.isfinite(unigram):
        values.append(unigram)
    else:
        unigram = None
    margin = (max(values) - min(values)) * 0.05 or 0.5
    low, high = min(values) - margin, max(values) + margin
    last = max(tokens for tokens, _ in (*train, *held_out))
    left, right, top, bottom = 40.0, width - 104, 14.0, height - 42
    across = linear(0, last, left, right) if last > 0 else linear(-1, 1, left, right)
    up = linear(low, high, bottom, top)
    smooth = _smooth(train)
    parts = [*_axes(last, low, high, across, up, left, right, bottom, width)]
    if unigram is not None:
        parts.append(line(left, up(unigram), right, up(unigram), "unigram"))
    if train:
        parts.append(element("path", d=_path(train, across, up), class_="loss raw"))
        parts.append(element("path", d=_path(smooth, across, up), class_="loss"))
    if held_out:
        parts.append(element("path", d=_path(held_out, across, up), class_="held-out"))
        for tokens, loss in held_out:
            told = f"{short(tokens)} tokens: held-out loss {number(loss)}"
            dot = element("circle", title(told), cx=across(tokens), cy=up(loss), r=3.2, class_="held-out-dot")
            parts.append(dot)
    parts.extend(_columns(smooth, held_out, across, top, bottom))
    ends = []
    if train:
        ends.append((up(smooth[-1][1]), f"training {smooth[-1][1]:.2f}", "end-train"))
    if held_out:
        ends.append((up(held_out[-1][1]), f"held-out {held_out[-1][1]:.2f}", "end-held-out"))
    if unigram is not None:
        ends.append((up(unigram), f"unigram {unigram:.2f}", "end-unigram"))
    parts.extend(_end_labels(ends, right + 8, top, bottom))
    return drawing(width, height, _in_words(data, unigram), *parts, class_=class_)


def _axes(
    last: float,
    low: float,
    high: float,
    across: Scale,
    up: Scale,
    left: float,
    right: float,
    bottom: float,
    width: float,
) -> list[Markup]:
    parts = []
    for value in ticks(low, high, 6):
        parts.append(line(left, up(value), right, up(value), "grid"))
        parts.append(text(left - 8, up(value) + 4, number(value), "tick", "end"))
    for value in ticks(0, last, max(3, int(width / 130))) if last > 0 else []:
        parts.append(line(across(value), bottom, across(value), bottom + 4, "axis"))
        parts.append(text(across(value), bottom + 17, short(value), "tick", "middle"))
    parts.append(line(left, bottom, right, bottom, "axis"))
    parts.append(text((left + right) / 2, bottom + 35, "tokens seen", "tick", "middle"))
    return parts


def _end_labels(ends: Sequence[tuple[float, str, str]], x: float, top: float, bottom: float) -> list[Markup]:
    """Names of the lines at their right ends, moved apart where they would overlap."""
    apart = 15.0
    placed: list[tuple[float, str, str]] = []
    for y, label, class_ in sorted(ends):
        if placed and y - placed[-1][0] < apart:
            y = placed[-1][0] + apart
        placed.append((y, label, class_))
    overshoot = max(0.0, placed[-1][0] - bottom) if placed else 0.0
    return [text(x, max(y - overshoot, top) + 4, label, f"end {class_}") for y, label, class_ in placed]


def _columns(
    smooth: Sequence[tuple[float, float]],
    held_out: Sequence[tuple[float, float]],
    across: Scale,
    top: float,
    bottom: float,
) -> list[Markup]:
    chosen = _thin(smooth, _COLUMNS)
    parts = []
    for position, (tokens, loss) in enumerate(chosen):
        x = across(tokens)
        before = across(chosen[position - 1][0]) if position else x
        after = across(chosen[position + 1][0]) if position + 1 < len(chosen) else x
        start, end = (before + x) / 2, (x + after) / 2
        told = f"{short(tokens)} tokens: training loss {number(loss)}"
        seen = [value for at, value in held_out if at <= tokens]
        if seen:
            told += f", held-out {number(seen[-1])}"
        width = max(end - start, 1.0)
        parts.append(
            element("rect", title(told), x=start, y=top, width=width, height=bottom - top, class_="hit")
        )
    return parts


def _path(points: Sequence[tuple[float, float]], across: Scale, up: Scale) -> str:
    return "M" + "L".join(f"{across(tokens):.1f} {up(loss):.1f}" for tokens, loss in points)


def _thin(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about ``most`` points: means over equal runs of points; the last point always stays."""
    if len(points) <= most:
        return list(points)
    run = math.ceil(len(points) / most)
    thinned = []
    for start in range(0, len(points), run):
        part = points[start : start + run]
        thinned.append((part[-1][0], sum(loss for _, loss in part) / len(part)))
    return thinned


def _smooth(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means over a window of about a fortieth of the points, centred, and so narrower towards both ends."""
    reach = len(points) // 80
    smoothed = []
    for position, (tokens, _) in enumerate(points):
        near = min(reach, position, len(points) - 1 - position)
        window = points[position - near : position + near + 1]
        smoothed.append((tokens, sum(loss for _, loss in window) / len(window)))
    return smoothed


def _finite(point: tuple[float, float]) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _in_words(data: Training, unigram: float | None) -> str:
    parts = ["Loss in nats per token over tokens seen"]
    for name, points in (("training", data.loss), ("held-out", data.validation)):
        finite = [point for point in points if _finite(point)]
        if finite:
            parts.append(f"{name} from {number(finite[0][1])} to {number(finite[-1][1])}")
    if unigram is not None:
        parts.append(f"a unigram model has {number(unigram)}")
    return "; ".join(parts) + ". The table below holds the numbers."
