"""Fits gradient-boosted trees with LightGBM, and turns them into the plain arrays of `textmill.extract.trees`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.extraction_statistics import Example
from textmill.extract.block_sums import block_lengths
from textmill.extract.trees import Trees


def page_weights(examples: Sequence[Example], towards_marked: float = 0.7, calm: float = 20.0) -> Any:
    """float32[blocks of all]: what a block weighs in training: its words by those of the page and its marked text.

    The gradient of a page's F1 by the share of a block that is kept is proportional to the block's words over the sum
    of kept and marked words; the size of the page stands for what an early model keeps.
    """
    weights = []
    for example in examples:
        lengths = block_lengths(example.page)
        marked = float(lengths @ example.labels)
        scale = (1 - towards_marked) * lengths.sum() + towards_marked * marked + calm
        weights.append(lengths / scale)
    return np.concatenate(weights).astype(np.float32)


def sampled(weights: npt.NDArray[np.float32], seed: int) -> tuple[npt.NDArray[np.bool_], Any]:
    """(bool[blocks], float32[kept]): a sample of blocks, and their weights, which make up for those left out.

    Most blocks of a page weigh next to nothing, and training on three out of five of them is as good and faster.
    """
    chance = np.minimum(1.0, weights / np.quantile(weights, 0.75) + 0.12)
    kept = np.random.default_rng(seed).random(len(weights)) < chance
    return kept, (weights[kept] / chance[kept]).astype(np.float32)


PARAMETERS: dict[str, Any] = {
    "objective": "cross_entropy",
    "trees": 120,
    "learning_rate": 0.1,
    "num_leaves": 31,
    "max_depth": 7,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.35,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "max_bin": 63,
    "lambda_l2": 5.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
    "seed": 1,
}
"""LightGBM's parameters; `trees` is their number."""


def fit_trees(rows: Any, labels: Any, weights: Any, parameters: dict[str, Any]) -> Any:
    """A booster; weights are scaled to a mean of 1, which is what its regularisation counts in."""
    import lightgbm

    parameters = dict(parameters)
    count = parameters.pop("trees")
    data = lightgbm.Dataset(
        *(rows, labels),
        weight=weights * (len(weights) / weights.sum()),
        params={"max_bin": parameters["max_bin"], "verbose": -1},
    )
    return lightgbm.train(parameters, data, count)


def complete_trees(booster: Any, depth: int) -> Trees:
    """The trees of a booster padded to one depth."""
    models = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    inner = 2**depth - 1
    columns = np.zeros((len(models), inner), np.uint16)
    thresholds = np.full((len(models), inner), np.inf, np.float32)
    leaves = np.zeros((len(models), inner + 1), np.float32)
    for number, model in enumerate(models):
        _place(model, 0, depth, columns[number], thresholds[number], leaves[number])
    return Trees(columns, thresholds, leaves)


def _place(node: Any, at: int, levels: int, columns: Any, thresholds: Any, leaves: Any) -> None:
    if "leaf_value" in node and "split_feature" not in node:
        first = (at + 1) * 2**levels - 1 - len(columns)
        leaves[first : first + 2**levels] = node["leaf_value"]
        return
    if levels == 0:
        raise ValueError(f"a tree is deeper than {len(leaves).bit_length() - 1}")
    threshold = np.float32(node["threshold"])
    if float(threshold) > node["threshold"]:  # the largest float32 that is not above it decides alike
        threshold = np.nextafter(threshold, np.float32(-np.inf))
    columns[at] = node["split_feature"]
    thresholds[at] = threshold
    _place(node["left_child"], 2 * at + 1, levels - 1, columns, thresholds, leaves)
    _place(node["right_child"], 2 * at + 2, levels - 1, columns, thresholds, leaves)
