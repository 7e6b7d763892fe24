"""A point that raises, where the center does not, has no value, and its reason is kept; all others have theirs."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from support.models.failing import (
    DATA,
    QUIET,
    REACH,
    Far,
    Steep,
    assert_holes,
    guarded,
    likelihood,
    plane_of,
    slowly,
    steep,
)
from support.problems import make_evaluator
from support.reference import PATIENCE, grid_points, slow_mean
from support.trust import perceptron
from torch.nn import functional

from lljupyter import LandscapeWidget, load, loss_line, loss_surface, save
from lljupyter.evaluate.failures import PointsFailed
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.geometry.plane import Plane

pytestmark = pytest.mark.filterwarnings("ignore:No value at")


KINDS = {
    "model": (Far, functional.cross_entropy, r"RuntimeError: the scale parameter has invalid values (in the model"),
    "values": (
        lambda: perceptron().double(),
        guarded,
        "ValueError: expected scores within bounds (in the loss, called",
    ),
    "cholesky": (lambda: perceptron().double(), likelihood, "the leading minor of order"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("evaluation", ["plain", "stacked", "fastest"])
def test_a_surface_has_holes_where_the_obvious_loop_raises(kind, evaluation):
    make, loss_fn, text = KINDS[kind]
    model = make()
    directions, before = plane_of(model), copy.deepcopy(model.state_dict())
    found = loss_surface(
        model, DATA, loss_fn=loss_fn, directions=directions, resolution=7, evaluation=evaluation, **QUIET
    )
    expected = slowly(make(), loss_fn, directions, grid_points(found.alpha.values, found.beta.values))
    assert_holes(found, expected, text)
    assert "evaluation_fallback" not in found.attrs
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    assert getattr(model, "calls", 0) == 0


def test_a_line_has_holes_and_a_point_of_several_seeds_belongs_to_its_seed():
    options = {"loss_fn": guarded, "resolution": 9, "alpha": (-0.15, 1.05), "norm": None, "ignore": None, **QUIET}
    lines = [loss_line(perceptron().double(), DATA, seed=seed, **options) for seed in range(3)]
    assert len({int(line.failed.sum()) if "failed" in line else 0 for line in lines}) > 1
    stack = loss_line(perceptron().double(), DATA, seed=0, repeats=3, **options)
    for line, one in zip(lines, (stack.isel(seed=k) for k in range(3)), strict=True):
        np.testing.assert_array_equal(one.loss, line.loss)
        np.testing.assert_array_equal(one.failed, np.isnan(line.loss))
    assert stack.failed.dims == ("seed", "alpha")
    assert stack.failed.dtype == bool
    assert "expected scores within bounds" in stack.attrs["failure"]


def test_a_failing_point_leaves_the_others_of_its_chunk_bitwise_as_they_are():
    model = perceptron().double()
    delta, eta = plane_of(model)
    points = grid_points(np.linspace(-1, 1, 7), [-1.0, 0.0, 1.0])
    evaluator = make_evaluator(model, DATA, loss_fn=guarded)
    evaluator.set_plane(Plane(evaluator.problem.center, delta, eta))
    fast = Stacked(evaluator.problem)
    evaluator.strategy = fast
    fast.set_plane(evaluator.moving)
    with pytest.raises(
        PointsFailed, match=r"evaluating the point .* failed: ValueError.* more of these 21 points"
    ) as e:
        evaluator.evaluate(points)
    failed = list(e.value.reasons)
    assert 0 < len(failed) < 10
    assert evaluator.strategy is fast
    good = next(i for i in range(len(points)) if i not in failed)
    points[failed] = points[good]
    for name, expected in evaluator.evaluate(points).items():
        expected[failed] = np.nan
        np.testing.assert_array_equal(e.value.values[name], expected)


def test_a_strategy_at_fault_gives_way_also_where_points_fail(monkeypatch):
    model = perceptron().double()
    evaluator = make_evaluator(model, DATA, loss_fn=guarded)
    evaluator.set_plane(Plane(evaluator.problem.center, *plane_of(model)))
    points = grid_points(np.linspace(-1, 1, 5), [0.5])
    with pytest.raises(PointsFailed) as expected:
        evaluator.evaluate(points)
    evaluator.strategy = Stacked(evaluator.problem)
    evaluator.strategy.set_plane(evaluator.moving)
    monkeypatch.setattr(Stacked, "evaluate", lambda *args: 1 / 0)
    with pytest.raises(PointsFailed) as found:
        evaluator.evaluate(points)
    np.testing.assert_array_equal(found.value.values["loss"], expected.value.values["loss"])
    assert evaluator.label == "plain"
    assert "ZeroDivisionError" in evaluator.report()["evaluation_fallback"]


@pytest.mark.parametrize("quantities", [["loss", "convexity"], ["convexity"]])
def test_a_point_whose_derivatives_raise_has_no_eigenvalues_and_is_not_tried_again(quantities, monkeypatch, tmp_path):
    model = perceptron().double()
    directions = plane_of(model)
    options = {"loss_fn": steep, "directions": directions, "resolution": 5, "quantities": quantities, **QUIET}
    found = loss_surface(model, DATA, **options)
    points = grid_points(found.alpha.values, found.beta.values)
    largest = [
        max(slow_mean(model, [batch], directions, [point], lambda o, y: o.abs().max())[0] for batch in DATA)
        for point in points
    ]
    failed = np.reshape(largest, (5, 5)) > REACH
    assert 0 < failed.sum() < 13
    np.testing.assert_array_equal(found.failed, failed)
    np.testing.assert_array_equal(found.hvps == 0, failed)
    plain = loss_surface(model, DATA, **{**options, "loss_fn": functional.cross_entropy})
    np.testing.assert_allclose(found.lambda_max, np.where(failed, np.nan, plain.lambda_max), rtol=1e-2)
    assert "ArithmeticError: no derivative here (in the derivative)" in found.attrs["failure"]
    if "loss" in quantities:
        np.testing.assert_allclose(found.loss, plain.loss, rtol=1e-9)
    save(found, tmp_path / "a.nc")
    monkeypatch.setattr(Steep, "backward", staticmethod(lambda ctx, gradient: gradient * 1.0))
    again = loss_surface(model, DATA, resume=load(tmp_path / "a.nc"), **options)
    np.testing.assert_array_equal(again.failed, failed)
    assert again.attrs["failure"] == found.attrs["failure"]
    anew = loss_surface(model, DATA, resume=found.assign(evaluated=found.evaluated & ~found.failed), **options)
    assert "failed" not in anew
    assert (anew.hvps > 0).all()


def test_a_resumed_file_keeps_its_holes_and_equals_the_surface_in_one_go(tmp_path):
    model = perceptron().double()
    calls = itertools.count()

    def counted(outputs, targets):
        next(calls)
        return guarded(outputs, targets)

    options = {"directions": plane_of(model), "resolution": 7, "evaluation": "plain", **QUIET}
    whole = loss_surface(model, DATA, loss_fn=counted, **options)
    half = whole.copy(deep=True)
    left = np.arange(49).reshape(7, 7) % 2 == 1
    half["evaluated"].values[left] = False
    for name in ("loss", "loss_stderr", "accuracy", "accuracy_stderr"):
        if name in half:
            half[name].values[left] = np.nan
    half["failed"].values[left] = False
    assert half.failed.any()
    save(half, tmp_path / "half.nc")
    resumed = loss_surface(model, DATA, loss_fn=counted, resume=load(tmp_path / "half.nc"), **options)
    for name in ("loss", "evaluated", "failed"):
        np.testing.assert_array_equal(resumed[name], whole[name])
    assert resumed.attrs["failure"] == whole.attrs["failure"]
    start = next(calls)
    loss_surface(model, DATA, loss_fn=counted, resume=resumed, **options)
    before = next(calls) - start
    start = next(calls)
    loss_surface(
        model, DATA, loss_fn=counted, resume=resumed.assign(evaluated=resumed.evaluated & ~resumed.failed), **options
    )
    assert next(calls) - start >= before + int(resumed.failed.sum())


def test_a_trajectory_has_a_hole_at_the_checkpoint_that_raises():
    model = perceptron().double()
    states = [{n: p * scale for n, p in model.state_dict().items()} for scale in (0.2, 5.0, 0.6, 1.0)]
    found = loss_surface(
        model, DATA, loss_fn=guarded, trajectory=states, directions=plane_of(model, 0.1), resolution=3, **QUIET
    )
    zeros = tuple({n: torch.zeros_like(p) for n, p in model.state_dict().items()} for _ in range(2))
    expected = []
    for state in states:
        there = perceptron().double()
        there.load_state_dict(state)
        expected.append(slowly(there, guarded, zeros, [(0.0, 0.0)])[0])
    assert np.isnan(expected).tolist() == [False, True, False, False]
    np.testing.assert_allclose(found.trajectory_loss, expected, rtol=1e-9)
    assert found.trajectory_failed.values.tolist() == [False, True, False, False]
    assert "expected scores within bounds" in found.attrs["trajectory_failure"]


def test_a_widget_shows_its_holes_and_a_page_too(tmp_path):
    model = perceptron().double()
    directions = plane_of(model)
    widget = LandscapeWidget(model, DATA, loss_fn=guarded, directions=directions, resolution=7)
    try:
        found = widget.wait(PATIENCE)
        failed = widget.meta["failed"]
        widget.to_html(tmp_path / "a.html")
    finally:
        widget.close()
    expected = slowly(model, guarded, directions, grid_points(found.alpha.values, found.beta.values))
    assert_holes(found, expected, "expected scores within bounds")
    assert failed == {"at": np.flatnonzero(np.isnan(expected)).tolist(), "reason": found.attrs["failure"]}
    page = (tmp_path / "a.html").read_text()
    assert f"No value at {len(failed['at'])} of 49 points, where the model or the loss failed" in page
    assert '"failed": {"at": [' in page
