"""What a session computes: ranges, seeds, pauses and stops."""

from __future__ import annotations

import math
import random
import threading

import numpy as np
import pytest
import torch
from support.problems import make_evaluator
from support.reference import (
    PATIENCE,
    FakeEvaluator,
    batches_of,
    fake_session,
    grid_points,
    make_request,
    network,
)
from support.sessions import Gate, assert_complete, loss_of, real_session

from lljupyter.geometry.plane import random_plane
from lljupyter.session.snapshot import dataset_of


def test_progressive_equals_one_shot_bit_by_bit():
    session = real_session()
    session.run()
    snapshot = session.snapshot()
    request, values, evaluated = snapshot.request, snapshot.values, snapshot.evaluated
    evaluator = make_evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    evaluator.set_plane(random_plane(evaluator.problem.center, 3))
    expected = evaluator.evaluate(grid_points(request.alpha, request.beta))
    assert evaluated.all()
    for name in session.names:
        np.testing.assert_array_equal(values[name].ravel(), expected[name])


def test_stopped_and_resumed_equals_uninterrupted_bit_by_bit():
    whole = real_session()
    whole.run()
    stops = []

    def stop_often(snapshot):
        done = snapshot.n_done
        if snapshot.status == "running" and done >= len(stops) * 5 + 1:
            stops.append(done)
            session.stop()

    session = real_session(on_update=stop_often)
    session.start()
    for _ in range(100):
        session.wait(PATIENCE)
        if session.snapshot().status == "done":
            break
        session.resume()
    assert len(stops) > 1
    for name, values in whole.snapshot().values.items():
        np.testing.assert_array_equal(session.snapshot().values[name], values)


def test_rows_are_beta_and_columns_are_alpha():
    session = fake_session(request=make_request(0, 5, 3, (-2, 2), (-0.5, 1)))
    session.run()
    assert loss_of(session).shape == (3, 5)
    assert_complete(session)


def test_stop_keeps_what_is_known_and_resume_measures_each_point_once():
    evaluator = FakeEvaluator(before=(gate := Gate(lambda a, b: (a, b) == (0.5, 0.5))))
    session = fake_session(evaluator)
    session.start()
    assert gate.reached.wait(PATIENCE)
    session.stop()
    gate.go.set()
    session.wait(PATIENCE)
    assert session.snapshot().status == "stopped"
    session.resume()
    session.wait(PATIENCE)
    assert_complete(session)
    known = {(a, b) for _, a, b in evaluator.measured}
    assert len(known) == 25


def test_pause_holds_the_engine_and_resume_loses_nothing():
    evaluator = FakeEvaluator(before=(gate := Gate()))
    session = fake_session(evaluator)
    session.start()
    assert gate.reached.wait(PATIENCE)
    session.pause()
    gate.go.set()
    with pytest.raises(TimeoutError, match=r"expected the surface within 0\.2 s, got \d of 25 points \(paused\)"):
        session.wait(0.2)
    assert len(evaluator.measured) == 1
    session.resume()
    session.wait(PATIENCE)
    assert_complete(session)
    assert len(evaluator.measured) == 25


def test_pause_works_while_run_blocks_another_thread():
    evaluator = FakeEvaluator(before=(gate := Gate()))
    session = fake_session(evaluator)
    thread = threading.Thread(target=session.run, daemon=True)
    thread.start()
    assert gate.reached.wait(PATIENCE)
    session.pause()
    gate.go.set()
    session.resume()
    thread.join(PATIENCE)
    assert_complete(session)


def test_commands_that_make_no_sense_now_change_nothing():
    updates = []
    session = fake_session(on_update=lambda s: updates.append(s.status))
    session.resume()
    session.run()
    assert updates[-1] == "done"
    n = len(updates)
    for command in (session.pause, session.stop, session.resume):
        command()
    assert session.snapshot().status == "done"
    assert len(updates) == n


def test_a_new_range_measures_only_the_points_that_do_not_coincide():
    evaluator = FakeEvaluator()
    session = fake_session(evaluator)
    session.run()
    session.request(make_request(0, 9, 5, (-2, 2), (-1, 1)))
    session.run()
    assert_complete(session)
    assert len(evaluator.measured) == 9 * 5
    session.request(make_request(0, 3, 3, (-0.5, 0.5), (-0.5, 0.5)))
    session.run()
    assert_complete(session)
    assert len(evaluator.measured) == 9 * 5


def test_an_earlier_seed_is_there_at_once():
    evaluator = FakeEvaluator()
    session = fake_session(evaluator)
    session.run()
    first = loss_of(session)
    session.request(make_request(1))
    assert session.snapshot().n_done == 1  # the center belongs to every plane
    session.run()
    n = len(evaluator.measured)
    assert n == 25 + 24
    session.request(make_request(0))
    assert session.snapshot().n_done == 25
    session.run()
    assert len(evaluator.measured) == n
    np.testing.assert_array_equal(loss_of(session), first)


def test_a_request_while_points_are_measured_gives_them_up_and_uses_the_new_plane():
    evaluator = FakeEvaluator(before=(gate := Gate(lambda a, b: (a, b) == (1, 1))))
    session = fake_session(evaluator, make_request(1))
    session.start()
    assert gate.reached.wait(PATIENCE)
    session.request(make_request(2, 3, 3, (1, 2), (1, 2)))
    gate.go.set()
    session.wait(PATIENCE)
    assert_complete(session, seed=2)


def test_values_that_are_not_finite_are_results_and_the_run_goes_on():
    values = {(1.0, 1.0): math.nan, (-1.0, 0.0): math.inf, (0.0, -1.0): -math.inf}
    session = fake_session(FakeEvaluator(lambda seed, a, b: values.get((a, b), 0.0)))
    session.run()
    loss = dataset_of(session.snapshot()).loss
    assert dataset_of(session.snapshot()).evaluated.all()
    assert math.isnan(loss.sel(alpha=1, beta=1))
    assert float(loss.sel(alpha=-1, beta=0)) == math.inf
    assert float(loss.sel(alpha=0, beta=-1)) == -math.inf
    assert int((loss == 0).sum()) == 22


def test_progress():
    session = fake_session()
    before = session.snapshot()
    assert (before.status, before.n_done, before.n_points, before.remaining) == ("running", 0, 25, None)
    session.run()
    after = session.snapshot()
    assert (after.status, after.n_done, after.remaining, after.error) == ("done", 25, 0, None)


def test_the_center_is_known_after_the_first_point_and_said_to_be_off_the_grid():
    session = fake_session(request=make_request(0, 4, 5))
    assert session.snapshot().request.has_center is False
    session.run()
    assert session.snapshot().center is None
    session.request(make_request(0, 5, 5))
    assert session.snapshot().request.has_center is True
    session.run()
    assert session.snapshot().center == {"loss": 0.0, "loss_stderr": 0.0}


def test_snapshots_are_copies():
    session = fake_session()
    session.run()
    snapshot = session.snapshot()
    for array in (snapshot.values["loss"], snapshot.evaluated):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 7
    dataset_of(snapshot).loss[:] = 7
    assert_complete(session)


def test_commands_from_two_threads_at_once():
    session = fake_session()
    errors = []

    def storm(k):
        choose = random.Random(k)
        try:
            for _ in range(150):
                command = choose.choice(["pause", "resume", "stop", "request", "read"])
                if command == "request":
                    session.request(make_request(choose.randrange(3), 5, 7, (-choose.randint(1, 2), 1)))
                elif command == "read":
                    snapshot = session.snapshot()
                    a, b = np.meshgrid(snapshot.request.alpha, snapshot.request.beta)
                    expected, known = (1 + snapshot.request.seed) * (a + 10 * b), snapshot.evaluated
                    np.testing.assert_array_equal(snapshot.values["loss"][known], expected[known])
                else:
                    getattr(session, command)()
        except BaseException as error:
            errors.append(error)

    session.start()
    threads = [threading.Thread(target=storm, args=(k,), daemon=True) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert not errors
    session.request(make_request(5))
    session.wait(PATIENCE)
    assert session.snapshot().status == "done"
    assert_complete(session, seed=5)


def test_data_that_are_brought_over_serve_many_points_at_once():
    chunks = []
    evaluator = FakeEvaluator()
    evaluate = evaluator.evaluate
    evaluator.group = 32
    evaluator.evaluate = lambda points, tick: chunks.append(len(points)) or evaluate(points, tick)
    session = fake_session(evaluator, make_request(0, 51, 51))
    session.run()
    assert max(chunks) >= 32
    assert chunks[0] == 9  # never across a pass
    assert sum(chunks) == 51 * 51
