"""Windows, unigram counts, and a model whose cost can be computed by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from textmill.errors import UserError
from textmill.evaluate.perplexity import measure, plan_windows, unigram_log_probabilities
from textmill.evaluate.samples import beginnings, whole_words
from textmill.model.config import LlamaConfig
from textmill.model.llama import Llama


class Stream:
    """Tokens in memory, as the evaluation sees a split."""

    def __init__(self, tokens: list[int], seq_len: int = 8, text_bytes: int = 100) -> None:
        self._tokens = np.array(tokens, np.uint16)
        self.tokens, self.text_bytes = len(tokens), text_bytes
        self.vocab_size, self.eos_id, self.seq_len = 20, 0, seq_len

    def read(self, start: int, stop: int, /) -> npt.NDArray[Any]:
        assert 0 <= start <= stop <= self.tokens
        return self._tokens[start:stop]


@given(st.integers(1, 400), st.integers(1, 40), st.data())
def test_every_token_is_scored_once_with_enough_context(tokens: int, reach: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, reach))
    windows = plan_windows(tokens, reach, stride)
    scored = [position for w in windows for position in range(w.stop - w.scored, w.stop)]
    assert scored == list(range(tokens))
    for window in windows[1:]:
        assert window.stop - window.start == reach
        assert 1 <= window.scored <= stride
        assert window.start >= 0


def uniform_model() -> Llama:
    model = Llama(LlamaConfig(20, 16, 16, 1, 2, 2, 8))
    model.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        model.lm_head.weight.zero_()
    return model


def test_a_model_that_knows_nothing_pays_the_vocabulary() -> None:
    held_out = Stream([3, 4, 0, 5, 6, 7, 0] * 5, text_bytes=50)
    numbers = measure(uniform_model(), held_out, Stream([1, 0])).numbers()
    assert numbers["tokens"] == 35
    assert numbers["perplexity"] == pytest.approx(20)
    assert numbers["bits_per_byte"] == pytest.approx(35 * math.log2(20) / 50)


def test_batches_and_strides_score_the_same_tokens() -> None:
    model = Llama(LlamaConfig(20, 16, 16, 1, 2, 2, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    held_out, training = Stream([i * 7 % 20 for i in range(101)]), Stream([1, 1, 2, 0])
    one = measure(model, held_out, training, batch_size=1)
    many = measure(model, held_out, training, batch_size=50)
    assert one.nats == pytest.approx(many.nats, rel=1e-6)
    assert one.unigram_nats == pytest.approx(many.unigram_nats, rel=1e-9)
    assert measure(model, held_out, training, stride=7).tokens == 101
    expected = -sum(
        math.log({1: 3, 2: 2, 0: 2}.get(token, 1) / 24) for token in held_out.read(0, 101).tolist()
    )
    assert one.unigram_nats == pytest.approx(expected)


def test_unigram_probabilities_sum_to_one() -> None:
    logarithms = unigram_log_probabilities(Stream([1, 1, 5, 0]), 10**6)
    assert np.exp(logarithms).sum() == pytest.approx(1)
    assert np.exp(logarithms[[1, 5, 9]]) == pytest.approx(np.array([3, 2, 1]) / 24)


def test_nothing_held_out_and_impossible_strides_are_told() -> None:
    with pytest.raises(UserError, match="nothing was held out"):
        measure(uniform_model(), Stream([], text_bytes=0), Stream([1]))
    for stride in (0, 8):
        with pytest.raises(UserError, match="stride"):
            measure(uniform_model(), Stream([1, 2]), Stream([1]), stride=stride)


def test_beginnings_are_of_documents_long_enough() -> None:
    stream = Stream([1, 2, 0, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 12, 0, 13, 14, 15, 16])
    assert beginnings(stream, 5, prompt_tokens=2, more=3) == [[3, 4, 5, 6, 7], [9, 10, 11, 12]]
    assert beginnings(stream, 1, prompt_tokens=2, more=100) == [[3, 4, 5, 6, 7, 8]]
    assert beginnings(stream, 0, prompt_tokens=2, more=3) == []


def test_a_beginning_ends_where_a_word_does() -> None:
    tokenizer = Tokenizer(models.BPE(vocab={}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[]
    )
    tokenizer.train_from_iterator([], trainer)
    document = tokenizer.encode("The mill grinds all day").ids  # a token per letter
    assert [whole_words(tokenizer, document, most) for most in (8, 10, 15, 16, 20)] == [8, 8, 15, 15, 19]
    assert whole_words(tokenizer, tokenizer.encode("grindstones").ids, 6) == 6
    assert whole_words(tokenizer, document, 14) == 8
