"""A loss that sums over a batch is the sum over the set: that of all samples in one batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron
from torch import nn
from torch.nn import functional

DATA = batches()
PADDED = [(x, torch.where(torch.arange(len(y)) % 3 == 0, -100, y)) for x, y in DATA]


class Autoencoder(nn.Module):
    """The VAE of pytorch/examples, without its noise."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encode, self.mean, self.logvar = nn.Linear(6, 5), nn.Linear(5, 2), nn.Linear(5, 2)
        self.decode = nn.Linear(2, 6)

    def forward(self, x):
        h = torch.relu(self.encode(x))
        mean, logvar = self.mean(h), self.logvar(h)
        return torch.sigmoid(self.decode(mean)), mean, logvar


def variational(outputs, x):
    image, mean, logvar = outputs
    reconstruction = functional.binary_cross_entropy(image, torch.sigmoid(x), reduction="sum")
    return reconstruction - 0.5 * torch.sum(1 + logvar - mean.pow(2) - logvar.exp())


CASES = {
    "a callable": (perceptron, DATA, lambda o, t: functional.cross_entropy(o, t, reduction="sum")),
    "a module": (perceptron, DATA, nn.CrossEntropyLoss(reduction="sum")),
    "a module that leaves targets out": (perceptron, PADDED, nn.CrossEntropyLoss(reduction="sum")),
    "squares": (perceptron, [(x, x[:, :4]) for x, _ in DATA], nn.MSELoss(reduction="sum")),
    "a variational autoencoder": (Autoencoder, [(x, x) for x, _ in DATA], variational),
}


@pytest.mark.parametrize("case", CASES)
def test_the_value_is_the_sum(case):
    make, data, loss = CASES[case]
    model = make()
    line = check(model, data, lambda: sum(loss(model(x), y) for x, y in data), loss_fn=loss)
    assert line.attrs["loss_reduction"] == "sum over samples"


@pytest.mark.parametrize("case", CASES)
def test_it_is_that_of_one_batch(case):
    make, data, loss = CASES[case]
    whole = [tuple(torch.cat(part) for part in zip(*data, strict=True))]
    lines = [measured(make(), d, loss_fn=loss).loss for d in (data, whole)]
    np.testing.assert_allclose(*lines, rtol=1e-6)


def test_two_loaders_have_a_sum_each():
    model = perceptron()
    loaders = {"train": DATA, "test": DATA[:1]}
    line = measured(model, loaders, loss_fn=nn.CrossEntropyLoss(reduction="sum"))
    for name, data in loaders.items():
        alone = measured(model, data, loss_fn=nn.CrossEntropyLoss(reduction="sum"))
        np.testing.assert_allclose(line[f"{name}_loss"], alone.loss, rtol=1e-6)


def test_its_standard_error_is_that_of_a_sum():
    model = perceptron()
    total, mean = (measured(model, DATA, loss_fn=nn.CrossEntropyLoss(reduction=r)) for r in ("sum", "mean"))
    n = sum(len(x) for x, _ in DATA)
    np.testing.assert_allclose(total.loss_stderr, n * mean.loss_stderr, rtol=1e-6)


def test_sums_and_weights_that_the_loss_returns_are_added_up():
    data = [(x, torch.where(torch.arange(len(y)) < k * 3, -100, y)) for k, (x, y) in enumerate(DATA)]
    model = perceptron()

    def loss(outputs, targets):
        counted = targets != -100
        return functional.cross_entropy(outputs, targets, reduction="sum"), counted.sum()

    def own_loop():
        pairs = [loss(model(x), y) for x, y in data]
        return sum(s for s, _ in pairs) / sum(w for _, w in pairs)

    check(model, data, own_loop, loss_fn=loss)
