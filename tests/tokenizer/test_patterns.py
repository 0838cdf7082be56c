import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from textmill.tokenizer.patterns import PATTERNS, cut_text, pattern_of, pre_tokenizer


def splitter(pattern: str) -> Tokenizer:
    import json

    skeleton = json.loads(Tokenizer(models.BPE()).to_str())
    skeleton["pre_tokenizer"] = pre_tokenizer(pattern)
    return Tokenizer.from_str(json.dumps(skeleton))


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    return [piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)] if text else []


SPLITTERS = {name: splitter(name) for name in PATTERNS}


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("gpt2", ["It", "'s", "Ġ12345", "Ġx", "Ċ", "Ċ", "!!", "Ċ", "IT", "'", "S"]),
        ("cl100k", ["It", "'s", "Ġ", "123", "45", "Ġx", "ĊĊ", "!!Ċ", "IT", "'S"]),
        ("o200k", ["It's", "Ġ", "123", "45", "Ġx", "ĊĊ", "!!Ċ", "IT'S"]),
    ],
)
def test_the_patterns_differ_where_their_models_do(pattern: str, expected: list[str]) -> None:
    assert pieces(SPLITTERS[pattern], "It's 12345 x\n\n!!\nIT'S") == expected


def test_a_pattern_is_recognised_in_a_tokenizer_file() -> None:
    for name in PATTERNS:
        assert pattern_of({"normalizer": None, "pre_tokenizer": pre_tokenizer(name)}) == name
        assert pattern_of({"normalizer": {"type": "NFC"}, "pre_tokenizer": pre_tokenizer(name)}) is None
    assert pattern_of({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}}) == "gpt2"
    assert pattern_of({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True}}) is None
    assert pattern_of({"pre_tokenizer": {"type": "Metaspace"}}) is None
    assert pattern_of({"pre_tokenizer": None}) is None


HOSTILE_TEXT = st.text(
    st.one_of(
        st.sampled_from("aZé\n\r\t '.!/1 \x0b\x1c\x85\u2028\u3000ſ\u0301<>|"), st.characters(codec="utf-8")
    ),
    max_size=80,
)


@given(text=HOSTILE_TEXT, characters=st.integers(1, 12))
def test_cutting_a_text_changes_none_of_its_pieces(text: str, characters: int) -> None:
    parts = cut_text(text, characters)
    assert "".join(parts) == text
    for tokenizer in SPLITTERS.values():
        assert [piece for part in parts for piece in pieces(tokenizer, part)] == pieces(tokenizer, text)


def test_a_long_text_is_cut_and_one_without_a_place_stays_whole() -> None:
    text = "A line.\nAnother one!\n" * 100
    parts = cut_text(text, 64)
    assert len(parts) > 20
    assert all(len(part) < 64 + 30 for part in parts[:-1])
    assert cut_text("x" * 1000, 10) == ["x" * 1000]
