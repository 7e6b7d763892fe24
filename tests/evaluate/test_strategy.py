"""What all strategies share: what moves on a plane, halving where memory is short, and interruptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.problems import make_problem
from support.reference import batches_of, grid_points, network

from lljupyter.evaluate.strategy import Interruptible, check_evaluation, evaluate_with, moving_on
from lljupyter.geometry.plane import Plane, random_plane

POINTS = grid_points([-1, 0], [-0.5, 0.5])


class Tight:
    """Has memory for fewer points at once than it is asked for, until it was halved often enough."""

    label, group = "tight", 4

    def __init__(self, halvings, reduced=False, error=None):
        self.left, self.reduced = halvings, reduced
        self.error = error or torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.precision = ""

    def set_plane(self, moving):
        pass

    def halve_batches(self):
        self.left -= 1
        return self.left >= 0

    def evaluate(self, points, tick):
        self.precision = torch.get_float32_matmul_precision()
        if self.left:
            raise self.error
        return {"loss": points[:, 0]}


def test_what_does_not_move_is_left_out():
    problem = make_problem(network(), batches_of(8))
    plane = random_plane(problem.center, 0)  # leaves biases and BatchNorm where they are
    moving = moving_on(plane, problem)
    assert set(moving) == {name for name, delta in plane.delta.items() if bool(delta.any())} < set(problem.center)
    for name, (theta, delta, eta) in moving.items():
        assert theta is problem.states[name]
        assert torch.equal(delta, plane.delta[name])
        assert torch.equal(eta, plane.eta[name])


def test_what_moves_along_one_direction_only_moves():
    problem = make_problem(network(), batches_of(8))
    zeros = {name: torch.zeros_like(theta) for name, theta in problem.center.items()}
    ones = zeros | {"5.bias": torch.ones_like(zeros["5.bias"])}
    assert list(moving_on(Plane(problem.center, zeros, ones), problem)) == ["5.bias"]


def test_directions_are_brought_to_the_precision_of_the_model():
    problem = make_problem(network(torch.float32), batches_of(8, dtype=torch.float32))
    wide = {name: torch.ones_like(theta).double() for name, theta in problem.center.items()}
    moving = moving_on(Plane(problem.center, wide, wide), problem)
    assert {part.dtype for parts in moving.values() for part in parts} == {torch.float32}


@pytest.mark.parametrize("halvings", [0, 1, 3])
def test_batches_are_halved_until_there_is_enough_memory(halvings):
    values, n_halved = evaluate_with(Tight(halvings), POINTS, lambda: None)
    np.testing.assert_array_equal(values["loss"], POINTS[:, 0])
    assert n_halved == halvings


def test_other_errors_and_memory_that_never_suffices_pass_through():
    with pytest.raises(RuntimeError, match="expected scalar type Float"):
        evaluate_with(Tight(1, error=RuntimeError("expected scalar type Float")), POINTS, lambda: None)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        evaluate_with(Tight(-1), POINTS, lambda: None)


@pytest.mark.parametrize(("reduced", "precision"), [(False, "highest"), (True, "medium")])
def test_products_are_exact_unless_the_strategy_is_reduced(reduced, precision):
    strategy = Tight(0, reduced)
    torch.set_float32_matmul_precision("medium")
    try:
        evaluate_with(strategy, POINTS, lambda: None)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert strategy.precision == precision


def test_an_interruption_is_told_from_a_failure():
    interruption = KeyError("enough")

    def tick():
        raise interruption

    interruptible = Interruptible(tick)
    with pytest.raises(KeyError, match="enough"):
        interruptible()
    assert interruptible.interruption is interruption
    quiet = Interruptible(lambda: None)
    quiet()
    assert quiet.interruption is None


def test_unknown_strategies_are_refused():
    check_evaluation("plain")
    with pytest.raises(ValueError, match=r"expected evaluation as one of .*, got 'quick'; 'fastest' chooses by timing"):
        check_evaluation("quick")
