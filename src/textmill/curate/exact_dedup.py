"""The global step ``exact_dedup``: of equal texts, one."""

from __future__ import annotations

import re
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from textmill.steps.context import StepContext
from textmill.steps.global_step import GlobalRunner, GlobalStep

if TYPE_CHECKING:
    import pyarrow as pa

    from textmill.documents import Batch

_KEY_BYTES = 16
# DuckDB needs some memory for its buffers whatever the data.
_LEAST_MEMORY = 64 * 2**20


class ExactDedup(GlobalStep):
    """Removes documents whose text another document has already.

    Texts are compared by 128 bits of BLAKE2b (RFC 7693): two different texts in 10¹² meet by chance with a
    probability of 10⁻¹⁵. The copy of the source that stands first in the recipe is kept, and among those the
    one with the smallest id; every removal names it.
    """

    name: ClassVar[str] = "exact_dedup"
    shorthand: ClassVar[str | None] = "normalize"

    normalize: Literal["none", "whitespace", "case", "letters"] = Field(
        default="none",
        description="What makes no difference: nothing; white space; nor upper and lower case; nor anything "
        "but letters and numbers.",
    )

    def open(self, context: StepContext) -> GlobalRunner:
        """Return the runner."""
        return _Deduplicator(self.normalize)


class _Deduplicator:
    def __init__(self, normalize: str) -> None:
        self._normalize = normalize

    def fingerprint(self, batch: Batch) -> pa.RecordBatch:
        """Columns ``key`` (hash of the text) and ``id``, one row per document."""
        import pyarrow as pa

        if self._normalize == "none":
            data = batch.data.data
            keys = [
                blake2b(data[start:end], digest_size=_KEY_BYTES).digest()
                for start, end in pairwise(batch.offsets.tolist())
            ]
        else:
            keys = [
                blake2b(comparable(text, self._normalize).encode(), digest_size=_KEY_BYTES).digest()
                for text in batch.texts
            ]
        return pa.RecordBatch.from_arrays(
            [pa.array(keys, pa.binary(_KEY_BYTES)), batch.records.column("id")], names=["key", "id"]
        )

    def resolve(self, fingerprints: pa.RecordBatchReader, context: StepContext) -> pa.Table:
        """One removal per copy beyond the first by (priority, id), sorted by shard and id."""
        import duckdb
        import pyarrow as pa

        schema = pa.schema(
            [
                ("shard", pa.int32()),
                ("id", pa.binary(16)),
                ("rule", pa.string()),
                ("matched_id", pa.binary(16)),
                ("similarity", pa.float32()),
            ]
        )
        # The table lies on disk and the sort spills there: a partition may be larger than the memory.
        with TemporaryDirectory(dir=context.scratch, prefix="exact_dedup-") as folder:
            settings: dict[str, str | bool | int | float | list[str]] = {
                "memory_limit": f"{max(_LEAST_MEMORY, context.memory_bytes) // 2**20}MiB",
                "temp_directory": str(Path(folder, "spill")),
                "threads": 1,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
            with duckdb.connect(str(Path(folder, "partition.duckdb")), config=settings) as connection:
                connection.register("incoming", fingerprints)
                connection.execute(
                    "CREATE TABLE fingerprints AS SELECT key, id, priority, shard FROM incoming"
                )
                removals: pa.Table = connection.sql(_REMOVALS).to_arrow_table()
        return removals.cast(schema)


_REMOVALS = """
WITH copies AS (
    SELECT key, min({'priority': priority, 'id': id}) AS first
    FROM fingerprints GROUP BY key HAVING count(*) > 1
)
SELECT shard, id, 'duplicate' AS rule, first.id AS matched_id, 1::FLOAT AS similarity
FROM fingerprints JOIN copies USING (key)
WHERE id <> first.id
ORDER BY shard, id
"""


def comparable(text: str, normalize: str) -> str:
    """What of a text counts when it is compared."""
    if normalize != "whitespace":
        text = text.casefold()
    if normalize == "letters":
        return _NEITHER.sub("", text)
    return " ".join(text.split())


_NEITHER = re.compile(r"[\W_]+")
