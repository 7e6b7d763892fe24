"""Batches that are objects: how many samples they have, and what is done if they do not say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from support.trust import batches, measured, perceptron, truth, weighted
from torch import Tensor
from torch.nn import functional

DATA = batches()


class Held:
    """A batch as an object; ``size`` is what it says of the number of its samples."""

    def __init__(self, x: Tensor, y: Tensor, size: object = None) -> None:
        self.x, self.y = x, y
        if size is not None:
            self.batch_size = size


SIZES = {
    "a number": lambda n: n,
    "one for each axis": lambda n: torch.Size([n]),
    "several axes": lambda n: torch.Size([n, 3]),
}


def objective(model, batch):
    return functional.cross_entropy(model(batch.x), batch.y)


def weighted_by(weights):
    model = perceptron()
    return truth(model, lambda: weighted((functional.cross_entropy(model(x), y) for x, y in DATA), weights))


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_objects_that_tell_their_number_of_samples(kind, reduction):
    data = [Held(x, y, SIZES[kind](len(x))) for x, y in DATA]

    def of_batch(model, batch):
        return functional.cross_entropy(model(batch.x), batch.y, reduction=reduction)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = measured(perceptron(), data, objective=of_batch)
    assert line.attrs["n_samples"] == 20
    np.testing.assert_allclose(line.loss, weighted_by([8, 8, 4]), rtol=2e-5)


NO_SIZES = {
    "nothing": lambda x, y: Held(x, y),
    "something else": lambda x, y: Held(x, y, "eight"),
    "a pair of several sizes": lambda x, y: (torch.cat([x, x]), y),
}


@pytest.mark.parametrize("kind", NO_SIZES)
def test_of_those_that_do_not_it_is_said_that_all_count_the_same(kind):
    data = [NO_SIZES[kind](x, y) for x, y in DATA]

    def of_batch(model, batch):
        return objective(model, batch if isinstance(batch, Held) else Held(batch[0][: len(batch[1])], batch[1]))

    with pytest.warns(UserWarning, match=r"all batches count the same, .* not known: return a pair \(sum, weight\)"):
        line = measured(perceptron(), data, objective=of_batch)
    assert line.attrs["loss_reduction"] == "mean over batches"
    np.testing.assert_allclose(line.loss, weighted_by([1, 1, 1]), rtol=2e-5)

    def of_pair(model, batch):
        loss = of_batch(model, batch)
        n = len(batch.y if isinstance(batch, Held) else batch[1])
        return loss * n, n

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line = measured(perceptron(), data, objective=of_pair)
    np.testing.assert_allclose(line.loss, weighted_by([8, 8, 4]), rtol=2e-5)


def test_values_of_samples_that_cannot_be_counted_are_refused_before_the_first_point():
    def of_batch(model, batch):
        return functional.cross_entropy(model(batch.x), batch.y, reduction="none")

    with pytest.raises(ValueError, match=r"one value per sample, shape \(1,\), .* got shape \(8,\); return"):
        measured(perceptron(), [Held(x, y) for x, y in DATA], objective=of_batch)


@pytest.mark.parametrize("names", [("image", "label"), ("pixels", "labels"), ("a", "b")])
def test_keywords_that_the_model_does_not_take_are_refused_with_the_way_out(names):
    data = [dict(zip(names, pair, strict=True)) for pair in DATA]
    with pytest.raises(
        ValueError, match=rf"the keywords of the batch, \['{names[0]}'.*; pass objective=f\(model, batch\)"
    ):
        measured(perceptron(), data, loss_fn=functional.cross_entropy)
