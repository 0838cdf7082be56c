"""Contestants of the training benchmarks: one training each, in a process of its own.

    python -m benchmarks.trainers JOB.json     # prints one JSON object; JOB.json: see Job

All of them get the same first weights (a Hugging Face folder), the same windows in the same order, AdamW with the same
numbers, a constant rate, clipping at 1. A step's time is what lies between two ends of steps; the first steps, in
which code is compiled, do not count. No one saves, validates or draws while it is measured.

- ``textmill``: :func:`textmill.train.loop.train`, as ``textmill train`` calls it.
- ``trainer``: transformers' ``Trainer`` with ``LlamaForCausalLM`` and its own switches for compilation and precision.
- ``loop``: a short loop in the manner of nanoGPT over the plain Llama: a memory map, whole logits, ``cross_entropy``.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

# A rate without warm-up at which no loss spikes: beyond a spike, sums that were rounded differently part for good,
# and losses compare no longer.
LR, BETAS, EPS, CLIP = 3e-4, (0.9, 0.95), 1e-8, 1.0


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        who: ``textmill``, ``trainer`` or ``loop``.
        model: Hugging Face folder with the first weights.
        windows: ``.npy``, shape (windows, seq_len).
        steps: to train.
        uncounted: first steps that are not measured.
        batch: windows per step.
        micro: windows per forward pass.
        compiled: whether to compile.
        dtype: ``fp32`` or ``bf16``.
        device: ``cpu`` or ``cuda``.
        threads: of the CPU.
        seconds: stop measuring after so long; 0: never.
        recompute: activation checkpointing: none, selective or full.
    """

    who: str
    model: str
    windows: str
    steps: int
    uncounted: int
    batch: int
    micro: int
    compiled: bool
    dtype: str
    device: str
    threads: int
    seconds: float = 0.0
    recompute: str = "none"


class Clock:
    """Ends of steps, by the wall and by the processor."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.ends: list[tuple[float, float]] = []
        self.first = 0.0

    def tick(self) -> bool:
        """A step has ended; whether it is enough."""
        if self.job.device == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter(), time.process_time()
        self.ends.append(now)
        counted = len(self.ends) - self.job.uncounted
        begun = self.ends[self.job.uncounted - 1][0] if counted > 0 else now[0]
        return bool(self.job.seconds) and counted > 2 and now[0] - begun > self.job.seconds

    def rates(self, tokens: int) -> dict[str, float]:
        """Tokens per second of the median step, and per second of processor time of all counted steps."""
        counted = np.array(self.ends[self.job.uncounted - 1 :])
        steps = np.diff(counted, axis=0)
        return {
            "tokens_per_second": tokens / float(np.median(steps[:, 0])),
            "tokens_per_cpu_second": tokens * len(steps) / float(steps[:, 1].sum()),
        }


class EnoughError(Exception):
    """Measured long enough."""


def main() -> int:
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    torch.set_num_threads(job.threads)
    if job.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    clock = Clock(job)
    losses = {"textmill": textmill, "trainer": trainer, "loop": loop}[job.who](job, clock)
    length = np.load(job.windows, mmap_mode="r").shape[1]
    peak = torch.cuda.max_memory_allocated() if job.device == "cuda" else None
    result = {**clock.rates(job.batch * length), "losses": losses, "peak_bytes": peak, "job": asdict(job)}
    print(json.dumps(result))
    return 0


def textmill(job: Job, clock: Clock) -> list[float]:
    from textmill.model.hf import load_config, load_folder
    from textmill.train.batch import TokenBatch, next_token_targets
    from textmill.train.loop import train
    from textmill.train.settings import TrainSection
    from textmill.train.store import FolderStore
    from textmill.train.trainee import LlamaTrainee
    from textmill.train.watchers.watcher import Watcher

    windows = np.load(job.windows, mmap_mode="r")

    class InOrder:
        batch_size, seq_len = job.batch, windows.shape[1]

        def __len__(self) -> int:
            return len(windows)

        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> TokenBatch:
            tokens = torch.from_numpy(windows[step * job.batch : (step + 1) * job.batch].astype(np.int64))
            return TokenBatch(tokens, next_token_targets(tokens))

        def samples(self, step: int) -> list[int]:
            return list(range(step * job.batch, (step + 1) * job.batch))

        def identity(self) -> Any:
            return job.windows

    losses: list[float] = []

    class Ends(Watcher):
        def stepped(self, step: int, steps: int, loss: float, tokens_per_second: float) -> None:
            losses.append(loss)
            if clock.tick():
                raise EnoughError

    class Given(LlamaTrainee):
        def initial(self, seed: int) -> Any:
            return load_folder(Path(job.model)).named_parameters()

    settings = TrainSection(
        preset="tiny", steps=job.steps, batch_size=job.batch, micro_batch_size=job.micro, optimizer="adamw", lr=LR,
        beta1=BETAS[0], beta2=BETAS[1], eps=EPS, weight_decay=0.0, schedule="constant", warmup=0, clip=CLIP,
        dtype=job.dtype, compile=job.compiled, device=job.device, threads=job.threads, watch=[],  # type: ignore[arg-type]
        checkpoint_every=10**9, log_every=1, validate_every=0, processes=1,
        activation_checkpointing=job.recompute,  # type: ignore[arg-type]
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, suppress(EnoughError):
        train(
            settings,
            Given(load_config(Path(job.model))),
            InOrder(),
            FolderStore(Path(folder, "run")),
            scratch=Path(folder, "scratch"),
            watchers=[Ends()],
            say=lambda text: print(text, file=sys.stderr),
        )
    return losses


def trainer(job: Job, clock: Clock) -> list[float]:
    from torch.utils.data import Dataset, Sampler, SequentialSampler
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    windows = np.load(job.windows, mmap_mode="r")

    class Windows(Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return len(windows)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            tokens = torch.from_numpy(windows[index].astype(np.int64))
            return {"input_ids": tokens, "labels": tokens}

    class InOrder(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Sampler[int]:
            return SequentialSampler(windows)

    losses: list[float] = []

    class Ends(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = clock.tick() or state.global_step >= job.steps

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    model = AutoModelForCausalLM.from_pretrained(job.model, dtype=torch.float32)
    if job.recompute != "none":
        model.gradient_checkpointing_enable()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=job.steps, per_device_train_batch_size=job.micro,
            gradient_accumulation_steps=job.batch // job.micro, optim="adamw_torch_fused", learning_rate=LR,
            adam_beta1=BETAS[0], adam_beta2=BETAS[1], adam_epsilon=EPS, weight_decay=0.0,
            lr_scheduler_type="constant", max_grad_norm=CLIP, bf16=job.dtype == "bf16", torch_compile=job.compiled,
            use_cpu=job.device == "cpu", report_to="none", save_strategy="no", disable_tqdm=True,
            # A log reads the loss from the device, as the others do after every step.
            logging_steps=1, logging_nan_inf_filter=False, dataloader_num_workers=0,
        )  # fmt: skip
        InOrder(model=model, args=arguments, train_dataset=Windows(), callbacks=[Ends()]).train()
    return losses


def loop(job: Job, clock: Clock) -> list[float]:
    from textmill.model.hf import load_folder

    device = torch.device(job.device)
    windows = np.load(job.windows, mmap_mode="r")
    model = load_folder(Path(job.model), device=device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=LR, betas=BETAS, eps=EPS, weight_decay=0.0, fused=True
    )
    forward: Any = torch.compile(model) if job.compiled else model
    autocast = torch.autocast(job.device, torch.bfloat16) if job.dtype == "bf16" else nullcontext()
    losses = []
    for step in range(job.steps):
        rows = torch.from_numpy(windows[step * job.batch : (step + 1) * job.batch].astype(np.int64)).to(
            device
        )
        total = torch.zeros((), device=device)
        for micro in rows.split(job.micro):
            x, y = micro[:, :-1], micro[:, 1:]
            with autocast:
                logits = forward(x)
                loss = (
                    F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
                    * len(micro)
                    / job.batch
                )
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(total))
        if clock.tick():
            break
    return losses


if __name__ == "__main__":
    sys.exit(main())
