"""A chain of linear layers is read off a copy of the model."""

from __future__ import annotations

import pytest
import torch
from support.problems import make_problem
from support.reference import batches_of
from torch import nn

from lljupyter.evaluate.fast.stacked import Stacked


class Remembering(nn.Module):
    """Keeps its last activations, which tracing would replace by a stand-in."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(25, 6), nn.Linear(6, 4)
        self.activations = torch.zeros(1)

    def forward(self, x):
        self.activations = torch.relu(self.first(x.flatten(1)))
        return self.second(self.activations)


def test_tracing_leaves_nothing_in_the_model_of_the_problem():
    problem = make_problem(Remembering().double(), batches_of(8))
    with pytest.raises(ValueError, match="the model keeps something between calls"):
        Stacked(problem)
    assert type(problem.model.activations) is torch.Tensor
    assert torch.equal(problem.model.activations, torch.zeros(1))
