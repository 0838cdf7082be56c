"""How a step is carried out: forward, backward, clipping, update; on one device here, on many in subclasses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from textmill.train.batch import TokenBatch
from textmill.train.optimizer import build_optimizers, set_rate
from textmill.train.parallel.world import World
from textmill.train.settings import TrainSection
from textmill.train.trainee import Objective, Trainee


class Strategy:
    """One process, one device.

    The loop calls, in this order: :meth:`prepare`; :meth:`load` if there is a checkpoint; then per step
    :meth:`accumulate` for each micro-batch, :meth:`clip`, :meth:`update` (or :meth:`refuse`); :meth:`weights` and
    :meth:`optimizer_state` to save.

    Args:
        device: where to compute.
        world: which of how many processes this is.

    Attributes:
        objective: what is called forward.
        grad_norm: norm of the last gradient before clipping.
    """

    objective: nn.Module
    grad_norm: Tensor

    def __init__(self, device: torch.device, world: World = World()) -> None:  # noqa: B008 - frozen
        self.device, self.world = device, world

    def prepare(self, trainee: Trainee, settings: TrainSection, seed: int) -> None:
        """Put the model on its device, give it its first weights, build optimisers."""
        self.trainee, self.settings = trainee, settings
        self.dtype = settings.dtype or ("bf16" if self.device.type == "cuda" else "fp32")
        self.place(seed)
        self.optimizers = self.build_optimizers()
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.dtype == "fp16")

    def place(self, seed: int) -> None:
        """Put the model on its device with its first weights; sets :attr:`objective`."""
        self.trainee.model.to(self.device)
        self.copy_weights(self.trainee.initial(seed))
        self.objective = Objective(self.trainee)

    def build_optimizers(self) -> list[torch.optim.Optimizer]:
        """Optimisers for what is trained, AdamW first."""
        settings = self.settings
        return build_optimizers(
            self.trainee.model,
            optimizer=settings.optimizer or "adamw",
            lr=settings.lr or 0.0,
            muon_lr=settings.muon_lr or 0.0,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay or 0.0,
            momentum=settings.momentum,
        )

    def forward(self, batch: TokenBatch, scale: float) -> Tensor:
        """``scale`` times the sum of nats of a batch, in the precision of the settings."""
        with self.precision():
            loss: Tensor = self.objective(batch, scale)
        return loss

    def accumulate(self, batch: TokenBatch, scale: float, last: bool) -> Tensor:
        """Add a micro-batch's gradients to those that are there; its loss.

        Args:
            batch: on the device.
            scale: of the loss: one by the tokens of the whole batch, over all processes.
            last: whether the update comes next, so that gradients must be summed over the processes.
        """
        loss = self.forward(batch, scale)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def clip(self, limit: float) -> None:
        """Shorten the gradient to ``limit`` at most (0: never); sets :attr:`grad_norm`."""
        if self.scaler.is_enabled():
            for optimizer in self.optimizers:
                self.scaler.unscale_(optimizer)
        trained = [p for p in self.trainee.model.parameters() if p.grad is not None]
        self.grad_norm = torch.nn.utils.clip_grad_norm_(trained, limit or math.inf)

    def update(self, rate: float) -> None:
        """Move the weights at ``rate`` times the peak learning rates, and forget the gradients."""
        set_rate(self.optimizers, rate)
        for optimizer in self.optimizers:
            self.scaler.step(optimizer)
        self.scaler.update()
        self.forget_gradients()

    def refuse(self) -> None:
        """Drop the gradients without an update, once :meth:`clip` has seen them."""
        if self.scaler.is_enabled():
            self.scaler.update()  # or it takes the next gradients for ones that it has unscaled already
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Drop the gradients without an update."""
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def sum_on_host(self, value: int) -> int:
        """The sum over all processes of a number that the CPU knows; no GPU is waited for."""
        if self.world.size == 1:
            return value
        box = torch.tensor(value)
        torch.distributed.all_reduce(box)
        return int(box)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes."""
        if self.world.size > 1:
            values = values.to(self.device)
            torch.distributed.all_reduce(values)
        return values

    def weights(self) -> dict[str, Tensor]:
        """A copy of the saved parameters, whole, on the CPU; filled in process 0 alone. All processes must call."""
        return self.gathered(self.trainee.saved())

    def optimizer_state(self) -> dict[str, Tensor]:
        """A copy of the optimisers' state as ``<parameter>/<entry>``, likewise."""
        return self.gathered((f"{name}/{key}", value) for name, _, key, value in self._entries())

    def gathered(self, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """Copies on the CPU, in process 0 alone."""
        if not self.world.first:
            return {}
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors}

    def load(self, weights: Iterable[tuple[str, Tensor]], optimizer: Iterable[tuple[str, Tensor]]) -> None:
        """Put back what :meth:`weights` and :meth:`optimizer_state` gave."""
        self.copy_weights(weights)
        where = {name: (one, p) for one, _, name, p in self._parameters()}
        for key, value in optimizer:
            name, _, entry = key.rpartition("/")
            one, parameter = where[name]
            one.state[parameter][entry] = self.like(value, parameter) if value.ndim else value.clone()

    @torch.no_grad()
    def copy_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Copy whole weights into the parameters of their names."""
        parameters = dict(self.trainee.model.named_parameters())
        for name, value in weights:
            parameters[name].copy_(value)

    def like(self, value: Tensor, parameter: Tensor) -> Tensor:
        """An entry of an optimiser's state on the device of its parameter."""
        return value.to(parameter.device, copy=True)

    def scaling(self) -> dict[str, float]:
        """State of the loss scaling, for :attr:`TrainerState.loss_scale`."""
        return self.scaler.state_dict()

    def restore_scaling(self, state: dict[str, float]) -> None:
        """Put it back."""
        if state and self.scaler.is_enabled():
            self.scaler.load_state_dict(state)

    @property
    def rates(self) -> list[float]:
        """Learning rates of the last update, AdamW's first."""
        return [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]

    def precision(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
        return torch.autocast(self.device.type, kinds[self.dtype]) if self.dtype in kinds else nullcontext()

    def _parameters(self) -> Iterator[tuple[torch.optim.Optimizer, dict[str, Any], str, Tensor]]:
        names = {parameter: name for name, parameter in self.trainee.model.named_parameters()}
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    yield optimizer, group, names[parameter], parameter

    def _entries(self) -> Iterator[tuple[str, Tensor, str, Tensor]]:
        for optimizer, _, name, parameter in self._parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                yield name, parameter, key, value
