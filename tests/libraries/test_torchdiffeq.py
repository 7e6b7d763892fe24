"""A differential equation of torchdiffeq as a layer, solved with steps of its own choice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.hessians import extreme_eigenvalues
from support.trust import check, weighted
from torch import Tensor, nn
from torch.nn import functional
from torchdiffeq import odeint, odeint_adjoint

from lljupyter import convexity_map

GENERATOR = torch.Generator().manual_seed(6)
POINTS = torch.randn(20, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.randint(0, 4, (20,), generator=GENERATOR)
BATCHES = list(zip(POINTS.split(8), CLASSES.split(8), strict=True))
AT_CENTER = {"resolution": 1, "alpha": (0, 0), "beta": (0, 0), "progress": False}


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))

    def forward(self, t, z):
        return self.net(z) * 3


class Classifier(nn.Module):
    def __init__(self, solve, **how):
        super().__init__()
        torch.manual_seed(0)
        self.field, self.head = Field(), nn.Linear(3, 4)
        self.solve, self.how = solve, how

    def forward(self, x):
        times = torch.tensor([0.0, 1.0], dtype=x.dtype)
        return self.head(self.solve(self.field, x, times, **self.how)[-1])


ADAPTIVE = {"rtol": 1e-3, "atol": 1e-4}


def own_loop(model: nn.Module) -> float:
    """Batch by batch, as all samples of a batch share the steps of the solver."""
    return weighted((functional.cross_entropy(model(x), y) for x, y in BATCHES), map(len, POINTS.split(8)))


@pytest.mark.parametrize("solve", [odeint, odeint_adjoint])
def test_the_loss_is_that_of_the_batches_as_they_are(solve):
    model = Classifier(solve, **ADAPTIVE).double()
    together = float(functional.cross_entropy(model(POINTS), CLASSES))
    assert abs(together / own_loop(model) - 1) > 1e-9  # other batches, other steps
    check(model, BATCHES, lambda: own_loop(model), rtol=1e-12)


def mean_loss(model: nn.Module) -> Tensor:
    return functional.cross_entropy(model(BATCHES[0][0]), BATCHES[0][1])


def test_both_ends_of_the_spectrum():
    model = Classifier(odeint, **ADAPTIVE).double()
    found = convexity_map(model, BATCHES[:1], tol=1e-4, **AT_CENTER)
    expected = extreme_eigenvalues(lambda: mean_loss(model), (p for p in model.parameters() if p.dim() > 1))
    np.testing.assert_allclose([found.lambda_min.item(), found.lambda_max.item()], expected, rtol=1e-3)


def test_the_curvature_of_the_adjoint_method_is_refused():
    """Torch differentiates its backward again without an error, wrongly: lambda_min would be 90 % off."""
    with pytest.raises(ValueError, match=r"expected second derivatives that are symmetric.*; let torch differentiate"):
        convexity_map(Classifier(odeint_adjoint, **ADAPTIVE).double(), BATCHES, **AT_CENTER)
