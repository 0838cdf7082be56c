import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.fast.classes import character_classes, class_table
from textmill.tokenizer.fast.encoder import FastEncoder
from textmill.tokenizer.fast.kernels import (
    CL100K,
    GPT2,
    LETTER,
    LOWER,
    MARK,
    NEWLINE,
    NUMBER,
    O200K,
    SPACE,
    UPPER,
    split_pieces,
)
from textmill.tokenizer.patterns import PATTERNS, pre_tokenizer
from textmill.tokenizer.training import train_bpe

SERVED = ("gpt2", "cl100k", "o200k")
NUMBERS = {"gpt2": GPT2, "cl100k": CL100K, "o200k": O200K}


@cache
def content(pattern: str) -> str:
    return train_bpe(prose() + HOSTILE * 3, vocab_size=1200, pattern=pattern)


@cache
def fast(pattern: str) -> FastEncoder:
    return FastEncoder(content(pattern), "<|endoftext|>")


@cache
def library(pattern: str) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(content(pattern), "<|endoftext|>")


def test_every_code_point_has_the_engines_class() -> None:
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    expected = np.zeros(0x110000, np.uint8)
    for expression, kind in (
        (r"\p{L}", LETTER),
        (r"[\p{Lu}\p{Lt}]", UPPER),
        (r"\p{Ll}", LOWER),
        (r"\p{M}", MARK),
        (r"\p{N}", NUMBER),
        (r"\s", SPACE),
        (r"[\r\n]", NEWLINE),
    ):
        matcher = pre_tokenizers.Split(Regex(expression + "+"), "removed", invert=True)
        for start in range(0, len(points), 4096):
            text = "".join(map(chr, points[start : start + 4096]))
            for _, (first, last) in matcher.pre_tokenize_str(text):
                expected[points[start + first : start + last]] = kind
    assert np.flatnonzero(expected != character_classes()).tolist() == []


@cache
def engine(pattern: str) -> Tokenizer:
    skeleton = json.loads(Tokenizer(models.BPE()).to_str())
    skeleton["pre_tokenizer"] = pre_tokenizer(pattern)["pretokenizers"][0]
    return Tokenizer.from_str(json.dumps(skeleton))


def pieces(pattern: str, text: str) -> list[str]:
    # Letters in front and behind must not be seen.
    data = np.frombuffer(b"x" * 16 + text.encode() + b"abcdefgh" * 8, np.uint8)
    ends = np.empty(len(text.encode()) + 1, np.int64)
    number = NUMBERS[pattern]
    table = class_table(number)
    size = len(text.encode())
    count = split_pieces(data.ctypes.data + 16, 0, size, number, table.ctypes.data, ends)
    borders = [0, *ends[:count].tolist()]
    return [text.encode()[a:b].decode() for a, b in zip(borders, borders[1:], strict=False)]  # noqa: RUF007


def pieces_of_the_engine(pattern: str, text: str) -> list[str]:
    return [piece for piece, _ in engine(pattern).pre_tokenizer.pre_tokenize_str(text)] if text else []


@pytest.mark.parametrize("pattern", SERVED)
def test_every_code_point_after_an_apostrophe(pattern: str) -> None:
    # Those that have another case, or might fold to one, and every fiftieth of the others. (In parts of a
    # hundred, because the engine's bookkeeping of positions grows with the square of a text's length.)
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    cased = [c for c in points if len({c, c.lower(), c.upper(), c.casefold()}) > 1]
    chosen = sorted({*cased, *points[:0x600], *points[::50]})
    assert {"ſ", "K", "ﬆ", "S"} <= set(chosen)
    for start in range(0, len(chosen), 100):
        text = "\0".join(f"'{character}e'l{character}" for character in chosen[start : start + 100])
        assert pieces(pattern, text) == pieces_of_the_engine(pattern, text)


HOSTILE_TEXT = st.text(
    st.one_of(
        st.sampled_from(
            "'sStTrReEvVlLdDmM 's\n\r\t  019½٣.!/<>|éſß中\u0301\x0b\x1c\x85\u00a0\u2028\u3000\u200d"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


@pytest.mark.parametrize("pattern", SERVED)
@settings(max_examples=400, deadline=None)
@given(text=HOSTILE_TEXT)
def test_pieces_are_those_of_the_regular_expression(pattern: str, text: str) -> None:
    assert pieces(pattern, text) == pieces_of_the_engine(pattern, text)


@pytest.mark.parametrize("pattern", SERVED)
@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.one_of(HOSTILE_TEXT, st.sampled_from(HOSTILE)), max_size=5))
def test_ids_are_those_of_the_library(pattern: str, texts: list[str]) -> None:
    ids, offsets = fast(pattern).encode_batch(texts)
    expected_ids, expected_offsets = library(pattern).encode_batch(texts)
    assert ids.tolist() == expected_ids.tolist()
    assert offsets.tolist() == expected_offsets.tolist()
    assert ids.dtype == np.uint32
    assert fast(pattern).decode(ids) == "".join(texts)


@pytest.mark.parametrize("pattern", SERVED)
@settings(max_examples=100, deadline=None)
@given(
    word=st.text(st.sampled_from("aeinrst="), min_size=40, max_size=400),
    repeats=st.integers(1, 3),
)
def test_long_pieces_are_merged_like_short_ones(pattern: str, word: str, repeats: int) -> None:
    text = word * repeats
    ids, _ = fast(pattern).encode_batch([text, "=" * len(text), "a" * len(text)])
    assert ids.tolist() == library(pattern).encode_batch([text, "=" * len(text), "a" * len(text)])[0].tolist()


@pytest.mark.parametrize("pattern", SERVED)
def test_ordinary_texts_cold_and_warm(pattern: str) -> None:
    texts = [*prose(), *HOSTILE, "x" * 100_000, "".join(map(chr, range(0x4E00, 0x5200)))]
    encoder = FastEncoder(content(pattern), "<|endoftext|>")
    expected, borders = library(pattern).encode_batch(texts)
    for _ in range(2):
        ids, offsets = encoder.encode_batch(texts)
        assert np.array_equal(ids, expected)
        assert np.array_equal(offsets, borders)


def test_a_full_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.tokenizer.fast import encoder as module

    monkeypatch.setattr(module, "BUCKET_BITS", 1)
    monkeypatch.setattr(module, "LONG_BITS", 3)
    monkeypatch.setattr(module, "ARENA_BYTES", 2000)
    encoder = FastEncoder(content("cl100k"), "<|endoftext|>")
    texts = [*prose(), *("ab" * n + "." + "=" * n for n in range(150))]
    for _ in range(2):
        assert np.array_equal(encoder.encode_batch(texts)[0], library("cl100k").encode_batch(texts)[0])


def test_a_text_cut_inside_a_character_is_refused() -> None:
    data = np.frombuffer("aé".encode(), np.uint8)
    encoder = fast("cl100k")
    assert len(encoder.encode_utf8(data, np.array([1, 3], np.int64))[1]) == 2
    for offsets in ([0, 2], [0, 2, 3], [2, 3]):
        with pytest.raises(EncodingError):
            encoder.encode_utf8(data, np.array(offsets, np.int64))
    with pytest.raises(EncodingError, match="surrogate"):
        encoder.encode_batch(["\ud800"])


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=40),
        st.lists(
            st.sampled_from(
                [b"a" * 9, b"\xc3\xa9", b"\xc3", b"\xa9", b"\xc1\xbf", b"\xe4\xb8\xad", b"\xe0\x9f\xbf",
                 b"\xed\xa0\x80",
                 b"\xed\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
                 b"\xf5\x80\x80\x80", b"\xf0\x90\x80", b"\xe4\xb8", b"\xff"]
            )
        ).map(b"".join),
    )
)  # fmt: skip
def test_what_is_no_utf8_is_refused(data: bytes) -> None:
    try:
        expected = library("cl100k").encode_batch([data.decode()])[0].tolist()
    except UnicodeDecodeError:
        expected = None
    array, offsets = np.frombuffer(data, np.uint8), np.array([0, len(data)], np.int64)
    if expected is None:
        with pytest.raises(EncodingError, match="no UTF-8"):
            fast("cl100k").encode_utf8(array, offsets)
    else:
        assert fast("cl100k").encode_utf8(array, offsets)[0].tolist() == expected


def test_groups_of_texts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.tokenizer.fast import encoder as module

    texts = ["", *prose(), "", "x" * 5000, "", ""]
    expected, borders = library("gpt2").encode_batch(texts)
    monkeypatch.setattr(module, "GROUP_BYTES", 1000)
    ids, offsets = fast("gpt2").encode_batch(texts)
    assert np.array_equal(ids, expected)
    assert np.array_equal(offsets, borders)
    assert len(fast("gpt2").encode_batch([])[0]) == 0


def change(**model: object) -> str:
    parsed = json.loads(content("cl100k"))
    parsed["model"] |= model
    return json.dumps(parsed)


@pytest.mark.parametrize("option", ["byte_fallback", "end_of_word_suffix"])
def test_another_kind_of_tokenizer_is_not_served(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        FastEncoder(change(**{option: True if option == "byte_fallback" else "</w>"}), "<|endoftext|>")


def test_another_pattern_is_not_served() -> None:
    assert set(PATTERNS) == set(SERVED)
    parsed = json.loads(content("cl100k"))
    parsed["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = r"\s+|\S+"
    with pytest.raises(ValueError, match="another pattern"):
        FastEncoder(json.dumps(parsed), "<|endoftext|>")


@pytest.mark.parametrize("pattern", SERVED)
@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("aàAÀʰ中ǅ\u0301\u0903'sSſlLrReE 1.!/\n\r\t\u00a0"), max_size=24))
def test_cases_marks_and_contractions(pattern: str, text: str) -> None:
    assert pieces(pattern, text) == pieces_of_the_engine(pattern, text)


@pytest.mark.parametrize("pattern", SERVED)
def test_ignore_merges(pattern: str) -> None:
    """As in LLaMA-3's file: a piece that is an entry becomes it, whatever merging would make of it."""
    parsed = json.loads(content(pattern))
    parsed["model"]["ignore_merges"] = True
    vocabulary = parsed["model"]["vocab"]
    removed = parsed["model"]["merges"][40:400:7]
    parsed["model"]["merges"] = [merge for merge in parsed["model"]["merges"] if merge not in removed]
    for number, word in enumerate(["Ġstring", "internationally", "ĠĠĠĠreturn", "x" * 90, "ä¸Ń"], 2000):
        vocabulary.setdefault(word, number)
    changed = json.dumps(parsed)
    texts = [*prose(), *HOSTILE, "internationally x" + "x" * 89, "x" * 90, " string 中", "".join(vocabulary)]
    served, reference = FastEncoder(changed, "<|endoftext|>"), HuggingFaceEncoder(changed, "<|endoftext|>")
    plain, _ = fast(pattern).encode_batch(texts)
    for _ in range(2):
        ids, offsets = served.encode_batch(texts)
        expected, borders = reference.encode_batch(texts)
        assert ids.tolist() == expected.tolist()
        assert offsets.tolist() == borders.tolist()
    assert ids.tolist() != plain.tolist()


def test_a_merge_that_spells_a_special_token_is_not_served() -> None:
    with pytest.raises(ValueError, match="special token"):
        FastEncoder(content("cl100k"), "import")


def test_merges_in_the_older_spelling() -> None:
    merges = [" ".join(merge) for merge in json.loads(content("gpt2"))["model"]["merges"]]
    parsed = json.loads(content("gpt2"))
    parsed["model"]["merges"] = merges
    encoder = FastEncoder(json.dumps(parsed), "<|endoftext|>")
    assert np.array_equal(encoder.encode_batch(prose())[0], library("gpt2").encode_batch(prose())[0])
