"""From a sample back to the documents it was made of.

Tables of documents are ordered by offset; the row groups that cover a sample are found by their statistics,
so that looking up costs the same whatever the size of the corpus.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow.parquet as pq

from textmill.errors import UserError
from textmill.tokens.index import TokenFile, TokenIndex


class Passage(TypedDict):
    """A document's part in a sample.

    ``id``: document id, hexadecimal. ``offset``: where the document starts among the split's tokens.
    ``length``: its tokens, with the EOS. ``first_token``, ``last_token``: the part that the sample holds,
    counted from the document's start, both included.
    """

    id: str
    offset: int
    length: int
    first_token: int
    last_token: int


def documents_of_sample(
    index_folder: Path, split: str, sample: int, seq_len: int | None = None
) -> list[Passage]:
    """The documents whose tokens make up a sample, in order.

    Args:
        index_folder: the ``tokens/`` folder.
        split: name of the split.
        sample: number of the sample, from 0.
        seq_len: tokens per sample; the recipe's if left out.

    Raises:
        UserError: no tokens there, no such split or sample.
    """
    index = TokenIndex.read(index_folder)
    files = index.split(split, index_folder)
    seq_len = seq_len or index.seq_len
    starts = [0, *accumulate(file.tokens for file in files)]
    samples = starts[-1] // seq_len
    if not 0 <= sample < samples:
        raise UserError(
            f"there is no sample {sample} in {split}",
            expected=f"a number from 0 to {samples - 1}" if samples else "a split with at least one sample",
            found=str(sample),
            where=str(index_folder),
            hint=f"{split} holds {starts[-1]:,} tokens, {samples:,} samples of {seq_len:,}",
        )
    return documents_of_tokens(index_folder, split, sample * seq_len, (sample + 1) * seq_len)


def documents_of_tokens(index_folder: Path, split: str, start: int, stop: int) -> list[Passage]:
    """The documents of the tokens ``start`` to ``stop`` of a split, in order.

    Raises:
        UserError: no tokens there, or no such split.
    """
    files = TokenIndex.read(index_folder).split(split, index_folder)
    starts = [0, *accumulate(file.tokens for file in files)]
    passages: list[Passage] = []
    for position in range(bisect_right(starts, start) - 1, len(files)):
        base = starts[position]
        if base >= stop:
            break
        passages += _passages(index_folder, files[position], base, start - base, stop - base)
    return passages


def _passages(folder: Path, file: TokenFile, base: int, start: int, stop: int) -> list[Passage]:
    """Parts of the documents of one shard in its tokens ``start`` to ``stop``; ``base``: the shard's start."""
    passages: list[Passage] = []
    with pq.ParquetFile(folder / file.documents_path) as table:
        column = table.schema_arrow.get_field_index("offset")
        groups = range(table.num_row_groups)
        lowest = [table.metadata.row_group(group).column(column).statistics.min for group in groups]
        for group in groups[max(0, bisect_right(lowest, start) - 1) :]:
            if lowest[group] >= stop:
                break
            rows = table.read_row_group(group, columns=["id", "offset", "length"], use_threads=False)
            offsets = rows.column("offset").to_numpy()
            lengths = rows.column("length").to_numpy()
            first = max(0, int(np.searchsorted(offsets, start, "right")) - 1)
            last = int(np.searchsorted(offsets, stop, "left"))
            for row in range(first, last):
                offset, length = int(offsets[row]), int(lengths[row])
                if offset + length <= start:
                    continue
                passages.append(
                    Passage(
                        id=rows.column("id")[row].as_py().hex(),
                        offset=base + offset,
                        length=length,
                        first_token=max(start, offset) - offset,
                        last_token=min(stop, offset + length) - offset - 1,
                    )
                )
    return passages
