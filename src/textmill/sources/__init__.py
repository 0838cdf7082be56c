"""Sources: every way in.

::

    recipe's ``sources:`` ──► settings ──► plan(split_bytes) ──► splits, one task each
                                                                   │
                                           Document, Failure or Dropped ◄── open(context).read(split)

A source cuts its input into splits by names and sizes alone, so that parallelism never depends on how the
files were cut, and a document's locator never depends on the split that it came in.

>>> import tempfile, pathlib
>>> from textmill.sources import SOURCES
>>> from textmill.steps import StepContext
>>> folder = pathlib.Path(tempfile.mkdtemp())
>>> _ = (folder / "notes.jsonl").write_text('{"text": "One."}\\n\\n{"text": 2}\\n')
>>> files = SOURCES["files"](paths=str(folder))
>>> for split in files.plan(split_bytes=1):
...     for record in files.open(StepContext()).read(split):
...         print(record.locator, getattr(record, "text", None) or record.reason)
notes.jsonl:1 One.
notes.jsonl:3 the field 'text' holds a number (2), not text
"""

from textmill.sources.crawl import Crawl
from textmill.sources.files import Files
from textmill.sources.python_docs import PythonDocs
from textmill.sources.warc import Warc
from textmill.steps.source import SourceSettings

SOURCES: dict[str, type[SourceSettings]] = {kind.name: kind for kind in (Files, Warc, Crawl, PythonDocs)}
"""What a recipe may write under ``sources:``. Importing it imports nothing heavy."""

__all__ = ["SOURCES", "Crawl", "Files", "PythonDocs", "Warc"]
