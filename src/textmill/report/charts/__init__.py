"""Pictures of a report card, drawn as SVG by hand.

::

    rows, histograms, curves ──► scale ──► elements ──► one <svg> with a description in words

Colours, line widths and type come from the page's style sheet, so that light, dark and print need one drawing.

>>> from textmill.report.charts import histogram
>>> from textmill.report.model import Histogram
>>> str(histogram(Histogram("gopher", "words", (0.0, 1.0, 2.0), (3, 1)), 270, 120))[:38]
'<svg viewBox="0 0 270 120" width="270"'
"""

from textmill.report.charts.curve import loss_curve
from textmill.report.charts.funnel import funnel_narrow, funnel_wide
from textmill.report.charts.histogram import histogram

__all__ = ["funnel_narrow", "funnel_wide", "histogram", "loss_curve"]
