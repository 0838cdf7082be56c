"""Which samples a training step sees: a pure function of (seed, step), with no state to save or lose.

Every epoch goes through all samples once, in another order. The order is a keyed permutation of the numbers
0 … n-1, computed for single positions in constant memory: a Feistel network over the next power of four, whose
values beyond n are permuted again until they fall inside (cycle walking; Black and Rogaway 2002,
https://doi.org/10.1007/3-540-45760-7_9). So the millionth step of a run over 10⁸ samples costs what the first
does, a resumed run needs nothing but its step, and no library's random stream can change the order.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_ROUNDS = 6
_MASK64 = (1 << 64) - 1


def samples_of_step(seed: int, step: int, batch_size: int, samples: int) -> npt.NDArray[np.int64]:
    """Indices of the samples of a step.

    Args:
        seed: of the run.
        step: counted from 0.
        batch_size: samples per step; may exceed ``samples``.
        samples: samples in the data set, at least 1.

    Returns:
        Shape (batch_size,). Position p = step * batch_size + k is place ``p % samples`` of epoch ``p // samples``.

    >>> [samples_of_step(0, step, 2, 5).tolist() for step in range(3)]
    [[0, 4], [1, 2], [3, 1]]
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
    epochs = positions // samples
    indices = np.empty(batch_size, np.int64)
    for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
        chosen = epochs == epoch
        indices[chosen] = permute(positions[chosen] % samples, samples, seed, epoch)
    return indices


def permute(places: npt.NDArray[np.int64], size: int, seed: int, stream: int) -> npt.NDArray[np.int64]:
    """Where a keyed permutation of 0 … size-1 sends ``places``.

    Args:
        places: numbers below ``size``, any shape.
        size: at least 1.
        seed: one half of the key.
        stream: the other half (the epoch).
    """
    bits = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = _round_keys(seed, stream)
    values = places.astype(np.uint64)
    outside = np.ones(values.shape, np.bool_)
    while outside.any():
        values[outside] = _feistel(values[outside], bits, keys)
        outside = values >= np.uint64(size)
    return values.astype(np.int64)


def _feistel(values: npt.NDArray[np.uint64], bits: int, keys: list[int]) -> npt.NDArray[np.uint64]:
    half = np.uint64(bits)
    mask = np.uint64((1 << bits) - 1)
    left, right = values >> half, values & mask
    for key in keys:
        left, right = right, left ^ (_mix(right ^ np.uint64(key)) & mask)
    return (left << half) | right


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al. 2014, https://doi.org/10.1145/2660193.2660195); wraps at 2⁶⁴."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _round_keys(seed: int, stream: int) -> list[int]:
    state = _mix_int(seed & _MASK64) ^ _mix_int((stream + 0x9E3779B97F4A7C15) & _MASK64)
    return [_mix_int((state + round_ * 0x9E3779B97F4A7C15) & _MASK64) for round_ in range(1, _ROUNDS + 1)]


def _mix_int(value: int) -> int:
    return int(_mix(np.array([value], np.uint64))[0])
