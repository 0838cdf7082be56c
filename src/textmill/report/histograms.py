"""Histograms of the ledger's score columns, counted by DuckDB in two scans with memory that does not grow.

The first scan counts every column over fixed, finely graded bins (eight per doubling), which is enough to
choose an axis; the second counts it over the bins that are drawn. Both count every row: nothing is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textmill.report.model import Histogram

if TYPE_CHECKING:
    import duckdb

BINS = 36
_FINE_POSITIVE = [2.0 ** (step / 8) for step in range(-24 * 8, 48 * 8 + 1)]
_FINE = [-edge for edge in reversed(_FINE_POSITIVE)] + [0.0] + _FINE_POSITIVE
# A histogram shows all but the outermost thousandth at either side; those are counted in the end bins.
_TAIL = 0.001


@dataclass(frozen=True)
class Bounds:
    """The rule over a score: its bounds, and how many documents it dropped."""

    minimum: float | None = None
    maximum: float | None = None
    dropped: int | None = None


def score_histograms(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    columns: Sequence[str],
    bounds: Mapping[str, Bounds],
    bins: int = BINS,
) -> list[Histogram]:
    """A histogram of each of ``columns`` (numbers, called ``<step>.<score>``) of a table or query.

    NULL, NaN and infinities are counted as missing. Whether a value breaks its bounds is decided as the
    pipeline decides it: both rounded to float32, a value equal to a bound is kept.

    Args:
        relation: SQL that may stand after FROM.
        bounds: by column; columns without a rule may be left out.
    """
    columns = list(columns)
    if not columns:
        return []
    ranges = _ranges(connection, relation, columns)
    edges = [
        _edges(found, bounds.get(column, Bounds()), bins)
        for column, found in zip(columns, ranges, strict=True)
    ]
    selected = []
    for column, (borders, _) in zip(columns, edges, strict=True):
        value = _clamped(column, borders)
        breaks = _breaks(column, bounds.get(column, Bounds()))
        finite = _finite(column)
        selected.append(f"histogram({value}, {_list(borders[1:])}) FILTER (WHERE {finite})")
        selected.append(f"histogram({value}, {_list(borders[1:])}) FILTER (WHERE {finite} AND {breaks})")
    row = connection.execute(f"SELECT {', '.join(selected)} FROM {relation}").fetchone()
    assert row is not None
    drawn = []
    for position, column in enumerate(columns):
        borders, log_axis = edges[position]
        found, bound = ranges[position], bounds.get(column, Bounds())
        step, _, score = column.partition(".") if "." in column else ("", "", column)
        drawn.append(
            Histogram(
                step=step,
                score=score,
                edges=tuple(borders),
                counts=_counts(row[2 * position], len(borders) - 1),
                outside=_counts(row[2 * position + 1], len(borders) - 1),
                smallest=found.smallest,
                largest=found.largest,
                missing=found.missing,
                minimum=bound.minimum,
                maximum=bound.maximum,
                dropped=bound.dropped,
                logarithmic=log_axis,
            )
        )
    return drawn


@dataclass(frozen=True)
class _Range:
    """What the first scan found; ``fine`` are counts up to each border of :data:`_FINE` and, last, above it."""

    smallest: float | None
    largest: float | None
    missing: int
    whole_numbers: bool
    fine: tuple[int, ...]

    def quantile(self, share: float) -> tuple[float, float]:
        """The fine bin in which the quantile lies, cut to the values there are."""
        assert self.smallest is not None
        assert self.largest is not None
        wanted, seen = share * sum(self.fine), 0
        for position, count in enumerate(self.fine):
            seen += count
            if count and seen >= wanted:
                low = _FINE[position - 1] if position else self.smallest
                high = _FINE[position] if position < len(_FINE) else self.largest
                return max(low, self.smallest), min(high, self.largest)
        return self.largest, self.largest


def _ranges(connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]) -> list[_Range]:
    selected = ["count(*)"]
    for column in columns:
        name, only = _quoted(column), f"FILTER (WHERE {_finite(column)})"
        selected += [
            f"count(*) {only}",
            f"min({name}) {only}",
            f"max({name}) {only}",
            f"bool_and({name} = floor({name})) {only}",
            f"histogram({name}::DOUBLE, {_list(_FINE)}) {only}",
        ]
    row = connection.execute(f"SELECT {', '.join(selected)} FROM {relation}").fetchone()
    assert row is not None
    found = []
    for position in range(len(columns)):
        finite, smallest, largest, whole_numbers, fine = row[1 + 5 * position : 6 + 5 * position]
        counts = _counts(fine, len(_FINE) + 1)
        missing = row[0] - finite
        if smallest is None:
            found.append(_Range(None, None, missing, False, counts))
        else:
            found.append(_Range(float(smallest), float(largest), missing, bool(whole_numbers), counts))
    return found


def _edges(found: _Range, bounds: Bounds, bins: int) -> tuple[list[float], bool]:
    """Borders of the bins to draw, and whether they are spaced by the logarithm."""
    if found.smallest is None or found.largest is None:
        return [0.0, 1.0], False
    thresholds = [value for value in (bounds.minimum, bounds.maximum) if value is not None]
    low, high = found.quantile(_TAIL)[0], found.quantile(1 - _TAIL)[1]
    middle = found.quantile(0.5)[1]
    if found.whole_numbers and high - low <= bins + 4:
        low, high = _reach(low, high, thresholds, 2 * (high - low) + 5)
        low, high = math.floor(low), math.ceil(high)
        return [value - 0.5 for value in range(low, high + 2)], False
    if found.smallest >= 0 and high >= 1000 and high > 30 * max(middle, 1.0):
        return _log_edges(max(low, 1.0), high, thresholds, bins), True
    if found.smallest > 0 and high > 200 * low and high >= 1000:
        return _log_edges(low, high, thresholds, bins), True
    if not high > low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    return _linear_edges(low, high, thresholds, bins), False


def _log_edges(low: float, high: float, thresholds: Sequence[float], bins: int) -> list[float]:
    for threshold in thresholds:
        if threshold > 0 and low / 20 <= threshold <= high * 20:
            low, high = min(low, threshold / 1.3), max(high, threshold * 1.3)
    high = max(high, low * 2)
    ratio = math.log(high / low) / bins
    start = math.log(low)
    inside = [value for value in thresholds if low < value < high]
    if inside:
        # Bins are moved so that the first threshold falls between two of them.
        start = math.log(inside[0]) - math.ceil((math.log(inside[0]) - start) / ratio) * ratio
    count = math.ceil((math.log(high) - start) / ratio - 1e-9)
    return [math.exp(start + ratio * position) for position in range(count + 1)]


def _linear_edges(low: float, high: float, thresholds: Sequence[float], bins: int) -> list[float]:
    floor, ceiling = _reach(low, high, thresholds, 4 * (high - low))
    width = (ceiling - floor) / bins
    start = floor
    inside = [value for value in thresholds if floor < value < ceiling]
    if inside:
        start = inside[0] - math.ceil((inside[0] - floor) / width - 1e-9) * width
    if low >= 0 > start:
        # Shares and counts have no negative values: a shorter first bin rather than an axis below zero.
        first = [0.0] + [start + width * position for position in range(1, bins + 2)]
        edges = [value for position, value in enumerate(first) if position == 0 or value > width * 1e-6]
    else:
        edges = [start + width * position for position in range(bins + 2)]
    last = next(position for position, value in enumerate(edges) if value >= ceiling - width * 1e-6)
    return edges[: max(last, 1) + 1]


def _reach(low: float, high: float, thresholds: Sequence[float], most: float) -> tuple[float, float]:
    """The range widened to thresholds that lie near enough for the data to stay readable."""
    wide_low, wide_high = low, high
    for threshold in thresholds:
        if low - most <= threshold <= high + most:
            margin = (high - low) * 0.04
            wide_low = min(wide_low, threshold - margin)
            wide_high = max(wide_high, threshold + margin)
    return wide_low, wide_high


def _counts(found: Mapping[float, int] | None, bins: int) -> tuple[int, ...]:
    """Counts per bin from DuckDB's map of upper borders to counts.

    The map holds every border, and infinity when something lies above the last; it is NULL without rows.
    """
    ordered = [count for _, count in sorted((found or {}).items())]
    return tuple(ordered + [0] * (bins - len(ordered)))


def _clamped(column: str, borders: Sequence[float]) -> str:
    name = _quoted(column)
    return f"least(greatest({name}::DOUBLE, {borders[0]!r}::DOUBLE), {borders[-1]!r}::DOUBLE)"


def _breaks(column: str, bounds: Bounds) -> str:
    name = _quoted(column)
    tests = []
    if bounds.minimum is not None:
        tests.append(f"{name}::FLOAT < {bounds.minimum!r}::DOUBLE::FLOAT")
    if bounds.maximum is not None:
        tests.append(f"{name}::FLOAT > {bounds.maximum!r}::DOUBLE::FLOAT")
    return f"({' OR '.join(tests)})" if tests else "false"


def _finite(column: str) -> str:
    return f"isfinite({_quoted(column)})"


def _list(values: Sequence[Any]) -> str:
    return "[" + ", ".join(f"{float(value)!r}::DOUBLE" for value in values) + "]"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
