"""The private copy is not what is evaluated: ``forward`` or a hook still uses the model that was passed in."""

from __future__ import annotations

import functools
import types

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron, weighted
from torch import nn
from torch.nn import functional

DATA = batches()


def own_loop(model):
    return lambda: weighted((functional.cross_entropy(model(x), y) for x, y in DATA), (len(x) for x, _ in DATA))


def compiled():
    model = perceptron()
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def compiled_submodule():
    model = perceptron()
    model[0].forward = torch.compile(model[0].forward, backend="eager")
    return model


def replaced_by_a_lambda():
    model = perceptron()
    forward = model.forward
    model.forward = lambda x: forward(x) * 1.5
    return model


def wrapped():
    def in_float32(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs).float()

        return inner

    model = perceptron()
    model.forward = in_float32(model.forward)
    return model


def hooked():
    model = perceptron()
    model[1].register_forward_hook(lambda module, inputs, outputs: outputs + model[0].bias)
    return model


def hooked_before():
    model = perceptron()
    weights = {"first": model[0].weight}
    model.register_forward_pre_hook(lambda module, inputs: (inputs[0] + weights["first"].mean(),))
    return model


MENDED = [compiled, compiled_submodule, replaced_by_a_lambda, wrapped, hooked, hooked_before]


@pytest.mark.parametrize("make", MENDED, ids=lambda f: f.__name__)
def test_the_copy_is_what_moves(make):
    model = make()
    check(model, DATA, own_loop(model))


def hidden_in_a_namespace():
    model = perceptron()
    kept = types.SimpleNamespace(model=perceptron())
    kept.model.load_state_dict(model.state_dict())
    kept.weight = model[0].weight
    model[1].register_forward_hook(lambda module, inputs, outputs: outputs + kept.weight.mean())
    return model


def hidden_in_an_iterator():
    model = perceptron()
    weights = iter(lambda: model[2].weight, None)  # yields it for ever
    model[0].register_forward_hook(lambda module, inputs, outputs: outputs * next(weights).mean())
    return model


def hidden_in_an_optimizer():
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model[0].register_forward_hook(lambda m, i, outputs: outputs + optimizer.param_groups[0]["params"][1])
    return model


@pytest.mark.parametrize(
    "make", [hidden_in_a_namespace, hidden_in_an_iterator, hidden_in_an_optimizer], ids=lambda f: f.__name__
)
def test_what_can_not_be_copied_is_refused_by_name(make):
    with pytest.raises(ValueError, match=r"got one that reads '\d\.\w+' of the model that was passed in.*objective="):
        measured(make(), DATA)


class Other(nn.Module):
    """Copies itself in a way of its own, and wrongly."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()
        self.scale = 1.0

    def forward(self, x):
        return self.net(x) * self.scale

    def __deepcopy__(self, memo):
        other = Other()
        other.net.load_state_dict(self.net.state_dict())
        return other  # the scale is forgotten


class Stateless(Other):
    """Leaves the scale out of what is copied, as some do for pickles."""

    __deepcopy__ = None  # not that of ``Other``
    scale = 1.0

    def __getstate__(self):
        return {key: value for key, value in vars(self).items() if key != "scale"}


class Coarse(Other):
    """Keeps few digits."""

    def __deepcopy__(self, memo):
        other = Coarse()
        other.net.load_state_dict(self.net.state_dict())
        other.scale = float(round(self.scale * 0.6))
        return other


@pytest.mark.parametrize("kind", [Other, Stateless, Coarse])
def test_a_copy_that_computes_something_else_is_refused_by_name(kind):
    model = kind()
    measured(model, DATA)
    model.scale = 2.0
    with pytest.raises(ValueError, match="a copy of the model that computes what the model does, got the loss"):
        measured(model, DATA)


def test_the_model_is_not_touched_by_the_check():
    model = perceptron().train()
    model[1].train(False)
    model[0].weight.requires_grad_(False)
    before = (
        [(t._version, t.clone(), t.requires_grad) for t in model.parameters()],
        [m.training for m in model.modules()],
    )
    measured(model, DATA)
    after = (
        [(t._version, t.clone(), t.requires_grad) for t in model.parameters()],
        [m.training for m in model.modules()],
    )
    assert before[1] == after[1]
    for one, other in zip(before[0], after[0], strict=True):
        assert (one[0], one[2]) == (other[0], other[2])
        np.testing.assert_array_equal(one[1].detach(), other[1].detach())
