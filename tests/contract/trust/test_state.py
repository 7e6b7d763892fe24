"""What model or loss keep between calls is put back before each batch, and said."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron, weighted
from torch import nn
from torch.nn import functional

DATA = batches()


class Counter(nn.Module):
    """Warms up over its first calls."""

    def __init__(self):
        super().__init__()
        self.net, self.calls = perceptron(), 0

    def forward(self, x):
        self.calls += 1
        return self.net(x) * min(1.0, 0.1 * self.calls)

    def reset(self):
        self.calls = 0


class Running(nn.Module):
    """Normalizes by statistics that it updates in evaluation mode, too."""

    def __init__(self):
        super().__init__()
        self.net = perceptron()
        self.register_buffer("mean", torch.zeros(6))

    def forward(self, x):
        self.mean.mul_(0.5).add_(0.5 * x.detach().mean(0))
        return self.net(x - self.mean)

    def reset(self):
        self.mean.zero_()


class Recurrent(nn.Module):
    """Keeps its hidden state from one batch to the next."""

    def __init__(self):
        super().__init__()
        self.net, self.cell, self.hidden = perceptron(), nn.Linear(4, 4), None

    def forward(self, x):
        outputs = self.net(x)
        if self.hidden is not None:
            outputs = outputs + self.cell(self.hidden.mean(0))
        self.hidden = outputs.detach()
        return outputs

    def reset(self):
        self.hidden = None


class Remembering(nn.Module):
    """Keeps what it saw in a list."""

    def __init__(self):
        super().__init__()
        self.net, self.seen = perceptron(), []

    def forward(self, x):
        self.seen.append(float(x.mean()))
        return self.net(x) * (1 + sum(self.seen))

    def reset(self):
        self.seen.clear()


class Momentum:
    """A loss that moves slowly, from a start of its own."""

    def __init__(self):
        self.average = 2.0

    def __call__(self, outputs, targets):
        self.average = 0.5 * self.average + 0.5 * float(outputs.detach().mean())
        return functional.cross_entropy(outputs, targets) * (1 + self.average)

    def reset(self):
        self.average = 2.0


def steps():
    def loss(outputs, targets):
        loss.step += 1
        return functional.cross_entropy(outputs, targets) * loss.step

    def reset():
        loss.step = 0

    loss.step, loss.reset = 0, reset
    return loss


def counting():
    n = 0

    def loss(outputs, targets):
        nonlocal n
        n += 1
        return functional.cross_entropy(outputs, targets) * n

    def reset():
        nonlocal n
        n = 0

    loss.reset = reset
    return loss


MODELS = [Counter, Running, Recurrent, Remembering]
LOSSES = [Momentum, steps, counting]


@pytest.mark.parametrize("make", MODELS)
def test_every_batch_starts_from_what_the_model_had_kept(make):
    model = make()

    def value(x, y):
        loss = functional.cross_entropy(model(x), y)
        model.reset()
        return loss

    def own_loop():
        return weighted((value(x, y) for x, y in DATA), (len(x) for x, _ in DATA))

    with pytest.warns(UserWarning, match="keep something between calls, which is put back before each batch: "):
        line = check(model, DATA, own_loop, loss_fn=functional.cross_entropy)
    assert "keep something between calls" in line.attrs["warnings"]
    assert line.attrs["evaluation"] == "plain"


@pytest.mark.parametrize("make", LOSSES)
def test_every_batch_starts_from_what_the_loss_had_kept(make):
    model, loss = perceptron(), make()

    def value(x, y):
        found = loss(model(x), y)
        loss.reset()
        return found

    def own_loop():
        return weighted((value(x, y) for x, y in DATA), (len(x) for x, _ in DATA))

    with pytest.warns(UserWarning, match="keep something between calls"):
        check(model, DATA, own_loop, loss_fn=loss)


@pytest.mark.parametrize("make", [Counter, Running, Remembering])
def test_the_order_of_the_batches_does_not_matter(make):
    lines = []
    for data in (DATA, DATA[::-1]):
        with pytest.warns(UserWarning, match="keep something between calls"):
            lines.append(measured(make(), data).loss)
    np.testing.assert_allclose(*lines, rtol=1e-6)


class Cached(nn.Module):
    """Keeps what changes nothing: its last outputs, for whoever wants to look at them."""

    def __init__(self):
        super().__init__()
        self.net, self.last = perceptron(), None

    def forward(self, x):
        self.last = self.net(x)
        return self.last


def test_what_changes_nothing_is_no_warning():
    model = Cached()

    def own_loop():
        return weighted((functional.cross_entropy(model(x), y) for x, y in DATA), (len(x) for x, _ in DATA))

    line = check(model, DATA, own_loop)
    assert "warnings" not in line.attrs


HIDDEN = {
    "count": lambda: itertools.count(1),
    "range": lambda: iter(range(1, 10**6)),
    "sums": lambda: itertools.accumulate(itertools.repeat(1)),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_state_that_can_not_be_found_is_refused_by_name(kind):
    model, calls = perceptron(), HIDDEN[kind]()
    with pytest.raises(ValueError, match=r"the same value for the same batch, got .* and then"):
        measured(model, DATA, loss_fn=lambda o, t: functional.cross_entropy(o, t) * next(calls))
