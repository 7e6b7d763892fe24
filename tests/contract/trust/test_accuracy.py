"""Accuracy is measured where outputs are scores of classes, over the targets that count, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.trust import batches, measured, perceptron, truth
from torch import nn
from torch.nn import functional

DATA = batches()


def triplets(outputs, targets):
    """Pulls samples of a class together and pushes others apart."""
    distances = torch.cdist(outputs, outputs)
    same = targets[:, None] == targets
    return (distances * same).mean() + (2 - distances).relu().masked_fill(same, 0).mean()


def centers(outputs, targets):
    """Pulls samples to the center of their class, per sample."""
    return (outputs - functional.one_hot(targets, 4) * -3.0).square().mean(1)


def ordinal(outputs, targets):
    """The sum of the outputs is the class."""
    return (outputs.sum(1) - targets).square().mean()


class Contrastive(nn.Module):
    reduction = "mean"

    def forward(self, outputs, targets):
        z = functional.normalize(outputs)
        same = (targets[:, None] == targets).to(z)
        return functional.mse_loss(z @ z.T, same, reduction=self.reduction)


@pytest.mark.parametrize("loss", [triplets, centers, ordinal, Contrastive()])
def test_embeddings_have_none(loss):
    assert "accuracy" not in measured(perceptron(), DATA, loss_fn=loss)


def focal(outputs, targets):
    values = functional.cross_entropy(outputs, targets, reduction="none")
    return ((1 - torch.exp(-values)) ** 2 * values).mean()


def margin(outputs, targets):
    return functional.multi_margin_loss(outputs, targets)


def smoothed(outputs, targets):
    return functional.cross_entropy(outputs, targets, label_smoothing=0.1, reduction="none")


@pytest.mark.parametrize("loss", [focal, margin, smoothed, nn.CrossEntropyLoss(), nn.MultiMarginLoss()])
def test_scores_have_that_of_the_largest(loss):
    model = perceptron()

    def own_loop():
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in DATA) / sum(len(y) for _, y in DATA)

    line = measured(model, DATA, loss_fn=loss)
    np.testing.assert_allclose(line.accuracy, truth(model, own_loop), rtol=1e-12)


@pytest.mark.parametrize("padding", [255, -1, 3])
def test_what_the_loss_leaves_out_does_not_count(padding):
    data = [(x, torch.where(torch.arange(len(y)) % 3 == 0, padding, y)) for x, y in DATA]
    model = perceptron()

    def loss(outputs, targets):
        return functional.cross_entropy(outputs, targets, ignore_index=padding)

    def own_loop():
        counted = [(model(x).argmax(1) == y)[y != padding] for x, y in data]
        return float(torch.cat(counted).double().mean())

    line = measured(model, data, loss_fn=loss)
    np.testing.assert_allclose(line.accuracy, truth(model, own_loop), rtol=1e-12)
