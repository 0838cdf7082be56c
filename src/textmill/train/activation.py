"""Activation checkpointing: what a block computed is computed again in the backward pass instead of being kept."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

_KEPT = {
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.higher_order.flex_attention,
}
"""What ``selective`` keeps: products of matrices and attention, nearly all of the time of a block."""


def checkpoint_activations(blocks: Sequence[nn.Module], how: Literal["none", "selective", "full"]) -> None:
    """Make blocks forget: between blocks only the residual stream is kept (https://arxiv.org/abs/1604.06174).

    Parameter names stay as they are. Call it before blocks are compiled or sharded.

    Args:
        blocks: whose forward passes are replaced.
        how: ``full`` computes everything again, a third more work; ``selective`` all but what is dear
            (https://arxiv.org/abs/2205.05198).
    """
    if how == "none":
        return
    options: dict[str, Any] = {"use_reentrant": False}
    if how == "selective":
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _policy)
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, **options)


def _policy(_context: Any, operation: Any, *_: Any, **__: Any) -> CheckpointPolicy:
    kept = operation in _KEPT
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE
