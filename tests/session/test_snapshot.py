"""A snapshot belongs to one request and never changes; what is made of it neither."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest
import xarray
from support.reference import PATIENCE, FakeEvaluator, fake_session, make_request
from support.sessions import Gate

from lljupyter.jupyter.wire import pack
from lljupyter.session.snapshot import Snapshot, dataset_of

REQUESTS = [make_request(0, 5, 3), make_request(1, 4, 4, (1, 2), (0.5, 3)), make_request(0, 7, 7, (-2, 2))]


def assert_of_one_request(snapshot: Snapshot) -> None:
    """Compares everything that depends on the request with the values that the fake evaluator gives."""
    request, known = snapshot.request, snapshot.evaluated
    shape = len(request.beta), len(request.alpha)
    a, b = np.meshgrid(request.alpha, request.beta)
    assert known.shape == shape
    assert snapshot.n_points == known.size
    assert snapshot.n_done == known.sum()
    assert snapshot.attributes["seed"] == request.seed
    assert snapshot.attributes["center_on_grid"] == int(request.has_center)
    for name, share in (("loss", 1), ("loss_stderr", 1 / 8)):
        assert snapshot.values[name].shape == shape
        expected = np.where(known, (1 + request.seed) * (a + 10 * b) * share, np.nan)
        np.testing.assert_array_equal(snapshot.values[name], expected)
    meta = pack(snapshot, 0)[1]
    assert (meta["seed"], meta["shape"], meta["center_on_grid"]) == (request.seed, shape, request.has_center)
    dataset = dataset_of(snapshot)
    assert dataset.sizes == {"beta": shape[0], "alpha": shape[1]}
    assert dataset.attrs["seed"] == request.seed


class TreacherousLock:
    """Stands in for the condition of a session: whenever it is let go of, another request comes in."""

    def __init__(self, session, condition):
        self._session, self._condition, self._depth, self._n = session, condition, 0, 0

    def __getattr__(self, name):
        return getattr(self._condition, name)

    def __enter__(self):
        self._condition.__enter__()
        self._depth += 1

    def __exit__(self, *error):
        self._depth -= 1
        self._condition.__exit__(*error)
        if self._depth == 0:
            self._depth = 1  # the request itself lets go of it, too
            self._n += 1
            self._session.request(REQUESTS[self._n % len(REQUESTS)])
            self._depth = 0


def test_a_request_that_comes_in_as_soon_as_the_lock_is_free_mixes_nothing():
    session = fake_session(request=REQUESTS[0])
    session.run()
    session._queue._condition = TreacherousLock(session, session._queue._condition)
    for _ in range(2 * len(REQUESTS)):
        assert_of_one_request(session.snapshot())


def test_snapshots_taken_while_requests_change_belong_to_one_request_each():
    session, ended = fake_session(request=REQUESTS[0]), threading.Event()

    def change():
        for n in range(300):
            session.request(REQUESTS[n % len(REQUESTS)])
        ended.set()

    session.start()
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    n = 0
    while not ended.is_set() or not n:
        assert_of_one_request(session.snapshot())
        n += 1
    thread.join(PATIENCE)
    session.wait(PATIENCE)
    assert_of_one_request(session.snapshot())


def test_on_update_receives_frozen_snapshots():
    received: list[Snapshot] = []
    session = fake_session(request=REQUESTS[0], on_update=received.append)
    session.run()
    session.request(REQUESTS[1])
    session.run()
    assert {type(snapshot) for snapshot in received} == {Snapshot}
    assert (received[-1].status, received[-1].n_done) == ("done", 16)
    assert {snapshot.request.seed for snapshot in received} == {0, 1}
    for snapshot in received:  # also those that were received before the request changed
        assert_of_one_request(snapshot)
    last = received[-1]
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.status = "running"
    for array in (last.evaluated, *last.values.values()):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    for mapping in (last.values, last.attributes, last.predicted, last.center or last.values):
        with pytest.raises(TypeError, match="does not support item assignment"):
            mapping["loss"] = 0


def test_a_snapshot_stays_as_it_was_while_points_are_evaluated():
    gate = Gate(lambda a, b: (a, b) == (1, 1))
    session = fake_session(FakeEvaluator(before=gate))
    session.start()
    assert gate.reached.wait(PATIENCE)
    before = session.snapshot()
    frame, dataset = pack(before, 3), dataset_of(before)
    gate.go.set()
    session.wait(PATIENCE)
    assert before.n_done < 25 == session.snapshot().n_done
    assert pack(before, 3) == frame
    xarray.testing.assert_identical(dataset_of(before), dataset)
