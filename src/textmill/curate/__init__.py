"""Curate: what stays, what goes, and what is mended on the way. One file per step.

::

    transforms (new texts)     extract · normalize · c4_lines · keyword_lines
    filters (scores, rules)    language · url_filter · keywords · heuristics · gopher_quality ·
                               gopher_repetition · c4 · fineweb · sample · custom
    global (all documents)     exact_dedup · near_dedup · line_dedup · span_dedup · decontaminate · budget

    documents ─► normalize ─► language ─► gopher_quality ─► c4_lines ─► c4 ─► exact_dedup ─► kept
                 in the order of the recipe; filters side by side share one analysis of the text

>>> from textmill.curate import STEPS
>>> from textmill.documents import Batch
>>> from textmill.steps import StepContext
>>> normalize = STEPS["normalize"]().open(StepContext())
>>> normalize.transform(Batch.from_texts(["A cafÃ© \\r\\n\\n\\n\\nby the sea.\\n"])).texts.to_pylist()
['A café\\n\\nby the sea.']
"""

from textmill.curate.c4 import C4, C4Lines
from textmill.curate.custom import Custom
from textmill.curate.decontaminate import Decontaminate
from textmill.curate.exact_dedup import ExactDedup
from textmill.curate.fineweb import FineWeb
from textmill.curate.gopher_quality import GopherQuality
from textmill.curate.gopher_repetition import GopherRepetition
from textmill.curate.heuristics import Heuristics
from textmill.curate.keywords import KeywordLines, Keywords
from textmill.curate.language import Language
from textmill.curate.line_dedup import LineDedup
from textmill.curate.near_dedup import NearDedup
from textmill.curate.normalize import Normalize
from textmill.curate.sample import Budget, Sample
from textmill.curate.span_dedup import SpanDedup
from textmill.curate.url_filter import UrlFilter
from textmill.extract.step import Extract
from textmill.steps.settings import StepSettings

STEPS: dict[str, type[StepSettings]] = {
    step.name: step
    for step in (
        Extract,
        Normalize,
        Language,
        GopherQuality,
        GopherRepetition,
        C4Lines,
        C4,
        FineWeb,
        Heuristics,
        Keywords,
        KeywordLines,
        UrlFilter,
        Sample,
        Budget,
        ExactDedup,
        LineDedup,
        SpanDedup,
        NearDedup,
        Decontaminate,
        Custom,
    )
}
"""What a recipe may write under ``curate:``. Importing it imports nothing heavy."""

__all__ = [
    "C4",
    "STEPS",
    "Budget",
    "C4Lines",
    "Custom",
    "Decontaminate",
    "ExactDedup",
    "Extract",
    "FineWeb",
    "GopherQuality",
    "GopherRepetition",
    "Heuristics",
    "KeywordLines",
    "Keywords",
    "Language",
    "LineDedup",
    "NearDedup",
    "Normalize",
    "Sample",
    "SpanDedup",
    "UrlFilter",
]
