"""A loss module's own mean is its mean, whatever its values without reduction are."""

from __future__ import annotations

import pytest
import torch
from support.trust import batches, check, measured, perceptron, weighted
from torch import nn
from torch.nn import functional

DATA = batches()
PADDED = [(x, torch.where(torch.arange(len(y)) % 3 == 0, 255, y)) for x, y in DATA]
LATE = [DATA[0], *PADDED[1:]]  # the first batch does not show it


class Focal(nn.Module):
    """Its mean divides by the targets that count."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, outputs, targets):
        values = functional.cross_entropy(outputs, targets, reduction="none", ignore_index=255)
        values = (1 - torch.exp(-values)) ** 2 * values
        return values.sum() / (targets != 255).sum() if self.reduction == "mean" else values


class OverPositives(nn.Module):
    """Its mean divides by the number of positives, as in detection."""

    reduction = "mean"

    def forward(self, outputs, targets):
        values = functional.binary_cross_entropy_with_logits(outputs[:, 0], (targets > 1).float(), reduction="none")
        return values.sum() / (targets > 1).sum().clamp(min=1) if self.reduction == "mean" else values


class Hardest(nn.Module):
    """Its mean is over the hardest half of a batch."""

    reduction = "mean"

    def forward(self, outputs, targets):
        values = functional.cross_entropy(outputs, targets, reduction="none")
        return values.topk(max(len(values) // 2, 1)).values.mean() if self.reduction == "mean" else values


class Normalized(nn.Module):
    """Its mean divides by the weights of the samples."""

    reduction = "mean"

    def forward(self, outputs, targets):
        values = functional.cross_entropy(outputs, targets, reduction="none")
        weight = 1.0 + targets
        return (values * weight).sum() / weight.sum() if self.reduction == "mean" else values * weight


class Rooted(nn.Module):
    """Its mean is a root of a mean."""

    reduction = "mean"

    def forward(self, outputs, targets):
        values = (outputs - functional.one_hot(targets, 4)).square().mean(1)
        return values.mean().sqrt() if self.reduction == "mean" else values.sqrt()


def counted(y):
    return (y != 255).sum()


CASES = {
    "a mean over what counts": (Focal(), PADDED, counted),
    "a mean over what counts, and the first batch has all": (Focal(), LATE, counted),
    "a mean over positives": (OverPositives(), DATA, len),
    "a mean over the hardest": (Hardest(), DATA, len),
    "a weighted mean": (Normalized(), DATA, len),
    "a root of a mean": (Rooted(), DATA, len),
    "torch's cross-entropy that leaves targets out": (nn.CrossEntropyLoss(ignore_index=255), PADDED, counted),
    "torch's smoothed cross-entropy": (nn.CrossEntropyLoss(label_smoothing=0.2), DATA, len),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mean_is_that_of_the_module(case):
    loss, data, weight = CASES[case]
    model = perceptron()

    def own_loop():
        return weighted((loss(model(x), y) for x, y in data), (weight(y) for _, y in data))

    check(model, data, own_loop, loss_fn=loss)


def test_a_module_without_reduction_is_a_mean_over_samples():
    model = perceptron()
    loss = Focal("none")

    def own_loop():
        return torch.cat([loss(model(x), y) for x, y in DATA]).mean()

    line = check(model, DATA, own_loop, loss_fn=loss)
    assert line.attrs["loss_reduction"] == "mean over samples"


def test_how_batches_are_combined_is_said():
    reductions = {
        case: measured(perceptron(), d, loss_fn=f).attrs["loss_reduction"] for case, (f, d, _) in CASES.items()
    }
    assert reductions["a mean over what counts"] == "mean over targets other than [255]"
    assert reductions["a mean over the hardest"] == "mean over batches, weighted by their numbers of samples"
    assert reductions["torch's smoothed cross-entropy"] == "mean over samples"
