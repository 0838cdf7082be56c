"""DeepSpeed's ZeRO in one process: what it refuses to do when it must, and does otherwise as one process does."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.train.small_models import make_llama

from textmill.errors import UserError
from textmill.train.batch import TokenBatch
from textmill.train.feed import SampleWindows, WindowFeed
from textmill.train.loop import Trained, train
from textmill.train.parallel.strategy import Strategy
from textmill.train.parallel.zero import DeepSpeedZero
from textmill.train.settings import TrainSection
from textmill.train.store import FolderStore
from textmill.train.trainees import trainee_of
from textmill.train.watchers.watcher import Watcher

pytestmark = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")

SETTINGS: dict[str, Any] = {
    "shape": {"layers": 1, "hidden_size": 16, "heads": 2, "intermediate_size": 24, "tie_embeddings": False},
    "steps": 8,
    "batch_size": 4,
    "micro_batch_size": 2,
    "optimizer": "adamw",
    "lr": 0.01,
    "eps": 1e-4,
    "warmup": 0,
    "schedule": "constant",
    "checkpoint_every": 2,
    "keep_last": 9,
    "log_every": 1,
    "watch": [],
    "device": "cpu",
    "dtype": "fp32",
    "threads": 1,
}
WINDOWS = np.random.default_rng(0).integers(0, 50, (40, 12)).astype(np.uint16)
BAD = 3
"""The step whose loss or gradient is broken."""


class Watched(WindowFeed):
    """Knows which step was read last."""

    def __init__(self) -> None:
        super().__init__(SampleWindows(WINDOWS), batch_size=4, seed=0)
        self.read: list[int] = []

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        self.read.append(step)
        return super().batch(step, rank, world_size)


def run(folder: Path, feed: WindowFeed | None = None, **changes: Any) -> Trained:
    watchers = changes.pop("watchers", ())
    settings = TrainSection(**(SETTINGS | changes))
    config = settings.model_config_for(50, 12, 0)
    return train(
        settings,
        config,
        feed or Watched(),
        FolderStore(folder),
        scratch=folder / "scratch",
        say=lambda _: None,
        watchers=watchers,
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    return list(map(json.loads, (folder / "checkpoints/metrics.jsonl").read_text().splitlines()))


def tensors(folder: Path, step: int = 8) -> dict[str, torch.Tensor]:
    checkpoint = folder / f"checkpoints/checkpoint-{step}"
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What becomes of the loss, and of the gradient by it, in step BAD; in any strategy."""
    what: dict[str, Any] = {}

    def accumulate(self: Any, batch: TokenBatch, scale: float, last: bool) -> torch.Tensor:
        bad = what["feed"].read[-1] == BAD
        loss: torch.Tensor = original[type(self)](self, batch, scale * (what["factor"] if bad else 1.0), last)
        return torch.full_like(loss, what["shown"]) if bad and "shown" in what else loss

    original = {kind: kind.accumulate for kind in (Strategy, DeepSpeedZero)}
    for kind in original:
        monkeypatch.setattr(kind, "accumulate", accumulate)
    return what


@pytest.mark.parametrize(
    ("stage", "dtype", "how"),
    [
        (1, "fp32", "skip"),
        (3, "fp32", "roll_back"),
        pytest.param(2, "bf16", "skip", marks=pytest.mark.slow),
        pytest.param(2, "offload", "skip", marks=pytest.mark.slow),
        pytest.param(3, "fp16", "skip", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_refused_step_moves_nothing(
    stage: int, dtype: str, how: str, kind: str, broken: dict[str, Any], tmp_path: Path
) -> None:
    if (dtype, kind) == ("fp16", "gradient"):
        pytest.skip("fp16 overflows on purpose, to find its scale")
    broken.update(
        {"factor": 1.0, "shown": math.nan} if kind == "loss" else {"factor": math.nan, "shown": 1.0}
    )
    found = {}
    for name, parallel in (("one", "auto"), ("zero", "deepspeed")):
        broken["feed"] = feed = Watched()
        changes: dict[str, Any] = {
            "parallel": parallel,
            "deepspeed": {"stage": stage},
            "on_nan": how,
            "dtype": dtype,
        }
        if dtype == "offload":
            changes |= {"dtype": "fp32", "deepspeed": {"stage": stage, "offload": True}}
        trained = run(tmp_path / name, feed, **changes)
        found[name] = (feed.read, trained.state.skipped, trained.state.passed_over)
    assert found["one"] == found["zero"]
    assert found["zero"][1:] == ((1, []) if how == "skip" else (0, [[2, 2]]))
    if dtype in (
        "bf16",
        "fp16",
    ):  # the engine rounds the weights too: another training, as finite as the first
        assert all(torch.isfinite(value).all() for value in tensors(tmp_path / "zero").values())
        return
    one, zero = tensors(tmp_path / "one"), tensors(tmp_path / "zero")
    assert one.keys() == zero.keys()
    for key in one:
        torch.testing.assert_close(zero[key], one[key], rtol=1e-3, atol=1e-5)
    for name in ("loss", "grad_norm"):
        first, second = ([row[name] for row in rows(tmp_path / folder) if "loss" in row] for folder in found)
        assert first == pytest.approx(second, abs=1e-4)


@pytest.mark.parametrize("parallel", ["auto", "deepspeed"])
def test_a_gradient_that_is_no_number_stops_the_training(
    parallel: str, broken: dict[str, Any], tmp_path: Path
) -> None:
    broken.update({"factor": math.inf, "shown": 1.0, "feed": (feed := Watched())})
    with pytest.raises(UserError, match=f"norm of the gradient is (nan|inf) at step {BAD + 1}"):
        run(tmp_path, feed, parallel=parallel)


def test_the_scale_of_fp16_goes_on_under_any_strategy(tmp_path: Path) -> None:
    def scale(step: int) -> float:
        state = json.loads((tmp_path / f"run/checkpoints/checkpoint-{step}/trainer_state.json").read_text())
        return float(state["loss_scale"]["scale"])

    class StoppedError(Exception):
        pass

    class Stop(Watcher):
        def __init__(self, step: int) -> None:
            self.step = step

        def stepped(self, step: int, *_: Any) -> None:
            if step == self.step:
                raise StoppedError

    low = tmp_path / "deepspeed.json"
    low.write_text(json.dumps({"fp16": {"initial_scale_power": 9}}))
    zero = {"parallel": "deepspeed", "deepspeed": {"stage": 2, "config": str(low)}}
    with pytest.raises(StoppedError):
        run(tmp_path / "run", dtype="fp16", watchers=[Stop(3)], **zero)
    assert scale(2) == 512
    with pytest.raises(StoppedError):
        run(tmp_path / "run", dtype="fp16", watchers=[Stop(5)])
    assert scale(4) == 512
    run(tmp_path / "run", dtype="fp16", parallel="deepspeed")
    assert scale(8) == 512


@pytest.fixture
def no_piece_stays_whole(tmp_path: Path) -> str:
    """ZeRO 3 leaves small parameters whole; in a model of real size most are not small."""
    file = tmp_path / "deepspeed.json"
    file.write_text(json.dumps({"zero_optimization": {"stage3_param_persistence_threshold": 0}}))
    return str(file)


@pytest.mark.parametrize("tied", [pytest.param(False, marks=pytest.mark.slow), True])
def test_weights_in_pieces_train_and_continue_as_whole_ones(
    tied: bool, no_piece_stays_whole: str, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"shape": SETTINGS["shape"] | {"tie_embeddings": tied}}
    whole = run(tmp_path / "one", **changes)
    changes |= {"parallel": "deepspeed", "deepspeed": {"stage": 3, "config": no_piece_stays_whole}}
    run(tmp_path / "zero", **changes)
    shutil.copytree(tmp_path / "one/checkpoints/checkpoint-4", tmp_path / "more/checkpoints/checkpoint-4")
    pieces = run(tmp_path / "more", **changes)
    assert pieces.trainee.parameters == whole.trainee.parameters
    assert pieces.trainee.trained_parameters == whole.trainee.parameters
    one = tensors(tmp_path / "one")
    for name in ("zero", "more"):
        found = tensors(tmp_path / name)
        assert found.keys() == one.keys()
        for key, value in one.items():
            torch.testing.assert_close(found[key], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stage", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_adapters_are_those_of_one_process(stage: int, no_piece_stays_whole: str, tmp_path: Path) -> None:
    base = make_llama(tmp_path / "base", 50, hidden_size=32, intermediate_size=48)
    zero = {"parallel": "deepspeed", "deepspeed": {"stage": stage, "config": no_piece_stays_whole}}
    found, read = {}, load_file(base / "model.safetensors")
    for name, changes in (("one", {}), ("zero", zero)):
        settings = TrainSection.model_validate(
            {key: value for key, value in SETTINGS.items() if key != "shape"}
            | {"from": str(base), "method": "lora", "lora": {"r": 4, "dropout": 0.0}, "seed": 1, **changes}
        )
        for stop in (None,) if name == "one" else (5, None):  # stopped, and continued from step 4
            trainee = trainee_of(settings, vocab_size=50, seq_len=12, eos_id=0, seed=1)

            def progress(_text: str, done: float, *_: Any, stop: int | None = stop, **__: Any) -> None:
                if done == stop:
                    raise InterruptedError

            with suppress(InterruptedError):
                trained = train(
                    settings, trainee, Watched(), FolderStore(tmp_path / name), scratch=tmp_path / "scratch",
                    say=lambda _: None, progress=progress,
                )  # fmt: skip
        folder = tmp_path / name / trained.checkpoint
        found[name] = load_file(folder / "adapter_model.safetensors") | load_file(
            folder / "optimizer.safetensors"
        )
        after = load_file(base / "model.safetensors")
        assert all(torch.equal(read[key], after[key]) for key in read)
    assert found["one"].keys() == found["zero"].keys()
    for key, value in found["one"].items():
        torch.testing.assert_close(found["zero"][key], value, rtol=1e-3, atol=1e-5)
