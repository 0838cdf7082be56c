"""Global steps that cut: the answer is spans of text, not whole documents.

The document stays with what is left of it. Spans are byte offsets in the text as it was fingerprinted; they are
cut out at the start of the next pass, and the ledger keeps an excerpt of what went.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from textmill.steps.global_step import GlobalStep

if TYPE_CHECKING:
    import pyarrow as pa


class CuttingStep(GlobalStep):
    """Settings of a global step that cuts spans out of texts.

    Its runner's last phase returns :func:`cut_schema` instead of removals: a table in any order, or a
    ``pyarrow.RecordBatchReader`` sorted by shard, id, start and end, for answers that do not fit into memory.
    """

    min_words_left: int = Field(
        default=1,
        ge=0,
        description="A document that was cut and keeps fewer words is dropped. Others are left alone.",
    )
    min_characters_left: int = Field(
        default=1,
        ge=0,
        description="A document that was cut and keeps fewer characters (white space at its ends not counted) "
        "is dropped.",
    )


def cut_schema() -> pa.Schema:
    """The columns of a span to cut.

    ``shard`` and ``id`` say whose text; ``start`` and ``end`` are bytes of it, ``start`` < ``end``, at borders
    of characters; ``rule`` says why; ``matched_id`` which document has the same text and keeps it, if any;
    ``count`` how often the unit occurs in the corpus. Spans may overlap.
    """
    import pyarrow as pa

    return pa.schema(
        [
            pa.field("shard", pa.int32(), nullable=False),
            pa.field("id", pa.binary(16), nullable=False),
            pa.field("start", pa.int64(), nullable=False),
            pa.field("end", pa.int64(), nullable=False),
            pa.field("rule", pa.string(), nullable=False),
            pa.field("matched_id", pa.binary(16)),
            pa.field("count", pa.int64()),
        ]
    )
