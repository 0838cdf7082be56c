"""What a step is: settings that a recipe can hold, and the work they open.

::

    Settings ─┬─ SourceSettings ─► plan() splits ─► read(split) documents
              ├─ Filter         ─► scores(batch)            rules() decide, never the filter
              ├─ Transform      ─► transform(batch)         new texts, and how much changed
              ├─ GlobalStep     ─► fingerprint(batch) ─► resolve(partition) ─► removals (CuttingStep: cuts)
              └─ Stage          ─► run(context)             a section: tokenizer, tokens, train, evaluate

Settings are small frozen objects; importing them imports nothing heavy. ``open(context)`` may.

>>> from textmill.steps import Rule
>>> Rule("words", minimum=50).keeps([10.0, 50.0, float("nan")]).tolist()
[False, True, True]
"""

from textmill.steps.context import StepContext
from textmill.steps.cutting import CuttingStep, cut_schema
from textmill.steps.filter import Filter, FilterRunner
from textmill.steps.global_step import GlobalRunner, GlobalStep
from textmill.steps.phases import Phase, PhaseWork
from textmill.steps.rules import Rule
from textmill.steps.settings import ByteSize, Count, Settings
from textmill.steps.source import SourceReader, SourceSettings, Split
from textmill.steps.stage import Stage, StageContext, StageResult
from textmill.steps.transform import Edit, Transform, TransformRunner

__all__ = [
    "ByteSize",
    "Count",
    "CuttingStep",
    "Edit",
    "Filter",
    "FilterRunner",
    "GlobalRunner",
    "GlobalStep",
    "Phase",
    "PhaseWork",
    "Rule",
    "Settings",
    "SourceReader",
    "SourceSettings",
    "Split",
    "Stage",
    "StageContext",
    "StageResult",
    "StepContext",
    "Transform",
    "TransformRunner",
    "cut_schema",
]
