"""Optimisers: who takes which parameter, Muon against its definition, state that survives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from textmill.model.config import LlamaConfig
from textmill.model.llama import Llama
from textmill.train.optimizer import (
    Muon,
    build_optimizers,
    orthogonalise,
    set_rate,
)

OPTIONS: dict[str, Any] = {
    "lr": 1e-2,
    "muon_lr": 2e-2,
    "betas": (0.9, 0.95),
    "eps": 1e-8,
    "weight_decay": 0.1,
    "momentum": 0.9,
}


def small_model(tied: bool = True) -> Llama:
    model = Llama(LlamaConfig(60, 32, 48, 2, 4, 2, 16, tie_word_embeddings=tied))
    model.initialise(torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_parameter_has_exactly_one_optimiser(name: Any, tied: bool) -> None:
    model = small_model(tied)
    optimizers = build_optimizers(model, optimizer=name, **OPTIONS)
    held = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == len(list(model.parameters()))
    names = {id(p): n for n, p in model.named_parameters()}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                in_block = "proj" in names[id(parameter)]
                assert isinstance(optimizer, Muon) == (in_block and name == "muon")
                assert bool(group["weight_decay"]) == in_block


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 16, 64), (2, 64, 16), (1, 1, 5)])
def test_orthogonalise_keeps_directions_and_levels_strengths(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalise(matrices)
    left, strengths, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ found @ right.mT
    diagonal = inner.diagonal(dim1=-2, dim2=-1)
    assert (inner - torch.diag_embed(diagonal)).abs().max() < 1e-3  # the same singular vectors
    clear = strengths > 0.02 * strengths.amax(-1, keepdim=True)
    assert diagonal[clear].min() > 0.5
    assert diagonal[clear].max() < 1.35


def test_muon_step_by_hand() -> None:
    parameter = torch.nn.Parameter(torch.randn(24, 8, generator=torch.Generator().manual_seed(2)))
    start = parameter.detach().clone()
    optimizer = Muon([parameter], lr=0.1, momentum=0.9, weight_decay=0.5)
    first, second = torch.randn(2, 24, 8, generator=torch.Generator().manual_seed(3)).unbind()
    for gradient in (first, second):
        parameter.grad = gradient.clone()
        optimizer.step()
    expected, momentum = start, torch.zeros_like(start)
    for gradient in (first, second):
        momentum = 0.9 * momentum + 0.1 * gradient
        update = orthogonalise((0.1 * gradient + 0.9 * momentum)[None])[0]
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * (24 / 8) ** 0.5 * update
    torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-5)


def test_rates_follow_the_factor() -> None:
    optimizers = build_optimizers(small_model(), optimizer="muon", **OPTIONS)
    set_rate(optimizers, 0.5)
    set_rate(optimizers, 0.25)
    assert sorted({group["lr"] for o in optimizers for group in o.param_groups}) == [0.0025, 0.005]
