"""Merging runs of counted words, and cutting the rarest when there are more than memory holds.

Runs are merged some at a time, block by block, into one that holds every distinct word once with its exact count;
memory does not depend on how many words there are. Then the words are read for merging pairs. When their bytes
exceed the limit, those below some count are left out, by count alone: the least count at which the rest fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.bpe import count_kernels as kernels
from textmill.tokenizer.bpe.count_kernels import COUNT, HIGH, LONG_WORD, PLACE, ROW_BYTES
from textmill.tokenizer.bpe.counting import Run
from textmill.tokenizer.bpe.merging import CountedWords
from textmill.tokenizer.fast.memory import PADDING

RUNS_AT_ONCE = 16
BLOCK_ROWS = 2**14
LONG_BYTES = 2**22
# Words that occur this often or more are never left out.
MOST_LEAST = 2**16


@dataclass(frozen=True)
class Cut:
    """Which words were left out of learning merges, because there were more than memory holds.

    Attributes:
        words: distinct words in all.
        occurrences: how often they occur together.
        least_count: words that occur less often were left out; 1: none.
        words_kept: distinct words that remain.
        occurrences_kept: how often these occur together.
    """

    words: int
    occurrences: int
    least_count: int
    words_kept: int
    occurrences_kept: int


def read_words(runs: Sequence[Run], folder: Path, *, most_bytes: int) -> tuple[CountedWords, Cut]:
    """The distinct words of all runs, or the more frequent of them. The runs are deleted.

    Args:
        runs: as counted.
        folder: for the files that merging makes.
        most_bytes: bytes of distinct words to return at most, a border for each included.

    Raises:
        ValueError: words that occur :data:`MOST_LEAST` times are too many.
    """
    merged = _merge_all(list(runs), folder)
    if merged is None:
        return CountedWords(np.zeros(0, np.uint8), np.zeros(1, np.int64), np.zeros(0, np.int64)), Cut(
            0, 0, 1, 0, 0
        )
    # By count: words, bytes, occurrences. The last place is for all larger counts.
    sums = np.zeros((3, MOST_LEAST + 1), np.int64)
    for rows, _ in _blocks(merged):
        count = rows[:, COUNT].astype(np.int64)
        place = np.minimum(count, MOST_LEAST)
        for row, values in enumerate((np.ones_like(count), _sizes(rows), count)):
            sums[row] += np.bincount(place, values, MOST_LEAST + 1).astype(np.int64)
    from_count_on = np.cumsum(sums[:, ::-1], axis=1)[:, ::-1]
    fits = np.flatnonzero(from_count_on[1] + from_count_on[0] <= most_bytes)
    if not len(fits):
        raise ValueError(
            f"{from_count_on[0, MOST_LEAST]:,} distinct words occur {MOST_LEAST:,} times or more"
        )
    least = max(1, int(fits[0]))
    kept, size, occurrences = from_count_on[:, least].tolist()
    data = np.empty(size, np.uint8)
    starts = np.zeros(kept + 1, np.int64)
    counts = np.empty(kept, np.int64)
    state = np.zeros(2, np.int64)
    for rows, long in _blocks(merged):
        kernels.spell_words(rows, _base(long, rows), least, data, starts, counts, state)
    merged.remove()
    cut = Cut(int(from_count_on[0, 0]), int(from_count_on[2, 0]), least, kept, occurrences)
    return CountedWords(data, starts, counts), cut


def _merge_all(runs: list[Run], folder: Path) -> Run | None:
    """One run of all, some at a time."""
    made = 0
    while len(runs) > 1:
        some, runs = runs[:RUNS_AT_ONCE], runs[RUNS_AT_ONCE:]
        runs.append(_merge(some, folder / f"merged-{made}"))
        made += 1
        for run in some:
            run.remove()
    return runs[0] if runs else None


def _merge(runs: Sequence[Run], path: Path) -> Run:
    """Merge sorted runs into one, which is sorted again."""
    sources = [_blocks(run) for run in runs]
    files = len(runs)
    blocks = np.zeros((files, BLOCK_ROWS, 4), np.uint64)
    at, ends, bases = (np.zeros(files, np.int64) for _ in range(3))
    # What the addresses in `bases` point into.
    alive: list[npt.NDArray[np.uint8] | None] = [None] * files
    out = np.zeros((BLOCK_ROWS, 4), np.uint64)
    long = np.zeros(LONG_BYTES + PADDING, np.uint8)
    state = np.zeros(3, np.int64)
    rows_written = bytes_written = 0

    def refill(file: int) -> None:
        rows, bytes_of = next(sources[file], (np.zeros((0, 4), np.uint64), np.zeros(PADDING, np.uint8)))
        blocks[file, : len(rows)] = rows
        at[file], ends[file] = 0, len(rows)
        alive[file] = bytes_of
        bases[file] = _base(bytes_of, rows)

    for file in range(files):
        refill(file)
    target = Run(path, 0)
    with target.rows_file.open("wb") as rows_file, target.long_file.open("wb") as long_file:

        def flush(rows: int) -> None:
            """Write all rows but the last, to which another file may have to add."""
            nonlocal rows_written, bytes_written
            size = int(out[rows, PLACE]) if rows < state[0] else int(state[1])
            long_file.write(long[:size].data)
            ready = out[:rows].copy()
            ready[:, PLACE] += np.uint64(bytes_written)
            rows_file.write(ready.data)
            rows_written += rows
            bytes_written += size
            left = int(state[0]) - rows
            out[:left] = out[rows : rows + left].copy()
            long[: int(state[1]) - size] = long[size : int(state[1])].copy()
            out[:left, PLACE] -= np.uint64(size)
            state[0], state[1] = left, state[1] - size

        while True:
            file = kernels.merge_rows(
                blocks, at, ends, bases, out, long.ctypes.data, len(long) - PADDING, state
            )
            if file == files:
                break
            if file >= 0:
                refill(file)
                continue
            flush(int(state[0]) - 1)
            room = int(state[1] + state[2]) + PADDING
            if room > len(long):
                longer = np.zeros(room, np.uint8)
                longer[: len(long)] = long
                long = longer
        flush(int(state[0]))
    return Run(path, rows_written)


def _blocks(run: Run) -> Iterator[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]]:
    """The rows of a run in order, with the bytes of their long words, a bounded part at a time."""
    with run.rows_file.open("rb") as rows_file, run.long_file.open("rb") as long_file:
        # Unbuffered positions: a block may be cut short by its long words.
        left = run.rows
        while left:
            rows = np.fromfile(rows_file, np.uint64, 4 * min(left, BLOCK_ROWS)).reshape(-1, 4)
            sizes = np.where(rows[:, HIGH] >= LONG_WORD, _sizes(rows), 0)
            fits = max(1, int(np.searchsorted(np.cumsum(sizes), LONG_BYTES, "right")))
            if fits < len(rows):
                rows_file.seek((fits - len(rows)) * ROW_BYTES, 1)
                rows = rows[:fits]
            size = int(sizes[:fits].sum())
            yield rows, np.frombuffer(long_file.read(size) + bytes(PADDING), np.uint8)
            left -= len(rows)


def _sizes(rows: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Bytes of each word."""
    high = rows[:, HIGH]
    sizes: npt.NDArray[np.int64] = np.where(
        high >= LONG_WORD, high & ~LONG_WORD, high >> np.uint64(56)
    ).astype(np.int64)
    return sizes


def _base(long: npt.NDArray[np.uint8], rows: npt.NDArray[np.uint64]) -> int:
    """What to add to the places of these rows to get the addresses of their bytes."""
    is_long = rows[:, HIGH] >= LONG_WORD if len(rows) else np.zeros(0, bool)
    first = int(rows[int(np.argmax(is_long)), PLACE]) if is_long.any() else 0
    return int(long.ctypes.data) - first
