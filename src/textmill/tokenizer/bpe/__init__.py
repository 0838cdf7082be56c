"""Byte-level BPE trained by compiled kernels: the merges of the tokenizers library's trainer, several times faster.

::

    texts ─► pieces ─► table of words, full: sorted run on disk ─► runs merged ─► words that fit into memory
             (fast/)            (counting)                          (runs)                  │
                                              entries and merges ◄── pair by pair ◄─────────┘
                                                                       (merging)

Memory is bounded whatever the texts: tables have a fixed size, files are merged block by block, and if the distinct
words are more than merging can hold, the rarest are left out, by their exact count, and it is said.

>>> import tempfile
>>> from pathlib import Path
>>> from textmill.tokenizer.bpe import train_on
>>> from textmill.tokenizer.patterns import Cuts
>>> with tempfile.TemporaryDirectory() as folder:
...     entries, merges, cut, text_bytes = train_on(["low lower lowest"] * 9, Cuts(), Path(folder), entries=260)
>>> entries[256:], [(entries[a], entries[b]) for a, b in merges[:2]], cut.words
(['lo', 'low', 'Ġlow', 'Ġlowe'], [('l', 'o'), ('lo', 'w')], 3)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textmill.tokenizer.bpe.runs import Cut
    from textmill.tokenizer.patterns import Cuts

__all__ = ["train_on"]

MOST_WORD_BYTES = 20 * 2**20


def train_on(
    texts: Iterable[str],
    cuts: Cuts,
    folder: Path,
    *,
    entries: int,
    min_frequency: int = 2,
    max_token_length: int | None = None,
    threads: int | None = None,
    most_word_bytes: int = MOST_WORD_BYTES,
    progress: Callable[[str, float, float], None] = lambda text, done, total: None,
) -> tuple[list[str], list[tuple[int, int]], Cut, int]:
    """Learn a vocabulary: its entries in the order of their ids, spelled in GPT-2's byte alphabet; and its merges.

    Also says which words were left out, and how many bytes of text there were.

    Args:
        texts: normalized already, streamed once.
        cuts: where they are cut.
        folder: for counted words.
        entries: bytes and merges.
        min_frequency: see :func:`textmill.tokenizer.bpe.merging.learn_merges`.
        max_token_length: the same.
        threads: see :func:`textmill.tokenizer.bpe.counting.count_texts`.
        most_word_bytes: see :func:`textmill.tokenizer.bpe.runs.read_words`.
        progress: called with what is done, how far it is and the whole (0 when that is not known).
    """
    from textmill.tokenizer.bpe.counting import count_texts
    from textmill.tokenizer.bpe.merging import learn_merges
    from textmill.tokenizer.bpe.runs import read_words
    from textmill.tokenizer.fast.encoder import byte_alphabet

    spelling = byte_alphabet()
    runs, text_bytes = count_texts(
        texts,
        cuts,
        folder,
        threads=threads,
        counted=lambda done: progress("counting words", done, 0),
    )
    words, cut = read_words(runs, folder, most_bytes=most_word_bytes)
    learned = learn_merges(
        words,
        entries=entries,
        alphabet=sorted(range(256), key=spelling.__getitem__),
        min_frequency=min_frequency,
        max_token_length=max_token_length,
        merged=lambda done: progress("merging pairs", done, entries - 256),
    )

    # A byte is the character of the same number in Latin-1.
    alphabet = str.maketrans(dict(enumerate(spelling)))
    entries_spelled = [entry.decode("latin-1").translate(alphabet) for entry in learned.entries]
    return entries_spelled, learned.merges, cut, text_bytes
