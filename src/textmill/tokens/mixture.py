"""Several sets of windows as one, mixed by weight, in an order that is a pure function of seed and step.

::

    position p ─► block p // 16,384, place p % 16,384 ─► source by the block's pattern
                                                     └─► the source's own position ─► its epoch, its permutation

Every block holds the same whole number of each source's windows, spread as evenly as they go, so any stretch of
the training has the weights to within one window per source. A source that ends begins again in another order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from textmill.tokens.order import permute

BLOCK = 2**14
"""Windows of a block: weights are kept to 1 in 16,384."""


class Mixture:
    """Which window of which source stands at a position.

    Args:
        sizes: windows of each source, at least one.
        weights: above 0, in any unit.
        seed: another seed, another order.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float], seed: int) -> None:
        self.sizes, self.seed = list(sizes), seed
        self.counts = shares(weights, BLOCK)
        # Window j of n of a source wants the place (j + 1/2) / n of the block; ties go to the source named first.
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        ranks = np.concatenate([np.arange(count) for count in self.counts])
        order = np.argsort((ranks + 0.5) / self.counts[owners], kind="stable")
        self._owners, self._ranks = owners[order], ranks[order]

    def of_step(self, step: int, batch_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Sources and windows of a step, both of shape (batch_size,).

        >>> Mixture([4, 100], [1, 3], seed=0).of_step(0, 8)[0].tolist()
        [1, 0, 1, 1, 1, 0, 1, 1]
        """
        positions = np.arange(step * batch_size, (step + 1) * batch_size, dtype=np.int64)
        blocks, places = positions // BLOCK, positions % BLOCK
        sources = self._owners[places]
        within = blocks * self.counts[sources] + self._ranks[places]
        windows = np.empty(batch_size, np.int64)
        for source, size in enumerate(self.sizes):
            mine = np.flatnonzero(sources == source)
            epochs = within[mine] // size
            for epoch in np.unique(epochs).tolist():
                chosen = mine[epochs == epoch]
                # Sources of one size must not go through their windows in one order.
                windows[chosen] = permute(within[chosen] % size, size, self.seed + (source << 32), epoch)
        return sources, windows


def shares(weights: Sequence[float], total: int) -> npt.NDArray[np.int64]:
    """``total`` shared out in proportion to weights, at least one each, by largest remainders.

    >>> shares([0.5, 0.3, 0.2], 7).tolist()
    [4, 2, 1]
    """
    exact = np.asarray(weights, np.float64) / np.sum(weights) * total
    counts = np.maximum(1, np.floor(exact)).astype(np.int64)
    by_remainder = np.argsort(counts - exact, kind="stable")
    for place in range(total - int(counts.sum())):
        counts[by_remainder[place % len(counts)]] += 1
    while counts.sum() > total:
        counts[np.argmax(counts)] -= 1
    result: npt.NDArray[np.int64] = counts
    return result
