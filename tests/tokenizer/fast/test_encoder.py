import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.fast.classes import character_classes
from textmill.tokenizer.fast.encoder import FastEncoder
from textmill.tokenizer.fast.kernels import CL100K, GPT2, LETTER, NEWLINE, NUMBER, SPACE, split_pieces
from textmill.tokenizer.patterns import PATTERNS, pre_tokenizer
from textmill.tokenizer.training import train_bpe

SERVED = ("gpt2", "cl100k")


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
    for expression, kind in ((r"\p{L}", LETTER), (r"\p{N}", NUMBER), (r"\s", SPACE), (r"[\r\n]", NEWLINE)):
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
    data = np.frombuffer(text.encode(), np.uint8)
    ends = np.empty(len(data) + 1, np.int64)
    number = GPT2 if pattern == "gpt2" else CL100K
    count = split_pieces(data, 0, len(data), number, character_classes(), ends)
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

    monkeypatch.setattr(module, "CACHE_SLOTS", 4)
    encoder = FastEncoder(content("cl100k"), "<|endoftext|>")
    assert np.array_equal(encoder.encode_batch(prose())[0], library("cl100k").encode_batch(prose())[0])


def test_a_text_cut_inside_a_character_is_refused() -> None:
    data = np.frombuffer("aé".encode(), np.uint8)
    encoder = fast("cl100k")
    assert len(encoder.encode_utf8(data, np.array([1, 3], np.int64))[1]) == 2
    for offsets in ([0, 2], [0, 2, 3], [2, 3]):
        with pytest.raises(EncodingError):
            encoder.encode_utf8(data, np.array(offsets, np.int64))
    with pytest.raises(EncodingError, match="surrogate"):
        encoder.encode_batch(["\ud800"])


def change(**model: object) -> str:
    parsed = json.loads(content("cl100k"))
    parsed["model"] |= model
    return json.dumps(parsed)


@pytest.mark.parametrize("option", ["ignore_merges", "byte_fallback"])
def test_another_kind_of_tokenizer_is_not_served(option: str) -> None:
    with pytest.raises(ValueError, match=option):
        FastEncoder(change(**{option: True}), "<|endoftext|>")


def test_another_pattern_is_not_served() -> None:
    assert set(PATTERNS) - set(SERVED) == {"o200k"}
    with pytest.raises(ValueError, match="cut by o200k"):
        FastEncoder(content("o200k"), "<|endoftext|>")


def test_a_merge_that_spells_a_special_token_is_not_served() -> None:
    with pytest.raises(ValueError, match="special token"):
        FastEncoder(content("cl100k"), "import")


def test_merges_in_the_older_spelling() -> None:
    merges = [" ".join(merge) for merge in json.loads(content("gpt2"))["model"]["merges"]]
    parsed = json.loads(content("gpt2"))
    parsed["model"]["merges"] = merges
    encoder = FastEncoder(json.dumps(parsed), "<|endoftext|>")
    assert np.array_equal(encoder.encode_batch(prose())[0], library("gpt2").encode_batch(prose())[0])
