"""The training loop: batches in, a trained model and its checkpoints out.

Killed at any instant and called again with the same arguments, it continues from the newest whole checkpoint. On a
CPU it then ends with the same bits as an uninterrupted run, given the same number of threads (recorded in the
checkpoint and set again) and the same build of torch: data order is a function of (seed, step), and so are random
numbers; everything else that a step depends on is in the checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.device import pick_device
from textmill.train import trouble
from textmill.train.activation import checkpoint_activations
from textmill.train.batch import TokenBatch
from textmill.train.budget import (
    check_one_batch,
    check_row_lengths,
    steps_of,
    training_fingerprint,
    warmup_steps,
)
from textmill.train.checkpoint import Snapshot, find_checkpoint, read_optimizer
from textmill.train.clock import Clock
from textmill.train.compilation import compile_blocks
from textmill.train.cpu import fast_cpu
from textmill.train.feed import Feed, Samples, SampleWindows, WindowFeed
from textmill.train.figures import estimate, training_row
from textmill.train.guard import Guard
from textmill.train.order import step_seed
from textmill.train.parallel.choice import strategy_of
from textmill.train.parallel.strategy import Strategy
from textmill.train.parallel.world import process_group, world_from_environment
from textmill.train.saver import Saver
from textmill.train.schedule import rate_factor, row_length
from textmill.train.settings import TrainSection
from textmill.train.state import TrainerState
from textmill.train.store import Store
from textmill.train.trainee import LlamaTrainee, Trainee
from textmill.train.validation import validate
from textmill.train.watchers.choice import watchers_of
from textmill.train.watchers.metrics import Metrics
from textmill.train.watchers.watcher import ProgressBar, RunFacts, Watcher


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        trainee: its model is that after the last step, on its device.
        state: counters after the last step.
        validation_loss: nats per token on the validation windows after the last step, if there are any.
        checkpoint: path of the last checkpoint in the store.
        first: whether this process is the one that writes files.
    """

    trainee: Trainee
    state: TrainerState
    validation_loss: float | None
    checkpoint: str
    first: bool = True


def train(
    settings: TrainSection,
    model: LlamaConfig | Trainee,
    data: Feed | Samples,
    store: Store,
    *,
    scratch: Path,
    seed: int = 0,
    validation: Mapping[str, Samples] | Samples | None = None,
    digest: str = "",
    watchers: Sequence[Watcher] = (),
    progress: Callable[..., None] = lambda *_, **__: None,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train a model, or continue where a killed call stopped; under torchrun, all processes call it.

    Args:
        settings: the ``train:`` section.
        model: what to train; a shape is a Llama from scratch.
        data: where batches come from; windows of tokens are put in an order by the seed.
        store: receives ``checkpoints/…``.
        scratch: local folder for files before they are published.
        seed: used unless the settings have one.
        validation: held-out windows, by source if there are several.
        digest: identity of the training tokens (a checksum); checkpoints made from other data are not continued.
        watchers: told what happens, beside those of the settings.
        progress: called as ``progress(text, done, total, loss=…, tokens_per_second=…)`` in steps.
        say: called with lines worth keeping.

    Raises:
        UserError: no windows, no such device, no room for a checkpoint, or the loss is no number any more.
    """
    settings = settings.resolved()
    seed = settings.seed if settings.seed is not None else seed
    world = world_from_environment()
    device = world.device(pick_device(settings.device))
    # Without tied weights a model may be made where it is shared out, and never as a whole.
    shared_out = (
        settings.parallel == "fsdp" and isinstance(model, LlamaConfig) and not model.tie_word_embeddings
    )
    if isinstance(model, LlamaConfig):
        model = LlamaTrainee(model, "meta" if shared_out else "cpu")
    feed = feed_of(data, settings, seed)
    with process_group(world, device, always=settings.parallel in ("fsdp", "deepspeed")):
        strategy = strategy_of(settings, model, device, world)
        loop = _Loop(settings, model, feed, store, scratch, seed, digest, say, strategy)
        if validation is not None:
            given = validation if isinstance(validation, Mapping) else {"validation": validation}
            loop.validation = {name: samples for name, samples in given.items() if len(samples)}
        loop.watchers = [ProgressBar(progress), *watchers]
        exact = settings.dtype == "fp32"
        with fast_cpu(feed.seq_len, loop.state.threads, exact) if device.type == "cpu" else nullcontext():
            return loop.run()


def feed_of(data: Feed | Samples, settings: TrainSection, seed: int) -> Feed:
    """The feed itself, or one made of windows."""
    if isinstance(data, Feed):
        return data
    return WindowFeed(
        SampleWindows(data),
        batch_size=settings.batch_size or 1,
        seed=seed,
        mask_documents=settings.mask_documents,
    )


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
        self.store, self.scratch, self.seed = store, scratch, seed
        self.strategy, self.device, self.world = strategy, strategy.device, strategy.world
        self.say = say if self.world.first else lambda _text: None
        self.validation: dict[str, Samples] = {}
        self.watchers: list[Watcher] = []
        check_row_lengths(settings, feed.seq_len)
        check_one_batch(feed)
        fingerprint = training_fingerprint(settings, trainee, feed, seed, digest)
        self.found = self._find(fingerprint)
        steps = steps_of(settings, len(feed), feed.seq_len)
        self.state = self.found[1] if self.found else TrainerState(fingerprint, steps, settings.threads or 0)
        self.state.threads = self.state.threads or torch.get_num_threads()
        self.state.torch, self.state.device = torch.__version__, _device_name(self.device)
        self.step_tokens = feed.batch_size * feed.seq_len
        self.pending: list[tuple[Tensor, Tensor]] = []  # losses and norms not yet read from the device
        self.loss = self.grad_norm = math.nan  # the last ones read
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self) -> Trained:
        settings, strategy = self.settings, self.strategy
        checkpoint_activations(self.trainee.blocks(), settings.activation_checkpointing)
        strategy.prepare(self.trainee, settings, self.seed)
        if self.found:
            self._restore(*self.found)
            self.say(f"continuing after step {self.state.step} of {self.state.steps}")
        metrics = Metrics(self.store, self.scratch, self.state.step)
        if settings.compile:
            compile_blocks(self.trainee, strategy, self._batch(0), self.say)
        self.trainee.model.train()
        if self.world.first:
            self.watchers += [
                metrics,
                *watchers_of(settings, self.store, self.scratch, metrics, self.state.fingerprint),
            ]
        else:
            self.watchers = []
        keep = settings.keep_last
        self.saver = Saver(self.store, self.scratch, self.trainee, keep, lambda at: self._tell("saved", at))
        self.guard = Guard(settings, self.state.recent)
        self._tell("started", self._facts())
        try:
            self._steps(metrics)
            self.saver.wait()
        finally:
            self.saver.close()
            self._tell("finished")
        state = self.state
        at = f"checkpoints/checkpoint-{state.step}"
        return Trained(self.trainee, state, state.validation_loss, at, self.world.first)

    def _steps(self, metrics: Metrics) -> None:
        settings, clock, first = self.settings, Clock(), self.state.step
        while self.state.step < self.state.steps:
            if not self._step():
                self._roll_back(metrics)
                clock.restart()
                continue
            state = self.state
            state.step += 1
            state.tokens += self.step_tokens
            last = state.step == state.steps
            log = last or state.step % settings.log_every == 0
            save = last or state.step % settings.checkpoint_every == 0
            validate = last or (settings.validate_every and state.step % settings.validate_every == 0)
            validate = validate or (save and settings.keep_best)
            if self.device.type == "cpu" or log or save or validate:
                self._read_losses()
            state.seconds += clock.lap(self.step_tokens)
            self._tell("stepped", state.step, state.steps, self.loss, clock.rate)
            if state.step == min(first + 10, state.steps):
                counts = {"parameters": self.trainee.parameters, "step_tokens": self.step_tokens}
                self.say(estimate(state, **counts, rate=clock.rate, processes=self.world.size))
            if log:
                norm, seq_len = self.grad_norm, self.feed.seq_len
                row = training_row(state, self.strategy, grad_norm=norm, rate=clock.rate, seq_len=seq_len)
                self._tell("row", row)
            if validate and self.validation:
                self._validate(save and settings.keep_best)
            if save:
                metrics.publish() if self.world.first else None
                self._save()
            clock.restart()  # validation and saving are no training time

    def _step(self) -> bool:
        """Move the weights by one step; False if it must not count and training has to go back."""
        settings, strategy, state = self.settings, self.strategy, self.state
        torch.manual_seed(step_seed(self.seed, state.data_step(), self.world.rank))
        batch = self._batch(state.step)
        scale = 1.0 / max(1, strategy.sum_on_host(batch.counted))
        batch = batch.to(self.device)
        pieces = len(batch) * self.world.size // self.feed.batch_size  # of a window, if rows are shorter
        rows = min(len(batch), (settings.micro_batch_size or len(batch)) * pieces)
        loss = torch.zeros((), device=self.device)
        left = len(batch)
        for part in batch.split(rows):
            left -= len(part)
            loss += strategy.accumulate(part, scale, last=left == 0)
        strategy.clip(settings.clip)
        if self.guard.acts and (verdict := self._refused(loss)) is not None:
            return verdict
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
        self.pending.append((loss, strategy.grad_norm))
        return True

    def _batch(self, step: int) -> TokenBatch:
        state, world = self.state, self.world
        batch = self.feed.batch(state.data_step(step), world.rank, world.size)
        self._check_vocabulary(batch, step)
        length = row_length(step, state.steps, self.feed.seq_len, self.settings.seq_len_schedule)
        if length < batch.tokens.shape[1]:
            return batch.cut(length)
        # Nothing is predicted after a row's last token. A GPU likes even lengths better than one token less.
        return batch.shortened() if self.device.type == "cpu" else batch

    def _check_vocabulary(self, batch: TokenBatch, step: int) -> None:
        highest, known = int(batch.tokens.max()), self.trainee.vocab_size
        if highest >= known:
            raise UserError(
                "the tokens are of another vocabulary than the model",
                expected=f"ids below {known:,}",
                found=f"{highest:,} in step {step + 1}, samples {trouble.names(self._samples(step))}",
                hint="encode the text with the model's tokenizer (tokenizer: {use: …})",
            )

    def _refused(self, loss: Tensor) -> bool | None:
        """What becomes of a step that the guard may refuse: None: it counts; True: left out; False: go back."""
        value = float(self.strategy.sum(loss.clone()))
        norm = float(self.strategy.grad_norm) if self.strategy.dtype != "fp16" else 0.0
        finding = self.guard.judge(value, norm)
        if finding == "fine":
            self.guard.recent.pop()  # remembered when it is read
            return None
        action = self.settings.on_nan if finding == "nan" else self.settings.on_spike
        if action in ("tell", "stop"):
            return None
        self._report(finding, self.state.step, value, action)
        self.strategy.refuse()
        if action == "roll_back":
            return False
        self.state.skipped += 1
        self.loss = value if math.isfinite(value) else self.loss
        return True

    def _read_losses(self) -> None:
        """Take the pending losses into the state.

        Raises:
            UserError: one of them, or a gradient, is no finite number, or a loss jumped and the settings say to stop.
        """
        if not self.pending:
            return
        losses = self.strategy.sum(torch.stack([loss for loss, _ in self.pending])).tolist()
        norms = [float(norm) for _, norm in self.pending]
        self.grad_norm = norms[-1]
        self.pending.clear()
        # fp16 overflows on purpose, to find its scale.
        judged = norms if self.strategy.dtype != "fp16" else [0.0] * len(norms)
        first = self.state.step - len(losses)
        for step, (loss, norm) in enumerate(zip(losses, judged, strict=True), first):
            finding = self.guard.judge(loss, norm)
            if finding == "nan":
                raise trouble.diverged(step, loss, norm, self._samples(step))
            if finding == "spike":
                self._report(finding, step, loss, self.settings.on_spike)
                self.guard.remember(loss)
                if self.settings.on_spike == "stop":
                    what = f"the training loss jumped to {loss:.4f} at step {step + 1}"
                    raise trouble.stopped(what, self._samples(step))
        self.state.loss_sum += math.fsum(losses)
        self.state.loss_count += len(losses)
        self.loss = float(losses[-1])

    def _report(self, finding: str, step: int, loss: float, action: str) -> None:
        """Tell of a step that stands out, and of its samples."""
        samples = self._samples(step)
        usual = self.guard.expected() if len(self.guard.recent) > 1 else ""
        self.say(trouble.line(finding, step, loss, action=action, usual=usual, samples=samples))
        self._tell("row", trouble.row(finding, step, loss, action=action, samples=samples))

    def _samples(self, step: int) -> Sequence[int | str]:
        return self.feed.samples(self.state.data_step(step))

    def _roll_back(self, metrics: Metrics) -> None:
        """Go back to the last checkpoint, and pass the windows over that lie between it and the bad step."""
        self.saver.wait()
        bad, passed = self.state.step, self.state.passed_over
        found = self._find(self.state.fingerprint)
        if found is None:
            self.say("there is no checkpoint to go back to: the step is left out instead")
            self.state.skipped += 1
            self.state.step += 1
            return
        if len(passed) >= trouble.MOST_RETURNS:
            what = f"the loss broke {len(passed) + 1} times in spite of going back"
            raise trouble.stopped(what, self._samples(bad))
        self.state = found[1]
        self._restore(*found)
        start = self.state.step
        self.state.passed_over = trouble.passed_over(passed, start, bad)
        self.guard = Guard(self.settings, self.state.recent)
        self.pending.clear()
        metrics.forget_after(start)
        self.say(f"back at step {start}; going on with windows behind the bad ones")

    def _restore(self, folder: str, state: TrainerState) -> None:
        local = self.store.local(folder)
        self.strategy.load(self.trainee.read(local), read_optimizer(self.store, folder))
        self.strategy.restore_scaling(state.loss_scale)

    def _find(self, fingerprint: str) -> tuple[str, TrainerState] | None:
        """The newest checkpoint, as process 0 sees it."""
        found = find_checkpoint(self.store, fingerprint, self.say) if self.world.first else None
        folder, record = self.world.broadcast((found[0], found[1].record()) if found else (None, None))
        return (folder, TrainerState.from_record(record)) if folder else None

    def _validate(self, to_be_saved: bool) -> None:
        state = self.state
        numbers = validate(self.strategy, self.validation, self.settings)
        state.validation_loss = loss = numbers["validation_loss"]
        if to_be_saved and (state.best_loss is None or loss < state.best_loss):
            state.best_step, state.best_loss = state.step, loss
        self._tell("row", {"step": state.step, **numbers})

    def _save(self) -> None:
        self.state.loss_scale = self.strategy.scaling()
        weights, optimizer = self.strategy.weights(), self.strategy.optimizer_state()
        if self.world.first:
            self.saver.save(Snapshot(self.state.record(), weights, optimizer))

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


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
