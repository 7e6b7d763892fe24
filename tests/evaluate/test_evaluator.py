"""What a session drives: the strategy in use, the plane, and what is done when something fails."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from support.problems import make_evaluator
from support.reference import batches_of, grid_points, network
from torch import nn

from lljupyter.geometry.parameters import hash_tensors
from lljupyter.geometry.plane import random_plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.problem.batches import tensors_of

POINTS = grid_points([-1, 0, 1], [-0.5, 0.5])


class Broken:
    label, reduced, group = "broken", False, 1

    def set_plane(self, moving):
        pass

    def halve_batches(self):
        return False

    def evaluate(self, points, tick):
        raise ArithmeticError("too far")


def test_a_strategy_that_fails_later_gives_way_to_the_plain_one_and_that_is_reported():
    evaluator = make_evaluator(network(), batches_of(8))
    evaluator.set_plane(random_plane(evaluator.problem.center, 0))
    expected = evaluator.evaluate(POINTS)["loss"]
    evaluator.strategy = Broken()
    np.testing.assert_array_equal(evaluator.evaluate(POINTS)["loss"], expected)
    assert evaluator.label == "plain"
    assert evaluator.report()["evaluation_fallback"] == "broken: ArithmeticError: too far"


class Tight(nn.Module):
    """Runs out of memory with more than three samples at once."""

    def __init__(self):
        super().__init__()
        self.inner = network()

    def forward(self, x):
        if len(x) > 3:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.inner(x)


def test_too_little_memory_halves_the_batch_and_says_so():
    plain = make_evaluator(network(), batches_of(8))
    plain.set_plane(random_plane(plain.problem.center, 0))
    expected = plain.evaluate(POINTS)
    evaluator = make_evaluator(Tight(), batches_of(8))
    plane = random_plane(evaluator.problem.center, 0)
    evaluator.set_plane(plane)
    values = evaluator.evaluate(POINTS)
    np.testing.assert_allclose(values["loss"], expected["loss"], rtol=1e-12)
    np.testing.assert_array_equal(values["accuracy"], expected["accuracy"])
    assert evaluator.report()["evaluation_halved"] == 2


def test_too_little_memory_for_one_sample_is_an_error():
    class Never(Tight):
        armed = False

        def forward(self, x):
            if self.armed:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return self.inner(x)

    evaluator = make_evaluator(Never(), batches_of(8))
    evaluator.set_plane(random_plane(evaluator.problem.center, 0))
    evaluator.plain.model.armed = True
    with pytest.raises(RuntimeError, match="out of memory"):
        evaluator.evaluate(POINTS)


def bytes_of_tensors() -> int:
    kept = [t for t in gc.get_objects() if type(t) in (torch.Tensor, nn.Parameter)]
    tensors = [t for t in kept if t.layout == torch.strided]  # other tests leave sparse ones
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def test_the_plain_path_keeps_four_copies_of_the_parameters_and_the_data():
    model, data = nn.Sequential(nn.Flatten(), nn.Linear(25, 40_000), nn.Linear(40_000, 4)).double(), batches_of(8)
    size = sum(parameter.nbytes for parameter in model.parameters())
    gc.collect()
    before = bytes_of_tensors()
    evaluator = make_evaluator(model, data)
    evaluator.set_plane(random_plane(evaluator.problem.center, 0, ignore=None))
    evaluator.evaluate(POINTS)
    gc.collect()
    kept = bytes_of_tensors() - before
    assert size < kept <= 4 * size + sum(x.nbytes + y.nbytes for x, y in data) + 1000


def test_nothing_writes_into_a_problem():
    evaluator = make_evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    problem = evaluator.problem
    fields = dict(vars(problem))
    before = hash_tensors([*problem.model.state_dict().items(), *numbered(problem.all_batches)])
    plane = random_plane(problem.center, 0)
    evaluator.set_plane(plane)
    values = evaluator.evaluate(POINTS)
    while evaluator.is_ready(1e9, True):
        evaluator.tune(POINTS, values, lambda: None)
    evaluator.evaluate_states({name: theta + 1 for name, theta in problem.center.items()})
    evaluator.plain.gradient()
    hessian_evaluator = HessianEvaluator(problem)
    hessian_evaluator.set_plane(plane)
    hessian_evaluator.evaluate(POINTS[:1])
    assert hash_tensors([*problem.model.state_dict().items(), *numbered(problem.all_batches)]) == before
    assert {name: id(value) for name, value in vars(problem).items()} == {n: id(v) for n, v in fields.items()}
    assert not problem.model.training
    assert not any(parameter.requires_grad for parameter in problem.model.parameters())


def numbered(batches):
    return [(str(i), tensor) for i, batch in enumerate(batches) for tensor in tensors_of((batch.inputs, batch.targets))]
