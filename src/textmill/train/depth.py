"""One dial: a number of blocks, and everything else that follows from it.

========================  ==================================================================================
what                      rule
========================  ==================================================================================
width                     64 · depth: between GPT-3's 64 (768 / 12) and Llama's 128 (4096 / 32); nanochat's ratio
head width                128 where it divides the width and depth is 12 or more (Llama), else 64 (GPT-2)
key and value heads       8 where more than 8 query heads can be shared out so (Llama 3), else as many as query heads
MLP width                 8/3 · width, rounded up to a multiple of 128 (Llama; three matrices cost what GPT's two did)
embeddings                tied below depth 28, where the table is a large part of all parameters (Llama 3.2 1B)
tokens                    20 per parameter (Hoffmann et al. 2022, https://arxiv.org/abs/2203.15556)
batch                     0.2920 · C^0.3271 tokens, to the nearest power of two in sequences
AdamW's peak rate         0.3118 · C^-0.1250
========================  ==================================================================================

C is the training's compute in FLOPs. The last two are the scaling laws of DeepSeek LLM (https://arxiv.org/abs/2401.02954,
section 3.1), fitted there for 1e17 to 2e19 FLOPs. Below 1e17 the law is not extended: C counts as 1e17, with a smaller
batch where that would leave fewer than 200 steps. Rates stay between 2e-4 and 3e-3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from textmill.errors import UserError
from textmill.model.config import LlamaConfig
from textmill.model.presets import Shape, shape_config

TOKENS_PER_PARAMETER = 20
DEEPEST = 128
_LEAST_STEPS = 200
_LEAST_COMPUTE = 1e17
_HEAD_WIDTHS = (128, 64)


@dataclass(frozen=True)
class DepthPlan:
    """What a depth means.

    Attributes:
        config: shape of the model.
        tokens: training budget.
        batch_size: sequences per optimiser step.
        lr: AdamW's peak rate.
    """

    config: LlamaConfig
    tokens: int
    batch_size: int
    lr: float


def plan_depth(
    depth: int, vocab_size: int, seq_len: int, eos_token_id: int | None = None, tokens: int | None = None
) -> DepthPlan:
    """Shape, budget, batch and rate for a model of ``depth`` blocks.

    Args:
        depth: 1 to 128; odd ones get heads of 64.
        vocab_size: entries of the vocabulary.
        seq_len: tokens of a sequence.
        eos_token_id: end-of-document token.
        tokens: another budget than 20 per parameter; batch and rate follow it.

    Raises:
        UserError: a depth out of range.

    >>> plan = plan_depth(12, vocab_size=32_768, seq_len=2_048)
    >>> plan.config.hidden_size, plan.config.num_attention_heads, plan.batch_size, round(plan.lr, 5)
    (768, 6, 128, 0.00161)
    """
    if not 1 <= depth <= DEEPEST:
        raise UserError("this depth is out of range", expected=f"1 to {DEEPEST} blocks", found=str(depth))
    config = shape_config(depth_shape(depth), vocab_size, seq_len, eos_token_id)
    budget = tokens or TOKENS_PER_PARAMETER * config.parameters()
    compute = max(_LEAST_COMPUTE, budget * config.training_flops_per_token(seq_len))
    batch_tokens = min(0.2920 * compute**0.3271, budget / _LEAST_STEPS)
    batch_size = 2 ** max(0, round(math.log2(max(1.0, batch_tokens / seq_len))))
    lr = min(3e-3, max(2e-4, 0.3118 * compute**-0.1250))
    return DepthPlan(config, budget, batch_size, lr)


def depth_shape(depth: int) -> Shape:
    """Widths and heads of a model of ``depth`` blocks."""
    width = 64 * depth
    head_width = next(w for w in _HEAD_WIDTHS if width % w == 0 and (w == 64 or depth >= 12))
    heads = width // head_width
    return Shape(
        layers=depth,
        hidden_size=width,
        heads=heads,
        kv_heads=8 if heads > 8 and heads % 8 == 0 else heads,
        intermediate_size=128 * math.ceil(width * 8 / 3 / 128),
        tie_embeddings=depth < 28,
        rope_theta=10_000.0 if depth < 16 else 500_000.0,
    )
