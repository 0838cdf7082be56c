"""Which samples a training step sees: a pure function of (seed, step); see :mod:`textmill.tokens.order`."""

from textmill.tokens.order import permute, samples_of_step

__all__ = ["permute", "samples_of_step"]
