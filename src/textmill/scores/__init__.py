"""Scores: what was measured of every document, and what other thresholds would keep.

::

    passes/*/scores ─┬─► score_statistics   count, mean, percentiles, share outside each rule, by language or source
                     └─► what_if            the same verdicts taken again with other thresholds; no text is read

>>> from textmill.scores import PERCENTILES
>>> PERCENTILES
(1, 5, 25, 50, 75, 95, 99)
"""

from textmill.scores.statistics import PERCENTILES, score_statistics
from textmill.scores.what_if import what_if

__all__ = ["PERCENTILES", "score_statistics", "what_if"]
