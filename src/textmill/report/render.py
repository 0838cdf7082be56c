"""The page: report data poured into the templates.

Everything that comes from documents or from a model passes through :func:`textmill.report.numerals.visible` and
jinja2's escaping, and the page forbids by a content security policy whatever is not its own: no address is
loaded, no script runs but the one whose hash the policy names.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from textmill.report import numerals
from textmill.report.charts import funnel_narrow, funnel_wide, histogram, loss_curve
from textmill.report.model import Evaluation, Histogram, Reason, ReportData, Tokens, Training


def render(data: ReportData) -> str:
    """The report card as one HTML page that needs no other file.

    The same data give the same page. What differs between machines stands in the element ``#measured``.
    """
    script = _package_text("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = _environment().get_template("report.html")
    return page.render(
        data=data,
        style=Markup(_package_text("style.css")),
        script=Markup(script),
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'",
        headline=_headline(data),
        most_dropped=next((reason for reason in data.reasons if not reason.failed), None),
        groups=_by_step(data.histograms),
        unigram_loss=_unigram_loss(data.evaluation),
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_package_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        whole=numerals.whole,
        short=numerals.short,
        size=numerals.size,
        duration=numerals.duration,
        number=numerals.number,
        visible=numerals.visible,
    )
    environment.globals.update(
        percent=numerals.percent,
        beside=numerals.beside,
        funnel_wide=funnel_wide,
        funnel_narrow=funnel_narrow,
        histogram=histogram,
        loss_curve=loss_curve,
        width=_width,
        requirement=_requirement,
        lost_characters=lambda row: row.characters_in - row.characters_kept,
        curve_rows=_curve_rows,
    )
    return environment


def _package_text(name: str) -> str:
    return files("textmill.report").joinpath("templates", name).read_text(encoding="utf-8")


def _headline(data: ReportData) -> list[tuple[str, str, str]]:
    """The big numbers: name, number, and what to compare it with."""
    cards = []
    if data.funnel:
        read, kept = data.documents_read, data.documents_kept
        share = numerals.percent(kept, read)
        cards.append(
            (
                "Documents kept",
                numerals.short(kept),
                f"{numerals.whole(kept)} of {numerals.whole(read)}, {share}",
            )
        )
        read, kept = data.characters_read, data.characters_kept
        share = numerals.percent(kept, read)
        cards.append(("Characters kept", numerals.short(kept), f"of {numerals.short(read)}, {share}"))
    if data.tokens:
        cards.append(("Tokens", numerals.short(data.tokens.total), _per_token(data.tokens)))
    if data.evaluation and data.evaluation.bits_per_byte is not None:
        cards.append(
            ("Bits per byte", numerals.number(data.evaluation.bits_per_byte), _compared(data.evaluation))
        )
    return cards


def _per_token(tokens: Tokens) -> str:
    if not tokens.total:
        return "no tokens"
    return f"{tokens.text_bytes / tokens.total:.2f} bytes of text per token"


def _compared(evaluation: Evaluation) -> str:
    below = evaluation.below_unigram
    if below is None or not math.isfinite(below):
        return "on held-out documents"
    direction = "below" if below >= 0 else "above"
    return (
        f"{abs(below):.1%} {direction} a unigram model ({numerals.number(evaluation.unigram_bits_per_byte)})"
    )


def _unigram_loss(evaluation: Evaluation | None) -> float | None:
    """The unigram model's loss in nats per token: bits per byte times bytes per token times ln 2."""
    if not evaluation or not evaluation.unigram_bits_per_byte:
        return None
    if not evaluation.tokens or not evaluation.text_bytes:
        return None
    return evaluation.unigram_bits_per_byte * math.log(2) * evaluation.text_bytes / evaluation.tokens


def _by_step(histograms: Iterable[Histogram]) -> list[tuple[str, list[Histogram]]]:
    """Histograms that follow each other and belong to one step, together."""
    return [(step, list(group)) for step, group in groupby(histograms, key=lambda one: one.step)]


def _width(part: float, largest: float) -> str:
    """Length of a bar as a style: per cent of the longest, to a hundredth."""
    if not largest or not math.isfinite(part / largest):
        return "width:0"
    return f"width:{100 * part / largest:.2f}%"


def _requirement(reason: Reason, value: float | None, threshold: float | None) -> str:
    """What would have been kept, in words: ``at least 50``; empty when unknown."""
    if value is None or threshold is None or math.isnan(value):
        return ""
    return f"{'at least' if value < threshold else 'at most'} {numerals.number(threshold)}"


def _curve_rows(training: Training) -> list[dict[str, Any]]:
    """About a dozen rows of the loss curve and every held-out loss (at most 40), by tokens."""
    rows: dict[float, dict[str, Any]] = {}
    for name, points in (("loss", _some(training.loss, 12)), ("validation", _some(training.validation, 40))):
        for tokens, loss in points:
            rows.setdefault(tokens, {"tokens": tokens, "loss": None, "validation": None})[name] = loss
    return [rows[tokens] for tokens in sorted(rows)]


def _some(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most ``most`` points, evenly spread, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(position * (len(points) - 1) / (most - 1))] for position in range(most)]
