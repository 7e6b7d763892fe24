"""Generators of random numbers are found wherever a model or a loss can reach them."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
import torch
from torch import nn

from lljupyter.problem.isolation.reachable import generators_of

RNG = np.random.default_rng(3)
TOOLS = {"rngs": [random.Random(3)]}


def draw():
    return RNG.normal()


class Attribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.ModuleList([nn.Linear(2, 2)])
        self.layer[0].rng = torch.Generator()


class OfTheClass(nn.Module):
    rng = np.random.RandomState(3)


class Globally(nn.Module):
    def forward(self, x):
        return x + draw()


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        rng = random.Random(3)
        self.register_forward_hook(lambda module, inputs, outputs: outputs * rng.random())


class Called:
    def __init__(self):
        self.tools = {"rngs": (np.random.RandomState(3),)}

    def __call__(self, outputs, targets):
        return outputs

    def loss(self, outputs, targets):
        return outputs


def closure():
    rng = torch.Generator()
    return lambda outputs, targets: torch.rand(1, generator=rng)


def default(outputs, targets, rng=np.random.default_rng(3)):  # noqa: B008
    return rng.normal()


REACHED = {
    "an attribute of a submodule": Attribute,
    "an attribute of the class": OfTheClass,
    "a global of a function that forward calls": Globally,
    "the closure of a hook": Hooked,
    "the closure of a loss": closure,
    "a default of a loss": lambda: default,
    "a partial": lambda: functools.partial(default, rng=np.random.default_rng(4)),
    "a container in a global": lambda: lambda outputs, targets: TOOLS["rngs"][0].random(),
    "a container in an attribute of an object": Called,
    "the object of a method": lambda: Called().loss,
}


@pytest.mark.parametrize("kind", REACHED)
def test_a_generator_is_found_in(kind):
    assert generators_of(REACHED[kind]()) != []


def test_each_is_found_once_and_nothing_else_is():
    model = nn.Sequential(Attribute(), nn.Linear(2, 2), nn.ReLU())
    loss = closure()
    assert len(generators_of(model, loss, loss)) == 2
    assert generators_of(nn.Linear(2, 2), nn.functional.mse_loss, None, len) == []
