"""Hessians of a backward that is not the derivative of its forward."""

from __future__ import annotations

import pytest
import torch
from support.trust import batches, perceptron
from torch import nn

from lljupyter import convexity_map

AT_CENTER = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}


class Clipped(torch.autograd.Function):
    """Nothing, but gradients have the norm 1."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / gradient.norm()


class FixedPoint(torch.autograd.Function):
    """Solves z = tanh(z w) + x; its backward stops after one term of the series, as "phantom gradients" do."""

    @staticmethod
    def forward(ctx, x, w):
        z = x
        for _ in range(50):
            z = torch.tanh(z @ w) + x
        ctx.save_for_backward(z, w)
        return z.clone()

    @staticmethod
    def backward(ctx, gradient):
        z, w = ctx.saved_tensors
        slope = 1 - torch.tanh(z @ w) ** 2
        return gradient + (gradient * slope) @ w.T, z.T @ (gradient * slope)


class Flow(torch.autograd.Function):
    """Follows dz/dt = tanh(z w) by small steps, and goes back by two large ones."""

    @staticmethod
    def forward(ctx, x, w):
        z = x
        for _ in range(100):
            z = z + torch.tanh(z @ w) * 0.02
        ctx.save_for_backward(z, w)
        return z.clone()

    @staticmethod
    def backward(ctx, gradient):
        z, w = ctx.saved_tensors
        by_w = torch.zeros_like(w)
        for _ in range(2):
            slope = 1 - torch.tanh(z @ w) ** 2
            by_w = by_w + z.T @ (gradient * slope)
            z, gradient = z - torch.tanh(z @ w), gradient + (gradient * slope) @ w.T
        return gradient, by_w


class Inside(nn.Module):
    def __init__(self, apply, takes_weight):
        super().__init__()
        self.net, self.weight = perceptron(n_out=5), nn.Parameter(torch.randn(5, 5) * 0.8)
        self.head, self.apply_it, self.takes_weight = nn.Linear(5, 4), apply, takes_weight

    def forward(self, x):
        z = self.net(x)
        return self.head(self.apply_it(z, self.weight) if self.takes_weight else self.apply_it(z))


@pytest.mark.parametrize("kind", [Clipped, FixedPoint, Flow])
def test_second_derivatives_that_are_not_symmetric_are_refused(kind):
    model = Inside(kind.apply, kind is not Clipped)
    with pytest.raises(ValueError, match=r"expected second derivatives that are symmetric, got some \d+% away .*; let"):
        convexity_map(model, batches(), **AT_CENTER)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rounding_is_no_asymmetry(dtype):
    data = [(x.to(dtype), y) for x, y in batches()]
    found = convexity_map(perceptron().to(dtype), data, **AT_CENTER)
    assert found.lambda_max.item() > 0
