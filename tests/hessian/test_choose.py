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


def test_weight_norm_is_right_or_refused():
    """Torch 2.13 differentiates it wrongly the second time, on the CPU."""
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double()
    nn.utils.parametrizations.weight_norm(model[0])
    x, y = torch.eye(3).double()[:2], torch.tensor([0, 1])
    names = [name for name, p in model.named_parameters() if p.dim() > 1]
    weights = [dict(model.named_parameters())[name].detach() for name in names]

    def gradient(flat):
        pairs = zip(flat.split([w.numel() for w in weights]), weights, strict=True)
        parts = [part.reshape(w.shape).requires_grad_() for part, w in pairs]
        outputs = torch.func.functional_call(model, dict(zip(names, parts, strict=True)), (x,))
        found = torch.autograd.grad(nn.functional.cross_entropy(outputs, y), parts)
        return torch.cat([t.reshape(-1) for t in found])

    center = torch.cat([w.reshape(-1) for w in weights])
    units = torch.eye(len(center)).double() * 1e-5
    dense = torch.stack([(gradient(center + u) - gradient(center - u)) / 2e-5 for u in units])
    expected = torch.linalg.eigvalsh((dense + dense.T) / 2)
    refused, found = "", None
    try:
        found = convexity_map(model, [(x, y)], tol=1e-6, **AT_CENTER)
    except ValueError as error:
        refused = str(error)
    if found is None:
        assert "expected second derivatives that are symmetric" in refused
    else:
        assert float(found.lambda_max[0, 0]) == pytest.approx(float(expected[-1]), rel=1e-4)
        assert float(found.lambda_min[0, 0]) == pytest.approx(float(expected[0]), rel=1e-4)
