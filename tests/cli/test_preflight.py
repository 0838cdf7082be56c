"""What a plan says of a training without torch."""

from __future__ import annotations

from typing import Any

import pytest

from textmill.cli.preflight import plan_lines
from textmill.model.presets import preset_config
from textmill.recipe import load_recipe
from textmill.train.depth import plan_depth


def lines(train: dict[str, Any]) -> str:
    recipe = {
        "name": "x",
        "sources": [{"files": "."}],
        "tokenizer": {"train": {"vocab_size": 4_096}},
        "tokens": {"seq_len": 128},
        "train": train,
    }
    return "\n".join(plan_lines(load_recipe(recipe)))


def test_parameters_and_compute_of_a_preset() -> None:
    config = preset_config("tiny", vocab_size=4_096, seq_len=128)
    said = lines({"preset": "tiny", "tokens": "2M"})
    assert f"{config.parameters():,} parameters" in said
    assert f"{2e6 / config.parameters():.3g} per parameter" in said
    assert f"{2e6 * config.training_flops_per_token(128):.3g} FLOPs" in said


def test_depth_brings_its_own_budget() -> None:
    assert f"{plan_depth(2, 4_096, 128).tokens:,} tokens, 20 per parameter" in lines({"depth": 2})


@pytest.mark.parametrize("train", [{"preset": "tiny", "epochs": 2}, {"preset": "tiny", "steps": 10}])
def test_a_budget_that_is_not_known_yet_is_left_out(train: dict[str, Any]) -> None:
    assert "FLOPs" not in lines(train)


def test_a_model_that_exists_is_not_opened() -> None:
    assert lines({"from": "hf://nobody/nothing"}) == ""
