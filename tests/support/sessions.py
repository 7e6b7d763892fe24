"""Sessions over fake and real evaluators, and what holds them up."""

from __future__ import annotations

import threading

import numpy as np
import torch
from support.problems import make_evaluator
from support.reference import (
    PATIENCE,
    RECIPE,
    batches_of,
    make_request,
    network,
)

from lljupyter.geometry.plane import random_plane
from lljupyter.session.session import Session


def real_session(request=None, **options) -> Session:
    evaluator = make_evaluator(network(torch.float32), batches_of(8, dtype=torch.float32))
    return Session(
        evaluator,
        lambda seed: random_plane(evaluator.problem.center, seed),
        make_request(3, 9, 7) if request is None else request,
        dict(RECIPE),
        autotuner=evaluator,
        **options,
    )


def loss_of(session):
    return session.snapshot().values["loss"]


def assert_complete(session, seed=0):
    snapshot = session.snapshot()
    request, values, evaluated = snapshot.request, snapshot.values, snapshot.evaluated
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
