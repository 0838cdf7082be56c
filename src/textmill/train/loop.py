"""The training loop: windows of tokens in, a trained model and its checkpoints out.

Killed at any instant and called again with the same arguments, it continues from the newest whole checkpoint. On a
CPU it then ends with the same bits as an uninterrupted run, given the same number of threads (recorded in the
checkpoint and set again) and the same build of torch: data order is a function of (seed, step), nothing random
happens between two steps that the checkpoint does not hold.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.device import pick_device
from textmill.model.llama import Llama
from textmill.model.loss import linear_cross_entropy
from textmill.train.checkpoint import TrainerState, find_checkpoint, restore_checkpoint, save_checkpoint
from textmill.train.cpu import fast_cpu
from textmill.train.metrics import Metrics
from textmill.train.optimizer import build_optimizers, set_rate
from textmill.train.order import samples_of_step
from textmill.train.schedule import rate_factor
from textmill.train.settings import TrainSection
from textmill.train.store import Store

RESULT_FREE = {"checkpoint_every", "keep_last", "log_every", "validate_every", "validation_samples"}
"""Fields that change no weight: a checkpoint goes on under other values of them."""


class Samples(Protocol):
    """Windows of tokens; ``textmill.tokens.dataset.TokenSet`` is one, and so is a two-dimensional array."""

    def __len__(self) -> int:
        """Number of windows."""
        ...

    def __getitem__(self, index: int, /) -> npt.NDArray[Any]:
        """Window ``index``: token ids, shape (seq_len,)."""
        ...


@dataclass(frozen=True)
class Trained:
    """What training made.

    Attributes:
        model: the model after the last step, on its device.
        state: counters after the last step.
        validation_loss: nats per token on the validation windows after the last step, if there are any.
        checkpoint: path of the last checkpoint in the store.
    """

    model: Llama
    state: TrainerState
    validation_loss: float | None
    checkpoint: str


def train(
    settings: TrainSection,
    config: LlamaConfig,
    samples: Samples,
    store: Store,
    *,
    scratch: Path,
    seed: int = 0,
    validation: Samples | None = None,
    data: str = "",
    progress: Callable[..., None] = lambda *_, **__: None,
    say: Callable[[str], None] = print,
) -> Trained:
    """Train a Llama from scratch, or continue where a killed call stopped.

    Args:
        settings: the ``train:`` section.
        config: shape of the model.
        samples: training windows, at least one.
        store: receives ``checkpoints/…``.
        scratch: local folder for files before they are published.
        seed: used unless the settings have one.
        validation: held-out windows.
        data: identity of the training tokens (a checksum); checkpoints made from other data are not continued.
        progress: called as ``progress(text, done, total, loss=…, tokens_per_second=…)`` in steps.
        say: called with lines worth keeping.

    Raises:
        UserError: no windows, no such device, or the loss is no number any more.
    """
    settings = settings.resolved()
    seed = settings.seed if settings.seed is not None else seed
    if len(samples) == 0:
        raise UserError(
            "there are too few tokens to train on",
            expected=f"at least one window of {config.max_position_embeddings} tokens in the training split",
            found="none",
            hint="add text, or choose a smaller tokens.seq_len",
        )
    device = pick_device(settings.device)
    job = _Training(settings, config, samples, store, scratch, seed, validation, data, progress, say, device)
    with fast_cpu(job.seq_len, job.state.threads) if device.type == "cpu" else nullcontext():
        return job.run()


def steps_of(settings: TrainSection, samples: int, seq_len: int) -> int:
    """Optimiser steps that the budget pays for: whole batches, at least one."""
    batch_size = settings.batch_size or 1
    windows = settings.tokens / seq_len if settings.tokens is not None else (settings.epochs or 1.0) * samples
    return max(1, int(windows // batch_size))


def training_fingerprint(
    settings: TrainSection, config: LlamaConfig, samples: int, seed: int, data: str
) -> str:
    """SHA-256 over everything that decides the weights, but for device, threads and torch's version."""
    parts = {
        "settings": settings.model_dump(mode="json", exclude=RESULT_FREE | {"device", "threads", "seed"}),
        "version": settings.version,
        "model": asdict(config),
        "samples": samples,
        "seed": seed,
        "data": data,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class _Training:
    """One call of :func:`train`: what its steps share."""

    def __init__(
        self,
        settings: TrainSection,
        config: LlamaConfig,
        samples: Samples,
        store: Store,
        scratch: Path,
        seed: int,
        validation: Samples | None,
        data: str,
        progress: Callable[..., None],
        say: Callable[[str], None],
        device: torch.device,
    ) -> None:
        self.settings, self.config, self.samples, self.validation = settings, config, samples, validation
        self.store, self.scratch, self.seed = store, scratch, seed
        self.progress, self.say, self.device = progress, say, device
        self.seq_len = len(samples[0])
        steps = steps_of(settings, len(samples), self.seq_len)
        fingerprint = training_fingerprint(settings, config, len(samples), seed, data)
        self.found = find_checkpoint(store, fingerprint, say)
        self.state = self.found[1] if self.found else TrainerState(fingerprint, steps, settings.threads or 0)
        self.state.threads = self.state.threads or torch.get_num_threads()
        self.state.torch, self.state.device = torch.__version__, _device_name(device)
        self.pending: list[Tensor] = []  # losses not yet read from the device
        self.validation_loss: float | None = None
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self) -> Trained:
        state, settings = self.state, self.settings
        model = self._model()
        optimizers = build_optimizers(
            model,
            optimizer=settings.optimizer or "adamw",
            lr=settings.lr or 0.0,
            muon_lr=settings.muon_lr or 0.0,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay or 0.0,
            momentum=settings.momentum,
        )
        if self.found:
            restore_checkpoint(self.store, self.found[0], model, optimizers)
            self.say(f"continuing after step {state.step} of {state.steps}")
        metrics = Metrics(self.store, self.scratch, state.step)
        if settings.compile:
            _compile_blocks(model, self._batch(0)[:1], self.say)
        model.train()
        clock, first = _Clock(), state.step
        loss = math.nan  # until the first one is read from the device
        while state.step < state.steps:
            grad_norm = self._step(model, optimizers)
            state.step += 1
            state.tokens += (settings.batch_size or 1) * self.seq_len
            last = state.step == state.steps
            log = last or state.step % settings.log_every == 0
            save = last or state.step % settings.checkpoint_every == 0
            validate = last or (settings.validate_every and state.step % settings.validate_every == 0)
            if self.device.type == "cpu" or log or save or validate:
                loss = self._read_losses()
            clock.lap(state, (settings.batch_size or 1) * self.seq_len)
            self.progress("train", state.step, state.steps, loss=loss, tokens_per_second=clock.rate)
            if state.step == min(first + 10, state.steps):
                self.say(self._estimate(clock.rate))
            if log:
                metrics.add(self._row(optimizers, float(grad_norm), clock.rate))
            if validate and self.validation is not None and len(self.validation):
                self.validation_loss = self._validate(model)
                metrics.add({"step": state.step, "validation_loss": self.validation_loss})
            if save:
                metrics.publish()
                save_checkpoint(self.store, self.scratch, state, model, optimizers, settings.keep_last)
            clock.restart()  # validation and saving are no training time
        if self.validation_loss is None:
            measured = [row["validation_loss"] for row in metrics.rows if "validation_loss" in row]
            self.validation_loss = measured[-1] if measured else None
        return Trained(model, state, self.validation_loss, f"checkpoints/checkpoint-{state.step}")

    def _model(self) -> Llama:
        torch.manual_seed(self.seed)
        model = Llama(self.config)
        model.initialise(torch.Generator().manual_seed(self.seed))  # on the CPU: the same start on any device
        return model.to(self.device)

    def _step(self, model: Llama, optimizers: Sequence[torch.optim.Optimizer]) -> Tensor:
        settings = self.settings
        batch = self._batch(self.state.step)
        set_rate(
            optimizers,
            rate_factor(
                self.state.step,
                self.state.steps,
                schedule=settings.schedule or "cosine",
                warmup=warmup_steps(settings.warmup or 0.0, self.state.steps),
                decay_fraction=settings.decay_fraction,
                floor=settings.min_lr,
            ),
        )
        loss = torch.zeros((), device=self.device)
        for part in torch.split(batch, settings.micro_batch_size or len(batch)):
            with self._precision():
                part_loss = next_token_loss(model, part) * (len(part) / len(batch))
            part_loss.backward()  # type: ignore[no-untyped-call]
            loss += part_loss.detach()
        limit = settings.clip or math.inf
        grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.pending.append(loss)
        return grad_norm

    def _batch(self, step: int) -> Tensor:
        indices = samples_of_step(self.seed, step, self.settings.batch_size or 1, len(self.samples))
        windows = np.stack([np.asarray(self.samples[int(index)]) for index in indices]).astype(np.int64)
        return torch.from_numpy(windows).to(self.device, non_blocking=True)

    def _read_losses(self) -> float:
        """Take the pending losses into the state; the last one.

        Raises:
            UserError: one of them is no finite number.
        """
        losses = torch.stack(self.pending).tolist()
        self.pending.clear()
        for step, loss in enumerate(losses, self.state.step - len(losses)):
            if not math.isfinite(loss):
                self._diverged(step, loss)
        self.state.loss_sum += math.fsum(losses)
        self.state.loss_count += len(losses)
        return float(losses[-1])

    def _diverged(self, step: int, loss: float) -> None:
        samples = samples_of_step(self.seed, step, self.settings.batch_size or 1, len(self.samples)).tolist()
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

    @torch.no_grad()
    def _validate(self, model: Llama) -> float:
        assert self.validation is not None
        model.eval()
        count = min(self.settings.validation_samples, len(self.validation))
        size = self.settings.micro_batch_size or 1
        total = 0.0
        for start in range(0, count, size):
            chosen = range(start, min(start + size, count))
            windows = [np.asarray(self.validation[i * len(self.validation) // count]) for i in chosen]
            batch = torch.from_numpy(np.stack(windows).astype(np.int64)).to(self.device)
            with self._precision():
                total += float(next_token_loss(model, batch)) * len(batch)
        model.train()
        return total / count

    def _row(
        self, optimizers: Sequence[torch.optim.Optimizer], grad_norm: float, rate: float
    ) -> dict[str, Any]:
        state = self.state
        state.last_loss = state.loss_sum / state.loss_count
        state.loss_sum, state.loss_count = 0.0, 0
        return {
            "step": state.step,
            "tokens": state.tokens,
            "loss": round(state.last_loss, 6),
            "lr": optimizers[0].param_groups[0]["lr"],
            "grad_norm": round(grad_norm, 6),
            "tokens_per_second": round(rate, 1),
        }

    def _precision(self) -> AbstractContextManager[Any]:
        dtype = self.settings.dtype or ("bf16" if self.device.type == "cuda" else "fp32")
        return torch.autocast(self.device.type, torch.bfloat16) if dtype == "bf16" else nullcontext()

    def _estimate(self, rate: float) -> str:
        parameters, state = self.config.parameters(), self.state
        total = state.steps * (self.settings.batch_size or 1) * self.seq_len
        left = (state.steps - state.step) * (self.settings.batch_size or 1) * self.seq_len
        return (
            f"{parameters / 1e6:.2f} M parameters, {total / 1e6:.2f} M tokens in {state.steps} steps "
            f"({total / parameters:.1f} tokens per parameter; 20 is compute-optimal, arXiv:2203.15556), "
            f"{rate:,.0f} tokens/s on {state.device}: about {left / rate:.0f} s to go"
        )


def next_token_loss(model: Llama, windows: Tensor) -> Tensor:
    """Mean nats per predicted token; every token of a window but the first is predicted.

    Args:
        model: the model.
        windows: token ids, int64, shape (batch, seq_len).
    """
    hidden = model.hidden(windows[:, :-1])
    return linear_cross_entropy(hidden, model.lm_head.weight, windows[:, 1:])


def warmup_steps(warmup: float, steps: int) -> int:
    """Steps of a warm-up given in steps or, below 1, as a share of all steps."""
    return round(warmup * steps) if warmup < 1 else int(warmup)


class _Clock:
    """Training time and a smoothed rate; feeds no decision."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._laps: list[tuple[float, int]] = []
        self.restart()

    def restart(self) -> None:
        self._start = time.perf_counter()

    def lap(self, state: TrainerState, tokens: int) -> None:
        seconds = time.perf_counter() - self._start
        state.seconds += seconds
        self._laps = [*self._laps[-49:], (seconds, tokens)]
        self.rate = sum(lap[1] for lap in self._laps) / sum(lap[0] for lap in self._laps)


def _compile_blocks(model: Llama, batch: Tensor, say: Callable[[str], None]) -> None:
    """Compile every block; if the machine cannot (no C++ compiler), say so and train uncompiled."""
    for layer in model.model.layers:
        layer.compile()
    try:
        next_token_loss(model, batch).backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        for layer in model.model.layers:
            layer._compiled_call_impl = None
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        say(f"torch.compile does not work here, training uncompiled: {reason}")
    model.zero_grad(set_to_none=True)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
