"""The training loop: it learns, it can be killed, it says what went wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from textmill.errors import UserError
from textmill.train.budget import steps_of
from textmill.train.loop import Trained, train
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection
from textmill.train.store import FolderStore

SHAPE = {"layers": 2, "hidden_size": 32, "heads": 2, "kv_heads": 1, "intermediate_size": 48}
SETTINGS: dict[str, Any] = {
    "shape": SHAPE,
    "tokens": 24 * 4 * 16,
    "batch_size": 4,
    "optimizer": "muon",
    "lr": 0.01,
    "warmup": 3,
    "schedule": "cosine",
    "checkpoint_every": 5,
    "log_every": 4,
    "validate_every": 8,
    "device": "cpu",
    "dtype": "fp32",
    "threads": 1,
}


def windows(count: int = 40, seq_len: int = 16) -> np.ndarray[Any, Any]:
    """Sequences that count upwards by a step of their own: easy to learn."""
    starts, strides = np.arange(count)[:, None] * 7, np.arange(count)[:, None] % 3 + 1
    return ((starts + strides * np.arange(seq_len)) % 50).astype(np.uint16)


def run(folder: Path, changes: dict[str, Any] | None = None, **options: Any) -> Trained:
    settings = TrainSection(**(SETTINGS | (changes or {})))
    samples = options.pop("samples", windows())
    config = settings.model_config_for(50, samples.shape[1], 0)
    said = options.pop("said", [])
    return train(
        settings,
        config,
        samples,
        FolderStore(folder / "run"),
        scratch=folder / "scratch",
        validation=windows()[:6],
        say=said.append,
        **options,
    )


def weights(folder: Path, step: int = 24) -> dict[str, torch.Tensor]:
    checkpoint = folder / "run" / "checkpoints" / f"checkpoint-{step}"
    return load_file(checkpoint / "model.safetensors") | load_file(checkpoint / "optimizer.safetensors")


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run/checkpoints/metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "tokens_per_second"} for line in lines]


class KilledError(Exception):
    """Stands for a kill in tests that stay in one process."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(folder)
    return folder


def test_it_learns(tmp_path: Path) -> None:
    trained = run(tmp_path, {"tokens": 100 * 64, "validate_every": 0, "checkpoint_every": 1000})
    curve = [row["loss"] for row in rows(tmp_path) if "loss" in row]
    assert curve[0] > 3
    assert curve[-1] < 0.6 * curve[0]
    assert trained.validation_loss is not None
    assert trained.validation_loss < 0.6 * curve[0]
    assert trained.state.last_loss == pytest.approx(curve[-1], abs=1e-5)


def test_what_it_leaves(uninterrupted: Path) -> None:
    assert sorted(path.name for path in (uninterrupted / "run/checkpoints").iterdir()) == [
        "best.json",
        "checkpoint-20",
        "checkpoint-24",
        "logs",
        "metrics.jsonl",
    ]
    assert [row["step"] for row in rows(uninterrupted) if "loss" in row] == [4, 8, 12, 16, 20, 24]
    assert [row["step"] for row in rows(uninterrupted) if "validation_loss" in row] == [
        5,
        8,
        10,
        15,
        16,
        20,
        24,
    ]
    state = json.loads((uninterrupted / "run/checkpoints/checkpoint-24/trainer_state.json").read_text())
    assert (state["step"], state["steps"], state["tokens"], state["threads"]) == (24, 24, 24 * 64, 1)
    assert not list((uninterrupted / "scratch").iterdir())


@pytest.fixture(scope="module")
def with_adamw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adamw")
    run(folder, {"optimizer": "adamw"})
    return folder


@pytest.mark.parametrize(
    ("stop", "name"), [(3, "muon"), (7, "muon"), (10, "muon"), (23, "muon"), (7, "adamw"), (23, "adamw")]
)
def test_stopped_and_continued_ends_in_the_same_bits(
    stop: int, name: str, uninterrupted: Path, with_adamw: Path, tmp_path: Path
) -> None:
    def killer(_text: str, done: float, _total: float, **_: float) -> None:
        if done == stop:
            raise KilledError

    changes = {"optimizer": name}
    said: list[str] = []
    with pytest.raises(KilledError):
        run(tmp_path, changes, progress=killer)
    run(tmp_path, changes, said=said)
    assert any("continuing after step" in line for line in said) == (stop > 5)
    whole = {"muon": uninterrupted, "adamw": with_adamw}[name]
    first, second = weights(whole), weights(tmp_path)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert rows(whole) == rows(tmp_path)


KILLS = """
import importlib.util, json, os, signal, sys, time
from pathlib import Path

import tensorboardX, torch._dynamo  # each child would import them

spec = importlib.util.spec_from_file_location("kill_test", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)

endings = []
for number, after in enumerate((4, 5, 6, 12)):
    read, write = os.pipe()
    child = os.fork()  # nothing has been computed here yet: no thread but this one
    if not child:
        steps = os.fdopen(write, "w")
        module.run(Path(sys.argv[2]), progress=lambda *a, **k: print(a[1], file=steps, flush=True))
        os._exit(0)
    os.close(write)
    for line in os.fdopen(read):
        if float(line) >= after:
            time.sleep(0.002 * number)  # another place within the step, or within the saving
            os.kill(child, signal.SIGKILL)
            break
    endings.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(endings))
"""
"""Trains in one process after another and kills each at another step; they share the time that importing takes."""


def test_killed_at_any_instant_ends_in_the_same_bits(uninterrupted: Path, tmp_path: Path) -> None:
    (tmp_path / "kills.py").write_text(KILLS)
    done = subprocess.run(
        [sys.executable, tmp_path / "kills.py", __file__, tmp_path],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]).count(-signal.SIGKILL) >= 3
    run(tmp_path)
    first, second = weights(uninterrupted), weights(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert rows(uninterrupted) == rows(tmp_path)


@pytest.mark.parametrize(
    "damage", ["no_state", "short_weights", "flipped_bit", "missing_file", "broken_json"]
)
def test_half_written_checkpoints_are_passed_over(damage: str, uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "run", tmp_path / "run")
    last = tmp_path / "run/checkpoints/checkpoint-24"
    if damage == "no_state":
        (last / "trainer_state.json").unlink()
    elif damage == "short_weights":
        os.truncate(last / "model.safetensors", 500)
    elif damage == "flipped_bit":
        content = bytearray((last / "optimizer.safetensors").read_bytes())
        content[-3] ^= 1
        (last / "optimizer.safetensors").write_bytes(content)
    elif damage == "missing_file":
        (last / "config.json").unlink()
    else:
        (last / "trainer_state.json").write_text("{")
    said: list[str] = []
    run(tmp_path, said=said)
    assert any("incomplete" in line for line in said)
    assert any("continuing after step 20" in line for line in said)
    first, second = weights(uninterrupted), weights(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_finished_training_is_not_run_again(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "run", tmp_path / "run")
    steps: list[float] = []
    again = run(tmp_path, progress=lambda _text, done, _total, **_: steps.append(done))
    assert steps == []
    assert again.validation_loss == rows(uninterrupted)[-1]["validation_loss"]
    assert all(torch.equal(weights(uninterrupted)[key], weights(tmp_path)[key]) for key in weights(tmp_path))


def stop_at_once(*_: Any, **__: Any) -> None:
    """For tests of what is said before the first step."""
    raise KilledError


@pytest.mark.parametrize("change", [{"lr": 0.02}, {"batch_size": 2}, {"seed": 1}, {"tokens": 50 * 64}])
def test_checkpoints_of_another_training_are_not_continued(
    change: dict[str, Any], uninterrupted: Path, tmp_path: Path
) -> None:
    shutil.copytree(uninterrupted / "run", tmp_path / "run")
    said: list[str] = []
    with pytest.raises(KilledError):
        run(tmp_path, change, said=said, progress=stop_at_once)
    assert any("other settings" in line for line in said)
    assert not any("continuing" in line for line in said)


def test_other_data_is_another_training(uninterrupted: Path, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted / "run", tmp_path / "run")
    said: list[str] = []
    with pytest.raises(KilledError):
        run(tmp_path, digest="other", said=said, progress=stop_at_once)
    assert any("other settings or data" in line for line in said)


def test_how_often_it_saves_and_logs_changes_no_bit(uninterrupted: Path, tmp_path: Path) -> None:
    run(tmp_path, {"checkpoint_every": 1000, "log_every": 1, "validate_every": 0, "keep_last": 5})
    first, second = weights(uninterrupted), weights(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_micro_batches_give_the_same_gradient_but_for_rounding(tmp_path: Path) -> None:
    # With a large eps the steps are not blown-up rounding errors where gradients are next to zero.
    plain = {"optimizer": "adamw", "tokens": 3 * 64, "eps": 1e-4}
    run(tmp_path / "whole", plain)
    run(tmp_path / "parts", plain | {"micro_batch_size": 3})  # 3 and 1
    first, second = weights(tmp_path / "whole", 3), weights(tmp_path / "parts", 3)
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=1e-3, atol=1e-4)


def test_bfloat16_learns_too_and_keeps_float32_weights(tmp_path: Path) -> None:
    trained = run(tmp_path, {"dtype": "bf16", "log_every": 6})
    first = next(row["loss"] for row in rows(tmp_path) if "loss" in row)
    assert first > trained.state.last_loss  # type: ignore[operator]
    assert {value.dtype for value in weights(tmp_path).values()} == {torch.float32}


def test_compiled_blocks_train_as_plain_ones_do_or_say_why_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_compiler(*_: Any, **__: Any) -> None:
        raise RuntimeError("no working C++ compiler\nat all")

    # The first forward pass, that of the compilation, fails.
    forward = Strategy.forward
    calls = iter([no_compiler])
    monkeypatch.setattr(Strategy, "forward", lambda *arguments: next(calls, forward)(*arguments))
    said: list[str] = []
    run(tmp_path, {"compile": True}, said=said)
    assert "torch.compile does not work here, training uncompiled: no working C++ compiler" in said


def test_divergence_names_step_and_samples(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        run(tmp_path, {"optimizer": "adamw", "lr": 1e30, "warmup": 0, "clip": 0, "checkpoint_every": 1})
    text = str(error.value)
    assert "diverged" in text
    step = int(text.split(" at step ")[1].split(":")[0])
    from textmill.train.order import samples_of_step

    assert str(samples_of_step(0, step - 1, 4, 40).tolist())[1:-1] in text
    saved = [p.name for p in (tmp_path / "run/checkpoints").glob("checkpoint-*")]
    assert f"checkpoint-{step}" not in saved


def test_threads_of_the_first_call_are_kept(uninterrupted: Path, tmp_path: Path) -> None:
    def killer(_text: str, done: float, _total: float, **_: float) -> None:
        if done == 7:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path, progress=killer)
    torch.set_num_threads(2)
    trained = run(tmp_path, {"threads": None})
    assert trained.state.threads == 1
    assert torch.get_num_threads() == 2
    assert all(torch.equal(weights(uninterrupted)[key], weights(tmp_path)[key]) for key in weights(tmp_path))


def test_too_few_tokens_and_missing_devices_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="too few tokens"):
        run(tmp_path, samples=np.zeros((0, 16), np.uint16))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="no device"):
            run(tmp_path, {"device": "cuda"})


def test_budgets() -> None:
    def steps(**budget: Any) -> int:
        return steps_of(TrainSection(batch_size=8, **budget).resolved(), samples=100, seq_len=32)

    assert steps() == 12
    assert steps(epochs=2.5) == 31
    assert steps(tokens=8 * 32 * 40 + 5) == 40
    assert steps(tokens=1) == 1


def test_settings_refuse_contradictions() -> None:
    for wrong in (
        {"preset": "tiny", "shape": SHAPE},
        {"tokens": "1M", "epochs": 2},
        {"preset": "7b"},
        {"lr": -1},
        {"no_such_field": 1},
    ):
        with pytest.raises(ValueError):
            TrainSection(**wrong)
    assert TrainSection(preset="125m", tokens="2.5B").resolved().tokens == 2_500_000_000
    assert TrainSection().resolved().preset == "tiny"
    assert TrainSection(shape=SHAPE).resolved().preset is None
    own = TrainSection(preset="tiny", lr=0.5, batch_size=2).resolved()
    assert (own.lr, own.batch_size, own.micro_batch_size) == (0.5, 2, 2)
    assert TrainSection(keep_last=9).fingerprint() == TrainSection().fingerprint()
    assert TrainSection(lr=9).fingerprint() != TrainSection().fingerprint()


def test_without_torch_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from textmill.model import extra

    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "torch" else object())
    with pytest.raises(UserError) as error:
        TrainSection().run(None)  # type: ignore[arg-type]
    assert "pip install 'textmill[train]'" in str(error.value)
