"""Merges learned by the kernels, beside the library's trainer and beside the algorithm written out."""

import json
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from textmill.tokenizer.bpe import merging
from textmill.tokenizer.bpe.merging import CountedWords, Learned, learn_merges
from textmill.tokenizer.fast.encoder import byte_alphabet

SPELLING = byte_alphabet()
ALPHABET = sorted(range(256), key=SPELLING.__getitem__)

# Few letters and long runs: equal counts, pairs that overlap, entries that two pairs spell.
ALPHABETS = st.sampled_from(["a", "ab", "ab", "abc", "abcdef", "=-", "aé", "中文a", "\U0001f600\u0301x"])
WORDS = ALPHABETS.flatmap(
    lambda letters: st.lists(
        st.text(st.sampled_from(letters), min_size=1, max_size=24)
        | st.builds(lambda part, times: part * times, st.text(st.sampled_from(letters), min_size=1, max_size=3),
                    st.integers(1, 40)),
        min_size=1,
        max_size=40,
    )
)  # fmt: skip


def counted(words: list[str]) -> CountedWords:
    counts = Counter(word.encode() for word in words)
    data = b"".join(counts)
    starts = np.cumsum([0, *map(len, counts)]).astype(np.int64)
    return CountedWords(np.frombuffer(data, np.uint8), starts, np.array([*counts.values()], np.int64))


def learn(words: list[str], entries: int, **options: int | None) -> Learned:
    return learn_merges(counted(words), entries=entries, alphabet=ALPHABET, **options)  # type: ignore[arg-type]


def spelled(entry: bytes) -> str:
    return "".join(SPELLING[byte] for byte in entry)


def library(words: list[str], **options: object) -> tuple[list[str], list[tuple[str, str]]]:
    """Entries in the order of their ids, and merges, by `tokenizers.trainers.BpeTrainer`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("\n", "removed"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(show_progress=False, **options)
    tokenizer.train_from_iterator(["\n".join(words)], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return vocabulary, [(left, right) for left, right in model["merges"]]


def compare(words: list[str], entries: int, min_frequency: int = 2, longest: int | None = None) -> None:
    limit = {} if longest is None else {"max_token_length": longest + 1}
    vocabulary, merges = library(
        words,
        vocab_size=entries,
        min_frequency=min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        **limit,
    )
    learned = learn(words, entries, min_frequency=min_frequency, max_token_length=longest)
    names = [spelled(entry) for entry in learned.entries]
    assert [(names[left], names[right]) for left, right in learned.merges] == merges
    assert names == vocabulary


@settings(deadline=None, max_examples=150)
@given(
    words=WORDS,
    entries=st.sampled_from([256, 257, 260, 275, 300, 600, 3000]),
    min_frequency=st.integers(0, 4),
    longest=st.none() | st.integers(2, 9),
)
def test_the_merges_are_the_librarys(
    words: list[str], entries: int, min_frequency: int, longest: int | None
) -> None:
    compare(words, entries, min_frequency, longest)


@settings(deadline=None, max_examples=100)
@given(words=st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1)))
def test_the_merges_are_the_librarys_on_any_characters(words: list[str]) -> None:
    compare([*words, *words, "ab"], 400)


@settings(deadline=None, max_examples=60)
@given(words=WORDS, specials=st.sampled_from([[], ["<s>"], ["<s>", "</s>", "<pad>"]]))
def test_neither_special_tokens_nor_the_alphabet_move_a_merge(words: list[str], specials: list[str]) -> None:
    """The library's own ways to begin: its ids differ, its choices do not."""
    bytes_seen = len(set("".join(words).encode()))
    _, merges = library(words, vocab_size=bytes_seen + 40 + len(specials), special_tokens=specials)
    learned = learn(words, 256 + 40, min_frequency=0)
    names = [spelled(entry) for entry in learned.entries]
    assert [(names[left], names[right]) for left, right in learned.merges] == merges


@pytest.mark.parametrize("text", ["a" * 5000, "ab" * 3000, "=" * 100 + " " + "=" * 63, "ababa" * 200])
def test_one_long_word(text: str) -> None:
    for min_frequency in (0, 1, 2, 3):
        compare([text, text[:-1]], 2000, min_frequency)


def test_real_text_in_full() -> None:
    words = [piece for text in prose() + HOSTILE for piece in text.replace("\n", " ").split(" ") if piece]
    compare(words, 256 + 4000)
    compare(words, 256 + 4000, 1, 6)


def by_hand(words: list[str], merges: int) -> list[tuple[bytes, bytes]]:
    """Byte-pair encoding as Sennrich et al. wrote it down, ties by ids; for words without repeated letters."""
    cut = {word: [bytes([byte]) for byte in word.encode()] for word in words}
    counts = Counter(words)
    ids = {bytes([byte]): place for place, byte in enumerate(ALPHABET)}
    found = []
    for _ in range(merges):
        pairs: Counter[tuple[bytes, bytes]] = Counter()
        for word, symbols in cut.items():
            for pair in pairwise(symbols):
                pairs[pair] += counts[word]
        best = max(pairs, key=lambda pair: (pairs[pair], -ids[pair[0]], -ids[pair[1]]), default=None)
        if best is None or pairs[best] < 2:
            break
        found.append(best)
        ids[best[0] + best[1]] = len(ids)
        for symbols in cut.values():
            place = 0
            while place < len(symbols) - 1:
                if (symbols[place], symbols[place + 1]) == best:
                    symbols[place : place + 2] = [best[0] + best[1]]
                place += 1
    return found


def test_the_algorithm_written_out() -> None:
    words = (
        "lower lowest newer wider new newest widest slow slower slowest owl tower power show" * 3
    ).split()
    learned = learn(words, 300)
    entries = learned.entries
    assert [(entries[left], entries[right]) for left, right in learned.merges] == by_hand(words, 44)
    assert len(learned.merges) == 25


def test_nothing_to_merge() -> None:
    for words in ([], ["a"], ["a", "b", "a"]):
        learned = learn(words, 300)
        assert learned.merges == []
        assert learned.entries == [bytes([byte]) for byte in ALPHABET]


def test_counts_beyond_32_bits() -> None:
    """The library counts pairs in 32 bits; here nothing wraps."""
    words = CountedWords(
        np.frombuffer(b"abcdabxy", np.uint8),
        np.array([0, 4, 8], np.int64),
        np.array([2**40, 2**40 + 1], np.int64),
    )
    learned = learn_merges(words, entries=258, alphabet=ALPHABET)
    assert learned.entries[256:] == [b"ab", b"xy"]


def test_progress_and_pauses_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(prose()).split()
    whole = learn(words, 900)
    monkeypatch.setattr(merging, "MERGES_PER_CALL", 7)
    told: list[int] = []
    again = learn_merges(counted(words), entries=900, alphabet=ALPHABET, merged=told.append)
    assert again == whole
    assert told[-1] == 900 - 256
    assert told == sorted(told)
    assert len(told) > 90


def test_the_order_of_words_does_not_matter() -> None:
    words = " ".join(prose()).split()
    assert learn(words, 1200) == learn(sorted(words, reverse=True), 1200)
