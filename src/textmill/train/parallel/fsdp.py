"""FSDP2: weights, gradients and optimiser state shared out among the processes, block by block.

``torch.distributed.fsdp.fully_shard`` (https://arxiv.org/abs/2304.11277 is its forerunner): parameters become
DTensors, a block's weights are gathered just before they are used.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from textmill.errors import UserError
from textmill.train.batch import TokenBatch
from textmill.train.parallel.strategy import Strategy
from textmill.train.trainee import Objective


class FullySharded(Strategy):
    """Every block's weights in pieces over all processes."""

    def place(self, seed: int) -> None:
        """Shard the blocks, then what is left; weights are filled in piece by piece."""
        mesh = init_device_mesh(self.device.type, (self.world.size,))
        policy = MixedPrecisionPolicy()
        if self.dtype == "bf16":
            # Gathered as bfloat16, summed as float32. Inputs are left alone: tables of rotary positions stay exact.
            policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        model, on_meta = self.trainee.model, any(p.is_meta for p in self.trainee.model.parameters())
        if not on_meta:
            model.to(self.device)
        objective = Objective(self.trainee)
        for block in self.layers():
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(objective, mesh=mesh, mp_policy=policy)
        self.objective = objective
        if on_meta:
            objective.to_empty(device=self.device)
            self.trainee.fill_buffers()
        self.copy_weights(self.trainee.initial(seed))

    def layers(self) -> list[nn.Module]:
        """What is shared out one by one: the class that the settings name, or the trainee's blocks.

        Raises:
            UserError: the model has no layer of that class.
        """
        wanted = self.settings.wrap
        if wanted is None:
            return list(self.trainee.blocks())
        found = [module for module in self.trainee.model.modules() if type(module).__name__ == wanted]
        if not found:
            classes = sorted({type(module).__name__ for module in self.trainee.model.modules()})
            raise UserError(
                "the model has no layer of this class",
                where="train.wrap",
                expected=f"one of {', '.join(classes)}",
                found=wanted,
            )
        return found

    def weights(self) -> dict[str, Tensor]:
        """As in one process, once all weights are in pieces again (a forward pass leaves the outermost whole)."""
        self._reshard()
        return super().weights()

    def optimizer_state(self) -> dict[str, Tensor]:
        """Likewise."""
        self._reshard()
        return super().optimizer_state()

    def load(self, weights: Iterable[tuple[str, Tensor]], optimizer: Iterable[tuple[str, Tensor]]) -> None:
        """Likewise."""
        self._reshard()
        super().load(weights, optimizer)

    def _reshard(self) -> None:
        for module in self.objective.modules():
            if isinstance(module, FSDPModule):
                module.reshard()

    def accumulate(self, batch: TokenBatch, scale: float, last: bool) -> Tensor:
        """Gradients are averaged over the processes after the last micro-batch, so the loss is scaled up for it."""
        assert isinstance(self.objective, FSDPModule)
        self.objective.set_requires_gradient_sync(last)
        return super().accumulate(batch, scale * self.world.size, last) / self.world.size

    def clip(self, limit: float) -> None:
        """The norm is that of the whole gradient."""
        super().clip(limit)
        if isinstance(self.grad_norm, DTensor):
            self.grad_norm = self.grad_norm.full_tensor()

    def gathered(self, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """Whole tensors, gathered one after the other."""
        found = {}
        for name, tensor in tensors:
            whole = tensor.detach()
            if isinstance(whole, DTensor):
                whole = whole.full_tensor()
            if self.world.first:
                found[name] = whole.to("cpu", copy=True)
        return found

    @torch.no_grad()
    def copy_weights(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Every process takes its piece of each."""
        parameters = dict(self.trainee.model.named_parameters())
        for name, value in weights:
            parameters[name].copy_(self.like(value, parameters[name]))

    def like(self, value: Tensor, parameter: Tensor) -> Tensor:
        """This process's piece of a whole tensor, laid out as the parameter is."""
        if not isinstance(parameter, DTensor):
            return super().like(value, parameter)
        mesh, placements = parameter.device_mesh, parameter.placements
        return distribute_tensor(value.to(self.device), mesh, placements, src_data_rank=None)
