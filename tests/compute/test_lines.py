from __future__ import annotations

import json
import math

import h5py
import numpy as np
import pytest
import torch
import xarray
from support.data import tiny

from lljupyter import between, gradient_direction, interpolate, loss_line, loss_surface, plane_through
from lljupyter.geometry.parameters import inner, parameters_of
from lljupyter.geometry.plane import Plane, random_plane

QUIET = {"progress": False}


def small() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return tiny.digits()[:1]


@pytest.mark.parametrize(("over", "batchnorm"), [("states", "interpolate"), ("weights", "eval")])
def test_interpolation_is_that_of_the_authors_code(over, batchnorm):
    line = interpolate(tiny.network("a"), tiny.network("b"), tiny.digits(), batchnorm=batchnorm, **QUIET)
    with h5py.File(tiny.DATA / f"interpolation_{over}.h5") as file:
        np.testing.assert_allclose(line.alpha, file["xcoordinates"][:], atol=1e-12)
        np.testing.assert_allclose(line.loss, file["train_loss"][:], rtol=1e-4)
        np.testing.assert_allclose(line.accuracy, file["train_acc"][:] / 100, atol=1e-12)
    assert line.loss.dims == ("alpha",)
    assert line.attrs["directions"] == "between"
    assert line.attrs["model_fingerprint"] != line.attrs["model_b_fingerprint"]


@pytest.mark.parametrize(
    "name", ["filter_biasbn", "filter_none", "layer_biasbn", "weight_biasbn", "dfilter_biasbn", "dlayer_biasbn"]
)
def test_surfaces_are_those_of_the_authors_code(name):
    model = tiny.network()
    with h5py.File(tiny.DATA / f"surface_{name}.h5") as file:
        directions = tuple(tiny.direction(file, group, model) for group in ("xdirection", "ydirection"))
        found = loss_surface(model, tiny.digits(), directions=directions, resolution=9, **QUIET)
        np.testing.assert_allclose(found.loss, file["train_loss"][:].T, rtol=1e-4)
        np.testing.assert_allclose(found.accuracy, file["train_acc"][:].T / 100, atol=1e-12)


def test_a_random_line_is_the_cut_through_the_surface_of_its_seed():
    surface = loss_surface(tiny.network(), small(), seed=3, resolution=(5, 3), **QUIET)
    line = loss_line(tiny.network(), small(), seed=3, resolution=5, **QUIET)
    xarray.testing.assert_equal(line.loss, surface.loss.sel(beta=0, drop=True))
    assert line.attrs["seed"] == 3
    assert dict(line.sizes) == {"alpha": 5}


def test_a_line_along_a_direction_over_several_loaders():
    a, b = tiny.network("a"), tiny.network("b")
    loaders = {"train": small(), "test": tiny.digits("test")[:1]}
    line = loss_line(a, loaders, direction=between(a, b), alpha=(0, 1), resolution=3, **QUIET)
    assert {"train_loss", "train_accuracy", "test_loss", "test_accuracy"} < set(line)
    for name, loader in loaders.items():
        alone = loss_line(a, loader, direction=between(a, b), alpha=(0, 1), resolution=3, **QUIET)
        xarray.testing.assert_equal(line[f"{name}_loss"].rename("loss"), alone.loss)
    surface = loss_surface(a, loaders, resolution=2, **QUIET)
    assert surface.test_loss.dims == ("beta", "alpha")


def test_recalibrated_interpolation_has_lower_barriers_than_stale_statistics():
    models = tiny.network("a"), tiny.network("b")
    lines = {
        how: interpolate(*models, small(), batchnorm=how, resolution=3, alpha=(0, 1), **QUIET)
        for how in ("interpolate", "recalibrate", "eval")
    }
    assert lines["recalibrate"].loss[1] < lines["eval"].loss[1]
    swapped = interpolate(*models[::-1], small(), resolution=3, alpha=(0, 1), **QUIET)
    np.testing.assert_allclose(lines["interpolate"].loss, swapped.loss[::-1], rtol=1e-4)
    assert lines["recalibrate"].attrs["batchnorm"] == "recalibrate"


@pytest.mark.parametrize("verb", [loss_line, loss_surface])
def test_repeats_are_seeds_stacked_on_a_dimension(verb):
    stacked = verb(tiny.network(), small(), seed=4, repeats=3, resolution=3, **QUIET)
    assert stacked.seed.values.tolist() == [4, 5, 6]
    assert "seed" not in stacked.attrs
    for seed in (4, 6):
        alone = verb(tiny.network(), small(), seed=seed, resolution=3, **QUIET)
        xarray.testing.assert_equal(stacked.sel(seed=seed, drop=True), alone)


def test_an_orthogonalized_surface():
    model = tiny.network()
    given = random_plane(parameters_of(model), 2)
    found = loss_surface(model, small(), seed=2, resolution=3, orthogonalize=True, **QUIET)
    from lljupyter.geometry.directions import orthogonalize

    eta = orthogonalize(given.eta, given.delta)
    expected = loss_surface(model, small(), directions=(given.delta, eta), resolution=3, **QUIET)
    xarray.testing.assert_equal(found, expected)
    assert found.attrs["orthogonalized"] == 1


def test_a_surface_through_three_models_shows_and_marks_them():
    a, b, c = tiny.network("a"), tiny.network("b"), tiny.network("a")
    c.load_state_dict(tiny.checkpoints()[2])
    plane = plane_through(a, b, c, over="states")
    surface = loss_surface(a, small(), directions=plane, batchnorm="interpolate", resolution=5, **QUIET)
    marks = json.loads(surface.attrs["marks"])
    assert marks == {name: list(place) for name, place in plane.marks.items()}
    for x, y in marks.values():
        assert float(surface.alpha[0]) < x < float(surface.alpha[-1])
        assert float(surface.beta[0]) < y < float(surface.beta[-1])
    x, y = marks["b"]
    at_b = loss_surface(
        a, small(), directions=plane, batchnorm="interpolate", resolution=1, alpha=(x, x), beta=(y, y), **QUIET
    )
    own = loss_surface(b, small(), resolution=1, **QUIET)
    assert at_b.loss.item() == pytest.approx(own.loss.item(), rel=1e-3)


def test_uphill_is_where_the_gradient_points():
    model = tiny.network()
    gradient = gradient_direction(model, small())
    assert all(parameter.grad is None for parameter in model.parameters())
    h = 1e-3 / math.sqrt(inner(gradient, gradient))
    line = loss_line(model, small(), direction=gradient, alpha=(-h, h), resolution=3, **QUIET)
    slope = (line.loss[2] - line.loss[0]).item() / (2 * h)
    assert slope == pytest.approx(inner(gradient, gradient), rel=0.05)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batchnorm": "interpolate"}, ValueError, "move the running statistics .*, got random ones"),
        ({"repeats": 0}, ValueError, "expected repeats as a whole number of at least 1, got 0"),
        ({"batchnorm": "stale"}, ValueError, "expected batchnorm as one of .*, got 'stale'"),
        ({"trajectory": 3}, TypeError, "expected a trajectory as a folder or a list"),
    ],
)
def test_options_that_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        loss_surface(tiny.network(), small(), **options, **QUIET)


def test_a_model_that_diverged_is_refused():
    model = tiny.network()
    model.conv2.weight.data[0, 0] = math.nan
    for options in ({}, {"trajectory": tiny.checkpoints()}):
        with pytest.raises(ValueError, match=r"a model with finite parameters, got inf or NaN in 'conv2.weight'; load"):
            loss_surface(model, small(), **options, **QUIET)


def test_directions_that_do_not_fit_are_refused():
    a, b = tiny.network("a"), tiny.network("b")
    states, parameters = (between(a, b, over) for over in ("states", "parameters"))
    with pytest.raises(ValueError, match="expected directions over parameters for batchnorm='eval', got some over st"):
        loss_surface(a, small(), directions=(states, states), **QUIET)
    with pytest.raises(ValueError, match="expected directions over states for batchnorm='interpolate', got some over"):
        loss_surface(a, small(), directions=(parameters, parameters), batchnorm="interpolate", **QUIET)
    with pytest.raises(ValueError, match="expected a plane around this model, got one around another"):
        loss_surface(a, small(), directions=Plane(parameters_of(b), parameters, parameters), **QUIET)
    with pytest.raises(ValueError, match="expected repeats=1 with given directions or save_to, got 2"):
        loss_surface(a, small(), directions=(parameters, parameters), repeats=2, **QUIET)
    with pytest.raises(TypeError, match="expected direction as a dict of parameter name to tensor, got list"):
        loss_line(a, small(), direction=[1], **QUIET)
    with pytest.raises(ValueError, match="expected delta with the model's 8 parameter names, got 1 names"):
        loss_line(a, small(), direction={"a": 1}, **QUIET)
    with pytest.raises(TypeError, match=r"expected delta\['conv1.weight'\] as a torch.Tensor, got int; use torch.as_t"):
        loss_line(a, small(), direction={**parameters, "conv1.weight": 1}, **QUIET)
    with pytest.raises(TypeError, match=r"expected model_b as a torch.nn.Module, got list; call it as"):
        interpolate(a, small(), small(), **QUIET)


def test_without_a_range_a_line_holds_what_it_is_about():
    a, b = tiny.network("a"), tiny.network("b")
    assert interpolate(a, b, small(), alpha=None, resolution=3, **QUIET).alpha.values.tolist() == [-0.5, 0.5, 1.5]
    assert loss_line(a, small(), alpha=None, resolution=3, **QUIET).alpha.values.tolist() == [-1, 0, 1]
