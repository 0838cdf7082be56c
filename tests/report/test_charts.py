"""Geometry: what is drawn is as long as what it stands for."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.example import EVERY, billion, example, funnel, training
from textmill.report.charts import funnel_narrow, funnel_wide, histogram, loss_curve
from textmill.report.charts.svg import linear, log_ticks, ticks
from textmill.report.model import FunnelRow, Histogram, Training


def rectangles(svg: str, kind: str) -> list[dict[str, str]]:
    return [one.attrib for one in ET.fromstring(svg).iter("rect") if one.get("class") == kind]


def paths(svg: str, kind: str) -> list[dict[str, str]]:
    return [one.attrib for one in ET.fromstring(svg).iter("path") if one.get("class") == kind]


def labels(svg: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(svg).iter("text")]


def test_funnel_widths_are_to_scale():
    rows = funnel()
    svg = funnel_wide(rows)
    nodes = [float(one["width"]) for one in rectangles(svg, "node")]
    documents, characters = nodes[: len(rows) + 1], nodes[len(rows) + 1 :]
    expected = [row.documents_in for row in rows] + [rows[-1].kept]
    assert documents == pytest.approx([172 * value / expected[0] for value in expected], abs=0.02)
    expected = [row.characters_in for row in rows] + [rows[-1].characters_kept]
    assert characters == pytest.approx([172 * value / expected[0] for value in expected], abs=0.02)
    kept = [float(one["width"]) for one in rectangles(svg, "kept")][: len(rows)]
    assert kept == pytest.approx([172 * row.kept / rows[0].documents_in for row in rows], abs=0.02)


def test_what_leaves_is_as_wide_as_it_is_many():
    rows = funnel()
    ribbons = [float(one["data-width"]) for one in paths(funnel_narrow(rows, "documents"), "leaving dropped")]
    expected = [126 * row.dropped / rows[0].documents_in for row in rows if row.dropped]
    assert ribbons == pytest.approx(expected, abs=0.01)
    failed = paths(funnel_narrow(rows, "documents"), "leaving failed")
    assert len(failed) == sum(1 for row in rows if row.failed)


def test_one_in_a_billion_is_drawn_and_named():
    svg = funnel_wide(billion().funnel)
    assert len(paths(svg, "leaving dropped")) == 2 + 2
    assert "−1 · <0.1%" in labels(svg)
    assert "+0.1%" in labels(svg)


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_funnels_stay_inside_their_frame(make):
    rows = make().funnel
    drawings = [funnel_wide(rows), funnel_narrow(rows, "documents"), funnel_narrow(rows, "characters")]
    for svg in drawings:
        width, height = (float(v) for v in ET.fromstring(svg).attrib["viewBox"].split()[2:])
        for one in ET.fromstring(svg).iter("text"):
            text = one.text or "".join(one.itertext())
            start = float(one.attrib["x"]) - (7 * len(text) if one.get("text-anchor") == "end" else 0)
            if one.get("class") != "name":  # cut to a number of letters instead
                assert start > -40
                assert float(one.attrib["x"]) < width
            assert 0 <= float(one.attrib["y"]) <= height


def test_funnel_of_nothing_divides_by_nothing():
    svg = funnel_wide((FunnelRow("ingest", 0, 0, 0, 0, 0, 0),))
    assert "nothing read" in labels(svg)
    ET.fromstring(funnel_wide(()))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), st.data())
def test_bars_are_as_high_as_their_counts(counts, data):
    outside = [data.draw(st.integers(0, count)) for count in counts]
    edges = tuple(float(position) for position in range(len(counts) + 1))
    svg = str(histogram(Histogram("s", "score", edges, tuple(counts), tuple(outside)), 280, 132))
    groups = list(ET.fromstring(svg).iter("g"))
    drawn = [count for count in counts if count]
    assert [int(one.attrib["data-count"]) for one in groups] == drawn
    places = [position for position, count in enumerate(counts) if count]
    second, largest = [0, *sorted(counts)][-2:]
    cut = 0 < 4 * second < largest
    top = 1.5 * second if cut else largest
    assert (f"{largest:,}" in labels(svg)) or not cut
    assert len([one for one in ET.fromstring(svg).iter("line") if one.get("class") == "cut"]) == cut
    for group, position in zip(groups, places, strict=True):
        bars = {one.attrib["class"]: float(one.attrib["height"]) for one in group.iter("rect")}
        tall = min(max(92 * counts[position] / top, 1.0), 92.0)
        assert sum(bars.values()) == pytest.approx(tall, abs=0.02)
        assert bars.get("bar out", 0.0) == pytest.approx(
            tall * outside[position] / counts[position], abs=0.02
        )


def test_threshold_is_drawn_where_it_lies():
    one = Histogram("s", "words", (0.0, 50.0, 100.0), (4, 6), (4, 0), 1, 99, minimum=50, maximum=5000)
    svg = histogram(one, 280, 132)
    lines = [line.attrib for line in ET.fromstring(svg).iter("line") if line.get("class") == "threshold"]
    assert [float(line["x1"]) for line in lines] == [140.0]
    assert "min 50" in labels(svg)
    assert "max 5,000 →" in labels(svg)


def test_logarithmic_axis():
    one = Histogram("s", "words", (1.0, 10.0, 100.0, 1000.0), (1, 1, 1), logarithmic=True, minimum=10.0)
    svg = histogram(one, 280, 132)
    widths = [float(bar["width"]) for bar in rectangles(svg, "bar")]
    assert widths == pytest.approx([268 / 3 - 0.75] * 3, abs=0.01)
    line = next(line for line in ET.fromstring(svg).iter("line") if line.get("class") == "threshold")
    assert float(line.attrib["x1"]) == pytest.approx(6 + 268 / 3, abs=0.01)


def test_loss_curve_goes_through_its_points():
    points = ((0.0, 4.0), (50.0, 3.0), (100.0, 2.0))
    svg = loss_curve(Training(loss=points, validation=((100.0, 2.5),)), 5.0, 920, 360, "wide")
    raw = paths(svg, "loss raw")[0]["d"]
    numbers = [float(value) for value in re.findall(r"[-0-9.]+", raw)]
    across, down = numbers[0::2], numbers[1::2]
    assert across == [40.0, 428.0, 816.0]
    assert down[1] == pytest.approx((down[0] + down[2]) / 2, abs=0.06)
    up = linear(2.0 - 0.15, 5.0 + 0.15, 318, 14)
    assert down == pytest.approx([up(4.0), up(3.0), up(2.0)], abs=0.06)
    assert {"training 2.00", "held-out 2.50", "unigram 5.00"} <= set(labels(svg))


def test_long_loss_curves_are_thinned():
    svg = str(loss_curve(training(), None, 920, 360, "wide"))
    assert len(paths(svg, "loss raw")[0]["d"].split("L")) <= 400
    many = Training(loss=tuple((float(i), 3.0) for i in range(100_000)))
    assert len(str(loss_curve(many, None, 920, 360, "wide"))) < 40_000


def test_labels_at_the_ends_do_not_overlap():
    data = Training(loss=((0.0, 9.0), (1.0, 2.0)), validation=((1.0, 2.001),))
    svg = loss_curve(data, 2.002, 350, 280, "narrow")
    heights = sorted(
        float(one.attrib["y"])
        for one in ET.fromstring(svg).iter("text")
        if "end" in one.attrib["class"].split()
    )
    assert len(heights) == 3
    assert min(b - a for a, b in itertools.pairwise(heights)) >= 14.9


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e9), st.integers(1, 10))
def test_ticks_lie_inside(low, extent, count):
    found = ticks(low, low + extent, count)
    assert len(found) <= 2 * count + 2
    assert all(low - extent * 0.01 <= value <= low + extent * 1.01 for value in found)


def test_ticks_are_round():
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.1, 0.35, 3) == [0.1, 0.2, 0.3]
    assert log_ticks(1, 1000, 5) == [1, 10, 100, 1000]
    assert log_ticks(30, 400, 5) == [50, 100, 200]


def test_hostile_names_do_not_break_a_drawing():
    for svg in (
        funnel_wide((FunnelRow('"><script>\x00', 2, 1, 1, 0, 2, 1),)),
        histogram(Histogram("s", '"><script>\x00', (0.0, 1.0), (1,)), 280, 132),
    ):
        ET.fromstring(svg)
        assert "<script" not in svg


def test_example_histograms_are_drawn():
    for one in example().histograms:
        ET.fromstring(histogram(one, 280, 132))
