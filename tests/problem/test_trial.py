"""Models and losses for which a sample, or a batch, can't be taken for itself, and what follows from it."""

from __future__ import annotations

from queue import SimpleQueue

import numpy as np
import pytest
import torch
from support.problems import make_evaluator, make_problem
from support.reference import batches_of, linear
from torch import nn
from torch.nn import functional

from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.plain import Plain
from lljupyter.geometry.plane import random_plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.problem.quantities import is_plain

CENTER = np.zeros((1, 2))


class Net(nn.Module):
    def __init__(self, *, in_place=False, statistics=False, draws=False):
        super().__init__()
        n_inputs = batches_of(8)[0][0][0].numel()
        self.first, self.second = linear(n_inputs, 5), linear(5, 4)
        self.norm = nn.BatchNorm1d(5, track_running_stats=False).double() if statistics else nn.Identity()
        self.in_place, self.draws = in_place, draws

    def forward(self, x):
        x = (x.mul_(2) if self.in_place else x * 2).flatten(1)
        x = torch.tanh(self.norm(self.first(x)))
        return self.second(functional.dropout(x, 0.5, self.draws))


def made(**options):
    torch.manual_seed(0)
    evaluator = make_evaluator(Net(**options), batches_of(8))
    evaluator.set_plane(random_plane(evaluator.problem.center, 0))
    return evaluator


def test_a_model_that_changes_its_inputs_gets_the_same_ones_every_time():
    expected = made().evaluate(CENTER)["loss"]
    evaluator = made(in_place=True)
    assert evaluator.problem.conditions.changes_inputs
    assert not made().problem.conditions.changes_inputs
    for _ in range(2):
        np.testing.assert_allclose(evaluator.evaluate(CENTER)["loss"], expected, rtol=1e-12)
    with HessianEvaluator(evaluator.problem).hessian_at(0.0) as hessian:
        assert hessian.loss == pytest.approx(expected[0], rel=1e-12)
    with pytest.raises(ValueError, match="changes its inputs"):
        Folded(evaluator.problem)
    np.testing.assert_allclose(evaluator.evaluate(CENTER)["loss"], expected, rtol=1e-12)


class Lonely(Net):
    """Can't take several samples at once."""

    def forward(self, x):
        assert len(x) == 1
        return super().forward(x)


@pytest.mark.parametrize(("net", "joined"), [(Net, True), (Lonely, False)])
def test_samples_that_come_one_by_one_are_joined_where_that_changes_nothing(net, joined):
    torch.manual_seed(0)
    evaluator = make_evaluator(net(), batches_of(1))
    evaluator.set_plane(random_plane(evaluator.problem.center, 0))
    assert evaluator.problem.per_sample == joined
    strategy = Folded(evaluator.problem) if joined else Plain(evaluator.problem)
    strategy.set_plane(evaluator.moving)
    points = np.array([[0.0, 0.0], [0.3, -0.7]])
    expected = made().evaluate(points)
    for name, values in strategy.evaluate(points, lambda: None).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12)


def test_samples_that_come_one_by_one_and_depend_on_each_other_are_not_joined():
    class Centered(Net):
        def forward(self, x):
            return super().forward(x - x.mean(0) / 2)

    assert not make_problem(Centered(), batches_of(1)).per_sample
    means = make_problem(
        Net(), batches_of(1), loss_fn=lambda outputs, targets: functional.cross_entropy(outputs, targets)
    )
    assert not means.per_sample


@pytest.mark.parametrize("options", [{"statistics": True}, {"draws": True}], ids=["batch statistics", "dropout"])
def test_batches_are_kept_where_samples_depend_on_each_other(options):
    assert made().problem.per_sample
    evaluator = made(**options)
    assert not evaluator.problem.per_sample
    hessian_evaluator = HessianEvaluator(evaluator.problem)
    assert len(hessian_evaluator._factory.batches) == len(evaluator.problem.all_batches)
    with hessian_evaluator.hessian_at(0.0) as hessian:
        assert hessian.loss == pytest.approx(float(evaluator.evaluate(CENTER)["loss"][0]), rel=1e-12)


def test_products_of_a_model_that_draws_are_those_of_one_function():
    hessian_evaluator = HessianEvaluator(made(draws=True).problem)
    hessian_evaluator._factory.n_kept = 0
    with hessian_evaluator.hessian_at(0.0) as hessian:
        first, second = (hessian.product(hessian_evaluator._noise) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_second_derivatives_that_are_not_finite_are_a_result():
    class Rough(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 4)
            nn.init.zeros_(self.layer.weight)
            nn.init.zeros_(self.layer.bias)

        def forward(self, x):
            return self.layer(x).abs().pow(1.5)

    torch.manual_seed(0)
    hessian_evaluator = HessianEvaluator(make_problem(Rough(), [(torch.rand(6, 3).double(), torch.arange(6) % 4)]))
    with hessian_evaluator.hessian_at(None) as hessian:
        assert bool(torch.isfinite(hessian.gradient).all())
        assert hessian_evaluator.ends(hessian) is None


def test_products_are_exact_for_checkpoints_gradients_and_hessians():
    seen = SimpleQueue()  # a list would be put back after every call

    def loss_fn(outputs, targets):
        seen.put(torch.get_float32_matmul_precision())
        return functional.cross_entropy(outputs, targets)

    evaluator = make_evaluator(Net(), batches_of(8), loss_fn=loss_fn)
    n_before = seen.qsize()
    torch.set_float32_matmul_precision("medium")
    try:
        evaluator.evaluate_states({})
        evaluator.plain.gradient()
        with HessianEvaluator(evaluator.problem).hessian_at(None):
            pass
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen.qsize() > n_before
    assert {seen.get() for _ in range(seen.qsize())} == {"highest"}


def test_cross_entropy_that_leaves_a_class_out_is_not_plain():
    batches = make_problem(Net(), batches_of(8)).all_batches
    assert is_plain(nn.CrossEntropyLoss(), batches)
    assert is_plain(nn.CrossEntropyLoss(ignore_index=77), batches)
    assert not is_plain(nn.CrossEntropyLoss(ignore_index=0), batches)


@pytest.mark.parametrize("loss_fn", [None, functional.cross_entropy, nn.CrossEntropyLoss(reduction="sum")])
def test_a_whole_batch_runs_through_the_model_twice_at_most(loss_fn):
    seen: SimpleQueue[int] = SimpleQueue()  # is not taken for something that is kept
    model = nn.Sequential(nn.Linear(4, 3))
    model.register_forward_hook(lambda module, inputs, outputs: seen.put(len(outputs)))
    x, y = torch.randn(600, 4), torch.randint(0, 3, (600,))
    make_problem(model, [(x[:300], y[:300]), (x[300:], y[300:])], loss_fn=loss_fn)
    sizes = [seen.get() for _ in range(seen.qsize())]
    assert sizes.count(300) == 1
    assert sum(sizes) <= 2 * 300 + 150
