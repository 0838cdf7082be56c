"""The report card: one HTML file that says what a run kept, dropped and learned.

::

    run folder ──► collect ──► ReportData ──► render ──► report.html
                  (DuckDB)    (plain values)  (charts, templates)

>>> from textmill.report import FunnelRow, ReportData, render
>>> row = FunnelRow("gopher_quality", 100, kept=80, dropped=19, failed=1, characters_in=9000, characters_kept=8000)
>>> page = render(ReportData("notes", funnel=(row,)))
>>> "Of 100 documents read, 80 were kept (80.0%)" in page
True

For a run there is ``write_report(Workspace.open("runs/notes"))``.
"""

from typing import Any

from textmill.report.model import FunnelRow, ReportData
from textmill.report.render import render

__all__ = ["FunnelRow", "ReportData", "render", "write_report"]


def __getattr__(name: str) -> Any:
    # Drawing needs neither DuckDB nor Arrow; reading a run does.
    if name == "write_report":
        from textmill.report.collect import write_report

        return write_report
    raise AttributeError(f"module 'textmill.report' has no attribute {name!r}")
