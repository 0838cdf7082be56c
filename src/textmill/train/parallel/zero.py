"""DeepSpeed's ZeRO: optimiser state, gradients, weights shared out (https://arxiv.org/abs/1910.02054).

Checkpoints are the mill's own: whole fp32 weights and AdamW moments, gathered tensor by tensor through DeepSpeed's
interface to partitioned state, so a training may change between ZeRO stages, FSDP2, DDP and one process.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textmill.errors import UserError
from textmill.model.hf import whole_shape
from textmill.train.batch import TokenBatch
from textmill.train.guard import may_refuse
from textmill.train.optimizer import set_rate
from textmill.train.parallel.strategy import Strategy
from textmill.train.settings import TrainSection
from textmill.train.trainee import Trainee

MOMENTS = ("exp_avg", "exp_avg_sq")


class DeepSpeedZero(Strategy):
    """An engine of DeepSpeed carries out the steps.

    Attributes:
        pending: whether the engine holds gradients.
    """

    pending = False

    def prepare(self, trainee: Trainee, settings: TrainSection, seed: int) -> None:
        """Build the engine.

        Raises:
            UserError: DeepSpeed is not installed, or its configuration cannot be read.
        """
        require_deepspeed(self.device)
        super().prepare(trainee, settings, seed)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=False)  # the engine has its own
        import deepspeed

        self.engine, *_ = deepspeed.initialize(
            model=self.objective,
            optimizer=self.optimizers[0],
            config=engine_config(settings, self.dtype, self.world.size),
            dist_init_required=False,
        )
        self.objective = self.engine
        # DeepSpeed links parameters to AdamW's moments after the step of the first group, and misses the others.
        for flat in self._partitions():
            moments = {name: torch.zeros_like(flat) for name in MOMENTS}
            state = {"step": torch.zeros((), dtype=torch.float32, device=flat.device), **moments}
            self.optimizers[0].state[flat] = state
        link = getattr(self.engine.optimizer, "_lazy_init_hp_params_optimizer_state", None)
        if link is not None:
            link()

    def precision(self) -> AbstractContextManager[Any]:
        """The engine holds the weights in the type it computes in."""
        return nullcontext()

    def accumulate(self, batch: TokenBatch, scale: float, last: bool) -> Tensor:
        """Gradients are averaged over the processes, so the loss is scaled up for it."""
        self.engine.set_gradient_accumulation_boundary(last)
        loss: Tensor = self.engine(batch, scale * self.world.size)
        self.engine.backward(loss, scale_wrt_gas=False)
        self.pending = True
        if not last:
            self.engine.step()  # counts the micro-batch, moves nothing
        return loss.detach() / self.world.size

    def clip(self, limit: float) -> None:
        """The engine clips when it moves the weights; where steps may be refused, the norm is needed before."""
        if may_refuse(self.settings):
            self.grad_norm = torch.as_tensor(self._norm())

    def update(self, rate: float) -> None:
        """Move the weights; sets :attr:`grad_norm`."""
        set_rate(self.optimizers, rate)
        if self.engine.optimizer is not self.optimizers[0]:
            for ours, theirs in zip(
                self.optimizers[0].param_groups, self.engine.optimizer.param_groups, strict=True
            ):
                theirs["lr"] = ours["lr"]
        self.engine.step()
        self.pending = False
        norm = self.engine.get_global_grad_norm()
        self.grad_norm = torch.as_tensor(float("nan") if norm is None else float(norm))

    def refuse(self) -> None:
        """Drop the gradients without an update."""
        self.forget_gradients()

    def forget_gradients(self) -> None:
        """Likewise.

        Where gradients are, and what counts them, depends on the stage and on offloading. The engine tidies all of
        that up itself when it discards a step whose gradient is no finite number: so it is given such a gradient.
        """
        if not self.pending:
            return
        from deepspeed.utils import safe_set_full_grad

        parameter = next(p for _, p in self.trainee.saved())
        safe_set_full_grad(parameter, torch.full(whole_shape(parameter), math.nan, device=self.device))
        # With offloading the norm is that of norms taken when gradients were sent to the CPU.
        norms = getattr(self.engine.optimizer, "norm_for_param_grads", {})
        norms.update({key: torch.full_like(norm, math.nan) for key, norm in norms.items()})
        self.engine.step()
        self.pending = False
        if not self.engine.optimizer.overflow:
            raise RuntimeError("DeepSpeed took a step that it was to discard")

    def scaling(self) -> dict[str, float]:
        """The engine's scale in the form of :class:`torch.amp.GradScaler`, so that any strategy goes on with it."""
        if self.dtype != "fp16":
            return {}
        scale = float(self.engine.optimizer.loss_scale)
        return torch.amp.GradScaler(self.device.type, init_scale=scale).state_dict()

    def restore_scaling(self, state: dict[str, float]) -> None:
        """Put the scale back; steps since it last grew are counted anew."""
        if state and self.dtype == "fp16":
            self.engine.optimizer.loss_scaler.cur_scale = state["scale"]

    def weights(self) -> dict[str, Tensor]:
        """Whole fp32 weights, gathered one after the other."""
        from deepspeed.utils import safe_get_full_fp32_param

        return self._collect((name, safe_get_full_fp32_param(p)) for name, p in self.trainee.saved())

    def optimizer_state(self) -> dict[str, Tensor]:
        """AdamW's moments and the number of its steps, under the names that one process gives them."""
        from deepspeed.utils import safe_get_full_optimizer_state

        found = self._collect(
            (f"{name}/{entry}", safe_get_full_optimizer_state(p, entry))
            for name, p in self.trainee.saved()
            for entry in MOMENTS
        )
        done = torch.tensor(float(self._steps()))
        return found | {f"{name}/step": done.clone() for name, _ in self.trainee.saved() if self.world.first}

    def load(self, weights: Iterable[tuple[str, Tensor]], optimizer: Iterable[tuple[str, Tensor]]) -> None:
        """Put whole tensors into the engine's partitions."""
        from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

        parameters = dict(self.trainee.model.named_parameters())
        for name, value in weights:
            safe_set_full_fp32_param(parameters[name], value.to(self.device))
        done = 0.0
        for key, value in optimizer:
            name, _, entry = key.rpartition("/")
            if entry == "step":
                done = float(value)
            else:
                safe_set_full_optimizer_state(parameters[name], value.to(self.device), entry)
        for flat in self._partitions():
            self.optimizers[0].state[flat]["step"].fill_(done)
        self._refresh()

    def _collect(self, tensors: Iterable[tuple[str, Tensor | None]]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in tensors:
            if tensor is None:
                raise RuntimeError(f"DeepSpeed gives no {name}")
            if self.world.first:
                found[name] = tensor.detach().to("cpu", torch.float32, copy=True)
        return found

    def _partitions(self) -> list[Tensor]:
        """The flat fp32 weights of this process, which the optimiser moves."""
        engine = self.engine.optimizer
        for name in (
            "single_partition_of_fp32_groups",
            "fp32_partitioned_groups_flat",
        ):  # ZeRO 1 and 2, ZeRO 3
            if hasattr(engine, name):
                return list(getattr(engine, name))
        raise RuntimeError(f"{type(engine).__name__} of DeepSpeed has no partitions that are known here")

    def _norm(self) -> float:
        """Norm of the gradient that the next update takes, over all processes; inf if it is no finite number."""
        from deepspeed.runtime.utils import combine_grad_norm_groups

        engine = self.engine.optimizer
        if hasattr(engine, "scaled_global_norm"):  # ZeRO 1 and 2
            norm = engine.scaled_global_norm()
        else:
            norm = combine_grad_norm_groups(engine._get_norm_groups())
        return float(norm) / float(engine.loss_scale)

    def _steps(self) -> float:
        return max(float(self.optimizers[0].state[flat]["step"]) for flat in self._partitions())

    def _refresh(self) -> None:
        """Copies in the type of computation follow the fp32 weights at the next update; now for the first step."""
        engine = self.engine.optimizer
        if hasattr(engine, "fp32_partitioned_groups_flat"):
            for group in range(len(engine.fp32_partitioned_groups_flat)):
                engine._reassign_or_swap_out_partitioned_parameters(group)
        else:
            engine.update_lp_params()


def require_deepspeed(device: torch.device) -> None:
    """Say how to install DeepSpeed if it is not there; to be called before it is imported.

    Raises:
        UserError: it is missing.
    """
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    if find_spec("deepspeed") is None:
        raise UserError(
            "DeepSpeed is not installed",
            where="train.parallel",
            expected="the package deepspeed",
            hint="pip install 'textmill[deepspeed]', or choose parallel: fsdp, which needs nothing",
        )


def engine_config(settings: TrainSection, dtype: str, world_size: int) -> dict[str, Any]:
    """The configuration of the engine: the user's own file, and over it what the recipe says.

    Raises:
        UserError: the file cannot be read, or asks for another optimiser or schedule than the recipe's.
    """
    zero, rows = settings.deepspeed, settings.batch_size or 1
    own: dict[str, Any] = {}
    if zero.config is not None:
        try:
            own = json.loads(Path(zero.config).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                "the configuration of DeepSpeed cannot be read", where=zero.config, found=str(error)
            ) from None
        for name in ("optimizer", "scheduler"):
            if name in own:
                raise UserError(
                    f"the configuration of DeepSpeed has a section {name!r}",
                    where=zero.config,
                    hint=f"take it out: the {name} is that of the recipe (train.optimizer, train.lr, train.schedule)",
                )
    micro = min(settings.micro_batch_size or rows, max(1, rows // world_size))
    sharing: dict[str, Any] = {"stage": zero.stage}
    if zero.offload:
        sharing["offload_optimizer"] = {"device": "cpu"}
    half = own.get("bf16", {}) | {"enabled": dtype == "bf16"}
    if may_refuse(settings) or settings.compile:
        half["check_grad_overflow"] = True  # what DeepSpeedZero.forget_gradients builds on
    return own | {
        "train_micro_batch_size_per_gpu": micro,
        "gradient_accumulation_steps": max(1, -(-rows // world_size // micro)),
        "gradient_clipping": settings.clip,
        "zero_optimization": own.get("zero_optimization", {}) | sharing,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": half,
        "fp16": own.get("fp16", {}) | {"enabled": dtype == "fp16"},
    }
