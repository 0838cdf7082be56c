"""Two processes do what one does: DDP, FSDP2, DeepSpeed; checkpoints go on with any number of processes."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from textmill.train.batch import TokenBatch
from textmill.train.feed import WindowFeed
from textmill.train.loop import Trained, train
from textmill.train.parallel.strategy import Strategy
from textmill.train.parallel.zero import DeepSpeedZero
from textmill.train.settings import TrainSection
from textmill.train.store import FolderStore

SETTINGS: dict[str, Any] = {
    "shape": {"layers": 2, "hidden_size": 32, "heads": 2, "kv_heads": 1, "intermediate_size": 48},
    "steps": 8,
    "batch_size": 8,
    "micro_batch_size": 2,
    "optimizer": "adamw",
    "lr": 0.01,
    "eps": 1e-4,  # where gradients are next to zero, steps are no blown-up rounding errors
    "warmup": 2,
    "schedule": "cosine",
    "checkpoint_every": 4,
    "log_every": 1,
    "keep_last": 9,
    "watch": [],
    "device": "cpu",
    "dtype": "fp32",
    "threads": 1,
}


def run(folder: Path, changes: dict[str, Any] | None = None, stop: int | None = None) -> Trained | None:
    """Train on 40 windows; maybe stop early, maybe with a gradient that is no number in the step ``bad``."""
    changes = dict(changes or {})
    bad = changes.pop("bad", None)
    settings = TrainSection(**(SETTINGS | changes))
    windows = np.random.default_rng(0).integers(0, 50, (40, 17)).astype(np.uint16)
    config = settings.model_config_for(50, 17, 0)

    class StoppedError(Exception):
        pass

    def progress(_text: str, done: float, _total: float, **_: float) -> None:
        if stop is not None and done == stop and int(os.environ.get("WORLD_SIZE", "1")) == 1:
            raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        if bad is not None:
            break_step(patch, bad)
        try:
            return train(
                settings, config, windows, FolderStore(folder), scratch=folder / f"scratch-{os.environ.get('RANK', 0)}",
                validation={"one": windows[:5], "other": windows[5:12]}, progress=progress, say=lambda _text: None,
            )  # fmt: skip
        except StoppedError:
            return None


def break_step(patch: pytest.MonkeyPatch, bad: int) -> None:
    """Make what process 0 computes in a step no number."""
    read: list[int] = []
    batch = WindowFeed.batch

    def reading(self: WindowFeed, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        read.append(step if rank == 0 else -1)
        return batch(self, step, rank, world_size)

    def breaking(accumulate: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def broken(self: Any, batch: TokenBatch, scale: float, last: bool) -> torch.Tensor:
            return accumulate(self, batch, scale * (math.nan if read[-1] == bad else 1.0), last)

        return broken

    patch.setattr(WindowFeed, "batch", reading)
    for kind in (Strategy, DeepSpeedZero):  # those of DDP and FSDP2 call the first
        patch.setattr(kind, "accumulate", breaking(kind.accumulate))


def losses(folder: Path) -> list[float]:
    lines = (folder / "checkpoints/metrics.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


def tensors(folder: Path, step: int = 8) -> dict[str, torch.Tensor]:
    checkpoint = folder / f"checkpoints/checkpoint-{step}"
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")


def launch(jobs: list[tuple[Path, dict[str, Any]]], processes: int) -> None:
    """Run trainings one after the other in several processes at once; one process imports, and forks all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    written = json.dumps([[str(folder), changes] for folder, changes in jobs])
    environment = os.environ | {
        "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": str(processes),
        "DS_ACCELERATOR": "cpu", "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, written, str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]


PRELOADED = ("torch._dynamo", "textmill.train.parallel.ddp", "textmill.train.parallel.fsdp")
"""What every one of the processes would import."""


def main() -> None:
    """Fork the processes, before anything is computed, and wait for them."""
    for name in PRELOADED:
        import_module(name)
    children = []
    for rank in range(int(os.environ["WORLD_SIZE"])):
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "MASTER_PORT": sys.argv[2]}
        children.append(os.fork())
        if not children[-1]:
            train_all()
            sys.stdout.flush()
            os._exit(0)
    endings = []
    for _ in children:
        endings.append(os.waitstatus_to_exitcode(os.wait()[1]))
        if endings[-1]:  # the others wait for it
            for child in children:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGTERM)
    sys.exit(max(map(abs, endings)))


def train_all() -> None:
    """In one of the processes."""
    torch.distributed.init_process_group("gloo")
    for folder, changes in json.loads(sys.argv[1]):
        run(Path(folder), changes)
    torch.distributed.destroy_process_group()


UNTIED = {"shape": SETTINGS["shape"] | {"tie_embeddings": False}}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    run(folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings of two processes, all in one launch."""
    folder = tmp_path_factory.mktemp("two")
    launch([(folder / "ddp", {}), (folder / "fsdp", {"parallel": "fsdp"})], 2)
    return folder


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_are_one(kind: str, one: Path, two: Path) -> None:
    assert losses(two / kind) == pytest.approx(losses(one), abs=2e-6)
    first, second = tensors(one), tensors(two / kind)
    assert first.keys() == second.keys()
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=1e-4, atol=1e-6)
    state = json.loads((two / kind / "checkpoints/checkpoint-8/trainer_state.json").read_text())
    mine = json.loads((one / "checkpoints/checkpoint-8/trainer_state.json").read_text())
    assert state["validation_loss"] == pytest.approx(mine["validation_loss"], abs=2e-6)
    assert state["fingerprint"] == mine["fingerprint"]


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_checkpoint_of_two_goes_on_with_one(kind: str, one: Path, two: Path, tmp_path: Path) -> None:
    cut_back(two / kind, tmp_path)
    run(tmp_path)
    assert losses(tmp_path) == pytest.approx(losses(one), abs=2e-6)
    for key, value in tensors(one).items():
        torch.testing.assert_close(value, tensors(tmp_path)[key], rtol=1e-4, atol=1e-6)


def cut_back(source: Path, target: Path) -> None:
    """A training as if it had been stopped after step 4."""
    import shutil

    shutil.copytree(source / "checkpoints/checkpoint-4", target / "checkpoints/checkpoint-4")
    lines = (source / "checkpoints/metrics.jsonl").read_text().splitlines(keepends=True)
    (target / "checkpoints/metrics.jsonl").write_text("".join(x for x in lines if json.loads(x)["step"] <= 4))


@pytest.mark.slow
def test_elastic_and_other_kinds(one: Path, two: Path, tmp_path: Path) -> None:
    cut_back(two / "ddp", tmp_path / "ddp4")
    cut_back(one, tmp_path / "fsdp4")
    launch([(tmp_path / "ddp4", {}), (tmp_path / "fsdp4", {"parallel": "fsdp"})], 4)
    for kind in ("ddp4", "fsdp4"):
        assert losses(tmp_path / kind) == pytest.approx(losses(one), abs=2e-6)
    muon = {"optimizer": "muon", "muon_lr": 0.02}
    run(tmp_path / "muon", UNTIED | muon)
    launch(
        [(tmp_path / "muon2", UNTIED | muon | {"parallel": "fsdp", "activation_checkpointing": "full"})], 2
    )
    assert losses(tmp_path / "muon2") == pytest.approx(losses(tmp_path / "muon"), abs=5e-5)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")
@pytest.mark.parametrize("how", ["skip", "roll_back"])
def test_a_step_broken_in_one_process_is_refused_by_all(how: str, tmp_path: Path) -> None:
    broken = {"bad": 5, "on_nan": how}
    run(tmp_path / "one", broken)
    kinds: list[dict[str, Any]] = [{"parallel": "ddp"}, {"parallel": "fsdp"}]
    kinds += [{"parallel": "deepspeed", "deepspeed": {"stage": stage}} for stage in (1, 2, 3)]
    jobs = [(tmp_path / str(number), broken | kind) for number, kind in enumerate(kinds)]
    launch(jobs, 2)
    for folder, changes in jobs:
        assert losses(folder) == pytest.approx(losses(tmp_path / "one"), abs=1e-5), changes
        for key, value in tensors(tmp_path / "one").items():
            torch.testing.assert_close(value, tensors(folder)[key], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")
def test_deepspeed_is_one_process_too(one: Path, two: Path, tmp_path: Path) -> None:
    zero = {"parallel": "deepspeed"}
    jobs = [(tmp_path / f"zero{stage}", zero | {"deepspeed": {"stage": stage}}) for stage in (1, 2, 3)]
    for stage in (2, 3):
        cut_back(two / "ddp", tmp_path / f"resumed{stage}")
        jobs.append((tmp_path / f"resumed{stage}", zero | {"deepspeed": {"stage": stage}}))
    launch(jobs, 2)
    for folder, _ in jobs:
        assert losses(folder) == pytest.approx(losses(one), abs=1e-5), folder.name
        for key, value in tensors(one).items():
            torch.testing.assert_close(value, tensors(folder)[key], rtol=1e-3, atol=1e-5)
    cut_back(tmp_path / "zero2", tmp_path / "alone")
    run(tmp_path / "alone")
    assert losses(tmp_path / "alone") == pytest.approx(losses(one), abs=1e-5)


if __name__ == "__main__":
    main()
