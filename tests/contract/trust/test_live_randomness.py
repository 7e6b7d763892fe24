"""Live pictures of models that draw random numbers, while other cells draw as well."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from support.trust import batches, perceptron
from torch import nn
from torch.nn import functional

from lljupyter import LandscapeWidget, loss_surface
from lljupyter.problem.problem import build_problem

OPTIONS = {"resolution": (9, 5), "evaluation": "plain"}
EACH_CELL = 4000


class Drawing(nn.Module):
    """Draws in some way from what its layers compute."""

    def __init__(self, draw):
        super().__init__()
        self.layers, self.draw = perceptron(), draw

    def forward(self, x):
        return self.layers(self.draw(x))


MODELS = {
    "dropout": lambda: Drawing(lambda x: functional.dropout(x, 0.5, training=True)),
    "noise": lambda: Drawing(lambda x: x + 0.3 * torch.randn_like(x)),
    "several": lambda: Drawing(lambda x: x[torch.randperm(len(x))] * torch.bernoulli(torch.full_like(x, 0.5))),
    "times": lambda: Drawing(lambda x: x + torch.randn(x.shape) * torch.randint(0, 4, (len(x), 1))),
}
OTHERS = {
    "NumPy": lambda: Drawing(lambda x: x * np.random.random_sample()),  # noqa: NPY002
    "Python": lambda: Drawing(lambda x: x * random.random()),
    "NumPy beside torch": lambda: Drawing(lambda x: x * torch.rand(1) * np.random.random_sample()),  # noqa: NPY002
    "a seed": lambda: Drawing(lambda x: (torch.manual_seed(3), x * torch.rand(1))[1]),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_picture_is_that_of_the_blocking_call_and_other_cells_draw_what_they_drew_alone(name):
    model = MODELS[name]()
    torch.manual_seed(1)
    wanted = [torch.rand(2) for _ in range(EACH_CELL)]
    torch.manual_seed(1)
    widget = LandscapeWidget(model, batches(), **OPTIONS)
    found = [torch.rand(2) for _ in range(EACH_CELL)]
    live = widget.wait(120)
    assert all(map(torch.equal, found, wanted))
    state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    blocking = loss_surface(model, batches(), progress=False, **OPTIONS)
    np.testing.assert_array_equal(live.loss, blocking.loss)
    assert float(np.ptp(live.loss.values)) > 0
    widget.close()
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002
    assert random.getstate() == state[2]


def test_the_values_are_those_of_the_own_loop_with_a_seed_for_each_batch():
    model, data = MODELS["dropout"](), batches()
    widget = LandscapeWidget(model, data, resolution=1, alpha=(0, 0), beta=(0, 0))
    found = widget.wait(60).loss.item()
    seeds = [batch.seed for batch in build_problem(model, data).all_batches]
    total = n = 0.0
    for (x, y), seed in zip(data, seeds, strict=True):
        torch.manual_seed(seed)
        total += float(functional.cross_entropy(model(x), y, reduction="sum"))
        n += len(x)
    assert found == pytest.approx(total / n, rel=1e-6)
    widget.close()


@pytest.mark.parametrize("name", ["dropout", "noise"])
def test_several_draws_and_points_between(name):
    model = MODELS[name]()
    torch.manual_seed(1)
    wanted = [torch.rand(2) for _ in range(EACH_CELL)]
    torch.manual_seed(1)
    widget = LandscapeWidget(model, batches(), draws=3, **OPTIONS)
    answer = widget._inspect(0.1, 0.2)
    found = [torch.rand(2) for _ in range(EACH_CELL)]
    values = answer.result(120)
    live = widget.wait(120)
    assert all(map(torch.equal, found, wanted))
    assert np.isfinite(values["lambda_max"])
    blocking = loss_surface(model, batches(), progress=False, draws=3, **OPTIONS)
    np.testing.assert_array_equal(live.loss, blocking.loss)
    widget.close()


@pytest.mark.parametrize("name", OTHERS)
def test_generators_that_cannot_be_replaced_are_left_to_the_blocking_call(name):
    model = OTHERS[name]()
    with pytest.raises(ValueError, match=r"draws random numbers with torch on the CPU alone, .*; use loss_surface"):
        LandscapeWidget(model, batches())
    one, two = (loss_surface(model, batches(), resolution=3, progress=False) for _ in range(2))
    np.testing.assert_array_equal(one.loss, two.loss)
