"""Models, losses and derivatives that raise at some points, and the obvious loop that finds where."""

from __future__ import annotations

import numpy as np
import torch
from support.reference import slow_mean
from support.trust import batches, perceptron
from torch import nn
from torch.nn import functional

DATA = [(x.double(), y) for x, y in batches()]
REACH = 2.5  # of the largest score at which the loss below raises
QUIET = {"progress": False}


class Far(nn.Module):
    """A model that refuses weights far from its own, after it has left traces."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = perceptron().double(), 0
        self.register_buffer("shift", torch.zeros(6).double())
        self.limit = self.net[0].weight[0, 0].item() + 0.1

    def forward(self, x):
        self.calls += 1
        self.shift.add_(1.0)
        bias = self.net[2].bias.data.clone()
        self.net[2].bias.data.add_(1.0)
        if self.net[0].weight[0, 0] > self.limit:
            raise RuntimeError("the scale parameter has invalid values")
        self.calls -= 1
        self.shift.sub_(1.0)
        self.net[2].bias.data.copy_(bias)
        return self.net(x + self.shift)


def guarded(outputs, targets):
    """A loss with one value per sample that refuses large scores."""
    if (outputs.abs() > REACH).any():
        raise ValueError("expected scores within bounds")
    return functional.cross_entropy(outputs, targets, reduction="none")


def likelihood(outputs, targets):
    """A loss over the batch that factorizes a matrix, which is not always positive definite."""
    matrix = 4 * torch.eye(outputs.shape[1]).to(outputs) - outputs.T @ outputs / len(outputs)
    return -torch.linalg.cholesky(matrix).diagonal().log().sum() + functional.cross_entropy(outputs, targets)


class Steep(torch.autograd.Function):
    """The identity, whose derivative raises where it is large."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        if x.abs().max() > REACH:
            raise ArithmeticError("no derivative here")
        return gradient * 1.0


def steep(outputs, targets):
    return functional.cross_entropy(Steep.apply(outputs), targets)


def plane_of(model, scale=0.45):
    """Two directions over the weights; the biases stay."""
    generator = torch.Generator().manual_seed(2)
    pair = []
    for _ in range(2):
        noise = {n: torch.randn(p.shape, generator=generator).to(p) * scale for n, p in model.named_parameters()}
        pair.append({n: part * (part.dim() > 1) for n, part in noise.items()})
    return tuple(pair)


def slowly(model, value, directions, points):
    """The loss of every point in the obvious loop, NaN where it raises."""
    values = []
    for point in points:
        try:
            values.append(slow_mean(model, DATA, directions, [point], lambda o, y: value(o, y).mean())[0])
        except Exception:
            values.append(np.nan)
    return np.array(values)


def assert_holes(found, expected, text, rtol=1e-9):
    """Check values, holes and the reason of a result."""
    expected = expected.reshape(found.loss.shape)
    assert 0 < np.isnan(expected).sum() < expected.size / 2
    np.testing.assert_array_equal(found.failed, np.isnan(expected))
    np.testing.assert_allclose(found.loss, expected, rtol=rtol)
    assert found.evaluated.all()
    assert text in found.attrs["failure"]
    assert len(found.attrs["failure"]) <= 500
    assert len(found.attrs["failure"].splitlines()) <= 15
