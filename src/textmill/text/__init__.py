"""Hot kernels over UTF-8 bytes: one analysis of a text, shared by every rule.

    data: uint8[bytes]  offsets: int64[documents + 1]        many documents, one buffer (Arrow's own layout)
         │
         ├─ segment_words ─────► Words ──┬─► quality_statistics ────► {"words": float64[documents], ...}
         ├─ split_lines ───────► Lines ──┼─► line_statistics, c4_statistics, cut_lines
         └─ split_paragraphs ──► Lines ──┴─► repetition_statistics ─► {"top_2_gram": float64[documents], ...}

    classes   code points: Word_Break, General_Category ...      hashing   XXH64 of byte spans
    sentences count_sentences                                    keywords  count_keywords

>>> import numpy as np
>>> text = "Déjà vu, déjà vu.".encode()
>>> data, offsets = np.frombuffer(text, np.uint8), np.array([0, len(text)])
>>> words = segment_words(data, offsets)
>>> [text[start:end].decode() for start, end in zip(words.starts, words.ends)]
['Déjà', 'vu', ',', 'déjà', 'vu', '.']

Kernels are compiled when they are first called, once per machine, and read from disk afterwards (see `compilation`).
"""

from __future__ import annotations

import numpy as np

from textmill.text import dictionary, fasttext_predict
from textmill.text.c4 import LineRules, c4_statistics, cut_lines
from textmill.text.classes import class_of, class_table, unicode_version
from textmill.text.english import english_tokens
from textmill.text.fineweb import line_statistics
from textmill.text.hashing import hash_bytes, hash_spans
from textmill.text.kernel_cache import remove_old_caches
from textmill.text.keywords import build_automaton, count_keywords
from textmill.text.lines import Lines, split_lines, split_paragraphs
from textmill.text.minhash import (
    band_keys,
    choose_bands,
    estimated_similarity,
    match_probability,
    signatures,
    text_signatures,
)
from textmill.text.ngrams import distinct_words_ratio, repetition_statistics
from textmill.text.phrases import build_phrases, find_phrases
from textmill.text.sentence_spans import find_sentences
from textmill.text.sentences import count_sentences
from textmill.text.shingles import Shingles, shingle_hashes
from textmill.text.statistics import quality_statistics
from textmill.text.stop_words import count_stop_words, stop_word_table
from textmill.text.winnowing import Selection, winnow
from textmill.text.words import Words, segment_words

__all__ = [
    "LineRules",
    "Lines",
    "Selection",
    "Shingles",
    "Words",
    "band_keys",
    "build_automaton",
    "c4_statistics",
    "choose_bands",
    "class_of",
    "class_table",
    "count_keywords",
    "count_sentences",
    "cut_lines",
    "distinct_words_ratio",
    "estimated_similarity",
    "hash_bytes",
    "hash_spans",
    "line_statistics",
    "match_probability",
    "quality_statistics",
    "repetition_statistics",
    "segment_words",
    "shingle_hashes",
    "signatures",
    "split_lines",
    "split_paragraphs",
    "text_signatures",
    "unicode_version",
    "warm_up",
    "winnow",
]


def warm_up() -> None:
    """Compile every kernel of this package, or read it from disk, for the types that are really used.

    For measurements; before a run, the mill compiles what the run's steps need. Kernels of other versions that nobody
    used for 30 days are removed from the disk.
    """
    remove_old_caches()
    text = "One – two.\n\nOne – two.".encode()
    data, offsets = np.frombuffer(text, np.uint8), np.array([0, len(text)])
    words, lines, paragraphs = (
        segment_words(data, offsets),
        split_lines(data, offsets),
        split_paragraphs(data, offsets),
    )
    quality_statistics(data, offsets, words, lines, ("the",))
    repetition_statistics(data, offsets, words, lines, paragraphs)
    distinct_words_ratio(data, offsets, words)
    line_statistics(data, offsets, words, lines)
    c4_statistics(data, lines)
    cut_lines(data, lines, LineRules())
    count_keywords(data, offsets[:-1], offsets[1:], build_automaton(("one",)))
    hash_bytes(text)
    find_sentences(data, paragraphs.starts, paragraphs.ends)
    english_tokens(data, offsets)
    dictionary.warm_up()
    count_stop_words(data, words, stop_word_table([["the"]]), np.zeros(1, np.int64))
    fasttext_predict.warm_up()
    shingles = shingle_hashes(data, offsets)
    band_keys(signatures(shingles.hashes, shingles.offsets), 16, 8)
    text_signatures(data, offsets)
    winnow(data, offsets)
    find_phrases(data, offsets, build_phrases(data, offsets, np.array([1]))[0])
