import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose
from tokenizers import Tokenizer

from textmill.tokenizer import encode
from textmill.tokenizer.encode import EncodingError, HuggingFaceEncoder
from textmill.tokenizer.patterns import PATTERNS
from textmill.tokenizer.training import train_bpe

CONTENTS = {name: train_bpe(prose(), vocab_size=700, pattern=name) for name in PATTERNS}
ENCODERS = {name: HuggingFaceEncoder(content, "<|endoftext|>") for name, content in CONTENTS.items()}
TEXTS = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(codec="utf-8"))), max_size=6)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(texts=TEXTS)
def test_ids_are_below_the_size_and_decode_to_the_text(pattern: str, texts: list[str]) -> None:
    encoder = ENCODERS[pattern]
    ids, offsets = encoder.encode_batch(texts)
    assert ids.dtype == np.uint32
    assert offsets.dtype == np.int64
    assert len(offsets) == len(texts) + 1
    assert offsets[0] == 0
    assert offsets[-1] == len(ids)
    assert (ids < encoder.vocab_size).all()
    assert encoder.eos_id not in ids
    for position, text in enumerate(texts):
        assert encoder.decode(ids[offsets[position] : offsets[position + 1]]) == text


@given(texts=TEXTS)
def test_utf8_and_strings_give_the_same_ids(texts: list[str]) -> None:
    encoder = ENCODERS["cl100k"]
    raw = [text.encode() for text in texts]
    data = np.frombuffer(b"??" + b"".join(raw), np.uint8)
    borders = 2 + np.cumsum([0, *map(len, raw)], dtype=np.int64)
    for one, other in zip(encoder.encode_utf8(data, borders), encoder.encode_batch(texts), strict=True):
        assert one.tolist() == other.tolist()


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(EncodingError, match="no UTF-8"):
        ENCODERS["cl100k"].encode_utf8(np.array([0xC3, 0x28], np.uint8), np.array([0, 2], np.int64))


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(EncodingError):
        ENCODERS["cl100k"].encode_batch(["fine", "\ud800"])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_long_texts_are_cut_without_changing_an_id(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(prose())
    expected = Tokenizer.from_str(CONTENTS[pattern]).encode(text, add_special_tokens=False).ids
    monkeypatch.setattr(encode, "CHARACTERS_PER_PART", 500)
    monkeypatch.setattr(encode, "CHARACTERS_PER_CALL", 1300)
    calls = []
    inner = HuggingFaceEncoder._encode
    monkeypatch.setattr(
        HuggingFaceEncoder, "_encode", lambda self, parts: calls.append(len(parts)) or inner(self, parts)
    )
    ids, offsets = ENCODERS[pattern].encode_batch(["a", text, "b"])
    assert ids[offsets[1] : offsets[2]].tolist() == expected
    assert len(calls) > 50


def test_special_tokens_in_a_text_are_ordinary_text() -> None:
    content = train_bpe(prose(), vocab_size=600, special_tokens=["<|user|>"])
    encoder = HuggingFaceEncoder(content, "<|endoftext|>")
    text = "one <|endoftext|> two <|user|>"
    ids, _ = encoder.encode_batch([text])
    assert encoder.eos_id == encoder.vocab_size - 2
    assert ids.max() < encoder.eos_id
    assert encoder.decode(ids) == text
    # The library itself, asked plainly, does give the special id: the policy is ours.
    assert encoder.eos_id in Tokenizer.from_str(content).encode(text).ids


def test_an_end_token_not_marked_as_special_is_ordinary_text_all_the_same() -> None:
    parsed = json.loads(CONTENTS["cl100k"])
    for token in parsed["added_tokens"]:
        token["special"] = False
    encoder = HuggingFaceEncoder(json.dumps(parsed), "<|endoftext|>")
    ids, _ = encoder.encode_batch(["x<|endoftext|>y"])
    assert encoder.eos_id not in ids


def test_text_that_can_only_become_the_special_id_is_refused() -> None:
    parsed = json.loads(train_bpe(["aab ab aab ab"] * 3, vocab_size=270))
    encoder = HuggingFaceEncoder(json.dumps(parsed), "ab")
    with pytest.raises(EncodingError, match="special token"):
        encoder.encode_batch(["ab"])


def test_truncation_and_padding_in_the_file_cut_nothing() -> None:
    tokenizer = Tokenizer.from_str(CONTENTS["cl100k"])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    encoder = HuggingFaceEncoder(tokenizer.to_str(), "<|endoftext|>")
    text = prose()[0]
    ids, _ = encoder.encode_batch([text])
    assert encoder.decode(ids) == text


def test_a_tokenizer_without_the_end_token_is_refused() -> None:
    with pytest.raises(ValueError, match="no token </s>"):
        HuggingFaceEncoder(CONTENTS["gpt2"], "</s>")


def test_a_normalising_tokenizer_is_not_called_lossless() -> None:
    parsed = json.loads(CONTENTS["gpt2"])
    assert ENCODERS["gpt2"].lossless
    parsed["normalizer"] = {"type": "Lowercase"}
    encoder = HuggingFaceEncoder(json.dumps(parsed), "<|endoftext|>")
    assert not encoder.lossless
    assert encoder.pattern is None
