"""The order of tasks, and what their results lead to."""

from __future__ import annotations

import numpy as np
import pytest
from support.reference import make_request

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.geometry.projection import ProjectedTrajectory
from lljupyter.session.ledger import EarlierPoints
from lljupyter.session.schedule import Schedule
from lljupyter.session.sources.checkpoint_losses import CheckpointLosses
from lljupyter.session.sources.preview import Samples
from lljupyter.session.sources.rounds import Round
from lljupyter.session.tasks import CheckpointValues, PointValues, PreviewValues, StrategyUsed, Tuned

NAMES, FURTHER = ["loss", "loss_stderr"], ["hvps"]
PLAIN, FAST = StrategyUsed("plain", False, {"evaluation": "plain"}), StrategyUsed("fast", False, {"evaluation": "fast"})


class Named:
    """A checkpoint that is not read."""

    def __init__(self, label):
        self.label = label

    def metadata(self):
        return {}


def make(request=None, **options):
    return Schedule(NAMES, ["loss"], make_request(0, 5, 5) if request is None else request, **options)


def checkpoint_losses(n=3):
    path = ProjectedTrajectory(np.zeros(n), np.zeros(n), np.zeros(n), 1.0, np.zeros(n))
    return CheckpointLosses([Named(str(k)) for k in range(n)], path, NAMES)


def begin(schedule, request):
    schedule.begin(request, coarse_to_fine(request.alpha, request.beta))


def claim(schedule, n=4):
    return schedule.claim(lambda pace: n)


def kind(task):
    return type(task).__name__


def result_of(task, strategy=None, seconds=1.0):
    if kind(task) == "EvaluatePoints":
        alpha, beta = task.request.points(task.cells).T
        names = [NAMES, FURTHER][task.stage]
        return PointValues(dict.fromkeys(names, alpha + 10 * beta), seconds, strategy)
    if kind(task) == "EvaluateCheckpoint":
        return CheckpointValues({name: np.array([task.index]) for name in NAMES})
    if kind(task) == "EvaluatePreview":
        return PreviewValues({}, {name: np.zeros(1) for name in NAMES}, 10, seconds)
    raise AssertionError(kind(task))


def run(schedule):
    """Completes task after task; returns their kinds."""
    kinds = set()
    while (task := claim(schedule)) is not None:
        kinds.add(kind(task))
        schedule.complete(task, result_of(task))
    assert schedule.is_idle
    return kinds


def test_checkpoints_follow_the_coarsest_pass_and_the_second_stage_everything():
    schedule = make(checkpoint_losses=checkpoint_losses(), further=[FURTHER])
    order = []
    while (task := claim(schedule, 100)) is not None:
        order.append((kind(task), getattr(task, "index", None), len(getattr(task, "cells", ()))))
        schedule.complete(task, result_of(task))
    checkpoints = [("EvaluateCheckpoint", index, 0) for index in (2, 0, 1)]  # the ends of the run first
    assert order[:5] == [("EvaluatePoints", None, 9), *checkpoints, ("EvaluatePoints", None, 16)]
    assert order[5:] == [("EvaluatePoints", None, 1)] * 25
    assert schedule.counts() == (50, 50)


def test_the_second_stage_waits_for_points_that_are_in_flight():
    schedule = make(further=[FURTHER])
    tasks = [claim(schedule) for _ in range(7)]
    assert {task.stage for task in tasks} == {0}
    assert claim(schedule) is None
    assert not schedule.is_idle
    for task in tasks[1:]:
        schedule.complete(task, result_of(task))
    assert claim(schedule) is None
    schedule.release(tasks[0])
    again = claim(schedule)
    assert again.cells == tasks[0].cells
    schedule.complete(again, result_of(again))
    assert claim(schedule).stage == 1


def test_checkpoints_wait_for_the_coarsest_pass_and_are_claimed_again_when_lost():
    schedule = make(checkpoint_losses=checkpoint_losses(2))
    first = claim(schedule, 9)
    assert kind(claim(schedule)) == "EvaluatePoints"
    schedule.complete(first, result_of(first))
    last, other = claim(schedule), claim(schedule)
    assert (last.index, other.index) == (1, 0)
    schedule.release(last)
    again = claim(schedule)
    assert again.index == 1
    schedule.complete(again, result_of(again))
    schedule.complete(other, result_of(other))
    np.testing.assert_array_equal(schedule.trajectory().values["loss"], [0, 1])
    begin(schedule, make_request(8))
    assert schedule.trajectory() is None


def test_results_of_claims_that_are_over_change_nothing():
    schedule = make()
    task = claim(schedule)
    result = result_of(task)
    assert schedule.complete(task, result) == "some"
    seconds = schedule.seconds
    assert schedule.complete(task, result) is None
    schedule.release(task)
    assert (schedule.seconds, schedule.counts()) == (seconds, (4, 25))
    lost = claim(schedule)
    schedule.release(lost)
    assert schedule.complete(lost, result_of(lost)) is None
    assert schedule.counts() == (4, 25)


def test_a_pass_is_news_and_so_is_the_time_left():
    schedule = make()
    assert schedule.remaining() is None
    news = []
    while (task := claim(schedule)) is not None:
        news.append(schedule.complete(task, result_of(task, seconds=2.0)))
        if len(news) == 1:
            assert schedule.remaining() == pytest.approx(0.5 * 21)
    assert news == ["some", "some", "pass", "some", "some", "some", "pass"]
    assert (schedule.remaining(), schedule.seconds) == (0, 14)


def test_time_that_a_former_surface_took_does_not_count():
    schedule = make()
    task = claim(schedule)
    begin(schedule, make_request(1))
    schedule.complete(task, result_of(task))
    assert schedule.seconds == 0
    begin(schedule, make_request(0, 5, 5))
    assert schedule.counts()[0] == 4  # but its points are known


def test_a_preview_comes_first_if_the_coarsest_pass_is_slow():
    schedule = make()
    schedule.preview_samples = Samples(1000, 1 / 64)
    task = claim(schedule)
    assert (kind(task), task.cell, task.low) == ("EvaluatePreview", (2, 2), 0.0)
    points = claim(schedule)
    assert kind(points) == "EvaluatePoints"  # one at a time; the points do not wait for it
    schedule.release(points)
    schedule.release(task)
    again = claim(schedule)
    assert (kind(again), again.cell) == ("EvaluatePreview", (2, 2))
    schedule.complete(again, None)  # it failed
    assert schedule.preview() is None
    assert run(schedule) == {"EvaluatePoints"}


def test_a_preview_of_a_former_surface_is_not_drawn_on_this_one():
    schedule = make()
    schedule.preview_samples = Samples(1000, 1 / 64)
    tasks = []
    while schedule.preview() is None:
        tasks.append(claim(schedule))
        schedule.complete(tasks[-1], result_of(tasks[-1]))
    task = claim(schedule)
    begin(schedule, make_request(1))
    assert schedule.preview() is None
    schedule.complete(task, result_of(task))
    assert (schedule.preview(), schedule.seconds) == (None, 0)


def test_a_refinement_waits_for_all_points_and_is_done_once_at_a_time():
    schedule = make(make_request(0, 31, 31), tolerance=0.01, further=[FURTHER])
    tasks = []
    while (task := claim(schedule, 9)) is not None:
        tasks.append(task)
    for task in tasks[1:]:
        schedule.complete(task, result_of(task))
    assert claim(schedule) is None
    schedule.complete(tasks[0], result_of(tasks[0]))
    refine = claim(schedule)
    assert kind(refine) == "Refine"
    assert claim(schedule) is None
    schedule.release(refine)
    refine = claim(schedule)
    predicted = {"loss": np.ones((31, 31))}
    result = Round(False, predicted, {"n_held_back": 1}, [(1, 1), (3, 3)], [(3, 3)], refine.generator)
    assert schedule.complete(refine, result) is None
    points = claim(schedule, 9)
    assert points.cells == ((1, 1), (3, 3))
    assert schedule.may_end_early()
    schedule.complete(points, result_of(points))
    refine = claim(schedule)
    assert refine.held == ((3, 3),)
    schedule.complete(refine, Round(True, predicted, {}, [], [(3, 3)], refine.generator))
    assert not schedule.may_end_early()
    assert schedule.refinement.attributes == {"tolerance": 0.01, "n_held_back": 1}
    assert claim(schedule).stage == 1


def test_a_round_of_a_former_surface_adds_nothing_to_this_one():
    schedule = make(make_request(0, 31, 31), tolerance=0.01)
    while kind(task := claim(schedule, 100)) != "Refine":
        schedule.complete(task, result_of(task))
    begin(schedule, make_request(1, 31, 31))
    left = len(schedule.points.coarse_left())
    schedule.complete(task, Round(False, {}, {}, [(1, 1)], [], task.generator))
    assert schedule.refinement.attributes == {"tolerance": 0.01}
    assert len(schedule.points.coarse_left()) == left
    assert (1, 1) not in claim(schedule, 100).cells


def test_strategies_are_tried_after_each_chunk_until_the_choice_is_settled():
    schedule = make(make_request(0, 9, 9), tunes=True)
    task = claim(schedule)
    schedule.complete(task, result_of(task, PLAIN))
    assert schedule.attributes == {"evaluation": "plain"}
    attempt = claim(schedule)
    assert kind(attempt) == "TryStrategy"
    np.testing.assert_array_equal(attempt.points, task.request.points(task.cells))
    np.testing.assert_array_equal(attempt.values["loss"], result_of(task).values["loss"])
    assert (attempt.remaining, attempt.coarse) == (pytest.approx(77 / 4), False)
    assert schedule.complete(attempt, Tuned(False, FAST)) is None
    assert schedule.attributes == {"evaluation": "fast"}
    second = claim(schedule, 5)
    schedule.complete(second, result_of(second, FAST))
    attempt = claim(schedule)
    assert attempt.coarse
    schedule.complete(attempt, Tuned(True, FAST))
    again = claim(schedule, 100)
    assert again.cells == task.cells  # what the plain strategy evaluated, and nothing else
    schedule.complete(again, result_of(again, FAST))
    kinds = []
    while (task := claim(schedule, 100)) is not None:
        kinds.append(kind(task))
        schedule.complete(task, Tuned(True, FAST) if kind(task) == "TryStrategy" else result_of(task, FAST))
    assert kinds == ["TryStrategy", "EvaluatePoints"] * 2 + ["TryStrategy"]


def test_restored_points_of_both_stages_are_known():
    schedule, whole = make(further=[FURTHER]), make(further=[FURTHER])
    run(whole)
    evaluated = np.arange(25).reshape(5, 5) % 2 == 0
    first = {name: whole.values()[name] for name in NAMES}
    none = np.zeros_like(evaluated)
    second = {"hvps": whole.values()["hvps"]}
    schedule.restore([EarlierPoints(first, evaluated, none), EarlierPoints(second, evaluated, none)])
    assert schedule.counts()[0] == 2 * evaluated.sum()
    run(schedule)
    for name, values in whole.values().items():
        np.testing.assert_array_equal(schedule.values()[name], values)
    assert schedule.center() == {"loss": 0.0, "loss_stderr": 0.0, "hvps": 0.0}


@pytest.mark.parametrize("n_failed", [4, 5])
def test_more_than_half_of_the_coarsest_pass_failing_is_an_error_that_comes_once(n_failed):
    schedule = make()
    task = claim(schedule, 9)
    result = result_of(task)._replace(reasons={k: f"error {k}" for k in range(1, 1 + n_failed)})
    if n_failed == 4:
        schedule.complete(task, result)
    else:
        with pytest.raises(
            RuntimeError, match=r"an error at 5 of the 9 points of the coarsest pass, at first error 1; "
        ):
            schedule.complete(task, result)
    failed, reason = schedule.failures()
    assert (failed.sum(), reason) == (n_failed, "error 1")
    task = claim(schedule, 9)
    schedule.complete(task, result_of(task)._replace(reasons={0: "later"}))
    assert schedule.failures()[0].sum() == n_failed + 1
    begin(schedule, make_request(1, 5, 5))
    task = claim(schedule, 9)
    with pytest.raises(RuntimeError, match="an error at 8 of the 9 points"):
        schedule.complete(task, result_of(task)._replace(reasons=dict.fromkeys(range(8), "no")))
