"""The recipes of the originals hold the originals' figures."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import pytest

from textmill.recipe import load_recipe
from textmill.train.adapter_settings import PROJECTIONS
from textmill.train.settings import TrainSection


def section(name: str, *overrides: str) -> TrainSection:
    with as_file(files("textmill").joinpath("recipes", name)) as path:
        found = load_recipe(path, list(overrides)).train
    assert isinstance(found, TrainSection)
    return found.resolved()


FIGURES: dict[str, dict[str, Any]] = {
    "domain_llama.yaml": {
        "method": "full", "lr": 5e-5, "beta1": 0.9, "beta2": 0.95, "log_every": 100, "tokens": 3 * 10**11,
        "parallel": "deepspeed", "optimizer": "adamw",
    },
    "course.yaml": {
        "lr": 5e-5, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.01, "warmup": 500, "steps": 10_000,
        "schedule": "cosine", "clip": 1.0, "micro_batch_size": 8, "batch_size": 32, "dtype": "fp16", "log_every": 100,
        "checkpoint_every": 1_000, "parallel": "ddp",
    },
    "quebec_french_training.yaml": {
        "lr": 1e-5, "epochs": 3, "batch_size": 64, "micro_batch_size": 8, "schedule": "cosine", "warmup": 0.03,
        "weight_decay": 0.0, "clip": 1.0, "stride": 128, "min_tokens": 50, "method": "lora", "inspect": 5,
        "activation_checkpointing": "full",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figures(name: str) -> None:
    found = section(name)
    for field, value in FIGURES[name].items():
        assert getattr(found, field) == value, field


def test_zero_stage_and_passes_of_the_domain_crawl() -> None:
    found = section("domain_llama.yaml")
    assert found.deepspeed.stage == 2
    assert found.batch_size == 16 * 8 * (found.micro_batch_size or 0)


def test_adapters() -> None:
    quebec = section("quebec_french_training.yaml").adapters
    course = section("course.yaml", "train.method=lora", "train.lora=attention").adapters
    assert quebec is not None
    assert course is not None
    assert (quebec.r, quebec.alpha, quebec.dropout, set(quebec.target_modules or ())) == (
        16,
        32,
        0.1,
        set(PROJECTIONS),
    )
    assert (course.r, course.alpha, course.dropout, course.target_modules) == (
        8,
        32,
        0.05,
        ("q_proj", "v_proj"),
    )
    assert section("course.yaml", "train.method=qlora", "train.lora=attention").method == "qlora"
    assert section("course.yaml").watch == ["tensorboard", "wandb"]
