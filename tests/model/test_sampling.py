"""Drawing tokens."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.llama import Llama
from textmill.model.sampling import draw, sample_tokens


@pytest.fixture(scope="module")
def model() -> Llama:
    model = Llama(LlamaConfig(50, 32, 48, 2, 4, 2, 16, tie_word_embeddings=True))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=torch.Generator().manual_seed(parameter.numel()))
    return model


def test_same_seed_same_tokens(model: Llama) -> None:
    def text(seed: int) -> list[int]:
        return list(sample_tokens(model, [1, 2], max_new_tokens=40, seed=seed))

    assert text(1) == text(1)
    assert text(1) != text(2)
    assert len(text(1)) == 40  # two and a half contexts long


def test_sliding_context_reads_the_newer_half_again(model: Llama) -> None:
    produced = list(sample_tokens(model, [3], max_new_tokens=17, temperature=0))
    # 16 tokens fit; the 17th draw sees the last 8 of the 17 known ones.
    known = [3, *produced[:16]]
    assert produced[16] == int(model(torch.tensor([known[-8:]]))[0, -1].argmax())


def test_long_prompts_keep_their_end(model: Llama) -> None:
    prompt = [i % 50 for i in range(100)]
    first = next(iter(sample_tokens(model, prompt, temperature=0)))
    assert first == int(model(torch.tensor([prompt[-16:]]))[0, -1].argmax())


def test_stop_tokens_end_and_are_not_given_out(model: Llama) -> None:
    tokens = list(sample_tokens(model, [1], max_new_tokens=40, seed=0))
    stop = tokens[5]
    assert (
        list(sample_tokens(model, [1], max_new_tokens=40, seed=0, stop=(stop,)))
        == tokens[: tokens.index(stop)]
    )


def test_draws_follow_the_probabilities_left_by_top_k_and_top_p() -> None:
    logits = torch.log(torch.tensor([0.4, 0.3, 0.2, 0.1]))
    generator = torch.Generator().manual_seed(0)

    def shares(**options: float) -> dict[int, float]:
        settings = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} | options
        counts = Counter(draw(logits, generator, **settings) for _ in range(4_000))  # type: ignore[arg-type]
        return {token: count / 4_000 for token, count in counts.items()}

    near = pytest.approx
    assert shares() == near({0: 0.4, 1: 0.3, 2: 0.2, 3: 0.1}, abs=0.04)
    assert shares(top_k=2) == near({0: 4 / 7, 1: 3 / 7}, abs=0.04)
    assert shares(top_p=0.69) == near({0: 4 / 7, 1: 3 / 7}, abs=0.04)
    assert shares(top_p=0.71) == near({0: 4 / 9, 1: 3 / 9, 2: 2 / 9}, abs=0.04)
    assert shares(top_p=0.01) == {0: 1.0}
    assert shares(temperature=0.5) == near({0: 16 / 30, 1: 9 / 30, 2: 4 / 30, 3: 1 / 30}, abs=0.04)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}, {"prompt": []}, {"prompt": [50]}],
)
def test_numbers_out_of_range(model: Llama, wrong: dict[str, object]) -> None:
    options = {"prompt": [1]} | wrong
    prompt = options.pop("prompt")
    with pytest.raises(UserError):
        next(sample_tokens(model, prompt, **options))  # type: ignore[arg-type]
