"""Losses of a batch as a whole, or of its pixels: what the person's own loop gives, batch by batch."""

from __future__ import annotations

import pytest
import torch
from support.trust import batches, check, measured, perceptron, weighted
from torch import nn
from torch.nn import functional

DATA = batches()
GENERATOR = torch.Generator().manual_seed(31)


class Segments(nn.Module):
    def __init__(self, n_classes=3):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.Conv2d(5, n_classes, 1))

    def forward(self, x):
        return self.net(x)


def images(sizes=(4, 4, 2), n_classes=3):
    return [
        (
            torch.randn(n, 2, 5, 4, generator=GENERATOR),
            torch.randint(0, n_classes, (n, 5, 4), generator=GENERATOR),
        )
        for n in sizes
    ]


class FlatPixels(nn.Module):
    """Cross-entropy over the pixels of a batch in one row."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, targets):
        scores = outputs.movedim(1, -1).reshape(-1, outputs.shape[1])
        return functional.cross_entropy(scores, targets.reshape(-1), reduction=self.reduction)


class FlatSquares(nn.Module):
    """Squares over the pixels of a batch in one row."""

    reduction = "mean"

    def forward(self, outputs, targets):
        wanted = functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1)
        return functional.mse_loss(outputs.reshape(-1), wanted.reshape(-1).to(outputs), reduction=self.reduction)


class Dice(nn.Module):
    """Overlap over the whole batch."""

    reduction = "mean"

    def forward(self, outputs, targets):
        share = outputs.softmax(1)
        wanted = functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1)
        overlap = (share * wanted).sum((0, 2, 3))
        return (1 - 2 * overlap / (share + wanted).sum((0, 2, 3))).mean()


class Jaccard(nn.Module):
    """Intersection over union of a batch, one value for each class without reduction."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, targets):
        share = outputs.softmax(1)
        wanted = functional.one_hot(targets, outputs.shape[1]).movedim(-1, 1)
        both = (share * wanted).sum((0, 2, 3))
        values = 1 - both / ((share + wanted).sum((0, 2, 3)) - both)
        return values.mean() if self.reduction == "mean" else values


class DiceAndEntropy(nn.Module):
    def __init__(self):
        super().__init__()
        self.dice, self.entropy = Dice(), nn.CrossEntropyLoss()

    def forward(self, outputs, targets):
        return self.dice(outputs, targets) + self.entropy(outputs, targets)


@pytest.mark.parametrize("loss", [FlatPixels(), FlatSquares(), Dice(), Jaccard(), DiceAndEntropy()])
@pytest.mark.parametrize("sizes", [(4, 4, 2), (3, 5), (1, 1, 2)])
def test_a_module_over_pixels_or_a_batch_is_its_mean_over_batches(loss, sizes):
    data, model = images(sizes), Segments()

    def own_loop():
        return weighted((loss(model(x), y) for x, y in data), (len(x) for x, _ in data))

    check(model, data, own_loop, loss_fn=loss)


def test_a_value_per_pixel_is_refused_by_name():
    with pytest.raises(ValueError, match=r"one value per sample, shape \(4,\), .* got shape \(80,\); return a scalar"):
        measured(Segments(), images(), loss_fn=FlatPixels("none"))


class Matching(nn.Module):
    """Two views of each sample, in one space."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(4, 5), nn.Linear(2, 5)

    def forward(self, x):
        a, b = functional.normalize(self.image(x[:, :4])), functional.normalize(self.text(x[:, 4:]))
        return a @ b.T * 5


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(), functional.cross_entropy, nn.CrossEntropyLoss(label_smoothing=0.1)]
)
@pytest.mark.parametrize("sizes", [(8, 8, 4), (6, 6), (20,)])
def test_square_scores_whose_targets_are_their_rows(loss, sizes):
    x = torch.randn(sum(sizes), 6, generator=GENERATOR)
    data = [(part, torch.arange(len(part))) for part in x.split(sizes)]
    model = Matching()

    def own_loop():
        return weighted((loss(model(x), y) for x, y in data), (len(x) for x, _ in data))

    check(model, data, own_loop, loss_fn=loss)


def correlation(outputs, targets):
    return 1 - torch.corrcoef(torch.stack([outputs[:, 0], targets.to(outputs)]))[0, 1]


def ranking(outputs, targets):
    differences = outputs[:, :1] - outputs[:, 0]
    return functional.softplus(-differences * torch.sign(targets[:, None] - targets)).mean()


def redundancy(outputs, targets):
    z = (outputs - outputs.mean(0)) / (outputs.std(0) + 1e-3)
    return (z.T @ z / len(z) - torch.eye(z.shape[1])).square().sum()


@pytest.mark.parametrize("loss", [correlation, ranking, redundancy])
def test_losses_that_compare_the_samples_of_a_batch(loss):
    model = perceptron()

    def own_loop():
        return weighted((loss(model(x), y) for x, y in DATA), (len(x) for x, _ in DATA))

    line = check(model, DATA, own_loop, loss_fn=loss)
    assert line.attrs["loss_reduction"] == "mean over batches, weighted by their numbers of samples"
