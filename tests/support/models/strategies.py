"""Networks and planes that the strategies are tried on."""

from __future__ import annotations

import torch
from support.problems import make_evaluator
from support.reference import grid_points
from torch import nn
from torch.nn import functional

from lljupyter.geometry.plane import random_plane

POINTS = grid_points([-1, 0, 0.3], [-0.5, 0.7])


def settled(model: nn.Module) -> nn.Module:
    """Weights, statistics and scales that are all different, in float64."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if tensor.is_floating_point():
                positive = "var" in name or "bn" in name
                value = torch.rand(tensor.shape, generator=generator) + 0.5
                tensor.copy_(value if positive else torch.randn(tensor.shape, generator=generator) * 0.3)
    return model.double().eval()


class Reshaped(nn.Module):
    """An MLP that reshapes its inputs by hand and has a residual connection."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(25, 6), nn.Linear(6, 6, bias=False)
        self.out = nn.Linear(6, 4)

    def forward(self, x):
        x = torch.tanh(self.first(x.view(x.size(0), -1)))
        x = x + functional.gelu(self.second(x))
        return self.out(functional.relu(x))


def multilayer() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(25, 6), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(6, 4))


CHAINS = {"multilayer": multilayer, "reshaped": Reshaped}


def on_plane(model, loader, ignore=None, **options):
    """An evaluator on a random plane, and the directions of the plane."""
    evaluator = make_evaluator(model, loader, **options)
    plane = random_plane(evaluator.problem.center, 3, "filter", ignore)
    evaluator.set_plane(plane)
    return evaluator, (plane.delta, plane.eta)


def measured(strategy, evaluator, points=POINTS):
    """What another strategy measures on the plane of an evaluator."""
    strategy.set_plane(evaluator.moving)
    return strategy.evaluate(points, lambda: None)
