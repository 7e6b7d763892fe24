"""What a model or a loss keeps between calls is found wherever it is, and put back."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

from lljupyter.problem.isolation.state import state_of

COUNTED = {"calls": 0}


class Keeps(nn.Module):
    """Keeps something in every way that modules do."""

    shared = 0

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mean", torch.zeros(2))
        self.count, self.hidden, self.seen = 0, None, []
        self.window, self.cache, self.array = deque([0.0], maxlen=3), {"n": [0]}, np.zeros(2)

    def forward(self, x):
        y = self.layer(x)
        self.mean.mul_(0.9).add_(y.detach().mean(0))
        self.count += 1
        self.hidden = y.detach()
        self.seen.append(len(x))
        self.window.append(float(y.detach().sum()))
        self.cache["n"][0] += 1
        self.array += 1
        Keeps.shared += 1
        self.created = self.count
        return y


NAMES = ["mean", "count", "hidden", "seen", "window", "cache['n']", "array", "shared (of the class)", "Keeps.created"]


def test_everything_a_module_keeps_is_found_and_put_back():
    model = Keeps()
    state = state_of(model)
    assert state.changed().names() == []
    model(torch.ones(3, 2))
    assert set(NAMES) <= set(state.changed().names())
    assert not any("layer" in name for name in state.changed().names())
    for _ in range(2):
        model(torch.ones(3, 2))
        state.put_back()
        assert model.mean.tolist() == [0, 0]
        assert model.array.tolist() == [0, 0]
        assert (model.count, model.hidden, model.seen, list(model.window), model.cache) == (
            0,
            None,
            [],
            [0.0],
            {"n": [0]},
        )
        assert Keeps.shared == 0
        assert not hasattr(model, "created")


def counts_in_a_cell():
    n = 0

    def loss(outputs, targets):
        nonlocal n
        n += 1
        return n

    return loss


def counts_in_a_list(seen=[0]):  # noqa: B006
    def loss(outputs, targets):
        seen[0] += 1
        return seen[0]

    return loss


def counts_in_a_global():
    def loss(outputs, targets):
        COUNTED["calls"] += 1
        return COUNTED["calls"]

    return loss


def counts_in_an_attribute_of_its_own():
    def loss(outputs, targets):
        loss.calls += 1
        return loss.calls

    loss.calls = 0
    return loss


class Counts:
    def __init__(self):
        self.calls = 0

    def __call__(self, outputs, targets):
        self.calls += 1
        return self.calls


@pytest.mark.parametrize(
    "make", [counts_in_a_cell, counts_in_a_list, counts_in_a_global, counts_in_an_attribute_of_its_own, Counts]
)
def test_what_a_loss_counts_is_found_and_put_back(make):
    loss = make()
    state = state_of(loss)
    first = loss(None, None)
    assert loss(None, None) == first + 1
    assert state.changed().names() != []
    for _ in range(2):
        state.put_back()
        assert loss(None, None) == first
    state.put_back()


def test_parameters_are_not_state_and_a_quiet_model_keeps_none():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5)).eval()
    state = state_of(model, nn.functional.mse_loss)
    with torch.no_grad():
        model[0].weight.add_(1)
        model(torch.ones(3, 2))
    assert state.changed().names() == []
