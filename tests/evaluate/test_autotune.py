"""Which strategy is taken, what is reported, and that a surface is of one piece."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from support.problems import make_evaluator, plain_of
from support.reference import batches_of, network

from lljupyter import loss_surface
from lljupyter.evaluate import autotune as module
from lljupyter.evaluate.autotune import Candidate
from lljupyter.evaluate.plain import Plain
from lljupyter.geometry.plane import random_plane


class Clock:
    """Goes on when it is told to, so that no test depends on how busy the machine is."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now


CLOCK = Clock()


class Slowed:
    """The plain strategy, slower by the clock of the test, and off by a factor."""

    def __init__(self, plain, label, seconds=0.001, factor=1.0, reduced=False, error=None):
        self.label, self.reduced, self.group = label, reduced, 1
        self._plain, self._seconds, self._factor, self._error = plain, seconds, factor, error

    def set_plane(self, moving):
        pass  # the evaluator puts the plain strategy on every plane

    def halve_batches(self):
        return False

    def evaluate(self, points, tick):
        if self._error is not None:
            raise self._error
        CLOCK.now += self._seconds * len(points)
        values = self._plain.evaluate(points, tick)
        return {name: v * self._factor if name == "loss" else v for name, v in values.items()}


def offered(monkeypatch, *ways):
    """Offers these ways, each the arguments of ``Slowed``, with a ``reduced`` that the candidate shares."""

    def candidates(problem, plain, precision):
        for label, options in ways:
            build = lambda label=label, options=options: Slowed(plain, label, **options)  # noqa: E731
            yield Candidate(label, build, options.get("reduced", False), label.endswith("1 thread"))

    monkeypatch.setattr(module, "candidates", candidates)
    monkeypatch.setattr(module, "PAYS_SECONDS", -1.0)
    monkeypatch.setattr(module, "time", CLOCK)


def surface(**options):
    return loss_surface(network(), batches_of(8), resolution=5, progress=False, **options)


def test_the_fastest_is_taken_and_the_times_are_told(monkeypatch):
    offered(monkeypatch, ("slow", {"seconds": 0.02}), ("quick", {}), ("slower", {"seconds": 0.03}))
    attributes = surface().attrs
    assert attributes["evaluation"] == "quick"
    seconds = json.loads(attributes["evaluation_seconds"])
    assert seconds == {"slow": 0.02, "quick": 0.001, "slower": 0.03}


def test_what_another_strategy_measured_before_is_measured_again(monkeypatch):
    # Off by less than what is taken for rounding, so that it can be told who measured what.
    offered(monkeypatch, ("slow", {"seconds": 0.04}), ("quick", {"factor": 1 + 1e-13}))
    expected = surface(evaluation="plain").loss * (1 + 1e-13)
    found = surface()
    assert found.attrs["evaluation"] == "quick"
    np.testing.assert_array_equal(found.loss, expected)
    assert found.evaluated.all()


@pytest.mark.parametrize("options", [{"error": ArithmeticError("no way")}, {"factor": 1.001}], ids=["raises", "off"])
def test_a_way_that_fails_or_disagrees_is_passed_over_and_told(monkeypatch, options):
    offered(monkeypatch, ("slow", {"seconds": 0.04}), ("broken", options))
    found = surface()
    assert found.attrs["evaluation"] == "slow"
    told = json.loads(found.attrs["evaluation_seconds"])["broken"]
    assert "no way" in told or "differs by 0.001" in told
    np.testing.assert_array_equal(found.loss, surface(evaluation="plain").loss)


def test_half_precision_does_not_excuse_a_way_that_is_off(monkeypatch):
    offered(monkeypatch, ("slow", {"seconds": 0.04}), ("broken", {"factor": 1.05}))
    model, loader = network(torch.bfloat16), batches_of(8, dtype=torch.bfloat16)
    found = loss_surface(model, loader, resolution=5, progress=False)
    assert found.attrs["evaluation"] == "slow"
    assert "differs by 0.05" in json.loads(found.attrs["evaluation_seconds"])["broken"]


@pytest.mark.parametrize(("factor", "taken"), [(1.002, True), (1.02, False)])
def test_a_reduced_precision_is_measured_on_the_plane_and_taken_below_one_percent(monkeypatch, factor, taken):
    offered(monkeypatch, ("exact", {"seconds": 0.04}), ("low", {"factor": factor, "reduced": True}))
    found = surface(precision="auto")
    assert found.attrs["evaluation"] == ("low" if taken else "exact")
    assert found.attrs["precision"] == ("bfloat16" if taken else "float64")
    if taken:
        assert found.attrs["precision_error"] == pytest.approx(0.002, rel=1e-6)
    else:
        assert "precision_error" not in found.attrs
        assert "off by 2.00%" in json.loads(found.attrs["evaluation_seconds"])["low"]


def test_the_error_of_a_reduced_precision_is_measured_only_where_it_is_faster(monkeypatch):
    offered(monkeypatch, ("exact", {}), ("low", {"seconds": 0.04, "factor": 1.02, "reduced": True}))
    found = surface(precision="auto")
    assert found.attrs["evaluation"] == "exact"
    assert json.loads(found.attrs["evaluation_seconds"])["low"] == 0.04


@pytest.mark.parametrize(("seconds", "tried"), [(0.04, True), (0.2, False)])
def test_one_thread_is_tried_only_where_a_point_takes_little_time(monkeypatch, seconds, tried):
    offered(monkeypatch, ("plain", {"seconds": seconds}), ("plain, 1 thread", {"seconds": 1.0}))
    told = json.loads(surface().attrs["evaluation_seconds"])
    assert ("plain, 1 thread" in told) == tried


def test_a_reduced_precision_is_measured_anew_on_another_plane(monkeypatch):
    offered(monkeypatch, ("exact", {"seconds": 0.04}), ("low", {"factor": 1.002, "reduced": True}))
    found = surface(precision="auto", repeats=2)
    assert found.attrs["evaluation"] == "low"
    exact = surface(evaluation="plain", repeats=2)
    np.testing.assert_allclose(found.loss, exact.loss * 1.002, rtol=1e-12)


def test_small_models_may_have_one_thread_in_the_engine_and_never_in_the_thread_of_the_user():
    def labels():
        torch.set_num_threads(2)
        plain = plain_of(network(), batches_of(8))
        return [c.build().label for c in module.candidates(plain.problem, plain, "float32") if c.name == "plain"]

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(labels).result() == ["plain", "plain, 1 thread"]
    assert labels() == ["plain"]


def test_nothing_is_tried_when_it_would_not_pay():
    attributes = surface().attrs
    assert attributes["evaluation"] == "plain"
    assert "evaluation_seconds" not in attributes


@pytest.mark.parametrize("evaluation", ["plain", "folded"])
def test_a_way_can_be_forced(evaluation):
    found = surface(evaluation=evaluation)
    assert found.attrs["evaluation"].startswith(evaluation)
    np.testing.assert_allclose(found.loss, surface().loss, rtol=1e-11)


def test_a_forced_way_that_does_not_fit_is_told_and_the_plain_one_taken():
    found = surface(evaluation="stacked")
    assert found.attrs["evaluation"] == "plain"
    assert "no chain of linear layers" in found.attrs["evaluation_seconds"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluation": "quick"}, "expected evaluation as one of .*'fastest' chooses by timing"),
        ({"evaluation": "graphs"}, "got 'graphs': points are no longer replayed as CUDA graphs; pass .*'folded'"),
        (
            {"precision": "double"},
            r"expected precision as one of \['float32', 'auto'\], got 'double'; ",
        ),
    ],
)
def test_unknown_ways_and_precisions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        surface(**options)


def test_large_models_are_evaluated_plainly(monkeypatch):
    monkeypatch.setattr(module, "PARAMETER_BYTES", 1000)
    plain = plain_of(network(), batches_of(8))
    assert [c.name for c in module.candidates(plain.problem, plain, "float32")] == ["plain"]


def test_a_strategy_that_is_right_at_the_center_only_is_passed_over(monkeypatch):
    class Stuck(Plain):
        def evaluate(self, points, tick):
            return super().evaluate(np.zeros_like(points), tick)

    monkeypatch.setattr(
        module, "candidates", lambda problem, plain, precision: [Candidate("s", lambda: Stuck(problem))]
    )
    evaluator = make_evaluator(network(), batches_of(8))
    evaluator.set_plane(random_plane(evaluator.problem.center, 0))
    points = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
    evaluator.tune(points, evaluator.evaluate(points), lambda: None)
    assert evaluator.strategy is evaluator.plain
    assert "differs by" in evaluator.report()["evaluation_seconds"]
