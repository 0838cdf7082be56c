"""Which blocks to keep, given how likely each is text: those that make the page's expected F1 highest.

A fixed threshold is right for no page. Let block b hold n_b words, a share p_b of which is expected to be in the text.
Keeping a set K has the expected overlap A = Σ_K n_b p_b, a size S = Σ_K n_b, and the text has G = Σ n_b p_b words, so
that F_β = (1 + β²) A / (S + β² G), taking the ratio of expectations. For any size the best set holds the blocks of
highest p, so the best cut of that order is the best set (Lewis 1995; Nan et al. 2012 for the principle).
"""

# Kernels have no annotations: Numba infers their types.
# mypy: allow-untyped-defs, no-check-untyped-defs

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from textmill.text.compilation import kernel

FEWEST_WORDS = 10
"""With fewer words expected on a whole page, nothing is kept: a page of navigation, an error, a script's shell."""


def kept_blocks(
    probabilities: npt.NDArray[np.float32],
    lengths: npt.NDArray[np.float64],
    beta: float = 1.0,
    fewest_words: float = FEWEST_WORDS,
) -> npt.NDArray[np.bool_]:
    """bool[blocks]: the set of highest expected F_beta.

    Args:
        probabilities: float32[blocks], the expected share of each block that is text.
        lengths: float64[blocks], words.
        beta: below 1 it favours precision.
        fewest_words: nothing is kept where fewer words of text are expected.
    """
    keep = np.zeros(len(lengths), np.bool_)
    expected = probabilities.astype(np.float64)
    if float(expected @ lengths) >= fewest_words:
        order, count, _ = best_cut(expected, lengths, beta * beta)
        keep[order[:count]] = True
    return keep


@kernel
def best_cut(p, lengths, beta_squared):
    """(order by falling p, how many of them to keep, their expected F): at least one is kept; ties go by position."""
    order = np.argsort(-p, kind="mergesort")
    text = 0.0
    for b in range(p.size):
        text += lengths[b] * p[b]
    overlap = 0.0
    size = 0.0
    best = -1.0
    kept = 1
    for place in range(order.size):
        overlap += lengths[order[place]] * p[order[place]]
        size += lengths[order[place]]
        value = (1.0 + beta_squared) * overlap / (size + beta_squared * text + 1e-9)
        if value > best:
            best = value
            kept = place + 1
    return order, kept, best
