"""What the loop offers beside plain steps: masks, accumulation, recomputation, the guard, checkpoints, watchers."""

from __future__ import annotations

import errno
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.train.test_feed import Stream, windows_of
from torch.nn.attention.flex_attention import create_block_mask

from textmill.errors import UserError
from textmill.model.llama import attend
from textmill.train.batch import TokenBatch
from textmill.train.checkpoint import checkpoint_steps
from textmill.train.feed import Feed, WindowFeed
from textmill.train.loop import Trained, train
from textmill.train.loop import feed_of as feed_for
from textmill.train.masking import document_mask
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection
from textmill.train.store import FolderStore
from textmill.train.trainee import LlamaTrainee
from textmill.train.watchers.watcher import RunFacts, Watcher

SETTINGS: dict[str, Any] = {
    "shape": {"layers": 2, "hidden_size": 32, "heads": 2, "kv_heads": 1, "intermediate_size": 48},
    "steps": 12,
    "batch_size": 4,
    "optimizer": "adamw",
    "lr": 0.01,
    "warmup": 0,
    "schedule": "constant",
    "checkpoint_every": 4,
    "log_every": 1,
    "watch": [],
    "device": "cpu",
    "dtype": "fp32",
    "threads": 1,
}
STREAM = Stream([9, 30, 4, 17, 3, 22] * 12)


def feed_of(kind: str = "stream", masked: bool = False, batch_size: int = 4) -> WindowFeed:
    return WindowFeed(windows_of(kind, STREAM, 16), batch_size=batch_size, seed=0, mask_documents=masked)


def run(folder: Path, feed: Feed | None = None, store: FolderStore | None = None, **changes: Any) -> Trained:
    watchers = changes.pop("watchers", ())
    validation = changes.pop("validation", None)
    said = changes.pop("said", [])
    settings = TrainSection(**(SETTINGS | changes))
    config = settings.model_config_for(60, 16, 0)
    return train(
        settings, config, feed or feed_of(), store or FolderStore(folder / "run"), scratch=folder / "scratch",
        watchers=watchers, validation=validation, say=said.append,
    )  # fmt: skip


def rows(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "run/checkpoints/metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in rows(folder) if "loss" in row]


def parameters(trained: Trained) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trained.trainee.model.named_parameters()}


def prepared(**changes: Any) -> Strategy:
    settings = TrainSection(**(SETTINGS | changes)).resolved()
    strategy = Strategy(torch.device("cpu"))
    strategy.prepare(LlamaTrainee(settings.model_config_for(60, 16, 0)), settings, seed=0)
    with torch.no_grad():  # no zeros: everything must matter
        for parameter in strategy.trainee.model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return strategy


# --- accumulation and masks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "masked"), [("stream", False), ("packed", True), ("documents", True)])
def test_eight_times_one_is_one_times_eight(kind: str, masked: bool) -> None:
    batch = feed_of(kind, masked, batch_size=8).batch(2)
    per_row = [(batch.targets[row] != -100).sum().item() for row in range(8)]
    assert masked == (len(set(per_row)) > 1)  # ragged rows: a mean of means would be another gradient
    gradients = []
    for micro in (8, 3, 1):
        strategy = prepared()
        loss = sum(
            float(strategy.accumulate(part, 1 / batch.counted, last=True)) for part in batch.split(micro)
        )
        named = strategy.trainee.model.named_parameters()
        gradients.append((loss, {name: p.grad for name, p in named}))
    for loss, found in gradients[1:]:
        assert loss == pytest.approx(gradients[0][0], abs=1e-5)
        for name, gradient in found.items():
            torch.testing.assert_close(gradient, gradients[0][1][name], rtol=1e-4, atol=1e-7)


def test_masked_rows_are_read_as_documents_alone() -> None:
    strategy = prepared()
    batch = feed_of("stream", masked=True, batch_size=8).batch(0)
    together = strategy.forward(batch, 1.0).item()
    assert batch.parts is not None
    alone = 0.0
    for row in range(len(batch)):
        for part in sorted(set(batch.parts[row].tolist()) - {-1}):
            chosen = batch.parts[row] == part
            piece = TokenBatch(batch.tokens[row : row + 1, chosen], batch.targets[row : row + 1, chosen])
            alone += strategy.forward(piece, 1.0).item()
    assert together == pytest.approx(alone, rel=1e-5)
    unmasked = TokenBatch(batch.tokens, batch.targets)
    assert strategy.forward(unmasked, 1.0).item() != pytest.approx(alone, rel=1e-3)


def test_blocks_of_flex_attention_are_the_same_mask() -> None:
    batch = feed_of("packed", masked=True).batch(0)
    parts = batch.parts
    assert parts is not None
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(4, heads, 16, 8, generator=generator) for heads in (4, 2, 2))

    def allowed(row: Any, _head: Any, query: Any, key: Any) -> Any:
        return (query >= key) & (parts[row, query] == parts[row, key])

    blocks = create_block_mask(allowed, 4, None, 16, 16, device="cpu")
    torch.testing.assert_close(
        attend(q, k, v, blocks), attend(q, k, v, document_mask(parts)), atol=1e-6, rtol=1e-5
    )


@pytest.mark.parametrize("how", ["full", "selective"])
def test_recomputed_activations_change_no_bit(how: str, tmp_path: Path) -> None:
    plain = parameters(run(tmp_path / "plain", steps=3))
    again = parameters(run(tmp_path / "again", steps=3, activation_checkpointing=how))
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)


def test_one_batch_is_learnt_by_heart(tmp_path: Path) -> None:
    stream = Stream([64], seed=5)
    feed = WindowFeed(windows_of("stream", stream, 16), batch_size=4, seed=0)
    run(tmp_path, feed, steps=100, checkpoint_every=1000, log_every=50, lr=0.02, shape=WIDE)
    assert losses(tmp_path)[-1] < 0.02


WIDE = {"layers": 2, "hidden_size": 64, "heads": 4, "intermediate_size": 128, "qk_norm": True}


def test_half_precision_scales_its_loss(tmp_path: Path) -> None:
    feed = WindowFeed(windows_of("stream", Stream([64], seed=5), 16), batch_size=4, seed=0)
    trained = run(tmp_path, feed, dtype="fp16", steps=40, lr=0.02, checkpoint_every=20)
    assert losses(tmp_path)[-1] < 0.9 * losses(tmp_path)[0]
    assert trained.state.loss_scale["scale"] >= 1024
    state = json.loads((tmp_path / "run/checkpoints/checkpoint-40/trainer_state.json").read_text())
    assert state["loss_scale"] == trained.state.loss_scale


def test_rows_grow_with_the_schedule(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []
    feed = feed_of()
    forward = Strategy.forward

    def watched(self: Strategy, batch: TokenBatch, scale: float) -> torch.Tensor:
        seen.append(tuple(batch.tokens.shape))
        return forward(self, batch, scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Strategy, "forward", watched)
        run(tmp_path, feed, seq_len_schedule={4: 0.25, 8: 0.25}, micro_batch_size=2)
    assert seen == [(8, 4)] * 6 + [(4, 8)] * 6 + [(2, 15)] * 12
    with pytest.raises(UserError, match="cannot be cut"):
        run(tmp_path, feed, seq_len_schedule={5: 0.25})


# --- the guard ------------------------------------------------------------------------------------------------


class Poisoned:
    """A feed whose step ``bad`` of the data order holds tokens in an order never seen before, or breaks the loss."""

    def __init__(self, bad: int) -> None:
        self.inner, self.bad = feed_of(), bad
        self.batch_size, self.seq_len = self.inner.batch_size, self.inner.seq_len
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.inner)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
        self.read.append(step)
        return self.inner.batch(step, rank, world_size)

    def samples(self, step: int) -> Any:
        return self.inner.samples(step)

    def identity(self) -> Any:
        return self.inner.identity()


def broken_at(feed: Poisoned, patch: pytest.MonkeyPatch, value: float) -> None:
    """Make the loss of the bad step what it is said to be."""
    accumulate = Strategy.accumulate

    def broken(self: Strategy, batch: TokenBatch, scale: float, last: bool) -> torch.Tensor:
        loss = accumulate(self, batch, scale, last)
        return loss * 0 + value if feed.read[-1] == feed.bad else loss

    patch.setattr(Strategy, "accumulate", broken)


@pytest.mark.parametrize("dtype", ["fp32", "fp16"])
def test_a_broken_step_is_left_out(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, said = Poisoned(6), []
    broken_at(feed, monkeypatch, math.nan)
    trained = run(tmp_path, feed, on_nan="skip", said=said, dtype=dtype)
    assert trained.state.skipped == 1
    assert feed.read == list(range(12))
    (event,) = [row for row in rows(tmp_path) if "event" in row]
    assert event["samples"] == feed.samples(6)
    assert any("step 7" in line and "left out" in line for line in said)


def test_going_back_passes_the_bad_windows_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, said = Poisoned(6), []
    broken_at(feed, monkeypatch, math.nan)
    trained = run(tmp_path, feed, on_nan="roll_back", said=said)
    assert feed.read == [*range(7), *range(7, 15)]  # back at step 4, whose data is that of step 7
    assert trained.state.passed_over == [[4, 3]]
    assert (trained.state.step, trained.state.skipped) == (12, 0)
    assert [row["step"] for row in rows(tmp_path) if "loss" in row] == list(range(1, 13))
    # The same from the start without the bad step: steps 0-3, then the data of 7 on.
    state = json.loads((tmp_path / "run/checkpoints/checkpoint-12/trainer_state.json").read_text())
    assert state["passed_over"] == [[4, 3]]


def test_a_jump_names_its_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed, said = Poisoned(55), []
    broken_at(feed, monkeypatch, 99.0)
    run(tmp_path, feed, steps=60, checkpoint_every=1000, lr=1e-4, said=said)
    (line,) = [line for line in said if "jumped" in line]
    assert "step 56" in line
    assert ", ".join(map(str, feed.samples(55))) in line
    with pytest.raises(UserError, match="jumped to 99"):
        run(tmp_path / "stop", feed, steps=60, lr=1e-4, on_spike="stop")


# --- checkpoints ----------------------------------------------------------------------------------------------


class FullStore(FolderStore):
    """A disk that is full from a checkpoint on."""

    def __init__(self, root: Path, step: int) -> None:
        super().__init__(root)
        self.step = step

    def publish(self, file: Path, path: str) -> str:
        if f"checkpoint-{self.step}/" in path and "optimizer" in path:
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        return super().publish(file, path)


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the disk is full") as error:
        run(tmp_path, store=FullStore(tmp_path / "run", 8))
    assert "checkpoint-4 is whole" in str(error.value)
    assert checkpoint_steps(FolderStore(tmp_path / "run")) == [4]
    said: list[str] = []
    run(tmp_path, said=said)
    assert "continuing after step 4 of 12" in said
    assert checkpoint_steps(FolderStore(tmp_path / "run")) == [8, 12]


def test_the_best_checkpoint_is_marked_and_kept(tmp_path: Path) -> None:
    held_out = np.random.default_rng(1).integers(0, 60, (4, 16))
    # It learns what is not in the held-out windows: these get worse, and the first checkpoint is the best.
    run(tmp_path, feed_of(), validation=held_out, steps=30, lr=0.03, checkpoint_every=5, keep_last=1)
    mark = json.loads((tmp_path / "run/checkpoints/best.json").read_text())
    measured = {row["step"]: row["validation_loss"] for row in rows(tmp_path) if "validation_loss" in row}
    best = min(measured, key=lambda step: measured[step])
    assert mark["checkpoint"] == f"checkpoint-{best}"
    assert best < 30
    assert checkpoint_steps(FolderStore(tmp_path / "run")) == [best, 30]
    state = json.loads((tmp_path / "run/checkpoints/checkpoint-30/trainer_state.json").read_text())
    assert state["best_model_checkpoint"] == f"checkpoint-{best}"
    assert state["best_metric"] == pytest.approx(measured[best], abs=1e-6)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    import threading

    reached, order = threading.Event(), []

    class Slow(FolderStore):
        def publish(self, file: Path, path: str) -> str:
            if "checkpoint-4/model" in path:
                order.append(("written", reached.wait(timeout=60)))
            return super().publish(file, path)

    class Steps(Watcher):
        def stepped(self, step: int, steps: int, loss: float, tokens_per_second: float) -> None:
            if step == 6:
                reached.set()

    run(tmp_path, store=Slow(tmp_path / "run"), watchers=[Steps()])
    assert order == [("written", True)]


def test_a_checkpoint_of_another_shape_is_told(tmp_path: Path) -> None:
    run(tmp_path, steps=4)
    other = LlamaTrainee(TrainSection(**SETTINGS | {"shape": WIDE}).model_config_for(60, 16, 0))
    with pytest.raises(UserError, match=r"another shape|lacks"):
        list(other.read(tmp_path / "run/checkpoints/checkpoint-4"))


# --- bad input ------------------------------------------------------------------------------------------------


def test_bad_input_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="fewer tokens than one batch"):
        run(tmp_path, feed_of(batch_size=4096))
    settings = TrainSection(**SETTINGS)
    with pytest.raises(UserError, match="another vocabulary"):
        train(
            settings, settings.model_config_for(40, 16, 0), feed_of(), FolderStore(tmp_path / "v"),
            scratch=tmp_path / "scratch", say=lambda _: None,
        )  # fmt: skip
    with pytest.raises(UserError, match="documents cannot be kept apart"):
        feed_for(np.ones((8, 16), np.uint16), TrainSection(**SETTINGS | {"mask_documents": True}), 0)
    for wrong in (
        {"steps": 5, "tokens": 100},
        {"seq_len": 16, "stride": 16},
        {"windows": "packed", "stride": 2},
        {"parallel": "deepspeed", "optimizer": "muon"},
        {"parallel": "fsdp", "dtype": "fp16"},
    ):
        with pytest.raises(ValueError):
            TrainSection(**wrong)


# --- watchers -------------------------------------------------------------------------------------------------


def scalars(path: Path) -> dict[str, dict[int, float]]:
    """Curves of an event file: TFRecords (length, checksum, payload, checksum) of Event messages."""
    from tensorboardX.proto.event_pb2 import Event

    content, place = path.read_bytes(), 0
    found: dict[str, dict[int, float]] = {}
    while place < len(content):
        (size,) = struct.unpack("<Q", content[place : place + 8])
        event = Event.FromString(content[place + 12 : place + 12 + size])
        place += 16 + size
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found


def test_curves_are_there_for_tensorboard_once_also_after_a_kill(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    class Killer(Watcher):
        def stepped(self, step: int, steps: int, loss: float, tokens_per_second: float) -> None:
            if step == 6:
                raise KilledError

    held_out = {"one": np.arange(32).reshape(2, 16), "other": np.arange(48).reshape(3, 16)}
    with pytest.raises(KilledError):
        run(tmp_path, watch=["tensorboard"], watchers=[Killer()], validation=held_out)
    run(tmp_path, watch=["tensorboard"], validation=held_out)
    (file,) = (tmp_path / "run/checkpoints/logs").iterdir()
    curves = scalars(file)
    assert list(curves["train/loss"].values()) == pytest.approx(losses(tmp_path), rel=1e-5)
    assert list(curves["train/loss"]) == list(range(1, 13))
    assert set(curves["validation/other/loss"]) == {4, 8, 12}
    total = (2 * curves["validation/one/loss"][12] + 3 * curves["validation/other/loss"][12]) / 5
    assert curves["validation/loss"][12] == pytest.approx(total, rel=1e-5)
    assert {"train/perplexity", "train/lr", "train/grad_norm", "train/tokens_per_second"} <= set(curves)


def test_watchers_are_told_in_order(tmp_path: Path) -> None:
    told: list[str] = []

    class Listener(Watcher):
        def started(self, facts: RunFacts) -> None:
            told.append(f"started {facts.step} of {facts.steps}, {facts.batch_size} x {facts.seq_len}")

        def saved(self, folder: str) -> None:
            told.append(folder)

        def finished(self) -> None:
            told.append("finished")

    run(tmp_path, watchers=[Listener()])
    assert told == [
        "started 0 of 12, 4 x 16",
        *(f"checkpoints/checkpoint-{step}" for step in (4, 8, 12)),
        "finished",
    ]


def test_wandb_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textmill.train.watchers.wandb.find_spec", lambda _name: None)
    with pytest.raises(UserError, match="not installed"):
        run(tmp_path, watch=["wandb"])
