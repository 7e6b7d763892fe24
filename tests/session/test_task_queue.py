"""What threads share: claims, staleness, points to inspect, and failures."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError

import pytest
from support.reference import PATIENCE, RECIPE, FakeEvaluator, make_request

from lljupyter.session.engine import Engine
from lljupyter.session.schedule import Schedule
from lljupyter.session.task_queue import TaskQueue
from lljupyter.session.tasks import Interrupted


def no_tick():
    pass


no_tick.waited = 0.0
ENGINE = Engine([FakeEvaluator()], lambda seed: seed, inspect=lambda on_plane, alpha, beta, tick: {"alpha": alpha})


@pytest.fixture
def queue():
    return TaskQueue(Schedule(["loss", "loss_stderr"], ["loss"], make_request()), RECIPE, ["loss"])


def claim(queue, n=4):
    return queue.claim(lambda pace: n)


def do(queue, task):
    queue.complete(task, task.run(ENGINE, no_tick))
    queue.task_finished(task)


def test_a_surface_is_done_when_nothing_is_left_and_nothing_in_flight(queue):
    tasks = []
    while (task := claim(queue)) is not None:
        tasks.append(task)
    assert queue.snapshot().status == "running"
    for task in tasks:
        do(queue, task)
    assert queue.snapshot().status == "running"
    assert claim(queue) is None
    assert queue.snapshot().status == "done"


def test_a_task_that_ends_without_a_result_is_claimed_again(queue):
    task = claim(queue)
    queue.task_finished(task)
    again = claim(queue)
    assert again is not task
    assert again.cells == task.cells
    do(queue, task)  # a late result changes nothing
    assert queue.snapshot().n_done == 0
    do(queue, again)
    assert queue.snapshot().n_done == 4


@pytest.mark.parametrize("change", ["stop", "close", "request", "inspect"])
def test_a_task_is_stale_after(queue, change):
    task = claim(queue)
    assert queue.raise_if_stale(task) == 0
    if change == "stop":
        queue.change("stopped", when=("running",))
    elif change == "close":
        queue.close()
    elif change == "request":
        queue.request(make_request(1))
    else:
        queue.inspect(0.0, 0.0)
    with pytest.raises(Interrupted):
        queue.raise_if_stale(task)


def test_a_task_waits_while_paused_and_says_how_long(queue):
    task = claim(queue)
    queue.change("paused", when=("running",))
    threading.Timer(0.1, lambda: queue.change("running", when=("paused",))).start()
    assert 0.05 < queue.raise_if_stale(task) < PATIENCE


def test_a_point_is_inspected_first_also_after_a_stop(queue):
    queue.change("stopped", when=("running",))
    answer = queue.inspect(0.25, 0.5)
    task = claim(queue)
    assert (task.alpha, task.beta, task.request.seed) == (0.25, 0.5, 0)
    assert queue.raise_if_stale(task) == 0  # a stop does not concern it
    do(queue, task)
    assert answer.result(0) == {"alpha": 0.25}
    assert claim(queue) is None
    assert queue.snapshot().status == "stopped"


def test_a_point_is_inspected_on_the_plane_that_was_shown_when_it_was_asked_for(queue):
    queue.inspect(0.25, 0.5)
    queue.request(make_request(1))
    assert claim(queue).request.seed == 0


def test_another_point_cancels_the_one_before(queue):
    first, second = queue.inspect(0.0, 0.0), queue.inspect(1.0, 0.0)
    assert first.cancelled()
    task = claim(queue)
    third = queue.inspect(2.0, 0.0)
    with pytest.raises(Interrupted):
        queue.raise_if_stale(task)
    assert not second.done()
    queue.task_finished(task)
    assert second.cancelled()
    do(queue, claim(queue))
    assert third.result(0) == {"alpha": 2.0}


def test_nobody_waits_for_an_answer_after_close(queue):
    waiting, current = queue.inspect(0.0, 0.0), None
    task = claim(queue)
    current = waiting
    waiting = queue.inspect(1.0, 0.0)
    queue.close()
    queue.task_finished(task)
    for answer in (waiting, current, queue.inspect(2.0, 0.0)):
        with pytest.raises(CancelledError):
            answer.result(0)
    assert claim(queue) is None


def test_an_answer_that_nobody_wants_any_more_is_dropped(queue):
    answer = queue.inspect(0.0, 0.0)
    task = claim(queue)
    assert answer.cancel()
    do(queue, task)
    assert queue.snapshot().status == "running"


def test_a_failed_inspection_is_an_answer_and_does_not_end_the_surface(queue):
    answer = queue.inspect(0.0, 0.0)
    queue.fail(ArithmeticError("too far"), claim(queue))
    with pytest.raises(ArithmeticError, match="too far"):
        answer.result(0)
    assert queue.snapshot().status == "running"


def test_a_failure_ends_the_surface_unless_it_is_that_of_a_former_one(queue):
    task = claim(queue)
    queue.request(make_request(1))
    queue.fail(ArithmeticError("long ago"), task)
    assert (queue.snapshot().status, queue.snapshot().error) == ("running", None)
    queue.fail(ArithmeticError("too far"), claim(queue))
    assert queue.snapshot().status == "error"
    with pytest.raises(ArithmeticError, match="too far"):
        queue.wait(0, from_engine=True)
    queue.request(make_request(2))
    assert queue.snapshot().error is None


def test_waiting_includes_the_task_that_is_running(queue):
    task = claim(queue)
    queue.change("stopped", when=("running",))
    queue.wait(0, from_engine=True)
    with pytest.raises(TimeoutError, match=r"expected the surface within 0 s, got 0 of 25 points \(stopped\)"):
        queue.wait(0, from_engine=False)
    queue.task_finished(task)
    queue.wait(0, from_engine=False)


def test_results_are_published_at_the_end_of_a_pass_and_after_a_stop(queue):
    published = []
    queue.on_update = lambda snapshot: published.append((snapshot.status, snapshot.n_done))
    tasks = [claim(queue, 9), claim(queue, 1)]
    do(queue, tasks[0])
    queue.change("stopped", when=("running",))
    do(queue, tasks[1])
    assert published == [("running", 9), ("stopped", 9), ("stopped", 10)]
