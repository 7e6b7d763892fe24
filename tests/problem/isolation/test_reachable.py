"""Generators of random numbers are found wherever a model or a loss can reach them."""

from __future__ import annotations

import dataclasses
import functools
import random
import types

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


class Slotted:
    __slots__ = ("rng",)

    def __init__(self):
        self.rng = random.Random(3)

    def __call__(self, outputs, targets):
        return self.rng.random()


class Namespace(nn.Module):
    def __init__(self):
        super().__init__()
        self.options = types.SimpleNamespace(rng=np.random.default_rng(3))


class Property(nn.Module):
    @property
    def noise(self):
        return RNG.normal()


class BoundMethod(nn.Module):
    def __init__(self):
        super().__init__()
        self.draw = np.random.default_rng(3).normal


@dataclasses.dataclass
class Config:
    layers: list


def noise():
    rng = random.Random(3)
    while True:
        yield rng.random()


def started():
    kept = noise()
    next(kept)
    return lambda outputs, targets: next(kept)


def cached():
    rng = random.Random(3)
    return functools.lru_cache(lambda outputs, targets: rng.random())


REACHED = {
    "a slot": Slotted,
    "a namespace": Namespace,
    "a property": Property,
    "a bound method of a generator": BoundMethod,
    "a function that yields": started,
    "a cached function": cached,
    "a dict in a list in a dataclass": lambda: functools.partial(default, Config([{"rng": torch.Generator()}])),
    "bits": lambda: functools.partial(default, rng=np.random.PCG64(3)),
    "an argument of a partial in a list": lambda: functools.partial(default, [np.random.RandomState(3)]),
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
