"""What a session announces, and when."""

from __future__ import annotations

import contextlib
import threading

import pytest
from support.reference import (
    PATIENCE,
    FakeEvaluator,
    fake_session,
    make_request,
)
from support.sessions import Gate, assert_complete, loss_of


def test_updates_grow_and_the_last_one_has_all_points():
    updates = []
    session = fake_session(request=make_request(0, 17, 17), on_update=lambda s: updates.append((s.status, s.n_done)))
    session.start()
    session.wait(PATIENCE)
    session.close()
    counts = [n for _, n in updates]
    assert counts == sorted(counts)
    assert updates[-1] == ("done", 17 * 17)
    assert 9 in counts


def test_a_slow_on_update_misses_nothing_of_the_end():
    entered, go, seen = threading.Event(), threading.Event(), []

    def slow(snapshot):
        entered.set()
        assert go.wait(PATIENCE)
        seen.append((snapshot.status, snapshot.n_done))

    session = fake_session(on_update=slow)
    session.start()
    assert entered.wait(PATIENCE)
    go.set()
    session.wait(PATIENCE)
    session.close()
    assert seen[-1] == ("done", 25)


def test_updates_come_one_at_a_time():
    inside, overlaps = [], []

    def on_update(snapshot):
        inside.append(1)
        overlaps.append(len(inside))
        loss_of(session)
        inside.pop()

    session = fake_session(on_update=on_update, request=make_request(0, 33, 33))
    session.start()
    while session.snapshot().status not in ("done", "stopped"):
        session.pause()
        session.resume()
    session.close()
    assert set(overlaps) == {1}


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_points_that_are_finished_after_a_stop_or_pause_are_announced(command):
    seen = []
    # The command comes when the last point of a chunk is being measured already.
    evaluator = FakeEvaluator(before=(gate := Gate()))
    session = fake_session(evaluator, on_update=lambda s: seen.append(s.n_done))
    session.start()
    assert gate.reached.wait(PATIENCE)
    getattr(session, command)()
    gate.go.set()
    session.close()
    assert seen[-1] == session.snapshot().n_done == 1


@pytest.mark.parametrize("when", ["first", "done", "always"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_on_update_that_raises_does_not_end_the_engine(when):
    calls = []

    def on_update(snapshot):
        calls.append(snapshot.status)
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
    session = fake_session()
    session.on_update = lambda snapshot: session.stop() if snapshot.n_done else None
    session.start()
    session.wait(PATIENCE)
    session.close()
    assert session.snapshot().status == "stopped"
    assert session.snapshot().n_done >= 1
