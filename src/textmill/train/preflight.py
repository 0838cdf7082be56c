"""Before a job starts: what it is, what it holds in memory, what it costs. ``textmill train --preflight`` prints it.

::

    settings + vocabulary + context ─► trainee, on tensors without contents ─► one real step, counted ─► Job
    Job + machines ─► Forecast per machine and way of sharing
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import nn

from textmill.train.activation import checkpoint_activations
from textmill.train.batch import TokenBatch, next_token_targets
from textmill.train.forecast import Job
from textmill.train.memory import MemoryTracker, StepMemory, measure_step, without_contents
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection
from textmill.train.trainee import Objective, Trainee

_BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}

BYTES_OF_A_WEIGHT = {"qlora": 0.5 + 0.127 / 8, "8bit": 1.0}
"""By method: NF4 takes 4 bits and, with double quantisation, 0.127 bits of scales (https://arxiv.org/abs/2305.14314)."""

RECOMPUTED = {"none": 0.0, "selective": 0.1, "full": 1.0}
"""Share of the forward pass that is computed again; selective repeats what is cheap: norms, rotations, activations."""


def describe_job(
    settings: TrainSection,
    make: Callable[[str], Trainee],
    *,
    vocab_size: int,
    seq_len: int,
    tokens: int | None,
    dtype: str = "bf16",
) -> Job:
    """Count a training's step, without computing it.

    Args:
        settings: the ``train:`` section.
        make: builds the trainee on a device; called with ``meta``, so that none of its numbers take memory.
        vocab_size: rows of the embedding table.
        seq_len: tokens of a sequence.
        tokens: training budget; None if it is not known yet.
        dtype: precision of the forward pass: ``fp32``, ``bf16``, ``fp16``.
    """
    settings = settings.resolved()
    rows = settings.micro_batch_size or settings.batch_size or 1
    trainee, memory = trace_memory(
        settings, make, vocab_size=vocab_size, seq_len=seq_len, rows=rows, dtype=dtype
    )
    saved = saved_by_quantisation(trainee, settings.method)
    return Job(
        parameters=trainee.parameters,
        trained=trainee.trained_parameters,
        tokens=tokens,
        flops_per_token=trainee.flops_per_token(seq_len),
        batch_size=settings.batch_size or 1,
        micro_batch_size=rows,
        seq_len=seq_len,
        weights=memory.weights - saved,
        gradients=memory.gradients or trained_bytes(trainee),
        optimizer=memory.optimizer,
        activations=memory.activations,
        logits=memory.logits,
        block=max((_bytes(block, dtype) for block in trainee.blocks()), default=0),
        compiled=settings.compile,
        quantised=bool(saved),
        recomputed=RECOMPUTED[settings.activation_checkpointing],
    )


def trace_memory(
    settings: TrainSection,
    make: Callable[[str], Trainee],
    *,
    vocab_size: int,
    seq_len: int,
    rows: int,
    dtype: str,
    contents: bool = False,
) -> tuple[Trainee, StepMemory]:
    """The trainee, and the parts of its step's memory at the highest moment.

    Args:
        settings: optimiser, checkpointing of activations and so on.
        make: builds the trainee on a device: ``meta``, or ``cpu`` with contents.
        vocab_size: rows of the embedding table.
        seq_len: tokens of a sequence.
        rows: sequences of a forward pass.
        dtype: precision of the forward pass.
        contents: compute for real, on the CPU, and count the same way.
    """
    tracker = MemoryTracker(vocab_size)
    settings = settings.model_copy(update={"dtype": "fp32" if dtype == "fp32" else "bf16", "device": "cpu"})
    trainee = make("cpu" if contents else "meta")
    with nullcontext() if contents else without_contents(), tracker:
        strategy = _FirstWeights(torch.device("cpu"))
        if not contents:
            fill(trainee.model)
        checkpoint_activations(trainee.blocks(), settings.activation_checkpointing)
        strategy.prepare(trainee, settings, 0)
        tokens = torch.zeros(rows, seq_len, dtype=torch.int64)
        targets = next_token_targets(tokens)

        def step() -> None:
            strategy.accumulate(TokenBatch(tokens, targets), 1.0 / (rows * seq_len), last=True)
            strategy.clip(settings.clip)
            strategy.update(1.0)

        memory = measure_step(trainee.model, strategy.optimizers, step, tracker)
    return trainee, memory


def saved_by_quantisation(trainee: Trainee, method: str) -> int:
    """Bytes that frozen matrices inside the blocks do not take because they are kept in 4 or 8 bits."""
    size = BYTES_OF_A_WEIGHT.get(method)
    if size is None:
        return 0
    matrices = (
        parameter
        for block in trainee.blocks()
        for parameter in block.parameters()
        if parameter.ndim == 2 and not parameter.requires_grad
    )
    return sum(int(matrix.numel() * (matrix.element_size() - size)) for matrix in matrices)


def trained_bytes(trainee: Trainee) -> int:
    """Bytes of the gradients of all that is trained."""
    return sum(parameter.numel() * parameter.element_size() for _, parameter in trainee.saved())


def fill(model: nn.Module) -> None:
    """Put new tensors in the place of those on the meta device; one that stands in two places stays one.

    Called where tensors have no contents, this is how a model comes there: many models cannot be built there.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                if id(parameter) not in made:
                    empty = torch.empty(parameter.shape, dtype=parameter.dtype)
                    made[id(parameter)] = nn.Parameter(empty, requires_grad=parameter.requires_grad)
                module._parameters[name] = made[id(parameter)]  # type: ignore[assignment]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


class _FirstWeights(Strategy):
    """A strategy whose model keeps the weights it was built with: their values change no memory."""

    def place(self, seed: int) -> None:
        self.objective = Objective(self.trainee)


def _bytes(module: nn.Module, dtype: str) -> int:
    return sum(parameter.numel() for parameter in module.parameters()) * _BYTES[dtype]
