"""Whatever model and loss draw from, equal points are equal, batches differ, and every generator is given back."""

from __future__ import annotations

import functools
import os
import random
import secrets
import types

import numpy as np
import pytest
import torch
from support.trust import batches, measured, perceptron
from torch import nn
from torch.nn import functional

from lljupyter import convexity_map, loss_surface

DATA = batches()
STILL = {"resolution": 3, "alpha": (-1e-9, 1e-9), "beta": (-1e-9, 1e-9), "progress": False}
NUMPY, PYTHON, TORCH = np.random.default_rng(5), random.Random(5), torch.Generator().manual_seed(5)
LEGACY, BITS = np.random.RandomState(5), np.random.PCG64(5)
SPACE = types.SimpleNamespace(tools={"rngs": [np.random.default_rng(6)]})


class Noisy(nn.Module):
    """Adds noise to its inputs."""

    def __init__(self, draw):
        super().__init__()
        self.net, self.draw = perceptron(), draw

    def forward(self, x):
        return self.net(x + torch.as_tensor(self.draw(x), dtype=x.dtype))


class Owner(nn.Module):
    """Has a generator of its own."""

    def __init__(self):
        super().__init__()
        self.net, self.tools = perceptron(), [np.random.default_rng(5)]

    def forward(self, x):
        return self.net(x + torch.as_tensor(self.tools[0].normal(size=x.shape), dtype=x.dtype))


def drawn_with(x, generator):
    return torch.randn(x.shape, generator=generator)


def drawn_by_the_loss(outputs, targets):
    return functional.cross_entropy(outputs + torch.randn_like(outputs), targets, reduction="none")


def mean_drawn_by_the_loss(outputs, targets):
    return functional.cross_entropy(outputs, targets) * (1 + NUMPY.random())


DRAWS = {
    "torch's": (lambda: Noisy(torch.randn_like), None),
    "NumPy's": (lambda: Noisy(lambda x: np.random.randn(*x.shape)), None),  # noqa: NPY002
    "Python's": (lambda: Noisy(lambda x: random.gauss(0, 1)), None),
    "a torch generator": (lambda: Noisy(lambda x: torch.randn(x.shape, generator=TORCH)), None),
    "a NumPy generator": (lambda: Noisy(lambda x: NUMPY.normal(size=x.shape)), None),
    "a legacy NumPy generator": (lambda: Noisy(lambda x: LEGACY.normal(size=x.shape)), None),
    "a Python generator": (lambda: Noisy(lambda x: PYTHON.gauss(0, 1)), None),
    "a generator in a container": (Owner, None),
    "the method of a generator": (lambda: Noisy(Scaled(LEGACY.standard_normal)), None),
    "a slot": (lambda: Noisy(Slotted(NUMPY)), None),
    "a function that yields": (lambda: Noisy(Yielding(PYTHON)), None),
    "bits": (lambda: Noisy(lambda x: np.random.Generator(BITS).normal(size=x.shape)), None),
    "a default argument": (lambda: Noisy(lambda x, rng=(PYTHON, {})[0]: rng.gauss(0, 1)), None),
    "a partial": (lambda: Noisy(functools.partial(drawn_with, generator=TORCH)), None),
    "a namespace": (lambda: Noisy(lambda x: SPACE.tools["rngs"][0].normal(size=x.shape)), None),
    "dropout": (lambda: nn.Sequential(perceptron(), MonteCarlo()), None),
    "the loss": (perceptron, drawn_by_the_loss),
    "the loss, a mean": (perceptron, mean_drawn_by_the_loss),
}


class Slotted:
    __slots__ = ("rng",)

    def __init__(self, rng):
        self.rng = rng

    def __call__(self, x):
        return self.rng.normal(size=tuple(x.shape))


class Scaled:
    def __init__(self, draw):
        self.draw = draw

    def __call__(self, x):
        return self.draw(tuple(x.shape))


class Yielding:
    def __init__(self, rng):
        def numbers():
            while True:
                yield rng.gauss(0, 1)

        self.numbers = numbers

    def __call__(self, x):
        return next(self.numbers())


class MonteCarlo(nn.Module):
    """Drops in evaluation mode."""

    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


def states():
    return [
        torch.get_rng_state().tolist(),
        str(np.random.get_state(legacy=False)),  # noqa: NPY002
        random.getstate(),
        str(NUMPY.bit_generator.state),
        str(LEGACY.get_state(legacy=False)),
        PYTHON.getstate(),
        TORCH.get_state().tolist(),
        str(BITS.state),
        str(SPACE.tools["rngs"][0].bit_generator.state),
    ]


@pytest.mark.parametrize("kind", DRAWS)
def test_equal_points_are_equal_and_generators_are_given_back(kind):
    make, loss = DRAWS[kind]
    model = make()
    before = states()
    surface = loss_surface(model, DATA, loss_fn=loss, **STILL)
    assert states() == before
    np.testing.assert_allclose(surface.loss, surface.loss[1, 1], rtol=1e-6)
    assert surface.attrs["draws"] == 1
    random.random()
    torch.rand(3)
    again = loss_surface(make(), DATA, loss_fn=loss, **STILL)
    np.testing.assert_array_equal(again.loss, surface.loss)


@pytest.mark.parametrize("kind", ["NumPy's", "a torch generator", "the loss"])
def test_the_hessian_is_that_of_one_function(kind):
    make, loss = DRAWS[kind]
    model = make()
    before = states()
    maps = [
        convexity_map(
            model, DATA, loss_fn=loss, tol=1e-3, **{**STILL, "resolution": 1, "alpha": (0, 0), "beta": (0, 0)}
        )
        for _ in range(2)
    ]
    assert states() == before
    np.testing.assert_array_equal(maps[0].lambda_max, maps[1].lambda_max)


def diffusion(x, draw):
    """The loss of each sample at a random time."""
    return (x.mean(1) - 10 * draw(x)).square()


class Diffusion(nn.Module):
    def __init__(self, draw):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.draw = nn.Linear(6, 6), draw

    def forward(self, x):
        return diffusion(self.layer(x), self.draw)


TIMES = {
    "torch's": lambda x: torch.rand(len(x)),
    "NumPy's": lambda x: torch.as_tensor(np.random.rand(len(x)), dtype=x.dtype),  # noqa: NPY002
    "a generator": lambda x: torch.as_tensor(NUMPY.random(len(x)), dtype=x.dtype),
}


@pytest.mark.parametrize("kind", TIMES)
@pytest.mark.parametrize("size", [1, 7])
def test_batches_draw_other_numbers_so_that_the_mean_is_that_of_the_expectation(kind, size):
    model = Diffusion(TIMES[kind])
    torch.manual_seed(1)
    x = torch.randn(210, 6)
    data = [(part, None) for part in x.split(size)]
    line = measured(model, data, loss_fn=lambda outputs, targets: outputs)
    with torch.no_grad():
        expectation = float(np.mean([model(x).mean().item() for _ in range(300)]))
    assert abs(float(line.loss[1]) - expectation) < 4 * float(line.loss_stderr[1])


@pytest.mark.parametrize("kind", TIMES)
def test_more_draws_come_nearer_to_the_expectation(kind):
    model = Diffusion(TIMES[kind])
    torch.manual_seed(1)
    x = torch.randn(20, 6)
    data = [(part, None) for part in x.split(5)]
    with torch.no_grad():
        expectation = float(np.mean([model(x).mean().item() for _ in range(2000)]))
    found = [float(measured(model, data, loss_fn=lambda o, t: o, draws=k).loss[1]) for k in (1, 150)]
    assert abs(found[1] - expectation) < 0.05 * expectation
    assert abs(found[1] - expectation) < abs(found[0] - expectation)


SECRET = {
    "the system's": lambda x: random.SystemRandom().random(),
    "bytes": lambda x: int.from_bytes(os.urandom(4), "big") / 2**32,
    "secrets": lambda x: secrets.randbelow(10**6) / 10**6,
}


@pytest.mark.parametrize("kind", SECRET)
def test_what_can_not_be_fixed_is_refused_by_name(kind):
    with pytest.raises(ValueError, match=r"the same value for the same batch, got .* and then"):
        measured(Noisy(SECRET[kind]), DATA)
