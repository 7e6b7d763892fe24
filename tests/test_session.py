from __future__ import annotations

import contextlib
import gc
import json
import math
import random
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
import torch
from reference import (
    PATIENCE,
    RECIPE,
    FakeEvaluator,
    batches_of,
    fake_session,
    grid_points,
    make_request,
    network,
)

from lljupyter.engine.evaluator import Evaluator
from lljupyter.engine.session import Session
from lljupyter.geometry.plane import random_plane


def real_session(request=None, **options) -> Session:
    evaluator = Evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    return Session(
        evaluator,
        lambda seed: random_plane(evaluator.center, seed),
        make_request(3, 9, 7) if request is None else request,
        dict(RECIPE),
        **options,
    )


def loss_of(session):
    return session.arrays()[1]["loss"]


def assert_complete(session, seed=0):
    request, values, evaluated = session.arrays()
    a, b = np.meshgrid(request.alpha, request.beta)
    assert request.seed == seed
    assert evaluated.all()
    np.testing.assert_array_equal(values["loss"], (1 + seed) * (a + 10 * b))


class Gate:
    """Holds the engine at a point (the first one that ``when`` accepts) until the test lets it go on."""

    def __init__(self, when=lambda a, b: True):
        self.reached, self.go = threading.Event(), threading.Event()
        self._when = when

    def __call__(self, a, b):
        if not self.reached.is_set() and self._when(a, b):
            self.reached.set()
            assert self.go.wait(PATIENCE)


def test_progressive_equals_one_shot_bit_by_bit():
    session = real_session()
    session.run()
    request, values, evaluated = session.arrays()
    evaluator = Evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    evaluator.set_plane(random_plane(evaluator.center, 3))
    expected = evaluator.evaluate(grid_points(request.alpha, request.beta))
    assert evaluated.all()
    for name in session.names:
        np.testing.assert_array_equal(values[name].ravel(), expected[name])


def test_stopped_and_resumed_equals_uninterrupted_bit_by_bit():
    whole = real_session()
    whole.run()
    stops = []

    def stop_often(session):
        done = session.progress().n_done
        if session.progress().status == "running" and done >= len(stops) * 5 + 1:
            stops.append(done)
            session.stop()

    session = real_session(on_update=stop_often)
    session.start()
    for _ in range(100):
        session.wait(PATIENCE)
        if session.progress().status == "done":
            break
        session.resume()
    assert len(stops) > 1
    for name, values in whole.arrays()[1].items():
        np.testing.assert_array_equal(session.arrays()[1][name], values)


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
    assert session.progress().status == "stopped"
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
    session = fake_session(on_update=lambda s: updates.append(s.progress().status))
    session.resume()
    session.run()
    assert updates[-1] == "done"
    n = len(updates)
    for command in (session.pause, session.stop, session.resume):
        command()
    assert session.progress().status == "done"
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
    assert session.progress().n_done == 1  # the center belongs to every plane
    session.run()
    n = len(evaluator.measured)
    assert n == 25 + 24
    session.request(make_request(0))
    assert session.progress().n_done == 25
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


def test_updates_grow_and_the_last_one_has_all_points():
    updates = []
    session = fake_session(
        request=make_request(0, 17, 17), on_update=lambda s: updates.append((s.progress().status, s.progress().n_done))
    )
    session.start()
    session.wait(PATIENCE)
    session.close()
    counts = [n for _, n in updates]
    assert counts == sorted(counts)
    assert updates[-1] == ("done", 17 * 17)
    assert 9 in counts


def test_a_slow_on_update_misses_nothing_of_the_end():
    entered, go, seen = threading.Event(), threading.Event(), []

    def slow(session):
        entered.set()
        assert go.wait(PATIENCE)
        seen.append((session.progress().status, session.progress().n_done))

    session = fake_session(on_update=slow)
    session.start()
    assert entered.wait(PATIENCE)
    go.set()
    session.wait(PATIENCE)
    session.close()
    assert seen[-1] == ("done", 25)


def test_updates_come_one_at_a_time():
    inside, overlaps = [], []

    def on_update(session):
        inside.append(1)
        overlaps.append(len(inside))
        loss_of(session)
        inside.pop()

    session = fake_session(on_update=on_update, request=make_request(0, 33, 33))
    session.start()
    while session.progress().status not in ("done", "stopped"):
        session.pause()
        session.resume()
    session.close()
    assert set(overlaps) == {1}


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_points_that_are_finished_after_a_stop_or_pause_are_announced(command):
    seen = []
    # The command comes when the last point of a chunk is being measured already.
    evaluator = FakeEvaluator(before=(gate := Gate()))
    session = fake_session(evaluator, on_update=lambda s: seen.append(s.progress().n_done))
    session.start()
    assert gate.reached.wait(PATIENCE)
    getattr(session, command)()
    gate.go.set()
    session.close()
    assert seen[-1] == session.progress().n_done == 1


@pytest.mark.parametrize("when", ["first", "done", "always"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_on_update_that_raises_does_not_end_the_engine(when):
    calls = []

    def on_update(session):
        calls.append(session.progress().status)
        if {"first": len(calls) == 1, "done": calls[-1] == "done", "always": True}[when]:
            raise ZeroDivisionError("a bug in on_update")

    session = fake_session(on_update=on_update)
    session.start()
    with contextlib.suppress(ZeroDivisionError):
        session.wait(PATIENCE)
    session.on_update = lambda s: None
    session.resume()
    session.request(make_request(4))
    session.wait(5)
    assert_complete(session, seed=4)


def test_on_update_may_give_commands():
    session = fake_session(on_update=lambda s: s.stop() if s.progress().n_done else None)
    session.start()
    session.wait(PATIENCE)
    session.close()
    assert session.progress().status == "stopped"
    assert session.progress().n_done >= 1


@pytest.mark.parametrize("state", ["new", "running", "paused", "stopped", "done", "error"])
def test_close_ends_the_thread_in_every_state(state):
    gate = Gate()

    def before(a, b):
        if state in ("running", "paused", "stopped"):
            gate(a, b)
        if state == "error":
            raise ArithmeticError("too far")

    session = fake_session(FakeEvaluator(before=before))
    if state != "new":
        session.start()
    if state in ("running", "paused", "stopped"):
        assert gate.reached.wait(PATIENCE)
        {"running": lambda: None, "paused": session.pause, "stopped": session.stop}[state]()
        gate.go.set()
    elif state != "new":
        with contextlib.suppress(ArithmeticError):
            session.wait(PATIENCE)
    session.close()
    session.close()
    assert session._thread is None or not session._thread.is_alive()
    assert session.progress().status in ("stopped", "done", "error")
    with contextlib.suppress(ArithmeticError):
        session.wait(1)


@pytest.mark.parametrize("started", [True, False])
def test_close_frees_the_model_and_the_data_and_keeps_the_surface(started):
    session = real_session(make_request(3, 3, 3))
    evaluator = weakref.ref(session._worker._evaluator)
    session.start() if started else session.run()
    session.wait(PATIENCE)
    session.close()
    gc.collect()
    assert evaluator() is None
    assert session.dataset().evaluated.all()


def test_a_model_that_leaves_the_interpreter_does_not_leave_wait_hanging():
    def before(a, b):
        raise SystemExit(3)

    session = fake_session(FakeEvaluator(before=before))
    session.start()
    with pytest.raises(RuntimeError, match="the engine was ended by SystemExit: 3"):
        session.wait(PATIENCE)


def test_close_from_the_engine_itself():
    session = fake_session(on_update=lambda s: s.close())
    session.start()
    session.wait(PATIENCE)
    session._thread.join(PATIENCE)
    assert not session._thread.is_alive()


@pytest.mark.parametrize("use", ["start", "close"])
def test_a_session_is_started_once(use):
    session = fake_session()
    getattr(session, use)()
    with pytest.raises(RuntimeError, match="expected a new session, got one that was started or closed already"):
        session.start()


def test_nothing_hangs_after_close():
    session = fake_session()
    session.start()
    session.wait(PATIENCE)
    session.close()
    with contextlib.suppress(RuntimeError):
        session.request(make_request(7))
    session.resume()
    session.wait(2)
    assert session.progress().status != "running"


def test_wait_says_how_far_it_is_when_the_time_is_over():
    gate = Gate()
    session = fake_session(FakeEvaluator(before=gate))
    session.start()
    assert gate.reached.wait(PATIENCE)
    with pytest.raises(TimeoutError, match=r"within 0 s, got 0 of 25 points \(running\); wait again, or lower"):
        session.wait(0)
    gate.go.set()
    session.wait(PATIENCE)
    assert_complete(session)


def test_an_error_reaches_every_wait_and_the_engine_can_go_on():
    broken = [True]

    def before(a, b):
        if broken[0] and (a, b) == (1, 1):
            raise ArithmeticError("too far")

    seen = []
    session = fake_session(FakeEvaluator(before=before), on_update=lambda s: seen.append(s.progress().error))
    session.start()
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="too far"):
            session.wait(PATIENCE)
    assert session.progress().status == "error"
    broken[0] = False
    session.resume()
    session.wait(PATIENCE)
    assert_complete(session)
    assert session.progress().error is None
    assert any(isinstance(error, ArithmeticError) for error in seen)


def test_another_request_after_an_error_is_computed():
    def before(a, b):
        if a == 1:
            raise ArithmeticError("too far")

    session = fake_session(FakeEvaluator(before=before))
    session.start()
    with pytest.raises(ArithmeticError, match="too far"):
        session.wait(PATIENCE)
    session.request(make_request(0, alpha=(-1, 0)))
    session.wait(PATIENCE)
    assert_complete(session)


def test_an_error_on_a_plane_that_is_not_wanted_any_more_is_forgotten():
    gate = Gate()

    def before(a, b):
        if not gate.reached.is_set():
            gate(a, b)
            raise ArithmeticError("too far")

    session = fake_session(FakeEvaluator(before=before))
    session.start()
    assert gate.reached.wait(PATIENCE)
    session.request(make_request(1))
    gate.go.set()
    session.wait(PATIENCE)
    assert_complete(session, seed=1)


def test_an_error_of_a_plane_reaches_wait():
    def plane_for(seed):
        raise ValueError("no such plane")

    session = Session(FakeEvaluator(), plane_for, make_request(), dict(RECIPE))
    session.run()
    with pytest.raises(ValueError, match="no such plane"):
        session.wait(0)


def test_after_a_plane_that_failed_the_former_one_is_set_again():
    """Directions are let go of before the next ones are made, for which there may be too little memory."""

    def plane_for(seed):
        if seed == 1:
            raise MemoryError("no room for the directions")
        return seed

    evaluator = FakeEvaluator()
    session = Session(evaluator, plane_for, make_request(0, 3, 3), dict(RECIPE))
    session.run()
    session.request(make_request(1))
    session.run()
    with pytest.raises(MemoryError, match="no room"):
        session.wait(PATIENCE)
    session.request(make_request(0))
    session.run()
    session.wait(PATIENCE)
    assert_complete(session)
    assert {seed for seed, _, _ in evaluator.measured} == {0}


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own there")
def test_the_engine_steps_back_and_never_before_a_process_that_stepped_back_further():
    code = """
import os, sys, threading
sys.path[:0] = {paths!r}
os.nice(15)
from reference import FakeEvaluator, fake_session
found = []
real = os.setpriority
os.setpriority = lambda kind, thread, niceness: (found.append(niceness), real(kind, thread, niceness))
session = fake_session(FakeEvaluator())
session.start()
session.wait(30)
print(found)
session.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code.format(paths=sys.path)], capture_output=True, text=True, timeout=120, check=True
    )
    (niceness,) = json.loads(done.stdout)
    assert niceness >= 15


def test_values_that_are_not_finite_are_results_and_the_run_goes_on():
    values = {(1.0, 1.0): math.nan, (-1.0, 0.0): math.inf, (0.0, -1.0): -math.inf}
    session = fake_session(FakeEvaluator(lambda seed, a, b: values.get((a, b), 0.0)))
    session.run()
    loss = session.dataset().loss
    assert session.dataset().evaluated.all()
    assert math.isnan(loss.sel(alpha=1, beta=1))
    assert float(loss.sel(alpha=-1, beta=0)) == math.inf
    assert float(loss.sel(alpha=0, beta=-1)) == -math.inf
    assert int((loss == 0).sum()) == 22


def test_progress():
    session = fake_session()
    before = session.progress()
    assert (before.status, before.n_done, before.n_points, before.remaining) == ("running", 0, 25, None)
    session.run()
    after = session.progress()
    assert (after.status, after.n_done, after.remaining, after.error) == ("done", 25, 0, None)


def test_the_center_is_known_after_the_first_point_and_said_to_be_off_the_grid():
    session = fake_session(request=make_request(0, 4, 5))
    assert session.center_on_grid() is False
    session.run()
    assert session.center() is None
    session.request(make_request(0, 5, 5))
    assert session.center_on_grid() is True
    session.run()
    assert session.center() == {"loss": 0.0, "loss_stderr": 0.0}


def test_snapshots_are_copies():
    session = fake_session()
    session.run()
    _, values, evaluated = session.arrays()
    values["loss"][:], evaluated[:] = 7, False
    session.dataset().loss[:] = 7
    assert_complete(session)


def test_shows():
    session = fake_session()
    assert session.shows(make_request())
    assert not session.shows(make_request(1))


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
                    request, values, evaluated = session.arrays()
                    a, b = np.meshgrid(request.alpha, request.beta)
                    expected = (1 + request.seed) * (a + 10 * b)
                    np.testing.assert_array_equal(values["loss"][evaluated], expected[evaluated])
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
    assert session.progress().status == "done"
    assert_complete(session, seed=5)


def test_data_that_are_brought_over_serve_many_points_at_once():
    chunks = []
    evaluator = FakeEvaluator()
    evaluate = evaluator.evaluate
    evaluator.path.group = 32
    evaluator.evaluate = lambda points, tick: chunks.append(len(points)) or evaluate(points, tick)
    session = fake_session(evaluator, make_request(0, 51, 51))
    session.run()
    assert max(chunks) >= 32
    assert chunks[0] == 9  # never across a pass
    assert sum(chunks) == 51 * 51


LEAVING = """
import threading, torch
from torch import nn
from lljupyter.compute import prepare
model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
session = prepare(model, [(torch.randn(2000, 512), torch.randint(0, 10, (2000,)))], resolution=301).session
busy = threading.Event()
session.on_update = lambda s: busy.set()
session.start()
assert busy.wait(60)
print("leaving", session.progress().status)
"""


def test_the_interpreter_leaves_in_peace_while_an_engine_runs():
    result = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "leaving running\n", "")
