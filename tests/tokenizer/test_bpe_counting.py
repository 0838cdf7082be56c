"""Words counted by the kernels, beside the library's pre-tokenizer and a Python counter."""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose
from tokenizers import Tokenizer, models

from textmill.tokenizer.bpe import runs as runs_module
from textmill.tokenizer.bpe.count_kernels import COUNT, HIGH, LONG_WORD, LOW, PLACE
from textmill.tokenizer.bpe.counting import Run, WordCounter, count_texts
from textmill.tokenizer.bpe.merging import CountedWords
from textmill.tokenizer.bpe.runs import Cut, read_words
from textmill.tokenizer.fast.encoder import byte_alphabet
from textmill.tokenizer.patterns import PATTERNS, Cuts

BYTE_OF = {character: byte for byte, character in enumerate(byte_alphabet())}
ALL_CUTS = [
    Cuts(pattern, digits, cjk)
    for pattern in PATTERNS
    for digits in ("pattern", "single", "three")
    for cjk in ("pattern", "character")
]
LONG = ["x" * 16, "y" * 15, "z" * 17 + " " + "z" * 18, "w" * 300, "中" * 40, "=" * 70_000]
NUMBERS = ["1234567 ٣٤٥٦ ½¼ 12〇34 第3章 a1b22c333d4444", "０１２３ⅧⅨ", "〇〇〇〇1"]


@cache
def pieces_of(cuts: Cuts) -> Any:
    skeleton = json.loads(Tokenizer(models.BPE()).to_str())
    skeleton["pre_tokenizer"] = cuts.pre_tokenizer()
    return Tokenizer.from_str(json.dumps(skeleton)).pre_tokenizer


def expected(texts: list[str], cuts: Cuts) -> dict[bytes, int]:
    return dict(
        Counter(
            bytes(BYTE_OF[character] for character in piece)
            for text in texts
            for piece, _ in pieces_of(cuts).pre_tokenize_str(text)
        )
    )


def as_dict(words: CountedWords) -> dict[bytes, int]:
    data = words.data.tobytes()
    spelled = [data[a:b] for a, b in zip(words.starts[:-1].tolist(), words.starts[1:].tolist(), strict=True)]
    assert len(set(spelled)) == len(spelled)
    return dict(zip(spelled, words.counts.tolist(), strict=True))


def count(
    texts: list[str], cuts: Cuts, most_bytes: int = 2**40, **options: int
) -> tuple[dict[bytes, int], Cut, int]:
    with TemporaryDirectory() as folder:
        runs, text_bytes = count_texts(texts, cuts, Path(folder), **options)  # type: ignore[arg-type]
        assert text_bytes == sum(len(text.encode()) for text in texts)
        words, cut = read_words(runs, Path(folder), most_bytes=most_bytes)
        assert list(Path(folder).iterdir()) == []
    return as_dict(words), cut, len(runs)


@pytest.mark.parametrize("cuts", ALL_CUTS, ids=str)
def test_words_are_those_of_the_library(cuts: Cuts) -> None:
    texts = prose()[:120] + HOSTILE + LONG + NUMBERS
    assert count(texts, cuts, threads=1)[0] == expected(texts, cuts)


@settings(deadline=None, max_examples=150)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"]))
        | st.text("a1２中ア〇ー 々\n\U00020000'sÉ", max_size=60)
    ),
    cuts=st.sampled_from(ALL_CUTS),
)
def test_words_of_hostile_text(texts: list[str], cuts: Cuts) -> None:
    assert count(texts, cuts, threads=1, table_bytes=2**12, long_bytes=32)[0] == expected(texts, cuts)


@pytest.mark.parametrize(
    ("threads", "table_bytes", "long_bytes"), [(1, 2**12, 64), (3, 2**15, 2**10), (2, 2**27, 2**20)]
)
def test_spilling_changes_no_count(threads: int, table_bytes: int, long_bytes: int) -> None:
    texts = prose() + LONG + HOSTILE
    found, cut, runs = count(texts, Cuts(), threads=threads, table_bytes=table_bytes, long_bytes=long_bytes)
    wanted = expected(texts, Cuts())
    assert found == wanted
    assert (cut.words, cut.occurrences, cut.least_count) == (len(wanted), sum(wanted.values()), 1)
    if table_bytes < 2**20:
        assert runs > runs_module.RUNS_AT_ONCE


def test_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs_module, "BLOCK_ROWS", 3)
    monkeypatch.setattr(runs_module, "RUNS_AT_ONCE", 2)
    monkeypatch.setattr(runs_module, "LONG_BYTES", 40)
    texts = [*prose()[:20], "a b" * 9, *LONG[:5], "z" * 500]
    assert count(texts, Cuts(), threads=2, table_bytes=2**13)[0] == expected(texts, Cuts())


def test_the_rarest_words_are_left_out_by_their_exact_count() -> None:
    texts = prose()
    wanted = expected(texts, Cuts())
    for limit in (500, 5_000, 20_000):
        found, cut, _ = count(texts, Cuts(), limit, threads=2, table_bytes=2**14)
        assert found == {word: times for word, times in wanted.items() if times >= cut.least_count}
        assert sum(len(word) + 1 for word in found) <= limit
        # One count lower would have been too much.
        lower = [word for word, times in wanted.items() if times >= cut.least_count - 1]
        assert sum(len(word) + 1 for word in lower) > limit
        assert (cut.words_kept, cut.occurrences_kept) == (len(found), sum(found.values()))


def test_no_words() -> None:
    assert count([], Cuts()) == ({}, Cut(0, 0, 1, 0, 0), 0)
    assert count(["", ""], Cuts()) == ({}, Cut(0, 0, 1, 0, 0), 0)


def test_a_failure_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(counter: WordCounter, texts: list[bytes]) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(WordCounter, "add", fail)
    with pytest.raises(OSError, match="no space left"):
        count_texts(["text"] * 10 + ["x" * 5_000_000] * 8, Cuts(), tmp_path, threads=2)


def test_long_words_of_the_same_hash_stay_apart(tmp_path: Path) -> None:
    """No two real words are known to collide, so the rows are made by hand: three words, one hash."""

    def run(name: str, words: list[tuple[bytes, int]]) -> Run:
        rows = np.zeros((len(words), 4), np.uint64)
        rows[:, LOW] = 12345
        rows[:, HIGH] = LONG_WORD | np.uint64(20)
        rows[:, COUNT] = [times for _, times in words]
        rows[:, PLACE] = np.arange(len(words)) * 20
        made = Run(tmp_path / name, len(words))
        rows.tofile(made.rows_file)
        made.long_file.write_bytes(b"".join(word for word, _ in words))
        return made

    a, b, c = (letter * 20 for letter in (b"a", b"b", b"c"))
    runs = [run("one", [(a, 1), (c, 2)]), run("two", [(b, 4), (c, 8)]), run("three", [(a, 16), (b, 32)])]
    words, _ = read_words(runs, tmp_path, most_bytes=1000)
    assert as_dict(words) == {a: 17, b: 36, c: 10}


def test_collisions_are_put_in_order_when_they_are_spilled(tmp_path: Path) -> None:
    counter = WordCounter(Cuts(), tmp_path, "run")
    counter._long[:60] = np.frombuffer(b"c" * 20 + b"a" * 20 + b"b" * 20, np.uint8)
    high = LONG_WORD | np.uint64(20)
    counter._table[7] = 5, high, 1, 0
    counter._table[9] = 5, high, 2, 20
    counter._table[11] = 5, high, 3, 40
    counter._state[2] = 3
    (run,) = counter.finish()
    assert re.findall(rb"(.)\1+", run.long_file.read_bytes()) == [b"a", b"b", b"c"]
    assert np.fromfile(run.rows_file, np.uint64).reshape(-1, 4)[:, COUNT].tolist() == [2, 3, 1]
