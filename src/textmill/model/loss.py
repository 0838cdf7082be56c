"""Cross-entropy of the next token without holding the logits of all tokens at once.

The output layer and the softmax are computed for a few hundred tokens at a time, and the gradients with respect
to the hidden states and the output weights in the same breath, while the logits are still in the processor's
cache. Full logits for 4,096 tokens and 4,096 entries would be 64 MiB, written and read several times over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

IGNORE = -100
"""The target that counts for nothing, as in PyTorch and transformers."""

CHUNK_TOKENS = 512
"""Tokens whose logits are held at once on a CPU; a GPU takes more (see :func:`linear_cross_entropy`)."""


def linear_cross_entropy(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    chunk: int | None = None,
    scale: float | None = None,
    compiled: bool = False,
) -> Tensor:
    """Cross-entropy in nats of ``targets`` under ``softmax(hidden @ weight.T)``, summed and scaled.

    Args:
        hidden: shape (..., hidden_size).
        weight: output layer, shape (vocab_size, hidden_size).
        targets: token ids, shape (...); those that are :data:`IGNORE` do not count.
        chunk: tokens at a time; 512 on a CPU, 8,192 elsewhere.
        scale: factor of the sum; one by the number of targets that count, if left out: the mean.
        compiled: fuse what follows the logits into one kernel with torch.compile.

    Returns:
        A float32 scalar, differentiable once with respect to ``hidden`` and ``weight``.
    """
    flat, wanted = hidden.reshape(-1, hidden.shape[-1]), targets.reshape(-1)
    # A tensor without contents, as preflight counts with, stands for one on a GPU.
    on_cpu = flat.device.type == "cpu" and not isinstance(flat, FakeTensor)
    if on_cpu:  # elsewhere shapes stay as they are, so that nothing waits for the device
        counts = wanted != IGNORE
        if not bool(counts.all()):
            flat, wanted = flat[counts], wanted[counts]
    if scale is None:
        scale = 1.0 / max(1, int((wanted != IGNORE).sum()))
    if torch.is_autocast_enabled(flat.device.type):
        dtype = torch.get_autocast_dtype(flat.device.type)
        flat, weight = flat.to(dtype), weight.to(dtype)
    chunk = chunk or (CHUNK_TOKENS if on_cpu else 8_192)
    loss: Tensor = _LinearCrossEntropy.apply(flat, weight, wanted, chunk, scale, compiled)  # type: ignore[no-untyped-call]
    return loss


def token_nats(hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int = CHUNK_TOKENS) -> Tensor:
    """Nats of every target, float32, shape (tokens,); no gradients.

    Args:
        hidden: shape (tokens, hidden_size).
        weight: output layer, shape (vocab_size, hidden_size).
        targets: shape (tokens,).
        chunk: tokens whose logits are held at once.
    """
    with torch.no_grad():
        return torch.cat(
            [
                F.cross_entropy((rows @ weight.T).float(), wanted, reduction="none")
                for rows, wanted in zip(torch.split(hidden, chunk), torch.split(targets, chunk), strict=True)
            ]
        )


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int, scale: float, compiled: bool
    ) -> Tensor:
        need_hidden, need_weight = ctx.needs_input_grad[:2]
        softmax = _compiled_softmax() if compiled else _softmax
        scales = torch.full((), scale, device=hidden.device)  # a tensor: another value compiles nothing anew
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        hidden_grad = torch.empty_like(hidden) if need_hidden else None
        weight_grad = torch.zeros_like(weight, dtype=torch.float32) if need_weight else None
        for start in range(0, targets.numel(), chunk):
            rows = hidden[start : start + chunk]
            nats, gradient = softmax(rows @ weight.T, targets[start : start + chunk], scales)
            total += nats
            if hidden_grad is not None:
                torch.mm(gradient, weight, out=hidden_grad[start : start + chunk])
            if weight_grad is not None:
                if weight_grad.dtype == rows.dtype:
                    weight_grad.addmm_(gradient.T, rows)
                else:
                    weight_grad += gradient.T @ rows
        ctx.save_for_backward(hidden_grad, weight_grad)
        ctx.weight_dtype = weight.dtype
        return total * scale

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
        hidden_grad, weight_grad = ctx.saved_tensors
        outer = grads[0]
        return (
            None if hidden_grad is None else hidden_grad * outer.to(hidden_grad.dtype),
            None if weight_grad is None else (weight_grad * outer).to(ctx.weight_dtype),
            None,
            None,
            None,
            None,
        )


def _softmax(logits: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of nats, and the gradient of its ``scale``-fold with respect to the logits: softmax minus one-hot."""
    dtype = logits.dtype
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    counts = (targets != IGNORE).unsqueeze(1).float()
    wanted = targets.clamp(min=0).unsqueeze(1)
    nats = -(log_probabilities.gather(1, wanted) * counts).sum()
    gradient = log_probabilities.exp_()
    gradient.scatter_add_(1, wanted, torch.full_like(wanted, -1, dtype=gradient.dtype))
    return nats, gradient.mul_(counts * scale).to(dtype)


@cache
def _compiled_softmax() -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """One pass over the logits in place of five; the one-hot is a comparison, which fuses where scattering does not."""

    def fused(logits: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        values = logits.float()
        highest = values.amax(-1, keepdim=True)
        shifted = values - highest
        sums = shifted.exp().sum(-1, keepdim=True)
        counts = (targets != IGNORE).unsqueeze(1).float()
        wanted = targets.clamp(min=0).unsqueeze(1)
        nats = ((sums.log() - shifted.gather(1, wanted)) * counts).sum()
        one_hot = torch.arange(logits.shape[-1], device=logits.device) == wanted
        gradient = (shifted.exp() / sums - one_hot.float()) * (counts * scale)
        return nats, gradient.to(logits.dtype)

    return torch.compile(fused, dynamic=False)
