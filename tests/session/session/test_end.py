"""Closing a session, waiting for it, and leaving while it runs."""

from __future__ import annotations

import contextlib
import gc
import weakref

import pytest
from support.reference import (
    PATIENCE,
    FakeEvaluator,
    fake_session,
    make_request,
)
from support.sessions import Gate, assert_complete, real_session

from lljupyter.session.snapshot import dataset_of


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
    assert session.snapshot().status in ("stopped", "done", "error")
    with contextlib.suppress(ArithmeticError):
        session.wait(1)


@pytest.mark.parametrize("started", [True, False])
def test_close_frees_the_model_and_the_data_and_keeps_the_surface(started):
    session = real_session(make_request(3, 3, 3))
    evaluator = weakref.ref(session._worker._engine.evaluators[0])
    session.start() if started else session.run()
    session.wait(PATIENCE)
    session.close()
    gc.collect()
    assert evaluator() is None
    assert dataset_of(session.snapshot()).evaluated.all()


def test_a_model_that_leaves_the_interpreter_does_not_leave_wait_hanging():
    def before(a, b):
        raise SystemExit(3)

    session = fake_session(FakeEvaluator(before=before))
    session.start()
    with pytest.raises(RuntimeError, match="the engine was ended by SystemExit: 3"):
        session.wait(PATIENCE)


def test_close_from_the_engine_itself():
    session = fake_session()
    session.on_update = lambda snapshot: session.close()
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
    assert session.snapshot().status != "running"


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
