"""A close look at one point: what it is made of, and what is left when something fails."""

from __future__ import annotations

import numpy as np
import pytest
from support.problems import make_evaluator, make_problem
from support.reference import batches_of, network

from lljupyter.geometry.plane import random_plane
from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.hessian.inspect import inspector

POINT = (0.3, -0.7)


class StopLooking(Exception):
    pass


def on_plane(evaluator):
    evaluator.set_plane(random_plane(make_problem(network(), batches_of(8)).center, 3))


def no_tick():
    pass


def test_the_answer_is_the_loss_and_the_eigenvalues_of_the_point():
    losses = make_evaluator(network(), batches_of(8))
    hessian_evaluator = HessianEvaluator(losses.problem)
    answer = inspector(losses, lambda: hessian_evaluator)(on_plane, *POINT, no_tick)
    on_plane(losses)
    assert (answer["alpha"], answer["beta"]) == POINT
    for name, values in losses.evaluate(np.array([POINT])).items():
        assert answer[name] == values[0]
    hessian_evaluator.leave_plane()  # and with it, where the last search for eigenvalues ended
    on_plane(hessian_evaluator)
    for name, value in hessian_evaluator.inspect(*POINT).items():
        assert answer[name] == pytest.approx(value, rel=1e-9)
    assert "error" not in answer


def test_the_evaluator_of_the_hessian_is_made_when_it_is_needed_first_and_only_once():
    made = []

    def hessian_evaluator():
        made.append(HessianEvaluator(losses.problem))
        return made[-1]

    losses = make_evaluator(network(), batches_of(8))
    look = inspector(losses, hessian_evaluator)
    assert not made
    for _ in range(2):
        look(on_plane, *POINT, no_tick)
    assert len(made) == 1


@pytest.mark.parametrize(("with_losses", "with_hessian"), [(True, False), (False, True)])
def test_either_part_can_be_left_out(with_losses, with_hessian):
    losses = make_evaluator(network(), batches_of(8))
    look = inspector(
        losses if with_losses else None, (lambda: HessianEvaluator(losses.problem)) if with_hessian else None
    )
    answer = look(on_plane, *POINT, no_tick)
    assert ("loss" in answer, "lambda_max" in answer) == (with_losses, with_hessian)


def test_what_is_known_before_a_failure_is_kept_and_the_reason_is_given():
    def hessian_evaluator():
        raise ValueError("expected a loss that can be differentiated twice")

    losses = make_evaluator(network(), batches_of(8))
    answer = inspector(losses, hessian_evaluator)(on_plane, *POINT, no_tick)
    assert answer["loss"] > 0
    assert answer["error"] == "expected a loss that can be differentiated twice"


@pytest.mark.parametrize("n", [1, 3, 8])
def test_what_the_tick_raises_abandons_the_point(n):
    left = [n]

    def tick():
        left[0] -= 1
        if not left[0]:
            raise StopLooking

    losses = make_evaluator(network(), batches_of(8))
    with pytest.raises(StopLooking):
        inspector(losses, lambda: HessianEvaluator(losses.problem))(on_plane, *POINT, tick)
