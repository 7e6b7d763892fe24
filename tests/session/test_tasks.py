"""Each task alone: running it twice does no harm, pauses do not count, and what fails is said or left to the points."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.problems import make_evaluator
from support.reference import FakeEvaluator, batches_of, linear, make_request, network

from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.geometry.plane import random_plane
from lljupyter.session import tasks
from lljupyter.session.engine import Engine
from lljupyter.session.sources.rounds import first_generator
from lljupyter.session.sources.subsets import Subsets
from lljupyter.session.tasks import (
    EvaluateCheckpoint,
    EvaluatePoints,
    EvaluatePreview,
    InspectPoint,
    Interrupted,
    Refine,
    TryStrategy,
)

CELLS = ((0, 0), (2, 1), (4, 3))


class Ticks:
    """A tick that counts, and takes its time or raises."""

    def __init__(self, waits=0.0, raises_at=None):
        self.n, self.waited, self._waits, self._raises_at = 0, 0.0, waits, raises_at

    def __call__(self):
        self.n += 1
        self.waited += self._waits
        if self.n == self._raises_at:
            raise Interrupted


def real_engine(**options):
    evaluator = make_evaluator(network(), batches_of(8))
    return Engine([evaluator], lambda seed: random_plane(evaluator.problem.center, seed), **options), evaluator


def assert_equal(one, other):
    assert type(one) is type(other)
    for name, values in one.values.items():
        np.testing.assert_array_equal(values, other.values[name])


def test_tasks_are_frozen_and_told_apart_by_identity():
    request = make_request()
    task = EvaluatePoints(request, CELLS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.cells = ()
    assert task != EvaluatePoints(request, CELLS)
    assert len({task, EvaluatePoints(request, CELLS)}) == 2
    urgent = {kind.__name__ for kind in vars(tasks).values() if getattr(kind, "urgent", False)}
    assert urgent == {"InspectPoint"}


def test_points_are_those_of_the_cells_and_running_them_again_gives_the_same():
    engine, evaluator = real_engine()
    request = make_request(3, 5, 5)
    task = EvaluatePoints(request, CELLS)
    found, again = task.run(engine, Ticks()), task.run(engine, Ticks())
    assert_equal(found, again)
    assert found.strategy is None
    evaluator.set_plane(random_plane(evaluator.problem.center, 3))
    expected = evaluator.evaluate(np.array([[-1.0, -1.0], [-0.5, 0.0], [0.5, 1.0]]))
    for name, values in expected.items():
        np.testing.assert_array_equal(found.values[name], values)


def test_points_bring_the_strategy_along_and_only_those_of_the_first_stage():
    report = {"evaluation": "fast"}
    autotuner = SimpleNamespace(label="fast", reduced=True, report=lambda: report)
    engine = Engine([FakeEvaluator(), FakeEvaluator()], lambda seed: seed, autotuner=autotuner)
    assert EvaluatePoints(make_request(), CELLS).run(engine, Ticks()).strategy == ("fast", True, report)
    assert EvaluatePoints(make_request(), CELLS, stage=1).run(engine, Ticks()).strategy is None


def test_pauses_and_the_making_of_a_plane_do_not_count(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def plane_for(seed):
        clock.now += 100
        return seed

    def before(a, b):
        clock.now += 2

    tick = Ticks(waits=7.0)
    tick_and_wait = tick.__call__

    class Waiting(Ticks):
        def __call__(self):
            tick_and_wait()
            self.waited = tick.waited
            clock.now += 7.0

    engine = Engine([FakeEvaluator(before=before)], plane_for)
    assert EvaluatePoints(make_request(), CELLS).run(engine, Waiting()).seconds == 6
    assert clock.now == 100 + 3 * 9


def test_an_interrupted_task_raises_and_can_be_run_again():
    engine, _ = real_engine()
    task = EvaluatePoints(make_request(3), CELLS)
    whole = task.run(engine, Ticks())
    with pytest.raises(Interrupted):
        task.run(engine, Ticks(raises_at=5))
    assert_equal(task.run(engine, Ticks()), whole)


def test_a_checkpoint_is_closed_also_if_it_fails():
    closed = []

    class Watched(Checkpoint):
        def close(self):
            closed.append(self.label)
            super().close()

    evaluator = make_evaluator(linear(), [(torch.eye(3).double(), torch.tensor([0, 1, 0]))])
    engine = Engine([evaluator], lambda seed: random_plane(evaluator.problem.center, seed))
    good = EvaluateCheckpoint(make_request(), 0, Watched(linear().state_dict(), "good"))
    found, again = good.run(engine, Ticks()), good.run(engine, Ticks())
    assert found.values["loss"] == again.values["loss"] > 0
    bad = EvaluateCheckpoint(make_request(), 1, Watched({"weight": torch.zeros(1)}, "bad"))
    with pytest.raises(ValueError, match="expected checkpoint bad"):
        bad.run(engine, Ticks())
    assert closed == ["good", "good", "bad"]


def test_a_preview_adds_samples_to_those_before_and_leaves_them_as_they_were():
    engine, evaluator = real_engine()
    engine.preview = Subsets(evaluator.plain)
    request = make_request(3)
    half = EvaluatePreview(request, (1, 1), 0.0, 0.5, {}).run(engine, Ticks())
    task = EvaluatePreview(request, (1, 1), 0.5, 1.0, half.sums)
    n_before = {name: len(sums) for name, sums in half.sums.items()}
    whole, again = task.run(engine, Ticks()), task.run(engine, Ticks())
    assert {name: len(sums) for name, sums in half.sums.items()} == n_before
    assert half.n_added + whole.n_added == evaluator.problem.n_samples
    assert_equal(whole, again)
    points = EvaluatePoints(request, ((1, 1),)).run(engine, Ticks())
    for name, values in points.values.items():
        np.testing.assert_allclose(whole.values[name], values, rtol=1e-12)


def test_a_preview_of_a_model_that_fails_is_none_and_an_interruption_is_raised():
    broken = SimpleNamespace(measure=lambda *args: 1 / 0)
    engine = Engine([FakeEvaluator()], lambda seed: seed, preview=broken)
    task = EvaluatePreview(make_request(), (1, 1), 0.0, 0.5, {})
    assert task.run(engine, Ticks()) is None

    def interrupted(*args):
        raise Interrupted

    broken.measure = interrupted
    with pytest.raises(Interrupted):
        task.run(engine, Ticks())


def test_the_samples_of_a_preview_are_freed_by_the_first_points():
    engine, evaluator = real_engine()
    engine.preview = Subsets(evaluator.plain)
    EvaluatePreview(make_request(3), (1, 1), 0.0, 0.5, {}).run(engine, Ticks())
    assert engine.preview._kept is not None
    EvaluatePoints(make_request(3), CELLS).run(engine, Ticks())
    assert engine.preview._kept is None


def test_a_round_of_refinement_is_the_same_every_time():
    request = make_request(0, 15, 15)
    a, b = np.meshgrid(request.alpha, request.beta)
    evaluated = np.zeros((15, 15), dtype=bool)
    evaluated[::2, ::2] = True
    values = {"loss": np.where(evaluated, np.exp(a + b * b), np.nan)}
    task = Refine(request, 0.01, values, evaluated, (), first_generator())
    engine = Engine([FakeEvaluator()], lambda seed: seed)
    one, other = task.run(engine, Ticks()), task.run(engine, Ticks())
    assert one.cells == other.cells
    assert one.held == other.held
    assert one.generator == other.generator
    assert not evaluated[tuple(np.transpose(one.cells))].any()


@pytest.mark.parametrize(
    ("ready", "pending", "settled"), [(True, True, False), (False, True, False), (False, False, True)]
)
def test_a_strategy_is_tried_if_it_pays_and_settled_if_none_is_left(ready, pending, settled):
    tried = []
    autotuner = SimpleNamespace(
        label="fast",
        reduced=False,
        is_ready=lambda remaining, coarse: ready,
        is_pending=lambda remaining: pending,
        tune=lambda points, values, tick: tried.append(points),
        report=lambda: {"evaluation": "fast"},
    )
    evaluator = FakeEvaluator()
    engine = Engine([evaluator], lambda seed: seed, autotuner=autotuner)
    found = TryStrategy(make_request(4), np.zeros((2, 2)), {"loss": np.zeros(2)}, 5.0, True).run(engine, Ticks())
    assert found == (settled, ("fast", False, {"evaluation": "fast"}))
    assert len(tried) == ready
    assert evaluator.seed == 4  # on its plane


def test_a_point_is_inspected_on_the_plane_of_its_request():
    evaluator = FakeEvaluator()

    def inspect(on_plane, alpha, beta, tick):
        on_plane(evaluator)
        return {"alpha": alpha, "beta": beta, "seed": evaluator.seed}

    engine = Engine([evaluator], lambda seed: seed, inspect=inspect)
    assert InspectPoint(make_request(6), 0.5, 2.0).run(engine, Ticks()) == {"alpha": 0.5, "beta": 2.0, "seed": 6}
    with pytest.raises(RuntimeError, match=r"expected a session that can inspect points, got one without; pass inspe"):
        InspectPoint(make_request(), 0.0, 0.0).run(Engine([evaluator], lambda seed: seed), Ticks())
