import json
from functools import cache
from pathlib import Path

import pytest
import tiktoken
import tiktoken.load
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.tokenizer.corpus import HOSTILE, prose

from textmill.tokenizer.encode import HuggingFaceEncoder
from textmill.tokenizer.patterns import PATTERNS
from textmill.tokenizer.tiktoken_file import (
    NotExpressibleError,
    merge_by_ranks,
    tiktoken_file,
    tiktoken_ranks,
)
from textmill.tokenizer.training import train_bpe


@cache
def content(pattern: str) -> str:
    return train_bpe(prose() + HOSTILE * 3, vocab_size=1500, pattern=pattern)


@cache
def loaded(pattern: str) -> tiktoken.Encoding:
    ranks = tiktoken_ranks(json.loads(content(pattern)))
    return tiktoken.Encoding(pattern, pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})


@cache
def library(pattern: str) -> HuggingFaceEncoder:
    return HuggingFaceEncoder(content(pattern), "<|endoftext|>")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_tiktoken_reads_the_file_and_gives_the_same_ids(pattern: str, tmp_path: Path) -> None:
    path = tmp_path / "own.tiktoken"
    path.write_bytes(tiktoken_file(json.loads(content(pattern))))
    ranks = tiktoken.load.load_tiktoken_bpe(str(path))
    encoding = tiktoken.Encoding("own", pat_str=PATTERNS[pattern], mergeable_ranks=ranks, special_tokens={})
    for text in [*prose(), *HOSTILE]:
        assert encoding.encode_ordinary(text) == library(pattern).encode_batch([text])[0].tolist()


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=200, deadline=None)
@given(text=st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text(pattern: str, text: str) -> None:
    assert loaded(pattern).encode_ordinary(text) == library(pattern).encode_batch([text])[0].tolist()


def test_the_plain_form_of_merging_is_tiktokens() -> None:
    ranks = tiktoken_ranks(json.loads(content("cl100k")))
    for word in ("returning", " internationally", "ééé", "中文"):
        parts = merge_by_ranks(word.encode(), ranks)
        assert [ranks[part] for part in parts] == loaded("cl100k").encode_ordinary(word)


def changed(**model: object) -> dict[str, object]:
    parsed = json.loads(content("gpt2"))
    parsed["model"] |= model
    return parsed


def test_what_the_format_cannot_express() -> None:
    merges = json.loads(content("gpt2"))["model"]["merges"]
    swapped = [merges[1], merges[0], *merges[2:]]
    with pytest.raises(NotExpressibleError, match="order"):
        tiktoken_ranks(changed(merges=swapped))
    with pytest.raises(NotExpressibleError, match="made by no merge"):
        tiktoken_ranks(changed(merges=merges[:-1]))
    with pytest.raises(NotExpressibleError, match="unk_token"):
        tiktoken_ranks(changed(unk_token="?"))
    with pytest.raises(NotExpressibleError, match="BPE"):
        tiktoken_ranks(changed(type="WordPiece"))
