"""The global step ``line_dedup``: lines, paragraphs or runs of sentences that stand in many documents, once.

::

    text ─► units ─► keys (128 bits) ─► repeated? ─► cut all but the first
            line · paragraph · three sentences
"""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from textmill.curate.exact_dedup import comparable
from textmill.curate.repetition import repeated_units
from textmill.steps.context import StepContext
from textmill.steps.cutting import CuttingStep
from textmill.steps.global_step import GlobalRunner

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

Borders = npt.NDArray[np.int64]


class LineDedup(CuttingStep):
    """Cuts lines, paragraphs or runs of sentences that other documents have already.

    What others did: C4 kept one occurrence of any three-sentence span (Raffel et al., 2020, arXiv:1910.10683,
    section 2.2): ``{unit: sentences, count: occurrences}``. CCNet kept the first of equal paragraphs, compared
    in lower case, without punctuation and with all digits alike (Wenzek et al., 2020, arXiv:1911.00359, 3.1):
    ``{normalize: digits, count: occurrences, min_characters: 1}``. Llama 3 cut lines seen more than six times
    among 30 million documents (Dubey et al., 2024, arXiv:2407.21783, 3.1.1): ``{min_count: 7, keep: none}``.

    Units are compared by 128 bits of BLAKE2b, after ``normalize``. The copy that stays is that of the source
    that stands first in the recipe, and among those in the document with the smallest id. With runs of
    sentences every sentence goes that lies in a repeated run; each still stands in an earlier copy of the run.
    """

    name: ClassVar[str] = "line_dedup"
    shorthand: ClassVar[str | None] = "unit"

    unit: Literal["line", "paragraph", "sentences"] = Field(
        default="line",
        description="What is compared: lines; paragraphs (between blank lines); runs of ``sentences`` sentences.",
    )
    sentences: int = Field(
        default=3, ge=1, description="Sentences in a run (C4: 3); texts with fewer have no run."
    )
    min_count: int = Field(default=2, ge=2, description="A unit repeats that occurs at least so often.")
    count: Literal["documents", "occurrences"] = Field(
        default="documents",
        description="What is counted: documents that hold the unit (a refrain stays in its song), or every "
        "occurrence.",
    )
    keep: Literal["first", "none"] = Field(
        default="first", description="Whether the first copy stays. With ``none`` the text is gone for good."
    )
    min_characters: int = Field(
        default=20,
        ge=1,
        description="Shorter units stay wherever they are: a bracket, ``Chapter I``, ``Yes.``.",
    )
    normalize: Literal["none", "whitespace", "case", "letters", "digits"] = Field(
        default="case",
        description="What makes no difference: nothing; white space; nor upper and lower case; nor anything but "
        "letters and numbers; nor which digit it is.",
    )
    scope: Literal["all", "source"] = Field(
        default="all", description="Whether units are compared across all sources, or within each."
    )

    def open(self, context: StepContext) -> GlobalRunner:
        """Return the runner."""
        return _Comparer(self)


class _Comparer:
    def __init__(self, settings: LineDedup) -> None:
        self._settings = settings

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key``, ``id``, ``start`` and ``end`` (bytes of the text): one row per unit."""
        import pyarrow as pa

        starts, ends, owners = self._units(batch)
        data = batch.data.data
        salts = [b""] * len(batch)
        if self._settings.scope == "source":
            salts = [source.encode() + b"\0" for source in batch.records.column("source").to_pylist()]
        keys, rows = [], []
        least, normalize = self._settings.min_characters, self._settings.normalize
        places = zip(starts.tolist(), ends.tolist(), owners.tolist(), strict=True)
        for row, (start, end, owner) in enumerate(places):
            if end - start < least:
                continue  # a character has at least one byte
            unit = bytes(data[start:end])
            text = unit.decode()
            if len(text) < least:
                continue
            if normalize != "none":
                unit = normalized(text, normalize).encode()
                if not unit:
                    continue
            keys.append(blake2b(salts[owner] + unit, digest_size=16).digest())
            rows.append(row)
        owners = owners[rows]
        first = batch.offsets[owners]
        return pa.RecordBatch.from_arrays(
            [
                pa.array(keys, pa.binary(16)),
                batch.records.column("id").take(pa.array(owners)),
                pa.array(starts[rows] - first, pa.int64()),
                pa.array(ends[rows] - first, pa.int64()),
            ],
            names=["key", "id", "start", "end"],
        )

    def _units(self, batch: Batch) -> tuple[Borders, Borders, Borders]:
        """First bytes of the units in the batch's buffer, the bytes after them, and the documents they are of."""
        if self._settings.unit != "sentences":
            found = batch.lines if self._settings.unit == "line" else batch.paragraphs
            owners = np.repeat(np.arange(len(batch)), np.diff(found.document_offsets))
            content = found.text_ends > found.text_starts
            return (
                found.text_starts[content].astype(np.int64),
                found.text_ends[content].astype(np.int64),
                owners[content],
            )
        from textmill.text.sentence_spans import find_sentences

        paragraphs = batch.paragraphs
        starts, ends, of_paragraph = find_sentences(batch.data, paragraphs.starts, paragraphs.ends)
        first = of_paragraph[paragraphs.document_offsets]
        runs = [
            np.arange(begin, end - self._settings.sentences + 1) for begin, end in pairwise(first.tolist())
        ]
        owners = np.repeat(np.arange(len(batch)), [len(run) for run in runs])
        of_run = np.concatenate([np.zeros(0, np.int64), *runs])
        return (
            starts[of_run].astype(np.int64),
            ends[of_run + self._settings.sentences - 1].astype(np.int64),
            owners,
        )

    def resolve(self, fingerprints: pa.RecordBatchReader, context: StepContext) -> pa.RecordBatchReader:
        """Cuts of all repeated units but the first, sorted."""
        settings = self._settings
        return repeated_units(
            fingerprints,
            context,
            f"repeated_{settings.unit}",
            settings.min_count,
            settings.count,
            settings.keep,
        )


def normalized(text: str, normalize: str) -> str:
    """What of a unit counts when it is compared; ``digits``: letters and numbers, every digit as 0."""
    if normalize == "digits":
        return _DIGIT.sub("0", comparable(text, "letters"))
    return comparable(text, normalize)


_DIGIT = re.compile(r"\d")
