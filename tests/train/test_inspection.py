"""What must not be trained on is found before the first step; what is trained on can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.train.small_models import TEXT, make_tokenizer
from tokenizers import Tokenizer

from textmill.errors import UserError
from textmill.model.loss import IGNORE
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.inspection import check_batches, inspect_feed
from textmill.train.loop import feed_of
from textmill.train.settings import TrainSection
from textmill.train.shown_windows import first_windows, text_of, windows_of

EOS = 0


def rows(*lines: list[int], parts: list[list[int]] | None = None) -> TokenBatch:
    tokens = torch.tensor(lines)
    return TokenBatch(
        tokens, next_token_targets(tokens), None if parts is None else torch.tensor(parts, dtype=torch.int32)
    )


def check(batch: TokenBatch, **options: Any) -> Any:
    return check_batches([(range(len(batch)), batch)], **({"vocab_size": 50, "eos_id": EOS} | options))


def test_good_batches_are_counted() -> None:
    found = check(rows([1, 2, 0, 3], [4, 0, 5, 6]))
    assert (found.rows, found.tokens, found.padding, found.learnt) == (2, 8, 0, 6)
    assert (found.stops, found.learnt_stops, found.lengths) == (2, 2, [4, 4])
    assert any("8 tokens" in line for line in found.lines())


def test_padding_is_no_token() -> None:
    tokens = torch.tensor([[1, 2, 0, 7, 7], [3, 4, 5, 6, 0]])
    batch = TokenBatch(tokens, next_token_targets(tokens, torch.tensor([3, 5])))
    found = check(batch)
    assert (found.tokens, found.padding, found.lengths) == (8, 2, [3, 5])


def test_a_batch_in_which_nothing_is_learnt_is_refused() -> None:
    batch = rows([1, 2, 0, 3])
    masked = TokenBatch(batch.tokens, torch.full_like(batch.targets, IGNORE))
    with pytest.raises(UserError, match="nothing is learnt in the batch of step 2"):
        check_batches([([0], batch), ([7], masked)], vocab_size=50, eos_id=EOS)


def test_an_end_of_text_token_that_is_masked_everywhere_is_refused() -> None:
    batch = rows([1, 2, 0, 3], [4, 0, 5, 6])
    targets = batch.targets.masked_fill(batch.targets == EOS, IGNORE)
    with pytest.raises(UserError, match="end-of-text token is never learnt"):
        check(TokenBatch(batch.tokens, targets))


def test_an_end_of_text_token_that_never_comes_is_refused_where_it_should() -> None:
    batch = rows(*[[1, 2, 3, 4] for _ in range(60)])
    check(batch)  # nothing is known of documents: they may be long
    check(batch, stops_per_token=1 / 1000)
    with pytest.raises(UserError, match="never seen"):
        check(batch, stops_per_token=0.1)


@pytest.mark.parametrize("wrong", [50, 65_535, -1])
def test_ids_beyond_the_vocabulary_are_refused_with_their_sample(wrong: int) -> None:
    with pytest.raises(UserError) as error:
        check_batches([([4, 9], rows([1, 2, 0, 3], [4, wrong, 0, 6]))], vocab_size=50, eos_id=EOS)
    assert "0 to 49" in str(error.value)
    assert f"{wrong:,} in sample 9" in str(error.value)


def test_packed_documents_that_see_each_other_are_refused() -> None:
    check(rows([1, 2, 0, 3], parts=[[0, 0, 0, 1]]))
    with pytest.raises(UserError, match="packed documents see each other"):
        check(rows([1, 2, 0, 3], parts=[[0, 0, 0, 0]]))


def test_targets_that_are_not_the_next_tokens_are_refused() -> None:
    batch = rows([1, 2, 0, 3])
    with pytest.raises(UserError, match="not the next token"):
        check(TokenBatch(batch.tokens, batch.tokens))


@given(st.lists(st.lists(st.integers(0, 9), min_size=6, max_size=6), min_size=1, max_size=4), st.data())
def test_spans_are_the_tokens_again(lines: list[list[int]], data: Any) -> None:
    tokens = torch.tensor(lines)
    lengths = torch.tensor([data.draw(st.integers(1, 6)) for _ in lines])
    batch = TokenBatch(tokens, next_token_targets(tokens, lengths))
    for number, window in enumerate(windows_of(range(len(lines)), batch, EOS)):
        assert [token for span in window.spans for token in span.tokens] == lines[number]
        padding = sum(len(span.tokens) for span in window.spans if span.kind == "padding")
        assert window.length + padding == 6
        assert window.learnt == max(0, min(int(lengths[number]), 6) - 1)
        stops = sum(len(span.tokens) for span in window.spans if "stop" in span.kind)
        assert stops == lines[number][: window.length].count(EOS)


def test_windows_are_shown_as_text_with_borders_and_stops(tmp_path: Path) -> None:
    make_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    ids = [token for text in TEXT for token in [*tokenizer.encode(text).ids, 0]]
    samples = np.array(ids[: len(ids) // 32 * 32], np.uint16).reshape(-1, 32)
    settings = TrainSection(batch_size=2).resolved()
    feed = feed_of(samples, settings, 0)
    said: list[str] = []
    inspect_feed(
        feed, vocab_size=400, eos_id=0, show=3, tokenizer=tmp_path / "tokenizer.json", say=said.append
    )
    assert "windows of" in said[0]
    shown = said[2:]
    assert len(shown) == 3
    text = "\n".join(shown)
    assert "[stop: <|endoftext|>]" in text
    assert "\n---\n" in text
    windows = list(first_windows(feed, 3, 0))
    decoded = [
        "".join(t for _, t in text_of(w, lambda ids: tokenizer.decode(ids, skip_special_tokens=False)))
        for w in windows
    ]
    assert decoded[0] == tokenizer.decode(samples[int(windows[0].number)].tolist(), skip_special_tokens=False)
    quiet: list[str] = []
    inspect_feed(feed, vocab_size=400, eos_id=0, say=quiet.append)
    assert quiet == []
