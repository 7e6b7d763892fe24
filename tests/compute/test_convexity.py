from __future__ import annotations

import numpy as np
import pytest
import torch
from support.data import tiny
from support.hessians import dense, matrix_parameters
from support.problems import make_evaluator
from support.reference import batches_of, network
from torch import nn

from lljupyter import (
    convexity_map,
    hessian_directions,
    load,
    loss_surface,
    projected_curvatures,
    projected_hessian,
    save,
)
from lljupyter.compute.prepare import prepare
from lljupyter.geometry.directions import between
from lljupyter.geometry.parameters import inner, parameters_of
from lljupyter.geometry.plane import Plane, random_plane
from lljupyter.session.snapshot import dataset_of

CROSS = nn.CrossEntropyLoss()
NAMES = ["lambda_min", "lambda_max", "convexity", "hvps", "residual_min", "residual_max"]


def map_of(model=None, **options):
    return convexity_map(model or network(), batches_of(8), progress=False, **{"resolution": (3, 2), **options})


def test_a_map_on_a_grid_that_is_not_square_equals_dense_hessians():
    dataset = map_of(seed=3, tol=1e-4)
    assert list(dataset.data_vars) == [*NAMES, "evaluated"]
    assert dataset.lambda_min.dims == ("beta", "alpha")
    assert dataset.attrs["hessian_over"] == "weights"
    assert dataset.attrs["hessian_n_samples"] == 23
    plane = random_plane(parameters_of(network()), 3)
    for row, beta in enumerate(dataset.beta.values):
        for column, alpha in enumerate(dataset.alpha.values):
            moved = network()
            moved.load_state_dict(plane.at(alpha, beta), strict=False)
            expected = torch.linalg.eigvalsh(dense(moved, loss_fn=CROSS))
            assert dataset.lambda_min[row, column].item() == pytest.approx(float(expected[0]), rel=1e-5)
            assert dataset.lambda_max[row, column].item() == pytest.approx(float(expected[-1]), rel=1e-5)
    np.testing.assert_allclose(dataset.convexity, abs(dataset.lambda_min / dataset.lambda_max))


def test_convexity_comes_after_the_loss_and_nothing_of_the_loss_changes():
    kinds: list[tuple[int, int]] = []
    prepared = prepare(network(), batches_of(8), quantities=["loss", "convexity"], resolution=3)
    prepared.session.on_update = lambda s: kinds.append(
        (int(s.evaluated.sum()), int(np.isfinite(s.values["hvps"]).sum()))
    )
    prepared.session.run()
    assert kinds[-1] == (9, 9)
    assert all(curved == 0 or evaluated == 9 for evaluated, curved in kinds)
    dataset = dataset_of(prepared.session.snapshot())
    plain = loss_surface(network(), batches_of(8), quantities=["loss"], resolution=3, progress=False)
    np.testing.assert_array_equal(dataset.loss, plain.loss)
    np.testing.assert_allclose(dataset.lambda_max, map_of(resolution=3).lambda_max, rtol=1e-3)
    assert prepared.session.snapshot().n_points == 18


@pytest.mark.parametrize("quantities", [["convexity"], ["loss", "convexity"]], ids=["alone", "after the loss"])
def test_a_stopped_map_goes_on_from_its_file(quantities, tmp_path):
    session = prepare(network(), batches_of(8), quantities=quantities, resolution=5).session
    after_a_pass = session.snapshot().n_points - 25 + 9
    session.on_update = lambda snapshot: session.stop() if snapshot.n_done >= after_a_pass else None
    session.run()
    known = np.isfinite(dataset_of(session.snapshot()).hvps.values)
    assert 9 <= known.sum() < 25
    save(dataset_of(session.snapshot()), tmp_path / "half.nc")
    resumed = prepare(network(), batches_of(8), quantities=quantities, resume=tmp_path / "half.nc").session
    before = dataset_of(session.snapshot())
    resumed.run()
    after = dataset_of(resumed.snapshot())
    assert np.isfinite(after.hvps.values).all()
    np.testing.assert_array_equal(after.lambda_min.values[known], before.lambda_min.values[known])
    save(after, tmp_path / "whole.nc")
    np.testing.assert_array_equal(load(tmp_path / "whole.nc").convexity, after.convexity)


def test_a_pause_within_a_point_is_no_error():
    session = prepare(network(), batches_of(8), quantities=["convexity"], resolution=3).session
    stopped = []

    def on_update(snapshot):
        if not stopped:
            stopped.append(session.stop())

    session.on_update = on_update
    session.run()
    assert session.snapshot().status == "stopped"
    session.resume()
    session.run()
    session.wait()
    assert session.snapshot().status == "done"


def test_max_samples_is_in_the_recipe():
    assert map_of(max_samples=10).attrs["hessian_n_samples"] == 10


def test_a_path_over_the_map_has_its_own_curvature():
    dataset = convexity_map(
        tiny.network(), tiny.loader(), trajectory=tiny.checkpoints()[-4:], resolution=2, progress=False
    )
    assert np.isfinite(dataset.trajectory_lambda_max).all()


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="expected over as one of"):
        map_of(over="none")
    with pytest.raises(ValueError, match="got 'recalibrate'"):
        map_of(batchnorm="recalibrate")
    with pytest.raises(ValueError, match="expected which as"):
        hessian_directions(network(), batches_of(8), which="down")
    with pytest.raises(ValueError, match=r"over 120 parameters|over \d+ parameters"):
        projected_curvatures(network(), batches_of(8), np.zeros(3))
    with pytest.raises(ValueError, match="expected n_planes"):
        projected_curvatures(network(), batches_of(8), np.zeros(3), n_planes=0)
    n = sum(theta.numel() for theta in network().parameters() if theta.dim() > 1)
    with pytest.raises(ValueError, match="expected finite eigenvalues, got 1 that are not; check the weights"):
        projected_curvatures(network(), batches_of(8), np.array([np.nan, *np.zeros(n - 1)]))


def test_points_and_planes_of_another_kind_are_refused():
    plane = random_plane(parameters_of(network()), 3)
    with pytest.raises(TypeError, match=r"expected a Plane, got tuple; make it with Plane\(center, delta, eta\)"):
        projected_hessian(network(), batches_of(8), (plane.delta, plane.eta))
    for point in ((0, 0, 1), "ab", None):
        with pytest.raises(TypeError, match=r"expected point as two numbers, got .*; try point=\(0, 0\)"):
            projected_hessian(network(), batches_of(8), plane, point)
    with pytest.raises(ValueError, match=r"expected a finite point, got \(nan, 0\); try"):
        projected_hessian(network(), batches_of(8), plane, (np.nan, 0))


class Rounding(nn.Module):
    """Its loss is flat nearly everywhere."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 3)

    def forward(self, x):
        return self.layer(x).round()


def test_a_hessian_without_two_directions_is_refused():
    classes = [(torch.ones(3, 2), torch.arange(3))]
    with pytest.raises(
        ValueError, match=r"expected a Hessian with two directions to show, got .* eigenvalue is 0; pass"
    ):
        hessian_directions(Rounding(), classes)
    single = [(torch.ones(3, 1), torch.zeros(3, 1))]
    with pytest.raises(ValueError, match="expected a Hessian with two directions to show, got one over 1 parameters"):
        hessian_directions(nn.Linear(1, 1, bias=False), single, loss_fn=nn.MSELoss())


def test_other_quantities_are_measured_where_they_are_asked_for():
    dataset = map_of(quantities=["loss"], resolution=1)
    assert list(dataset.data_vars) == ["loss", "loss_stderr", *NAMES, "evaluated"]
    assert list(map_of(quantities=("convexity",), resolution=1).data_vars) == [*NAMES, "evaluated"]
    for wrong in ("loss", 5, iter(["loss"])):
        with pytest.raises(ValueError, match=r"expected quantities as some of .* got .*; None takes all"):
            map_of(quantities=wrong)


@pytest.mark.parametrize("which", ["ends", "top"])
def test_directions_are_eigenvectors(which):
    values, vectors = torch.linalg.eigh(dense(network(), loss_fn=CROSS))
    found = hessian_directions(network(), batches_of(8), which=which, tol=1e-5)
    names = list(matrix_parameters(network()))
    for direction, index in zip(found, (-1, 0 if which == "ends" else -2), strict=True):
        flat = torch.cat([direction[name].reshape(-1) for name in names])
        assert abs(float(flat @ vectors[:, index])) == pytest.approx(1, abs=1e-5)
        assert inner(direction, direction) == pytest.approx(1)
        assert not direction["1.weight"].any()
    assert inner(*found) == pytest.approx(0, abs=1e-6)
    assert values[0] < 0


def test_directions_of_the_hessian_make_a_plane():
    surface = loss_surface(
        network(), batches_of(8), directions=hessian_directions(network(), batches_of(8)), resolution=3, progress=False
    )
    assert surface.evaluated.all()


@pytest.mark.parametrize("point", [(0.0, 0.0), (0.4, -0.2)])
def test_the_projected_hessian_is_that_of_the_surface(point):
    model, batches = network(), batches_of(8)
    plane = random_plane(parameters_of(model), 3, ignore=None)
    found = projected_hessian(model, batches, plane, point)
    evaluator = make_evaluator(model, batches)
    evaluator.set_plane(plane)
    h = 1e-5  # small enough that no unit changes its sign
    offsets = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    points = np.array([(point[0] + h * i, point[1] + h * j) for i, j in offsets])
    f = dict(zip(offsets, evaluator.evaluate(points)["loss"], strict=True))
    aa = (f[1, 0] - 2 * f[0, 0] + f[-1, 0]) / h**2
    bb = (f[0, 1] - 2 * f[0, 0] + f[0, -1]) / h**2
    ab = (f[1, 1] - f[1, -1] - f[-1, 1] + f[-1, -1]) / (4 * h**2)
    np.testing.assert_allclose(found, [[aa, ab], [ab, bb]], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("loss_fn", [lambda o, t: float(CROSS(o, t)), lambda o, t: CROSS(o, t).detach()])
def test_a_loss_that_can_not_be_differentiated_is_refused(loss_fn):
    with pytest.raises(ValueError, match=r"expected a loss that torch can differentiate.*without \.item"):
        map_of(loss_fn=loss_fn)


def test_a_plane_of_another_network_is_refused():
    other = {"weight": torch.zeros(2)}
    with pytest.raises(ValueError, match="expected delta with the model's"):
        projected_hessian(network(), batches_of(8), Plane(other, other, other))


def test_curvatures_of_random_planes_are_chi_square_weighted_averages():
    eigenvalues = torch.linalg.eigvalsh(dense(network(), loss_fn=CROSS)).numpy()
    found = projected_curvatures(network(), batches_of(8), eigenvalues, n_planes=300)
    assert found.measured.shape == found.predicted.shape == (300, 2)
    quantiles = np.linspace(0.1, 0.9, 9)
    measured, predicted = (np.quantile(part, quantiles) for part in found)
    spread = predicted[-1] - predicted[0]
    np.testing.assert_allclose(measured, predicted, atol=0.15 * spread)
    # A spectrum with the same mean that is spread otherwise is told apart: the check can fail.
    other = projected_curvatures(network(), batches_of(8), np.full_like(eigenvalues, eigenvalues.mean()), n_planes=300)
    assert np.abs(np.quantile(other.predicted, quantiles) - measured).max() > 0.3 * spread
    assert found.measured.max() < eigenvalues[-1]


def test_curvatures_of_a_large_model_in_half_precision_do_not_overflow():
    model = nn.Sequential(nn.Linear(300, 300, bias=False)).half()  # 90,000 numbers, of which 65,504 is the largest
    batches = [(torch.eye(300)[:4].half(), torch.zeros(4, 300).half())]
    found = projected_curvatures(model, batches, np.zeros(90_000), n_planes=2, loss_fn=nn.MSELoss())
    # Four samples see as many columns: 1,200 of the eigenvalues are 2 / (4 * 300), the others zero.
    np.testing.assert_allclose(found.measured, 2 / 90_000, rtol=0.2)


def test_the_model_is_not_touched():
    from support.untouched import everything, trained_network

    model = trained_network()
    before = everything(model)
    batches = batches_of(8, dtype=torch.float32)
    convexity_map(model, batches, resolution=2, progress=False)
    hessian_directions(model, batches)
    projected_hessian(model, batches, random_plane(parameters_of(model), 0))
    assert everything(model) == before


def test_states_move_with_the_weights():
    other = network()
    with torch.no_grad():
        other[1].running_var.mul_(2)
        other[0].weight.mul_(1.1)
    states = between(network(), other, over="states")
    zeros = {name: torch.zeros_like(part) for name, part in states.items()}
    at_b = map_of(
        directions=(states, zeros), batchnorm="interpolate", alpha=(1, 1), beta=(0, 0), resolution=1, tol=1e-4
    )
    expected = map_of(other, alpha=(0, 0), beta=(0, 0), resolution=1, tol=1e-4)
    np.testing.assert_allclose(at_b.lambda_max, expected.lambda_max, rtol=1e-6)
