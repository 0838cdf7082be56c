"""What a training will need on a machine: memory per device, time and price.

===========  ====================================================================================================
memory       single and DDP: the whole step. FSDP: weights, gradients and moments by the number of devices, two
             blocks gathered and the gradient of one. Activations and logits of one micro-batch always
time         FLOPs / (devices · TFLOP/s · utilisation), or what the links need where that is more: a step of DDP
             sends 2 (n-1)/n gradients, one of FSDP weights twice per micro-batch and gradients once
utilisation  a guess from what others reach, until you have measured yours: 0.45 compiled, 0.35 not (torchtitan on
             Llama 3.1 8B: 39 and 33 %; nanochat, and FSDP2 with compiled blocks: 47 to 50 %); 0.25 with 4- or
             8-bit weights, which are unpacked for every product
===========  ====================================================================================================

A device's own context, its workspaces and gaps in its memory are put at 1 GiB and 5 % of the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from textmill.train.hardware import Machine

Way = Literal["single", "ddp", "fsdp"]

GIB = 2**30
CONTEXT_BYTES = GIB
FRAGMENTATION = 0.05
DEVICES_OF_A_NODE = 8
BETWEEN_NODES_GBS = 50.0
"""Sent by each device where nodes are joined by 400 Gb/s per device."""


@dataclass(frozen=True)
class Job:
    """A training, whatever it runs on.

    Attributes:
        parameters: of the model.
        trained: those that are trained.
        tokens: training budget; None if it is not known yet.
        flops_per_token: forward and backward, without recomputation.
        batch_size: sequences per step, over all devices.
        micro_batch_size: sequences per forward pass and device.
        seq_len: tokens of a sequence.
        weights: bytes of parameters.
        gradients: bytes.
        optimizer: bytes.
        activations: bytes at the highest moment.
        logits: bytes at the highest moment.
        block: bytes of the largest block's weights, as they are computed with.
        compiled: whether blocks are compiled.
        quantised: whether weights are 4- or 8-bit numbers.
        recomputed: share of the forward pass that is computed again in the backward pass.
    """

    parameters: int
    trained: int
    tokens: int | None
    flops_per_token: float
    batch_size: int
    micro_batch_size: int
    seq_len: int
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    block: int
    compiled: bool = False
    quantised: bool = False
    recomputed: float = 0.0

    @property
    def steps(self) -> int | None:
        """Optimiser steps."""
        return None if self.tokens is None else max(1, self.tokens // (self.batch_size * self.seq_len))

    @property
    def flops(self) -> float | None:
        """Of the whole training."""
        return None if self.tokens is None else self.tokens * self.flops_per_token

    @property
    def tokens_per_parameter(self) -> float | None:
        """20 is compute-optimal (Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556)."""
        return None if self.tokens is None else self.tokens / self.parameters

    def utilisation(self) -> float:
        """Share of the TFLOP/s that is expected to be used; see the table above."""
        return 0.25 if self.quantised else 0.45 if self.compiled else 0.35


@dataclass(frozen=True)
class Forecast:
    """A job on a machine. Bytes are per device.

    Attributes:
        machine: devices.
        way: how they share the work.
        weights: parameters, with what FSDP gathers of them.
        gradients: of what is trained.
        optimizer: moments.
        activations: at the highest moment.
        logits: at the highest moment.
        reserve: context, workspaces, gaps.
        seconds: of training; None without a budget.
        price: US dollars; None without a budget.
        waits: whether links, not products, decide the time.
    """

    machine: Machine
    way: Way
    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    reserve: int
    seconds: float | None
    price: float | None
    waits: bool

    @property
    def total(self) -> int:
        """Bytes per device."""
        step = self.weights + self.gradients + self.optimizer + self.activations + self.logits
        return step + self.reserve

    @property
    def fits(self) -> bool:
        """Whether a device holds it."""
        return self.total <= self.machine.accelerator.memory_gib * GIB


def forecasts(job: Job, machines: Iterable[Machine], utilisation: float | None = None) -> Iterator[Forecast]:
    """The job on each machine, by every way that makes sense there.

    Args:
        job: what to train.
        machines: where.
        utilisation: share of the TFLOP/s that is used; :meth:`Job.utilisation` if left out.
    """
    for machine in machines:
        ways: tuple[Way, ...] = ("single",) if machine.count == 1 else ("ddp", "fsdp")
        yield from (forecast(job, machine, way, utilisation) for way in ways)


def forecast(job: Job, machine: Machine, way: Way, utilisation: float | None = None) -> Forecast:
    """The job on a machine."""
    weights, gradients, optimizer = job.weights, job.gradients, job.optimizer
    if way == "fsdp":
        share = machine.count
        weights = weights // share + 2 * job.block
        gradients = gradients // share + (job.block if job.gradients else 0)
        optimizer //= share
    step = weights + gradients + optimizer + job.activations + job.logits
    seconds, waits = _seconds(job, machine, way, utilisation or job.utilisation())
    return Forecast(
        machine,
        way,
        weights,
        gradients,
        optimizer,
        job.activations,
        job.logits,
        CONTEXT_BYTES + int(FRAGMENTATION * step),
        seconds,
        None if seconds is None else seconds / 3600 * machine.count * machine.accelerator.price,
        waits,
    )


def _seconds(job: Job, machine: Machine, way: Way, utilisation: float) -> tuple[float | None, bool]:
    if job.flops is None or job.steps is None:
        return None, False
    rate = machine.count * machine.accelerator.tflops * 1e12 * utilisation
    computing = job.flops * (1 + job.recomputed / 3) / rate / job.steps
    sending = _sent_bytes(job, machine, way) / (_link(machine) * 1e9)
    return max(computing, sending) * job.steps, sending > computing


def _sent_bytes(job: Job, machine: Machine, way: Way) -> float:
    """What a device sends in a step."""
    if machine.count == 1:
        return 0.0
    others = (machine.count - 1) / machine.count
    if way == "ddp":
        return 2 * others * job.gradients
    rows = -(-job.batch_size // machine.count)
    passes = -(-rows // job.micro_batch_size)
    # bfloat16 copies are gathered for forward and for backward; gradients are summed in float32.
    return others * (2 * passes * job.weights / 2 + job.gradients)


def _link(machine: Machine) -> float:
    inside = machine.count <= DEVICES_OF_A_NODE
    return machine.accelerator.link_gbs if inside else min(machine.accelerator.link_gbs, BETWEEN_NODES_GBS)
