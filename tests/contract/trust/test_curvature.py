"""Curvature that is right or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.problems import make_problem
from support.reference import PATIENCE
from torch import nn

from lljupyter import LandscapeWidget, convexity_map, loss_surface
from lljupyter.hessian.evaluator import HessianEvaluator


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


class Mixed(torch.autograd.Function):
    """The identity; its backward mixes the samples of a batch."""

    @staticmethod
    def forward(ctx, x, mix):
        ctx.mix = mix
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return ctx.mix(gradient), None


MIXES = {
    "scaled with the size of the batch": lambda g: g * len(g) ** 0.5,
    "centered over the batch": lambda g: g - g.mean(0),
    "of one length for a batch": lambda g: g / g.norm(),
    "left as it is": lambda g: g,
}


class MixedInside(nn.Module):
    def __init__(self, mix):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.mix = nn.Linear(3, 5), nn.Linear(5, 4), mix

    def forward(self, x):
        return Mixed.apply(self.last(self.first(x).tanh()), self.mix)


def expected_product(model, batches, vector):
    """The slow loop over the person's batches."""
    weights = [p for p in model.parameters() if p.dim() > 1]
    found = torch.zeros_like(vector)
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x), y, reduction="sum")
        gradients = torch.autograd.grad(loss, weights, create_graph=True)
        along = sum((g * v.view_as(g)).sum() for g, v in zip(gradients, vector.split([15, 20]), strict=True))
        found += torch.cat([h.reshape(-1) for h in torch.autograd.grad(along, weights)])
    return found / sum(len(y) for _, y in batches)


@pytest.mark.parametrize("sizes", [(5, 5, 5), (9, 4), (14,)])
@pytest.mark.parametrize("kind", MIXES)
def test_batches_are_joined_or_split_only_if_nothing_changes(kind, sizes, monkeypatch):
    monkeypatch.setattr("lljupyter.hessian.choose.LARGEST_BATCH", 8 if len(sizes) == 1 else 512)
    model = MixedInside(MIXES[kind]).double()
    generator = torch.Generator().manual_seed(2)
    batches = [
        (torch.randn(n, 3, generator=generator).double(), torch.randint(4, (n,), generator=generator)) for n in sizes
    ]
    problem = make_problem(model, batches)
    assert problem.per_sample  # as far as its values show
    vector = torch.randn(35, generator=generator).double()
    try:
        evaluator = HessianEvaluator(problem)
    except ValueError as error:
        if kind == "of one length for a batch" and "symmetric" in str(error):
            return
        raise
    with evaluator.hessian_at(None) as hessian:
        found = hessian.product(vector)
    torch.testing.assert_close(found, expected_product(model, batches, vector), rtol=1e-9, atol=1e-12)
    assert (len(evaluator._factory.batches) == len(sizes)) == (kind != "left as it is")
