"""The figures of a training as it goes: a row of the metrics, and how long it will take."""

from __future__ import annotations

import math
from typing import Any

from textmill.train.hardware import peak_flops
from textmill.train.parallel.strategy import Strategy
from textmill.train.state import TrainerState


def training_row(
    state: TrainerState, strategy: Strategy, *, grad_norm: float, rate: float, seq_len: int
) -> dict[str, Any]:
    """A row of ``metrics.jsonl`` for the steps since the last one; begins to count the next.

    Args:
        state: after a step.
        strategy: what carries steps out.
        grad_norm: of the last step, before clipping.
        rate: tokens per second, over all processes.
        seq_len: tokens of a row.
    """
    if state.loss_count:
        state.last_loss = state.loss_sum / state.loss_count
    state.loss_sum, state.loss_count = 0.0, 0
    row: dict[str, Any] = {"step": state.step, "tokens": state.tokens}
    if state.last_loss is not None:  # where the first steps were left out, there is none yet
        row["loss"] = round(state.last_loss, 6)
        row["perplexity"] = round(math.exp(min(state.last_loss, 700)), 4)
    row |= {
        "lr": strategy.rates[0],
        # fp16 overflows on purpose, to find its scale; JSON knows no infinity.
        "grad_norm": round(grad_norm, 6) if math.isfinite(grad_norm) else None,
        "tokens_per_second": round(rate, 1),
    }
    peak = peak_flops(strategy.device)
    if peak:
        flops = strategy.trainee.flops_per_token(seq_len)
        row["mfu"] = round(rate * flops / peak / strategy.world.size, 4)
    return row


def estimate(state: TrainerState, *, parameters: int, step_tokens: int, rate: float, processes: int) -> str:
    """What a training is, and how long it will take.

    Args:
        state: after some steps.
        parameters: of the model.
        step_tokens: tokens of a step, over all processes.
        rate: tokens per second, likewise.
        processes: that share the work.
    """
    total = state.steps * step_tokens
    left = (state.steps - state.step) * step_tokens
    shared = f" × {processes}" if processes > 1 else ""
    return (
        f"{parameters / 1e6:.2f} M parameters, {total / 1e6:.2f} M tokens in {state.steps} steps "
        f"({total / parameters:.1f} tokens per parameter; 20 is compute-optimal, arXiv:2203.15556), "
        f"{rate:,.0f} tokens/s on {state.device}{shared}: about {left / rate:.0f} s to go"
    )
