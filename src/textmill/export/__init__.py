"""Export: the curated corpus as files that other programs read.

::

    run folder ─► final documents, shard by shard ─┬─► corpus.txt | .jsonl | .parquet   (.gz, .zst)
                                                   └─► train.txt, val.txt; or train_N.txt, val_N.txt per input

Streamed: a row group of documents is held at a time. The same run gives the same bytes; a file appears under
its name only when it is complete.

>>> from textmill.export import one_line
>>> one_line("A text\\n\\nof two paragraphs.")
'A text of two paragraphs.'
"""

from textmill.export.corpus import Exported, export_corpus, export_splits
from textmill.export.formats import COMPRESSIONS, FORMATS, one_line

__all__ = ["COMPRESSIONS", "FORMATS", "Exported", "export_corpus", "export_splits", "one_line"]
