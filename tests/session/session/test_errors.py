"""Models that fail at points and on planes, and how a session goes on."""

from __future__ import annotations

import pytest
from support.reference import (
    PATIENCE,
    RECIPE,
    FakeEvaluator,
    fake_session,
    make_request,
)
from support.sessions import Gate, assert_complete

from lljupyter.session.session import Session


def test_an_error_reaches_every_wait_and_the_engine_can_go_on():
    broken = [True]

    def before(a, b):
        if broken[0] and (a, b) == (1, 1):
            raise ArithmeticError("too far")

    seen = []
    session = fake_session(FakeEvaluator(before=before), on_update=lambda s: seen.append(s.error))
    session.start()
    for _ in range(2):
        with pytest.raises(ArithmeticError, match="too far"):
            session.wait(PATIENCE)
    assert session.snapshot().status == "error"
    broken[0] = False
    session.resume()
    session.wait(PATIENCE)
    assert_complete(session)
    assert session.snapshot().error is None
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
