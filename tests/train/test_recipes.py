"""The recipes of the originals hold the originals' figures, and train."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.train.small_models import TEXT, make_llama, make_tokenizer
from tokenizers import Tokenizer

from textmill.cli import main
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


# --- they train -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_tokenizer(tmp_path_factory.mktemp("base"))
    size = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
    return make_llama(folder, size, hidden_size=32, intermediate_size=48)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pages long enough for every recipe's filters, no two alike."""
    folder = tmp_path_factory.mktemp("pages")
    texts = (
        f"{' '.join(TEXT)} Page {number}: {TEXT[number % 3]} {' '.join(TEXT[::-1])}" for number in range(24)
    )
    (folder / "train.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return folder


ADAPTERS = ("train.method=lora", "train.lora=attention")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param(
            "domain_llama.yaml",
            (),
            marks=pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed"),
        ),
        pytest.param(
            "domain_llama.yaml",
            ("train.hostfile={hosts}",),
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed"),
            ],
        ),
        (
            "course.yaml",
            (*ADAPTERS, "curate=[normalize]"),
        ),  # the slow one has all of its filters, which compile
        pytest.param("course.yaml", (), marks=pytest.mark.slow),
        pytest.param("course.yaml", ("train.method=qlora", ADAPTERS[1]), marks=pytest.mark.slow),
        pytest.param("quebec_french_training.yaml", (), marks=pytest.mark.slow),
    ],
    ids=["zero", "zero-2", "course-lora", "course", "course-qlora", "quebec"],
)
def test_training(name: str, changes: tuple[str, ...], base: Path, pages: Path, tmp_path: Path) -> None:
    """Smaller, shorter, at a higher rate; all else is the recipe's."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 slots=2\n")
    before = load_file(base / "model.safetensors")
    settings = [
        f"sources=[{{files: {{paths: {pages}/train.jsonl}}}}]", f"tokenizer.use={base}", f"train.from={base}",
        "tokens.seq_len=32", "tokens.split.validation=0.3", "train.lr=2e-2", "train.warmup=0", "train.batch_size=4",
        "train.micro_batch_size=2", "train.device=cpu", "train.threads=1", "train.log_every=1", "run.engine=inline",
        "train.watch=[tensorboard]", *(change.format(hosts=hosts) for change in changes),
    ]  # fmt: skip
    settings += (
        ["train.tokens=768"] if name == "domain_llama.yaml" else ["train.epochs=null", "train.steps=6"]
    )
    if name == "quebec_french_training.yaml":
        settings += ["train.stride=8", "train.min_tokens=8"]
    options = [word for setting in settings for word in ("--set", setting)]
    with as_file(files("textmill").joinpath("recipes", name)) as path:
        assert main(["train", str(path), "--output_dir", str(tmp_path / "run"), *options]) == 0
    summary = json.loads((tmp_path / "run/model/training_summary.json").read_text())
    lines = (tmp_path / "run/checkpoints/metrics.jsonl").read_text().splitlines()
    losses = [row["loss"] for row in map(json.loads, lines) if "loss" in row]
    assert summary["steps"] == len(losses) == 6
    assert losses[-1] < losses[0] - (0.5 if summary["method"] == "full" else 0.03)
    assert summary["validation_loss"] < losses[0]
    if summary["method"] == "full":
        after = load_file(tmp_path / "run/model/model.safetensors")
        assert all(not torch.equal(after[key], before[key].to(after[key].dtype)) for key in before)
        assert summary["trainable_parameters"] == summary["parameters"]
    else:
        assert (tmp_path / "run/model/adapter_model.safetensors").is_file()
        assert summary["trainable_parameters"] < 0.3 * summary["parameters"]
