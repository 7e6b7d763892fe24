"""What is no hole: failures that end a run or come from elsewhere; and what is told of one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.models.failing import DATA, QUIET, REACH, Far, assert_holes, guarded, plane_of, slowly
from support.problems import make_evaluator
from support.reference import PATIENCE, grid_points
from support.trust import perceptron
from torch.nn import functional

from lljupyter import LandscapeWidget, loss_line, loss_surface, to_matplotlib
from lljupyter.evaluate.failures import PointsFailed
from lljupyter.geometry.plane import Plane
from lljupyter.problem.working_copy import WorkingCopy

pytestmark = pytest.mark.filterwarnings("ignore:No value at")


def test_most_points_of_the_coarsest_pass_raising_ends_the_run_and_resuming_goes_on():
    model = perceptron().double()
    directions = plane_of(model, 5.0)
    options = {"loss_fn": guarded, "directions": directions, "resolution": 5, **QUIET}
    message = (
        r"error at \d of the 9 points of the coarsest pass, at first ValueError: expected scores.*"
        r"smaller range, such as alpha=\(-0\.5, 0\.5\), beta=\(-0\.5, 0\.5\)"
    )
    with pytest.raises(RuntimeError, match=message):
        loss_surface(model, DATA, **options)
    widget = LandscapeWidget(model, DATA, **{k: v for k, v in options.items() if k != "progress"})
    try:
        with pytest.raises(RuntimeError, match=message):
            widget.wait(PATIENCE)
        widget.resume()
        found = widget.wait(PATIENCE)
    finally:
        widget.close()
    expected = slowly(model, guarded, directions, grid_points(found.alpha.values, found.beta.values))
    np.testing.assert_allclose(found.loss.values.ravel(), expected, rtol=1e-9)
    np.testing.assert_array_equal(found.failed.values.ravel(), np.isnan(expected))


def test_a_center_that_raises_ends_the_run_with_the_error():
    calls = itertools.count()

    def later(outputs, targets):
        if next(calls) > 40:
            raise ArithmeticError("worn out")
        return functional.cross_entropy(outputs, targets, reduction="none")

    model = perceptron().double()
    evaluator = make_evaluator(model, DATA, loss_fn=later)
    evaluator.set_plane(Plane(evaluator.problem.center, *plane_of(model)))
    while next(calls) <= 40:
        pass
    with pytest.raises(RuntimeError, match=r"the point \(alpha, beta\) = \(0, 0\) failed: ArithmeticError: worn") as e:
        evaluator.evaluate(np.array([[0.0, 0.0], [0.5, 0.5]]))
    assert not isinstance(e.value, PointsFailed)
    assert isinstance(e.value.__cause__, ArithmeticError)


@pytest.mark.parametrize(
    "error", [MemoryError("none left"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_no_hole(error):
    class Large(Far):
        def forward(self, x):
            if self.net[0].weight[0, 0] > self.limit:
                raise error
            return self.net(x)

    model = Large()
    with pytest.raises(RuntimeError, match=r"evaluating the point .* failed"):
        loss_surface(model, DATA[:1], directions=plane_of(model), resolution=5, **QUIET)


def test_a_mistake_of_this_package_is_no_hole(monkeypatch):
    model = perceptron().double()
    evaluation = WorkingCopy.evaluation
    calls = itertools.count()

    def broken(self, *args):
        if next(calls) > 8:
            raise ZeroDivisionError("ours")
        return evaluation(self, *args)

    evaluator = make_evaluator(model, DATA, loss_fn=guarded)
    evaluator.set_plane(Plane(evaluator.problem.center, *plane_of(model)))
    monkeypatch.setattr(WorkingCopy, "evaluation", broken)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: ours") as e:
        evaluator.evaluate(grid_points([-0.1, 0.0, 0.1], [0.0, 0.1]))
    assert not isinstance(e.value, PointsFailed)


def test_a_long_error_is_cut():
    def wordy(outputs, targets):
        if (outputs.abs() > REACH).any():
            raise ValueError("\n".join(f"line {k} of a long story, which nobody reads" for k in range(100)))
        return functional.cross_entropy(outputs, targets)

    model = perceptron().double()
    directions = plane_of(model)
    found = loss_surface(model, DATA, loss_fn=wordy, directions=directions, resolution=5, **QUIET)
    expected = slowly(model, guarded, directions, grid_points(found.alpha.values, found.beta.values))
    assert_holes(found, expected, "line 99 of a long story")
    assert "(in the loss, called with (8, 4) float64 and (8,) int64)" in found.attrs["failure"]


def test_a_tolerance_is_met_around_holes():
    model = perceptron().double()
    directions = plane_of(model, 0.225)
    options = {"loss_fn": guarded, "directions": directions, "alpha": (-2, 2), "beta": (-2, 2)}
    found = loss_surface(model, DATA, resolution=25, tolerance=0.05, **options, **QUIET)
    points = grid_points(found.alpha.values, found.beta.values)
    expected = slowly(model, guarded, directions, points).reshape(25, 25)
    known = found.evaluated.values
    np.testing.assert_allclose(found.loss.values[known], expected[known], rtol=1e-9)
    np.testing.assert_array_equal(found.failed.values, known & np.isnan(expected))


def test_figures_leave_a_gap():
    model = perceptron().double()
    found = loss_line(model, DATA, loss_fn=guarded, alpha=(-0.15, 1.05), resolution=9, norm=None, **QUIET)
    (curve,) = [line for line in to_matplotlib(found).axes[0].lines if len(line.get_xdata()) == 9][:1]
    np.testing.assert_array_equal(np.isnan(np.asarray(curve.get_ydata(), dtype=float)), found.failed)
