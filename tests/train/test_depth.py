"""The one dial: what follows from a number of blocks."""

from __future__ import annotations

import pytest
import torch

from textmill.errors import UserError
from textmill.model.llama import Llama
from textmill.train.depth import DEEPEST, plan_depth


def test_every_depth_has_a_plan() -> None:
    for depth in range(1, DEEPEST + 1):
        plan = plan_depth(depth, vocab_size=32_000, seq_len=2_048, eos_token_id=0)
        heads, kv_heads = plan.config.num_attention_heads, plan.config.num_key_value_heads
        assert heads % kv_heads == 0, depth
        assert plan.config.hidden_size == 64 * depth == heads * plan.config.head_dim, depth
        assert plan.tokens == 20 * plan.config.parameters(), depth
        assert 2e-4 <= plan.lr <= 3e-3, depth
        assert plan.batch_size & (plan.batch_size - 1) == 0, depth


@pytest.mark.parametrize("depth", [*range(1, 9), 11, 13, 17, 32, 61, DEEPEST])
def test_models_of_all_sizes_can_be_built(depth: int) -> None:
    config = plan_depth(depth, vocab_size=32_000, seq_len=2_048, eos_token_id=0).config
    with torch.device("meta"):
        model = Llama(config)
    assert sum(p.numel() for p in model.parameters()) == config.parameters()


def test_deeper_is_larger_trains_longer_on_larger_batches_at_lower_rates() -> None:
    plans = [plan_depth(depth, vocab_size=32_000, seq_len=2_048) for depth in (4, 8, 12, 16, 20, 26, 32)]
    for field in ("tokens", "batch_size"):
        values = [getattr(plan, field) for plan in plans]
        assert values == sorted(values)
    rates = [plan.lr for plan in plans]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 1.5 * rates[-1]


def test_depths_near_the_presets_are_as_large_as_these() -> None:
    assert 90e6 < plan_depth(12, 32_000, 2_048).config.parameters() < 130e6
    assert 1.0e9 < plan_depth(28, 32_000, 2_048).config.parameters() < 1.4e9


def test_a_small_budget_still_gets_steps() -> None:
    plan = plan_depth(4, vocab_size=4_096, seq_len=128, tokens=1_000_000)
    assert plan.tokens == 1_000_000
    assert plan.tokens / (plan.batch_size * 128) > 100


@pytest.mark.parametrize("depth", [0, -3, DEEPEST + 1])
def test_impossible_depths_are_refused(depth: int) -> None:
    with pytest.raises(UserError, match="depth"):
        plan_depth(depth, 32_000, 2_048)
