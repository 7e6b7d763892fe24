"""Curvature that is right or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.reference import PATIENCE
from torch import nn

from lljupyter import LandscapeWidget, convexity_map, loss_surface


class Once(torch.autograd.Function):
    """A sine whose derivative has none."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient * ctx.saved_tensors[0].cos()


class Detour(torch.autograd.Function):
    """A product whose backward leaves the graph."""

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        x, y = ctx.saved_tensors
        return gradient * y, gradient * x


class OnceInside(nn.Sequential):
    def forward(self, x):
        return self[1](Once.apply(self[0](x)))


class ProductInside(nn.Sequential):
    def forward(self, x):
        hidden = self[0](x)
        return self[1](Detour.apply(hidden, hidden.tanh()))


class Distances(nn.Sequential):
    """Its distances have one derivative in torch, and no second one."""

    def forward(self, x):
        return self[1](torch.cdist(self[0](x), torch.ones(5, 5).double(), p=3))


def layers(kind):
    torch.manual_seed(0)
    return kind(nn.Linear(3, 5), nn.Linear(5, 2)).double()


def batches():
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(1)).double()
    return [(x, torch.arange(6) % 2)]


KINDS = [OnceInside, ProductInside, Distances]


@pytest.mark.parametrize("kind", KINDS)
def test_a_widget_shows_the_loss_and_says_why_there_is_no_convexity(kind):
    with pytest.warns(UserWarning, match="convexity is left out: .*differentiated twice"):
        widget = LandscapeWidget(
            layers(kind), batches(), quantities=["loss", "convexity"], color="convexity", resolution=3
        )
    try:
        surface = widget.wait(PATIENCE)
        assert "convexity is left out" in surface.attrs["warnings"]
        assert "convexity" not in widget.quantities()
        assert (widget.quantity, widget.color) == ("loss", None)
    finally:
        widget.close()
    expected = loss_surface(layers(kind), batches(), quantities=["loss"], resolution=3, progress=False)
    np.testing.assert_allclose(surface.loss, expected.loss, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_asked_for_convexity_alone_is_refused(kind):
    with pytest.raises(ValueError, match="differentiated twice"):
        convexity_map(layers(kind), batches(), resolution=3, progress=False)
    with pytest.raises(ValueError, match="differentiated twice"):
        loss_surface(layers(kind), batches(), quantities=["loss", "convexity"], resolution=3, progress=False)
    with pytest.raises(ValueError, match="differentiated twice"):
        LandscapeWidget(layers(kind), batches(), quantities=["convexity"], resolution=3)
