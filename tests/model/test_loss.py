"""The chunked cross-entropy against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from textmill.model.loss import linear_cross_entropy, token_nats


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("shape", [(1,), (65,), (4, 30)])
def test_value_and_gradients(chunk: int, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(*shape, 16, generator=generator, dtype=torch.float64).requires_grad_()
    weight = torch.randn(50, 16, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, 50, shape, generator=generator)
    expected = F.cross_entropy((hidden @ weight.T).flatten(0, -2), targets.flatten())
    wanted = torch.autograd.grad(expected * 3, (hidden, weight))
    found = linear_cross_entropy(hidden, weight, targets, chunk)
    got = torch.autograd.grad(found * 3, (hidden, weight))
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_only_the_gradients_asked_for() -> None:
    hidden, weight = torch.randn(9, 4), torch.randn(6, 4, requires_grad=True)
    linear_cross_entropy(hidden, weight, torch.arange(9) % 6, 4).backward()
    assert hidden.grad is None
    assert weight.grad is not None
    frozen = weight.detach()
    hidden.requires_grad_()
    linear_cross_entropy(hidden, frozen, torch.arange(9) % 6, 4).backward()
    assert hidden.grad is not None


def test_bfloat16_autocast_stays_near() -> None:
    hidden, weight = torch.randn(40, 32, requires_grad=True), torch.randn(64, 32, requires_grad=True)
    targets = torch.arange(40)
    exact = linear_cross_entropy(hidden, weight, targets)
    with torch.autocast("cpu", torch.bfloat16):
        rough = linear_cross_entropy(hidden, weight, targets)
    assert rough.dtype == torch.float32
    rough.backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    assert float(rough.detach()) == pytest.approx(float(exact.detach()), rel=0.02)


def test_nats_of_single_tokens() -> None:
    hidden, weight, targets = torch.randn(33, 8), torch.randn(20, 8), torch.arange(33) % 20
    found = token_nats(hidden, weight, targets, chunk=10)
    torch.testing.assert_close(found, F.cross_entropy(hidden @ weight.T, targets, reduction="none"))


def test_ignored_targets_count_for_nothing() -> None:
    generator = torch.Generator().manual_seed(4)
    hidden = torch.randn(11, 5, generator=generator, requires_grad=True)
    weight = torch.randn(7, 5, generator=generator, requires_grad=True)
    targets = torch.tensor([1, -100, 3, 6, -100, 0, 2, -100, 5, 4, -100])
    linear_cross_entropy(hidden, weight, targets, 3, scale=0.25).backward()
    found = hidden.grad, weight.grad
    hidden.grad = weight.grad = None
    (F.cross_entropy(hidden @ weight.T, targets, reduction="sum") * 0.25).backward()
    for ours, theirs in zip(found, (hidden.grad, weight.grad), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_the_compiled_softmax_is_the_plain_one() -> None:
    from textmill.model import loss

    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(16, 33, generator=generator) * 4
    targets = torch.randint(0, 33, (16,), generator=generator)
    targets[::3] = -100
    scale = torch.tensor(0.125)
    nats, gradient = loss._softmax(logits.clone(), targets, scale)
    compiled_nats, compiled_gradient = loss._compiled_softmax()(logits, targets, scale)
    torch.testing.assert_close(nats, compiled_nats)
    torch.testing.assert_close(gradient, compiled_gradient, rtol=1e-5, atol=1e-7)
