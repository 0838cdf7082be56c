"""Documents: what travels through the mill.

::

    source ──► Document ──► Batch (a RecordBatch, its UTF-8 bytes, shared analysis) ──► shard (Parquet, zstd)

A document is a row of :data:`DOCUMENT_SCHEMA`; its id is a hash of where it comes from, never of where it
lies now.

>>> from textmill.documents import Batch, document_id, format_id
>>> format_id(document_id("notes", "day/monday.txt"))
'a07b6c07988a14047495e40665f87c84'
>>> batch = Batch.from_texts(["One text.", "Ein Käse."])
>>> batch.code_points.tolist(), batch.text_bytes
([9, 9], 19)
"""

from textmill.documents.batch import Batch
from textmill.documents.identity import derived_id, document_id, format_id, parse_id
from textmill.documents.schema import DOCUMENT_SCHEMA, Document, Dropped, Failure
from textmill.documents.shards import ShardWriter, read_batches

__all__ = [
    "DOCUMENT_SCHEMA",
    "Batch",
    "Document",
    "Dropped",
    "Failure",
    "ShardWriter",
    "derived_id",
    "document_id",
    "format_id",
    "parse_id",
    "read_batches",
]
