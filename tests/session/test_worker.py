"""Any number of tasks in flight, ending in any order or lost: the result is that of one task at a time, bit by bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
import xarray
from support.data import tiny
from support.executors import run_in_any_order
from support.problems import make_evaluator
from support.reference import PATIENCE, RECIPE, FakeEvaluator, batches_of, fake_session, make_request, network
from support.sessions import Gate, assert_complete

from lljupyter.compute.prepare import prepare
from lljupyter.geometry.plane import random_plane
from lljupyter.session import worker as worker_module
from lljupyter.session.session import Session
from lljupyter.session.snapshot import dataset_of


def assert_same(one, other):
    assert one.snapshot().status == other.snapshot().status == "done"
    datasets = [dataset_of(session.snapshot()) for session in (one, other)]
    for dataset in datasets:
        dataset.attrs.pop("evaluation_seconds", None)  # timed
    xarray.testing.assert_identical(*datasets)


def real(**options):
    evaluator = make_evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    plane_for = lambda seed: random_plane(evaluator.problem.center, seed)  # noqa: E731
    return Session(evaluator, plane_for, make_request(3, 9, 7), dict(RECIPE), **options)


def bowl(seed, a, b):
    return float(np.exp(2 * (a**2 + 0.5 * b**2)) + 5 * np.exp(-30 * (a - 0.5 * b - 0.4) ** 2))


MAKERS = {
    "points": lambda: fake_session(request=make_request(2, 17, 13)),
    "real points": real,
    "two stages": lambda: fake_session(
        request=make_request(1, 5, 4), further=[FakeEvaluator(lambda seed, a, b: a - b, quantities=("hvps",))]
    ),
    "tolerance": lambda: fake_session(FakeEvaluator(bowl), make_request(0, 31, 31), tolerance=0.02),
    "checkpoints": lambda: (
        prepare(
            tiny.network(), tiny.digits()[:1], trajectory=tiny.checkpoints(), resolution=5, evaluation="plain"
        ).session
    ),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", MAKERS)
def test_several_in_flight_in_any_order_equal_one_at_a_time(kind, seed, monkeypatch):
    monkeypatch.setattr(worker_module, "CHUNK_SECONDS", 1e-4)  # many chunks
    alone, together = MAKERS[kind](), MAKERS[kind]()
    alone.run()
    executor = run_in_any_order(together, seed)
    assert executor.most > 1
    assert_same(alone, together)


@pytest.mark.parametrize("kind", MAKERS)
def test_lost_claims_are_claimed_again(kind, monkeypatch):
    monkeypatch.setattr(worker_module, "CHUNK_SECONDS", 1e-4)
    alone, together = MAKERS[kind](), MAKERS[kind]()
    alone.run()
    executor = run_in_any_order(together, 5, share_lost=0.3)
    assert executor.n_lost > 1
    assert_same(alone, together)


def test_no_point_is_evaluated_twice_while_several_are_in_flight(monkeypatch):
    monkeypatch.setattr(worker_module, "CHUNK_SECONDS", 1e-4)
    evaluator = FakeEvaluator()
    session = fake_session(evaluator, make_request(0, 17, 17))
    run_in_any_order(session, 0, n_in_flight=5)
    assert_complete(session)
    assert len(evaluator.measured) == len(set(evaluator.measured)) == 17 * 17


def test_an_error_ends_the_surface_after_what_is_in_flight_and_resume_goes_on():
    broken = [True]

    def before(a, b):
        if broken[0] and (a, b) == (1, 1):
            raise ArithmeticError("too far")

    session = fake_session(FakeEvaluator(before=before), make_request(0, 9, 9))
    with pytest.raises(ArithmeticError, match="too far"):
        run_in_any_order(session, 1)
    assert session.snapshot().status == "error"
    broken[0] = False
    session.resume()
    run_in_any_order(session, 2)
    assert_complete(session)


def test_a_request_that_changes_while_several_are_in_flight_leaves_nothing_behind():
    evaluator = FakeEvaluator(before=(gate := Gate(lambda a, b: (a, b) == (1, 1))))
    session = fake_session(evaluator, make_request(1, 9, 9))
    thread = threading.Thread(target=run_in_any_order, args=(session, 3), daemon=True)
    thread.start()
    assert gate.reached.wait(PATIENCE)
    session.request(make_request(2, 5, 5))
    gate.go.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert_complete(session, seed=2)
    session.request(make_request(1, 9, 9))
    session.run()
    assert_complete(session, seed=1)


def test_what_ends_a_thread_is_raised_and_leaves_no_claim_behind():
    stop = [True]

    def before(a, b):
        if stop[0] and (a, b) == (1, 1):
            raise KeyboardInterrupt

    evaluator = FakeEvaluator(before=before)
    session = fake_session(evaluator)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    stop[0] = False
    session.run()
    assert_complete(session)


@pytest.mark.parametrize(
    ("pace", "group", "n"), [(None, 1, 1), (0.01, 1, 5), (1.0, 1, 1), (0.01, 4, 4), (0.01, 16, 16)]
)
def test_a_chunk_takes_about_a_twentieth_of_a_second(pace, group, n):
    evaluator = FakeEvaluator()
    evaluator.group = group
    assert fake_session(evaluator)._worker._chunk(pace) == n
