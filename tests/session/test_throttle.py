from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from support.reference import PATIENCE

from lljupyter.session import throttle
from lljupyter.session.throttle import PATIENT_SECONDS, PUBLISH_SECONDS, Throttle


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_updates_keep_their_distance_and_small_ones_wait_longer(clock):
    updates = Throttle()
    updates.publish(lambda: None)
    assert not updates.is_due(100)
    clock.now += 1.1 * PUBLISH_SECONDS
    assert updates.is_due(100)
    updates.publish(lambda: None)
    clock.now += 1.1 * PUBLISH_SECONDS
    assert not updates.is_due(104)
    assert updates.is_due(110)
    updates.publish(lambda: None)
    clock.now += 1.1 * PATIENT_SECONDS
    assert updates.is_due(111)


def test_points_of_another_surface_are_worth_an_update(clock):
    updates = Throttle()
    clock.now += 1
    assert updates.is_due(1000)
    updates.publish(lambda: None)
    clock.now += 1.1 * PUBLISH_SECONDS
    assert updates.is_due(9)  # fewer than before


def test_an_error_of_the_observer_is_logged(caplog):
    Throttle().publish(lambda: 1 / 0)
    assert "on_update raised" in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_one_update_at_a_time_but_an_observer_may_cause_another():
    updates, entered, go, order = Throttle(), threading.Event(), threading.Event(), []

    def slow():
        entered.set()
        assert go.wait(PATIENCE)
        updates.publish(lambda: order.append("caused by the slow one"))
        order.append("slow")

    threads = [threading.Thread(target=updates.publish, args=(send,)) for send in (slow, lambda: order.append("next"))]
    threads[0].start()
    assert entered.wait(PATIENCE)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["caused by the slow one", "slow", "next"]
