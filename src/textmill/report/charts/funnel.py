"""The funnel: a stream that flows down from step to step, and what leaves it on the way.

At each step the stream arrives as a bar as wide as what came in. What is kept flows on below it, what is
dropped or fails turns away to the right and fades. Widths are to scale, all on one scale per measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from textmill.report.charts.svg import drawing, element, text, title
from textmill.report.model import FunnelRow
from textmill.report.numerals import MINUS, percent, short, whole

_TURN = 16.0  # how far what leaves the stream moves to the right
_BAR = 5.0
_TOP = 30.0


@dataclass(frozen=True)
class _Flow:
    """One row in one measure."""

    step: str
    unit: str
    arriving: int
    kept: int
    dropped: int
    failed: int


def funnel_wide(rows: Sequence[FunnelRow]) -> Markup:
    """Documents and characters side by side, 920 units wide."""
    step_height = _step_height(rows, 46.0)
    height = _TOP + step_height * len(rows) + 40
    content = [
        *_panel(_documents(rows), _Place(0, 212, 226, 172, step_height, names=20, lines=1)),
        *_panel(_characters(rows), _Place(0, 592, 606, 172, step_height, names=0, lines=1)),
    ]
    return drawing(920, height, _in_words(rows), *content, class_="wide")


def funnel_narrow(rows: Sequence[FunnelRow], measure: str) -> Markup:
    """One measure, ``documents`` or ``characters``, 350 units wide: for small screens."""
    step_height = _step_height(rows, 48.0)
    flows = _documents(rows) if measure == "documents" else _characters(rows)
    place = _Place(0, 0, 128, 126, step_height, names=18, lines=2)
    height = _TOP + step_height * len(rows) + 40
    return drawing(350, height, _in_words(rows), *_panel(flows, place), class_="narrow")


@dataclass(frozen=True)
class _Place:
    """Where a panel lies: names from ``left`` on, counts up to ``counts``, the stream from ``stream`` on.

    ``names`` is the number of letters for a step's name, 0 for none; ``lines`` the lines of a label.
    """

    left: float
    counts: float
    stream: float
    width: float
    step_height: float
    names: int
    lines: int


def _panel(flows: Sequence[_Flow], place: _Place) -> list[Markup]:
    largest = max((max(flow.arriving, flow.kept) for flow in flows), default=0)
    unit = place.width / largest if largest else 0.0
    heading = flows[0].unit if flows else "documents"
    parts = [text(place.stream, 12, heading.capitalize(), "heading")]
    for position, flow in enumerate(flows):
        parts.extend(_row(flow, position, unit, place))
    if flows:
        parts.extend(_last(flows, unit, place))
    return parts


def _row(flow: _Flow, position: int, unit: float, place: _Place) -> list[Markup]:
    top = _TOP + position * place.step_height
    kept = flow.kept * unit
    dropped = flow.dropped * unit
    failed = flow.failed * unit
    left, below = place.stream, top + _BAR
    bottom = top + place.step_height
    told = f"{flow.step}: {whole(flow.arriving)} {flow.unit} in"
    parts = [
        element(
            "rect",
            title(f"{told}, {whole(flow.kept)} kept ({percent(flow.kept, flow.arriving)})"),
            x=left,
            y=below,
            width=kept,
            height=bottom - below,
            class_="kept",
        )
    ]
    for start, width, kind, count in (
        (kept, dropped, "dropped", flow.dropped),
        (kept + dropped, failed, "failed", flow.failed),
    ):
        if count > 0:
            lost = f"{told}, {whole(count)} {kind} ({percent(count, flow.arriving)})"
            parts.append(_leaving(left + start, below, width, place.step_height * 0.62, kind, lost))
    arriving = flow.arriving * unit
    parts.append(element("rect", x=left, y=top, width=max(arriving, 1.0), height=_BAR, class_="node"))
    parts.extend(_labels(flow, top, left + arriving + _TURN + 7, place))
    return parts


def _leaving(x: float, y: float, width: float, height: float, kind: str, told: str) -> Markup:
    """A ribbon that turns away from the stream, as wide as what leaves (at least a hairline)."""
    far, half = x + width, height / 2
    path = (
        f"M{x:.2f} {y:.2f}H{far:.2f}"
        f"C{far:.2f} {y + half:.2f} {far + _TURN:.2f} {y + half:.2f} {far + _TURN:.2f} {y + height:.2f}"
        f"H{x + _TURN:.2f}C{x + _TURN:.2f} {y + half:.2f} {x:.2f} {y + half:.2f} {x:.2f} {y:.2f}Z"
    )
    return element("path", title(told), d=path, class_=f"leaving {kind}", data_width=width)


def _labels(flow: _Flow, top: float, right: float, place: _Place) -> list[Markup]:
    parts = []
    narrow = place.lines == 2
    if place.names:
        name = _cut(flow.step, place.names)
        parts.append(element("text", title(flow.step), name, x=place.left, y=top + 6, class_="name"))
    count = short(flow.arriving) if flow.unit == "characters" or narrow else whole(flow.arriving)
    if narrow:
        parts.append(text(place.left, top + 20, count, "count"))
    else:
        parts.append(text(place.counts, top + 6, count, "count", "end"))
    lost = flow.dropped + flow.failed
    growth = flow.kept + lost - flow.arriving
    middle = top + place.step_height * 0.5 + 2
    if lost:
        amount = short(lost) if flow.unit == "characters" or narrow else whole(lost)
        share = percent(lost, flow.arriving)
        only_failed = "lost failed-only" if not flow.dropped else "lost"
        if narrow:
            parts.append(text(right, middle - 5, f"{MINUS}{amount}", only_failed))
            parts.append(text(right, middle + 8, share, only_failed))
        else:
            parts.append(text(right, middle, f"{MINUS}{amount} · {share}", only_failed))
    elif growth > 0:
        parts.append(text(right, middle, f"+{percent(growth, flow.arriving)}", "count"))
    return parts


def _last(flows: Sequence[_Flow], unit: float, place: _Place) -> list[Markup]:
    flow = flows[-1]
    top = _TOP + len(flows) * place.step_height
    width = flow.kept * unit
    count = whole(flow.kept) if place.lines == 1 and flow.unit == "documents" else short(flow.kept)
    share = percent(flow.kept, flows[0].arriving)
    parts = [
        element(
            "rect",
            title(f"{whole(flow.kept)} {flow.unit} kept, {share} of those read"),
            x=place.stream,
            y=top,
            width=max(width, 1.0),
            height=_BAR + 3,
            class_="node",
        ),
        text(place.stream, top + 25, f"{share} kept" if flows[0].arriving else "nothing read", "name strong"),
    ]
    if place.names:
        parts.append(text(place.left, top + 8, "kept", "name strong"))
    if place.lines == 2:
        parts.append(text(place.left, top + 22, count, "count"))
    else:
        parts.append(text(place.counts, top + 8, count, "count strong", "end"))
    return parts


def _documents(rows: Sequence[FunnelRow]) -> list[_Flow]:
    return [_Flow(row.step, "documents", row.documents_in, row.kept, row.dropped, row.failed) for row in rows]


def _characters(rows: Sequence[FunnelRow]) -> list[_Flow]:
    """Characters that left a step: with dropped documents, or cut out of kept ones."""
    return [
        _Flow(
            row.step,
            "characters",
            row.characters_in,
            row.characters_kept,
            max(0, row.characters_in - row.characters_kept),
            0,
        )
        for row in rows
    ]


def _step_height(rows: Sequence[FunnelRow], usual: float) -> float:
    return usual if len(rows) <= 14 else usual * 0.8


def _in_words(rows: Sequence[FunnelRow]) -> str:
    if not rows:
        return "Funnel without steps."
    read, kept = rows[0].documents_in, rows[-1].kept
    return (
        f"Funnel over {len(rows)} steps: {whole(kept)} of {whole(read)} documents kept "
        f"({percent(kept, read)}). The table below holds the same numbers."
    )


def _cut(name: str, letters: int) -> str:
    return name if len(name) <= letters else name[: letters - 1] + "…"
