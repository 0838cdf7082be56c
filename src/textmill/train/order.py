"""What a step sees and draws: pure functions of (seed, step); see :mod:`textmill.tokens.order`."""

from textmill.tokens.order import permute, samples_of_step

__all__ = ["permute", "samples_of_step", "step_seed"]


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Seed of the random numbers (dropout) that a process draws in a step; below 2⁶³."""
    state = seed
    for part in (step, rank):
        state = (state ^ (part + 1)) * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        state ^= state >> 29
    return state >> 1
