"""A batch of documents with the analysis that its rules share.

Words, lines and paragraphs are found once per text, on first use, and handed to every rule; so is whatever rules
of one family agree on (:meth:`Batch.shared`). A transform makes a new batch and with it a new analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from textmill.documents.identity import document_id
from textmill.documents.schema import DOCUMENT_SCHEMA, Document

if TYPE_CHECKING:
    from textmill.text import Lines, Words

Analysis = TypeVar("Analysis")


class Batch:
    """Some documents of one shard, in order, as a RecordBatch of :data:`DOCUMENT_SCHEMA`.

    Attributes:
        records: the Arrow data; treat as read-only.
    """

    def __init__(self, records: pa.RecordBatch) -> None:
        self.records = records
        self._shared: dict[Hashable, Any] = {}

    @classmethod
    def from_documents(cls, source: str, documents: Sequence[Document]) -> Batch:
        """A batch of documents as a source read them; their ids follow from ``source`` and locators."""
        ids = pa.array([document_id(source, document.locator) for document in documents], pa.binary(16))
        count = len(documents)
        columns = [
            ids,
            ids,
            pa.nulls(count, pa.binary(16)),
            pa.array([source] * count, pa.string()),
            pa.array([document.locator for document in documents], pa.string()),
            pa.array([document.url for document in documents], pa.string()),
            pa.array([document.text for document in documents], pa.large_string()),
            pa.array([document.metadata for document in documents], pa.string()),
        ]
        return cls(pa.RecordBatch.from_arrays(columns, schema=DOCUMENT_SCHEMA))

    @classmethod
    def from_texts(cls, texts: Sequence[str], source: str = "texts") -> Batch:
        """A batch of bare texts, numbered from 0: for tests and for trying a step by hand."""
        return cls.from_documents(source, [Document(str(i), text) for i, text in enumerate(texts)])

    def __len__(self) -> int:
        return int(self.records.num_rows)

    @property
    def ids(self) -> list[bytes]:
        """The 16-byte ids, in order."""
        result: list[bytes] = self.records.column("id").to_pylist()
        return result

    @property
    def texts(self) -> list[str]:
        """The texts as Python strings (a copy: kernels use :attr:`data` and :attr:`offsets`)."""
        result: list[str] = self.records.column("text").to_pylist()
        return result

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Where each text starts in :attr:`data`, and where the last ends: int64, shape (n + 1,)."""
        column = self.records.column("text")
        buffer = column.buffers()[1]
        if buffer is None:
            return np.zeros(1, np.int64)
        everything = np.frombuffer(buffer, np.int64)
        return everything[column.offset : column.offset + len(column) + 1]

    @cached_property
    def data(self) -> npt.NDArray[np.uint8]:
        """The UTF-8 bytes that :attr:`offsets` point into: uint8, not copied from Arrow."""
        buffer = self.records.column("text").buffers()[2]
        if buffer is None:
            return np.zeros(0, np.uint8)
        return np.frombuffer(buffer, np.uint8)

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of all texts together."""
        return int(self.offsets[-1] - self.offsets[0])

    @cached_property
    def code_points(self) -> npt.NDArray[np.int64]:
        """Characters (Unicode code points) of each text: int64, shape (n,)."""
        lengths: npt.NDArray[np.int64] = np.asarray(
            pc.utf8_length(self.records.column("text")).to_numpy(zero_copy_only=False), np.int64
        )
        return lengths

    @cached_property
    def words(self) -> Words:
        """Tokens by Unicode's word boundaries (UAX #29)."""
        from textmill.text import segment_words

        return segment_words(self.data, self.offsets)

    @cached_property
    def lines(self) -> Lines:
        """Lines, split at newlines."""
        from textmill.text import split_lines

        return split_lines(self.data, self.offsets)

    @cached_property
    def paragraphs(self) -> Lines:
        """Paragraphs, split at two or more newlines."""
        from textmill.text import split_paragraphs

        return split_paragraphs(self.data, self.offsets)

    def shared(self, name: Hashable, find: Callable[[Batch], Analysis]) -> Analysis:
        """What ``find`` says of this batch: asked once, and remembered under ``name`` for all rules.

        >>> batch = Batch.from_texts(["One two.", "Three."])
        >>> batch.shared("capitals", lambda batch: [text[0] for text in batch.texts])
        ['O', 'T']
        """
        if name not in self._shared:
            self._shared[name] = find(self)
        found: Analysis = self._shared[name]
        return found

    def with_texts(self, texts: pa.Array, metadata: pa.Array | None = None) -> Batch:
        """The same documents with other texts (and metadata); nothing of the old analysis is kept."""
        columns = self.records.columns
        columns[DOCUMENT_SCHEMA.get_field_index("text")] = texts.cast(pa.large_string())
        if metadata is not None:
            columns[DOCUMENT_SCHEMA.get_field_index("metadata")] = metadata
        return Batch(pa.RecordBatch.from_arrays(columns, schema=self.records.schema))

    def select(self, mask: npt.NDArray[np.bool_]) -> Batch:
        """The documents where ``mask`` (bool, shape (n,)) is true, in order."""
        if mask.all():
            return self
        return Batch(self.records.filter(pa.array(mask)))

    def slice(self, start: int, length: int) -> Batch:
        """``length`` documents from ``start`` on; the bytes are shared, not copied."""
        return Batch(self.records.slice(start, length))
