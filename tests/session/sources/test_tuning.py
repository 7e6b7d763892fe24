from __future__ import annotations

import numpy as np
import pytest
from support.reference import make_request

from lljupyter.session.sources.tuning import N_KNOWN, Tuning
from lljupyter.session.tasks import EvaluatePoints, StrategyUsed, Tuned

PLAIN, FAST, REDUCED = (StrategyUsed(label, label == "reduced", {}) for label in ("plain", "fast", "reduced"))


def record(tuning, request, cells, strategy=PLAIN):
    task = EvaluatePoints(request, cells)
    tuning.record(task, {"loss": request.points(cells).sum(1)}, strategy)
    return task


def claim(tuning, request):
    return tuning.claim(request, 5.0, False)


def test_there_is_one_attempt_for_each_chunk_on_points_of_exact_strategies():
    tuning, request = Tuning(), make_request()
    assert claim(tuning, request) is None
    record(tuning, request, [(0, 0), (0, 1)])
    first = claim(tuning, request)
    assert claim(tuning, request) is None
    tuning.complete(first, Tuned(False, REDUCED))
    assert claim(tuning, request) is None
    record(tuning, request, [(1, 0)], REDUCED)
    second = claim(tuning, request)
    assert len(second.points) == 2
    np.testing.assert_array_equal(second.values["loss"], second.points.sum(1))


def test_enough_points_are_enough():
    tuning, request = Tuning(), make_request(0, 9, 9)
    for row in range(9):
        record(tuning, request, [(row, column) for column in range(5)])
    assert N_KNOWN <= len(claim(tuning, request).points) < N_KNOWN + 5


def test_a_lost_attempt_is_made_again():
    tuning, request = Tuning(), make_request()
    record(tuning, request, [(0, 0)])
    lost = claim(tuning, request)
    tuning.release(lost)
    again = claim(tuning, request)
    assert again is not lost
    assert tuning.complete(lost, Tuned(True, FAST)) == []
    assert tuning.complete(again, Tuned(True, FAST)) == [(0, 0)]


def test_what_another_strategy_evaluated_is_evaluated_again_once_the_choice_is_settled():
    tuning, request = Tuning(), make_request()
    record(tuning, request, [(0, 0), (0, 1)])
    assert tuning.complete(claim(tuning, request), Tuned(False, FAST)) == []
    record(tuning, request, [(1, 1)], FAST)
    assert tuning.complete(claim(tuning, request), Tuned(True, FAST)) == [(0, 0), (0, 1)]
    record(tuning, request, [(2, 2)], FAST)
    assert tuning.complete(claim(tuning, request), Tuned(True, FAST)) == []


@pytest.mark.parametrize(("request_now", "again"), [(make_request(0, 9, 9), []), (make_request(1), [])])
def test_points_of_a_former_surface_are_left_alone(request_now, again):
    tuning, before = Tuning(), make_request()
    record(tuning, before, [(0, 0)])
    record(tuning, request_now, [(3, 3)], FAST)
    attempt = claim(tuning, request_now)
    assert len(attempt.points) == (2 if request_now.seed == before.seed else 1)  # of this plane
    assert tuning.complete(attempt, Tuned(True, FAST)) == again


def test_points_of_another_plane_are_no_reason_to_try_anything():
    tuning = Tuning()
    record(tuning, make_request(0), [(0, 0)])
    assert claim(tuning, make_request(1)) is None
    assert claim(tuning, make_request(0)) is not None


def test_strategies_are_not_tried_on_points_that_failed():
    tuning, request = Tuning(), make_request()
    task = EvaluatePoints(request, [(0, 0), (0, 1), (0, 2)])
    tuning.record(task, {"loss": np.array([1.0, np.nan, 3.0])}, PLAIN, {1: "why"})
    attempt = claim(tuning, request)
    np.testing.assert_array_equal(attempt.points, request.points([(0, 0), (0, 2)]))
    np.testing.assert_array_equal(attempt.values["loss"], [1.0, 3.0])
    assert tuning.complete(attempt, Tuned(True, FAST)) == [(0, 0), (0, 1), (0, 2)]
    other = Tuning()
    other.record(EvaluatePoints(request, [(0, 0)]), {"loss": np.array([np.nan])}, PLAIN, {0: "why"})
    assert claim(other, request) is None
