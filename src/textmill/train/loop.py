"""The training loop: batches in, a trained model and its checkpoints out.

Killed at any instant and called again with the same arguments, it continues from the newest whole checkpoint. On a
CPU it then ends with the same bits as an uninterrupted run, given the same number of threads (recorded in the
checkpoint and set again) and the same build of torch: data order is a function of (seed, step), and so are random
numbers; everything else that a step depends on is in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.device import pick_device
from textmill.train.budget import steps_of, training_fingerprint, warmup_steps
from textmill.train.checkpoint import Snapshot, find_checkpoint, read_optimizer, remove_old, write_checkpoint
from textmill.train.clock import Clock
from textmill.train.compilation import compile_blocks
from textmill.train.cpu import fast_cpu
from textmill.train.feed import Feed, Samples, SampleWindows, WindowFeed
from textmill.train.metrics import Metrics
from textmill.train.order import step_seed
from textmill.train.schedule import rate_factor
from textmill.train.settings import TrainSection
from textmill.train.state import TrainerState
from textmill.train.store import Store
from textmill.train.strategy import Strategy
from textmill.train.trainee import LlamaTrainee, Trainee
from textmill.train.validation import validation_loss
from textmill.train.watch import ProgressBar, RunFacts, Watcher


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        trainee: its model is that after the last step, on its device.
        state: counters after the last step.
        validation_loss: nats per token on the validation windows after the last step, if there are any.
        checkpoint: path of the last checkpoint in the store.
    """

    trainee: Trainee
    state: TrainerState
    validation_loss: float | None
    checkpoint: str


def train(
    settings: TrainSection,
    model: LlamaConfig | Trainee,
    data: Feed | Samples,
    store: Store,
    *,
    scratch: Path,
    seed: int = 0,
    validation: Samples | None = None,
    digest: str = "",
    watchers: Sequence[Watcher] = (),
    progress: Callable[..., None] = lambda *_, **__: None,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train a model, or continue where a killed call stopped.

    Args:
        settings: the ``train:`` section.
        model: what to train; a shape is a Llama from scratch.
        data: where batches come from; windows of tokens are put in an order by the seed.
        store: receives ``checkpoints/…``.
        scratch: local folder for files before they are published.
        seed: used unless the settings have one.
        validation: held-out windows.
        digest: identity of the training tokens (a checksum); checkpoints made from other data are not continued.
        watchers: told what happens.
        progress: called as ``progress(text, done, total, loss=…, tokens_per_second=…)`` in steps.
        say: called with lines worth keeping.

    Raises:
        UserError: no windows, no such device, or the loss is no number any more.
    """
    settings = settings.resolved()
    seed = settings.seed if settings.seed is not None else seed
    device = pick_device(settings.device)
    trainee = model if isinstance(model, Trainee) else LlamaTrainee(model)
    feed = feed_of(data, settings, seed)
    loop = _Loop(settings, trainee, feed, store, scratch, seed, digest, say, Strategy(device))
    loop.validation = validation
    loop.watchers = [ProgressBar(progress), *watchers]
    with fast_cpu(feed.seq_len, loop.state.threads) if device.type == "cpu" else nullcontext():
        return loop.run()


def feed_of(data: Feed | Samples, settings: TrainSection, seed: int) -> Feed:
    """The feed itself, or one made of windows."""
    if isinstance(data, Feed):
        return data
    return WindowFeed(SampleWindows(data), batch_size=settings.batch_size or 1, seed=seed)


class _Loop:
    """One call of :func:`train`: what its steps share."""

    def __init__(
        self,
        settings: TrainSection,
        trainee: Trainee,
        feed: Feed,
        store: Store,
        scratch: Path,
        seed: int,
        digest: str,
        say: Callable[[str], None],
        strategy: Strategy,
    ) -> None:
        self.settings, self.trainee, self.feed = settings, trainee, feed
        self.store, self.scratch, self.seed, self.say = store, scratch, seed, say
        self.strategy, self.device = strategy, strategy.device
        self.validation: Samples | None = None
        self.watchers: list[Watcher] = []
        fingerprint = training_fingerprint(settings, trainee, feed, seed, digest)
        self.found = find_checkpoint(store, fingerprint, say)
        steps = steps_of(settings, len(feed), feed.seq_len)
        self.state = self.found[1] if self.found else TrainerState(fingerprint, steps, settings.threads or 0)
        self.state.threads = self.state.threads or torch.get_num_threads()
        self.state.torch, self.state.device = torch.__version__, _device_name(self.device)
        self.step_tokens = feed.batch_size * feed.seq_len
        self.pending: list[Tensor] = []  # losses not yet read from the device
        self.validation_loss: float | None = None
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self) -> Trained:
        state, settings, strategy = self.state, self.settings, self.strategy
        strategy.prepare(self.trainee, settings, self.seed)
        if self.found:
            folder = self.found[0]
            strategy.load(self.trainee.read(self.store.local(folder)), read_optimizer(self.store, folder))
            strategy.restore_scaling(state.loss_scale)
            self.say(f"continuing after step {state.step} of {state.steps}")
        metrics = Metrics(self.store, self.scratch, state.step)
        if settings.compile:
            compile_blocks(self.trainee, strategy, self._batch(0), self.say)
        self.trainee.model.train()
        self._tell("started", self._facts())
        clock, first = Clock(), state.step
        loss = math.nan  # until the first one is read from the device
        try:
            while state.step < state.steps:
                grad_norm = self._step()
                state.step += 1
                state.tokens += self.step_tokens
                last = state.step == state.steps
                log = last or state.step % settings.log_every == 0
                save = last or state.step % settings.checkpoint_every == 0
                validate = last or (settings.validate_every and state.step % settings.validate_every == 0)
                if self.device.type == "cpu" or log or save or validate:
                    loss = self._read_losses()
                state.seconds += clock.lap(self.step_tokens)
                self._tell("stepped", state.step, state.steps, loss, clock.rate)
                if state.step == min(first + 10, state.steps):
                    self.say(self._estimate(clock.rate))
                if log:
                    self._row(metrics, self._training_row(float(grad_norm), clock.rate))
                if validate and self.validation is not None and len(self.validation):
                    self.validation_loss = validation_loss(strategy, self.validation, settings)
                    self._row(metrics, {"step": state.step, "validation_loss": self.validation_loss})
                if save:
                    metrics.publish()
                    self._save()
                clock.restart()  # validation and saving are no training time
        finally:
            self._tell("finished")
        if self.validation_loss is None:
            measured = [row["validation_loss"] for row in metrics.rows if "validation_loss" in row]
            self.validation_loss = measured[-1] if measured else None
        return Trained(self.trainee, state, self.validation_loss, f"checkpoints/checkpoint-{state.step}")

    def _step(self) -> Tensor:
        settings, strategy, state = self.settings, self.strategy, self.state
        torch.manual_seed(step_seed(self.seed, state.step, strategy.rank))
        batch = self._batch(state.step)
        scale = 1.0 / max(1, batch.counted)
        batch = batch.to(self.device)
        loss = torch.zeros((), device=self.device)
        left = len(batch)
        for part in batch.split(settings.micro_batch_size or len(batch)):
            left -= len(part)
            loss += strategy.accumulate(part, scale, last=left == 0)
        grad_norm = strategy.clip(settings.clip)
        strategy.update(
            rate_factor(
                state.step,
                state.steps,
                schedule=settings.schedule or "cosine",
                warmup=warmup_steps(settings.warmup or 0.0, state.steps),
                decay_fraction=settings.decay_fraction,
                floor=settings.min_lr,
            )
        )
        self.pending.append(loss)
        return grad_norm

    def _batch(self, step: int) -> Any:
        batch = self.feed.batch(step, self.strategy.rank, self.strategy.world_size)
        # Nothing is predicted after a row's last token. A GPU likes even lengths better than one token less.
        return batch.shortened() if self.device.type == "cpu" else batch

    def _read_losses(self) -> float:
        """Take the pending losses into the state; the last one.

        Raises:
            UserError: one of them is no finite number.
        """
        losses = self.strategy.sum(torch.stack(self.pending)).tolist()
        self.pending.clear()
        for step, loss in enumerate(losses, self.state.step - len(losses)):
            if not math.isfinite(loss):
                self._diverged(step, loss)
        self.state.loss_sum += math.fsum(losses)
        self.state.loss_count += len(losses)
        return float(losses[-1])

    def _diverged(self, step: int, loss: float) -> None:
        samples = self.feed.samples(step)
        shown = ", ".join(map(str, samples[:16])) + (
            f" and {len(samples) - 16} more" if len(samples) > 16 else ""
        )
        raise UserError(
            f"the training loss is {loss} at step {step + 1}: the model has diverged",
            expected="a finite loss",
            found=f"{loss} on samples {shown}",
            where="checkpoints/metrics.jsonl shows the way there",
            hint="lower train.lr and train.muon_lr, lengthen train.warmup or lower train.clip; "
            "`textmill trace --sample N` shows the text of a sample",
        )

    def _save(self) -> None:
        self.state.loss_scale = self.strategy.scaling()
        weights, optimizer = self.strategy.weights(), self.strategy.optimizer_state()
        folder = write_checkpoint(
            self.store, self.scratch, self.trainee, Snapshot(self.state.record(), weights, optimizer)
        )
        remove_old(self.store, self.settings.keep_last)
        self._tell("saved", folder)

    def _training_row(self, grad_norm: float, rate: float) -> dict[str, Any]:
        state = self.state
        state.last_loss = state.loss_sum / state.loss_count
        state.loss_sum, state.loss_count = 0.0, 0
        return {
            "step": state.step,
            "tokens": state.tokens,
            "loss": round(state.last_loss, 6),
            "lr": self.strategy.rates[0],
            "grad_norm": round(grad_norm, 6),
            "tokens_per_second": round(rate, 1),
        }

    def _row(self, metrics: Metrics, row: dict[str, Any]) -> None:
        metrics.add(row)
        self._tell("row", row)

    def _tell(self, event: str, *arguments: Any) -> None:
        for watcher in self.watchers:
            getattr(watcher, event)(*arguments)

    def _facts(self) -> RunFacts:
        return RunFacts(
            self.state.step,
            self.state.steps,
            self.feed.batch_size,
            self.feed.seq_len,
            self.trainee.parameters,
            self.settings.model_dump(mode="json"),
        )

    def _estimate(self, rate: float) -> str:
        parameters, state = self.trainee.parameters, self.state
        total = state.steps * self.step_tokens
        left = (state.steps - state.step) * self.step_tokens
        return (
            f"{parameters / 1e6:.2f} M parameters, {total / 1e6:.2f} M tokens in {state.steps} steps "
            f"({total / parameters:.1f} tokens per parameter; 20 is compute-optimal, arXiv:2203.15556), "
            f"{rate:,.0f} tokens/s on {state.device}: about {left / rate:.0f} s to go"
        )


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
