"""The loss reaches the model that was passed in: weight decay, policies, physics-informed networks."""

from __future__ import annotations

import collections
import functools

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron, truth, weighted
from torch import nn
from torch.nn import functional

DATA = batches()
MODEL = perceptron()


def decay(model):
    return sum(p.square().sum() for p in model.parameters())


def with_a_global(outputs, targets):
    return functional.cross_entropy(outputs, targets) + 1e-2 * decay(MODEL)


def of_a_closure(model):
    return lambda outputs, targets: functional.cross_entropy(outputs, targets) + 1e-2 * decay(model)


def of_a_module(model):
    class Decayed(nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.strength = model, nn.Parameter(torch.tensor(1e-2))

        def forward(self, outputs, targets):
            return functional.cross_entropy(outputs, targets) + self.strength * decay(self.model)

    return Decayed()


def of_a_method(model):
    class Trainer:
        def __init__(self):
            self.nets = {"actor": model}

        def loss(self, outputs, targets):
            advantage = self.nets["actor"](outputs.new_ones(1, 6)).mean()
            return functional.cross_entropy(outputs, targets) * advantage

    return Trainer().loss


def of_a_partial(model):
    def loss(outputs, targets, weights):
        return functional.cross_entropy(outputs, targets, reduction="none") + weights[0].abs().mean()

    return functools.partial(loss, weights=[model[0].weight])


def of_points_inside(model):
    """A physics-informed loss: the model is called again, on other points."""
    inside = torch.linspace(-1, 1, 30).reshape(5, 6)

    def loss(outputs, targets):
        return functional.cross_entropy(outputs, targets) + model(inside).square().mean()

    return loss


MENDED = [of_a_closure, of_a_module, of_a_method, of_a_partial, of_points_inside]


@pytest.mark.parametrize("make", MENDED, ids=lambda f: f.__name__)
def test_the_loss_reads_the_weights_that_move(make):
    model = perceptron()
    loss = make(model)

    def own_loop():
        return weighted((loss(model(x), y).mean() for x, y in DATA), (len(x) for x, _ in DATA))

    check(model, DATA, own_loop, loss_fn=loss)


def test_a_loss_that_reads_a_global_of_the_notebook():
    def own_loop():
        return weighted((with_a_global(MODEL(x), y) for x, y in DATA), (len(x) for x, _ in DATA))

    check(MODEL, DATA, own_loop, loss_fn=with_a_global)


def hidden_in_a_deque(model):
    kept = collections.deque([model])
    return lambda outputs, targets: outputs.mean() + kept[0][0].weight.sum()


def hidden_in_a_generator(model):
    def weights():
        while True:
            yield model[2].bias

    kept = weights()
    return lambda outputs, targets: outputs.mean() + next(kept).sum()


def hidden_in_numbers_of_another_library(model):
    view = model[0].weight.detach().numpy()  # the same memory
    return lambda outputs, targets: outputs.mean() + torch.from_numpy(view).sum()


HIDDEN = [hidden_in_a_deque, hidden_in_a_generator, hidden_in_numbers_of_another_library]


@pytest.mark.parametrize("make", HIDDEN, ids=lambda f: f.__name__)
def test_a_loss_that_can_not_be_bound_to_the_copy_is_refused_by_name(make):
    model = perceptron()
    with pytest.raises(ValueError, match=r"reads '\d\.\w+' of the model that was passed in.*objective=lambda model"):
        measured(model, DATA, loss_fn=make(model))


@pytest.mark.parametrize("make", HIDDEN, ids=lambda f: f.__name__)
def test_an_objective_is_the_way_out(make):
    model = perceptron()

    def objective(model, batch):
        return model(batch[0]).mean() + decay(model)

    expected = truth(model, lambda: weighted((objective(model, b) for b in DATA), (len(x) for x, _ in DATA)))
    np.testing.assert_allclose(measured(model, DATA, objective=objective).loss, expected, rtol=1e-5)
