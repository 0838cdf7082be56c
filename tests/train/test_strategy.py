"""What a strategy saves is all that it needs to go on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection
from textmill.train.trainee import LlamaTrainee

SHAPE = {"layers": 2, "hidden_size": 32, "heads": 2, "kv_heads": 1, "intermediate_size": 48}


def prepared(**changes: object) -> Strategy:
    settings = TrainSection(
        **({"shape": SHAPE, "lr": 0.01, "batch_size": 4, "device": "cpu"} | changes)
    ).resolved()  # type: ignore[arg-type]
    strategy = Strategy(torch.device("cpu"))
    strategy.prepare(LlamaTrainee(settings.model_config_for(60, 16, 0)), settings, seed=0)
    return strategy


def batch(seed: int, rows: int = 4) -> TokenBatch:
    tokens = torch.randint(0, 60, (rows, 16), generator=torch.Generator().manual_seed(seed))
    return TokenBatch(tokens, next_token_targets(tokens))


def step(strategy: Strategy, seed: int) -> float:
    rows = batch(seed)
    loss = strategy.accumulate(rows, 1 / rows.counted, last=True)
    strategy.clip(1.0)
    strategy.update(1.0)
    return float(loss)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_state_goes_through_a_file(name: str, tmp_path: Path) -> None:
    first = prepared(optimizer=name)
    for seed in range(3):
        step(first, seed)
    save_file(first.weights(), tmp_path / "weights")
    save_file(first.optimizer_state(), tmp_path / "optimizer")
    again = prepared(optimizer=name)
    again.load(load_file(tmp_path / "weights").items(), load_file(tmp_path / "optimizer").items())
    for seed in range(3, 6):
        assert step(first, seed) == step(again, seed)
    pairs = zip(first.weights().items(), again.weights().items(), strict=True)
    assert all(one == other and torch.equal(x, y) for (one, x), (other, y) in pairs)


def test_what_is_saved_is_a_copy() -> None:
    strategy = prepared()
    before = strategy.weights()
    kept = {name: value.clone() for name, value in before.items()}
    step(strategy, 0)
    assert all(torch.equal(before[name], kept[name]) for name in kept)
