"""AdamW, and Muon for the matrices inside the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

OptimizerName = Literal["adamw", "muon"]

# Coefficients of the quintic Newton-Schulz iteration (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/):
# they push singular values towards 1 as fast as five steps allow and let them end between about 0.7 and 1.2.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


def build_optimizers(
    model: nn.Module,
    *,
    optimizer: OptimizerName,
    lr: float,
    muon_lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    momentum: float,
) -> list[torch.optim.Optimizer]:
    """Optimisers for all parameters that want gradients.

    Args:
        model: its parameters decide by name and shape: ``muon`` takes the matrices inside the blocks, AdamW
            embeddings, output layer and norms (and everything, for ``adamw``).
        optimizer: ``adamw`` or ``muon``.
        lr: peak rate of AdamW.
        muon_lr: peak rate of Muon.
        betas: AdamW's decay rates of the first and second moment.
        eps: AdamW's term against division by zero.
        weight_decay: decoupled, per unit of learning rate; matrices in blocks only, embeddings and norms take none.
        momentum: Muon's.

    Returns:
        Every parameter group carries its peak rate as ``peak_lr``, for the schedule to multiply.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if is_hidden_matrix(name, p)]
    others = [p for name, p in named if not is_hidden_matrix(name, p)]
    groups = [{"params": others, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = []
    if optimizer == "adamw":
        groups.append({"params": matrices, "weight_decay": weight_decay})
    elif matrices:
        optimizers.append(Muon(matrices, lr=muon_lr, momentum=momentum, weight_decay=weight_decay))
    groups = [group for group in groups if group["params"]]
    if groups:
        optimizers.insert(0, torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=True))
    for one in optimizers:
        for group in one.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def is_hidden_matrix(name: str, parameter: Tensor) -> bool:
    """Whether a parameter is a matrix inside a block: no embedding, output layer or norm."""
    return parameter.ndim == 2 and ".layers." in f".{name}"


def set_rate(optimizers: Iterable[torch.optim.Optimizer], factor: float) -> None:
    """Set every learning rate to ``factor`` times its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/).

    The Nesterov momentum of a matrix is replaced by the nearest semi-orthogonal matrix, approximated by five
    Newton-Schulz steps, and scaled by ``sqrt(max(1, rows / columns))``. Weight decay is decoupled
    (https://arxiv.org/abs/2502.16982). Matrices of one shape go through the iteration together.

    Args:
        params: matrices.
        lr: learning rate; the spectral norm of an update, about.
        momentum: decay of the momentum.
        weight_decay: share of a weight lost per step, times the learning rate.
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            by_shape: dict[tuple[int, ...], list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(tuple(parameter.shape), []).append(parameter)
            for (rows, columns), parameters in by_shape.items():
                momenta = [self._momentum(parameter) for parameter in parameters]
                gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
                torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
                nesterov = torch._foreach_lerp(gradients, momenta, group["momentum"])
                updates = _orthogonalised(nesterov)
                if group["weight_decay"]:
                    torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                scale = max(1.0, rows / columns) ** 0.5
                torch._foreach_add_(parameters, updates, alpha=-group["lr"] * scale)
        return loss

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _orthogonalised(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Each of them; of those that are shared out among processes (FSDP2), every process computes the whole."""
    if not hasattr(matrices[0], "full_tensor"):
        return list(orthogonalise(torch.stack(list(matrices))).unbind())
    from torch.distributed.tensor import DTensor, distribute_tensor  # takes a second, and most never need it

    pieces = [matrix for matrix in matrices if isinstance(matrix, DTensor)]
    found = orthogonalise(torch.stack([piece.full_tensor() for piece in pieces])).unbind()
    return [
        distribute_tensor(update, piece.device_mesh, piece.placements, src_data_rank=None)
        for update, piece in zip(found, pieces, strict=True)
    ]


def orthogonalise(matrices: Tensor) -> Tensor:
    """Approximate ``U Vᵀ`` of ``matrices = U S Vᵀ`` by Newton-Schulz iteration.

    Args:
        matrices: shape (count, rows, columns).

    Returns:
        The same shape and type; singular values between about 0.7 and 1.2. Computed in bfloat16 on a GPU,
        where that is several times faster and exact enough, in float32 on a CPU.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    wide = x.shape[-2] <= x.shape[-1]
    if not wide:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
    result: Tensor = (x if wide else x.mT).to(matrices.dtype)
    return result
