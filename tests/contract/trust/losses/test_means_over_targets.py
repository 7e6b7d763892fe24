"""Means over tokens or pixels are weighted by those that count, not by samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.trust import batches, check, measured, perceptron, weighted
from torch import nn
from torch.nn import functional

GENERATOR = torch.Generator().manual_seed(7)


def padded(value, n=20, size=8):
    """Class indices of which the share that counts differs from batch to batch."""
    data = batches(n, size)
    return [(x, torch.where(torch.arange(len(y)) < k * 3, value, y)) for k, (x, y) in enumerate(data)]


class Tokens(nn.Module):
    """Sequences (n, T) to scores (n, V, T)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mix, self.head = nn.Embedding(7, 5), nn.Linear(5, 5), nn.Linear(5, 7)

    def forward(self, tokens):
        h = self.embed(tokens)
        return self.head(torch.tanh(self.mix(h + h.cumsum(1) * 0.1))).transpose(1, 2)


def sentences(pad=-100):
    """Sequences of several lengths, padded within a batch, and batches of several lengths."""
    data = []
    for n, length in ((5, 9), (5, 4), (2, 12)):
        tokens = torch.randint(0, 7, (n, length + 1), generator=GENERATOR)
        targets = tokens[:, 1:].clone()
        for row in range(1, n):
            targets[row, length - row :] = pad
        data.append((tokens[:, :-1], targets))
    return data


class Pixels(nn.Module):
    """Images to scores of each pixel."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 1))

    def forward(self, x):
        return self.net(x)


def images():
    data = []
    for n, share in ((4, 0.1), (4, 0.6), (1, 0.3)):
        x = torch.randn(n, 1, 6, 6, generator=GENERATOR)
        y = torch.randint(0, 3, (n, 6, 6), generator=GENERATOR)
        y[torch.rand(n, 6, 6, generator=GENERATOR) < share] = 255
        data.append((x, y))
    return data


def masked_mean(outputs, targets):
    """A mean over what counts, written by hand."""
    values = functional.cross_entropy(outputs, targets, reduction="none", ignore_index=0)
    return (values * (targets != 0)).sum() / (targets != 0).sum().clamp(min=1)


CASES = {
    "classes": (perceptron, padded(-100), functional.cross_entropy, -100),
    "classes and a value of one's own": (
        perceptron,
        padded(255),
        lambda o, t: functional.cross_entropy(o, t, ignore_index=255),
        255,
    ),
    "tokens": (Tokens, sentences(), functional.cross_entropy, -100),
    "tokens and a class that pads": (Tokens, sentences(pad=0), masked_mean, 0),
    "pixels": (Pixels, images(), lambda o, t: functional.cross_entropy(o, t, ignore_index=255), 255),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mean_is_over_what_counts(case):
    make, data, loss, ignored = CASES[case]
    model = make()

    def own_loop():
        return weighted((loss(model(x), y) for x, y in data), ((y != ignored).sum() for _, y in data))

    line = check(model, data, own_loop, loss_fn=loss)
    assert line.attrs["loss_reduction"] == f"mean over targets other than [{ignored}]"


def test_sequences_of_several_lengths_without_padding_weigh_as_many_as_their_tokens():
    data = [(x, y) for n, t in ((4, 9), (4, 3)) for x, y in [torch.randint(0, 7, (2, n, t), generator=GENERATOR)]]
    model = Tokens()

    def own_loop():
        return weighted((functional.cross_entropy(model(x), y) for x, y in data), (y.numel() for _, y in data))

    check(model, data, own_loop, loss_fn=functional.cross_entropy)


def test_a_loss_may_be_computed_in_a_coarser_type_than_the_weights_are():
    """As language models of transformers do, in single precision."""
    model, data = perceptron().double(), [(x.double(), y) for x, y in padded(-100)]

    def loss(outputs, targets):
        return functional.cross_entropy(outputs.float(), targets)

    def own_loop():
        return weighted((functional.cross_entropy(model(x), y) for x, y in data), ((y != -100).sum() for _, y in data))

    line = check(model, data, own_loop, rtol=1e-6, loss_fn=loss)
    assert line.attrs["loss_reduction"] == "mean over targets other than [-100]"


@pytest.mark.parametrize("first", [False, True])
def test_a_batch_with_nothing_that_counts_has_no_weight(first):
    data = padded(-100)
    empty = (data[0][0], torch.full_like(data[0][1], -100))
    data = [empty, *data] if first else [*data, empty]
    model = perceptron()

    def own_loop():
        pairs = [(functional.cross_entropy(model(x), y), (y != -100).sum()) for x, y in data]
        return weighted(*zip(*pairs, strict=True))

    check(model, data, own_loop, loss_fn=functional.cross_entropy)


def test_a_full_batch_has_the_same_value():
    """The person's own loss of all samples in one batch."""
    data = padded(-100)
    whole = [tuple(torch.cat(part) for part in zip(*data, strict=True))]
    lines = [measured(perceptron(), d, loss_fn=functional.cross_entropy).loss for d in (data, whole)]
    np.testing.assert_allclose(*lines, rtol=1e-6)
