"""Attention that stays inside of documents: blocks for FlexAttention on a GPU, a matrix of bools elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask

from textmill.model.llama import AttentionMask


def document_mask(parts: Tensor | None) -> AttentionMask:
    """Which tokens may see which: all before them in their own part of the row, and themselves.

    Args:
        parts: number of each token's part, shape (rows, length); None: no borders.

    Returns:
        None for None; on a GPU the blocks of FlexAttention (https://arxiv.org/abs/2412.05496), which skips blocks
        that hold no pair; elsewhere bool, shape (rows, 1, length, length).
    """
    if parts is None:
        return None
    rows, length = parts.shape
    if parts.device.type != "cuda":
        same = parts[:, None, :, None] == parts[:, None, None, :]
        return same & torch.ones(length, length, dtype=torch.bool, device=parts.device).tril()

    def allowed(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (parts[row, query] == parts[row, key])

    return create_block_mask(allowed, rows, None, length, length, device=parts.device)
