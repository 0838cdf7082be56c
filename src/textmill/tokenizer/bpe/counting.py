"""Counting words exactly: in a table, and in sorted files when the table is full.

The table of a counter has a fixed size. When it is full, its rows are sorted and written to a run, a pair of files
(``NAME.rows``, ``NAME.long``), and counting goes on with an empty table; :mod:`textmill.tokenizer.bpe.runs`
merges the runs. What is counted does not depend on when that happens, nor on how texts are shared out among
counters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

import numpy as np
import numpy.typing as npt

from textmill.tokenizer.bpe import count_kernels as kernels
from textmill.tokenizer.bpe.count_kernels import BYTE, BYTES, HIGH, LONG_WORD, LOW, PLACE, ROWS, TEXT, WANTED
from textmill.tokenizer.fast.classes import class_table
from textmill.tokenizer.fast.kernels import CL100K, GPT2, O200K
from textmill.tokenizer.fast.memory import PADDING
from textmill.tokenizer.patterns import CJK_RANGES, Cuts

# All tables of a process together: rows of 32 bytes, and the bytes of words longer than 15.
TABLE_BYTES = 2**27
LONG_BYTES = 2**26
# A row is looked for from its place on until an empty one comes: tables are not filled further than this.
FILLED = 0.6
FIRST_BITS = 15
# One stream of texts keeps no more busy, and each has its share of the tables: small ones are full more often.
MOST_THREADS = 4
BATCH_BYTES = 2 * 2**20
_PATTERNS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K}
_DIGITS = {
    "pattern": kernels.DIGITS_BY_PATTERN,
    "single": kernels.DIGITS_SINGLE,
    "three": kernels.DIGITS_THREE,
}


@dataclass(frozen=True)
class Run:
    """Sorted words on disk.

    Attributes:
        path: of the rows, without the ending ``.rows``.
        rows: how many there are.
    """

    path: Path
    rows: int

    @property
    def rows_file(self) -> Path:
        """Rows of four uint64: see :mod:`textmill.tokenizer.bpe.count_kernels`."""
        return self.path.with_name(self.path.name + ".rows")

    @property
    def long_file(self) -> Path:
        """The bytes of words longer than 15, in the order of the rows."""
        return self.path.with_name(self.path.name + ".long")

    def remove(self) -> None:
        """Delete the files."""
        self.rows_file.unlink(missing_ok=True)
        self.long_file.unlink(missing_ok=True)


def count_texts(
    texts: Iterable[str],
    cuts: Cuts,
    folder: Path,
    *,
    threads: int | None = None,
    table_bytes: int = TABLE_BYTES,
    long_bytes: int = LONG_BYTES,
    counted: Callable[[int], None] = lambda text_bytes: None,
) -> tuple[list[Run], int]:
    """Count the words of texts into runs in ``folder``; returns them and the bytes of text, as cut.

    Args:
        texts: streamed once.
        cuts: where a text is cut into words.
        folder: for the runs.
        threads: counters that share the texts; by default three quarters of the processors, up to
            :data:`MOST_THREADS`.
        table_bytes: size of all tables together.
        long_bytes: the same of the room for words longer than 15 bytes.
        counted: called with the bytes of text read so far.
    """
    threads = threads or max(1, min(MOST_THREADS, 3 * (os.cpu_count() or 1) // 4))
    counters = [
        WordCounter(
            cuts, folder, f"run-{k}", table_bytes=table_bytes // threads, long_bytes=long_bytes // threads
        )
        for k in range(threads)
    ]
    batches: Queue[list[bytes] | None] = Queue(maxsize=threads)
    failures: list[BaseException] = []

    def work(counter: WordCounter) -> None:
        try:
            while (batch := batches.get()) is not None:
                counter.add(batch)
        except BaseException as error:
            failures.append(error)

    # The kernels let go of the interpreter: threads share one process, so its memory has one bound.
    workers = [threading.Thread(target=work, args=(counter,), daemon=True) for counter in counters]
    for worker in workers:
        worker.start()
    text_bytes = 0
    try:
        for batch in _batches(texts):
            if failures:
                break
            _hand_over(batches, batch, failures)
            text_bytes += sum(map(len, batch))
            counted(text_bytes)
    finally:
        for _ in workers:
            _hand_over(batches, None, failures)
        for worker in workers:
            worker.join()
    if failures:
        raise failures[0]
    return [run for counter in counters for run in counter.finish()], text_bytes


def _batches(texts: Iterable[str]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for text in texts:
        batch.append(text.encode())
        size += len(batch[-1])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hand_over(
    batches: Queue[list[bytes] | None], batch: list[bytes] | None, failures: list[BaseException]
) -> None:
    """Put a batch into the queue, unless those who would take it out have failed."""
    while True:
        try:
            batches.put(batch, timeout=0.2)
            return
        except Full:
            if failures:
                try:
                    batches.get_nowait()
                except Empty:
                    continue


class WordCounter:
    """Counts the words of texts; not for two threads at a time.

    Args:
        cuts: where a text is cut into words.
        folder: where runs are written when the table is full, and at the end.
        name: their names begin with it.
        table_bytes: size of the table; rounded down to a power of two.
        long_bytes: room for the bytes of words longer than 15; a longer word gets its own.
    """

    def __init__(
        self,
        cuts: Cuts,
        folder: Path,
        name: str,
        *,
        table_bytes: int = TABLE_BYTES,
        long_bytes: int = LONG_BYTES,
    ) -> None:
        self._folder = folder
        self._name = name
        self._runs: list[Run] = []
        self._pattern = _PATTERNS[cuts.pattern]
        self._classes = class_table(self._pattern)
        self._digits = _DIGITS[cuts.digits]
        self._cjk = np.array(CJK_RANGES if cuts.cjk == "character" else [], np.int64).reshape(-1, 2)
        self._masks = _key_masks()
        # A small table stays near the processor: it begins small.
        self._most_bits = max(6, (table_bytes // kernels.ROW_BYTES).bit_length() - 1)
        self._bits = min(FIRST_BITS, self._most_bits)
        self._table = np.zeros((1 << self._bits, 4), np.uint64)
        self._long = np.zeros(long_bytes + PADDING, np.uint8)
        self._state = np.zeros(5, np.int64)

    def add(self, texts: list[bytes]) -> None:
        """Count the words of UTF-8 texts."""
        data = np.frombuffer(b"".join([*texts, bytes(PADDING)]), np.uint8)
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=offsets[1:])
        if self._digits != kernels.DIGITS_BY_PATTERN or len(self._cjk):
            borders = np.empty(len(data) + len(offsets), np.int64)
            count = kernels.cut_texts(
                data.ctypes.data, offsets, self._classes.ctypes.data, self._digits, self._cjk, borders
            )
            offsets = borders[:count]
        self._state[TEXT] = self._state[BYTE] = 0
        while not kernels.count_pieces(
            data.ctypes.data,
            offsets,
            self._pattern,
            self._classes.ctypes.data,
            self._masks.ctypes.data,
            self._table.ctypes.data,
            self._bits,
            int(FILLED * len(self._table)),
            self._long.ctypes.data,
            len(self._long) - PADDING,
            self._state,
        ):
            if self._state[ROWS] == int(FILLED * len(self._table)) and self._bits < self._most_bits:
                self._grow()
                continue
            self._spill()
            if self._state[WANTED] > len(self._long) - PADDING:
                self._long = np.zeros(int(self._state[WANTED]) + PADDING, np.uint8)

    def finish(self) -> list[Run]:
        """Write what is in the table, and return all runs."""
        if self._state[ROWS]:
            self._spill()
        self._table = np.zeros((64, 4), np.uint64)
        self._long = np.zeros(0, np.uint8)
        return self._runs

    def _grow(self) -> None:
        self._bits = min(self._bits + 2, self._most_bits)
        table = np.zeros((1 << self._bits, 4), np.uint64)
        kernels.copy_rows(self._table, table, self._bits)
        self._table = table

    def _spill(self) -> None:
        rows = self._table[self._table[:, HIGH] != 0]
        rows = rows[np.lexsort((rows[:, LOW], rows[:, HIGH]))]
        self._order_collisions(rows)
        first_long = int(np.searchsorted(rows[:, HIGH], LONG_WORD))
        run = Run(self._folder / f"{self._name}-{len(self._runs)}", len(rows))
        places = rows[first_long:, PLACE].astype(np.int64)
        sizes = (rows[first_long:, HIGH] & ~LONG_WORD).astype(np.int64)
        with run.long_file.open("wb") as file:
            for place, size in zip(places.tolist(), sizes.tolist(), strict=True):
                file.write(self._long[place : place + size].data)
        rows[:, PLACE] = 0
        rows[first_long:, PLACE] = np.cumsum(sizes) - sizes
        rows.tofile(run.rows_file)
        self._runs.append(run)
        self._table[:] = 0
        self._state[ROWS] = self._state[BYTES] = 0

    def _order_collisions(self, rows: npt.NDArray[np.uint64]) -> None:
        """Long words of the same length and hash stand in the order of their bytes."""
        same = np.flatnonzero((rows[1:, LOW] == rows[:-1, LOW]) & (rows[1:, HIGH] == rows[:-1, HIGH]))
        for start in same.tolist():
            if start and start - 1 in same:
                continue
            end = start + 1
            while end < len(rows) and (rows[end, :2] == rows[start, :2]).all():
                end += 1
            size = int(rows[start, HIGH] & ~LONG_WORD)
            places = rows[start:end, PLACE].astype(np.int64).tolist()
            order = sorted(
                range(end - start), key=lambda k: self._long[places[k] : places[k] + size].tobytes()
            )
            rows[start:end] = rows[start:end][order]


def _key_masks() -> npt.NDArray[np.uint64]:
    """Pairs of words that keep the first n bytes of sixteen: uint64, shape (16, 2)."""
    masks = [2 ** (8 * size) - 1 for size in range(16)]
    return np.array([[mask & (2**64 - 1), mask >> 64] for mask in masks], np.uint64)
