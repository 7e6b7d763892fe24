from __future__ import annotations

import re
from inspect import Parameter, getdoc, signature

import numpy as np
import pytest
import torch
import xarray
from support.reference import batches_of, grid_points, linear, network, slow_mean
from torch import nn

from lljupyter import interpolate, loss_line, loss_surface
from lljupyter.compute.options import DEFAULTS, EvaluationOptions, SurfaceOptions
from lljupyter.compute.prepare import prepare
from lljupyter.compute.prepare.grids import check_seed
from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import fingerprint, parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.problem.problem import build_problem


def surface_of(model=None, loader=None, **options):
    return loss_surface(
        network() if model is None else model,
        batches_of(8) if loader is None else loader,
        **{"resolution": 3, "progress": False, **options},
    )


def test_a_surface_equals_the_slow_loop_on_a_grid_that_is_not_square():
    model = network()
    surface = surface_of(model, resolution=(5, 3), alpha=(-1, 2), beta=(-0.5, 0.5), seed=4)
    plane = random_plane(parameters_of(model), 4)
    points = grid_points(surface.alpha.values, surface.beta.values)
    expected = slow_mean(model, batches_of(8), (plane.delta, plane.eta), points, nn.CrossEntropyLoss())
    np.testing.assert_allclose(surface.loss.values.ravel(), expected, rtol=1e-12)
    assert dict(surface.sizes) == {"beta": 3, "alpha": 5}


def test_a_surface_holds_its_recipe():
    model = network()
    surface = surface_of(model, seed=7, norm="layer", ignore=None)
    assert list(surface) == ["loss", "loss_stderr", "accuracy", "accuracy_stderr", "evaluated"]
    assert surface.evaluated.all()
    expected = {
        "model": "Sequential",
        "model_fingerprint": fingerprint(model),
        "directions": "random",
        "norm": "layer",
        "ignore": "none",
        "seed": 7,
        "loss_fn": "cross-entropy",
        "n_samples": 23,
        "device": "cpu",
        "center_on_grid": 1,
    }
    assert {name: surface.attrs[name] for name in expected} == expected


def test_a_surface_can_be_written_as_netcdf(tmp_path):
    surface = surface_of()
    surface.to_netcdf(tmp_path / "surface.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "surface.nc", engine="h5netcdf") as read:
        xarray.testing.assert_identical(read.load(), surface)


def test_given_directions_are_used_as_they_are():
    model = linear(3, 2)
    loader = [(torch.rand(6, 3).double(), torch.arange(6) % 2)]
    theta = parameters_of(model)
    delta, eta = random_direction(theta, 1), random_direction(theta, 2)
    surface = surface_of(model, loader, directions=(delta, eta), resolution=(3, 2))
    points = grid_points(surface.alpha.values, surface.beta.values)
    expected = slow_mean(model, loader, (delta, eta), points, nn.CrossEntropyLoss())
    np.testing.assert_allclose(surface.loss.values.ravel(), expected, rtol=1e-12)
    assert surface.attrs["directions"] == "given"
    assert not {"norm", "ignore", "seed"} & set(surface.attrs)


def test_given_directions_may_be_of_another_dtype_and_with_gradients():
    model = linear(3, 2)
    loader = [(torch.rand(6, 3).double(), torch.arange(6) % 2)]
    directions = [
        {name: part.float().requires_grad_() for name, part in random_direction(parameters_of(model), k).items()}
        for k in (1, 2)
    ]
    surface = surface_of(model, loader, directions=tuple(directions))
    assert surface.evaluated.all()
    assert all(part.grad is None for d in directions for part in d.values())


def test_one_point():
    model = network()
    surface = surface_of(model, resolution=1, alpha=(0.3, 0.3), beta=(-0.2, -0.2))
    plane = random_plane(parameters_of(model), 0)
    expected = slow_mean(model, batches_of(8), (plane.delta, plane.eta), [(0.3, -0.2)], nn.CrossEntropyLoss())
    assert surface.loss.values.tolist() == [[pytest.approx(expected[0], rel=1e-12)]]
    assert surface.attrs["center_on_grid"] == 0


def test_max_samples_uses_the_first_samples():
    surface = surface_of(max_samples=10)
    expected = surface_of(loader=batches_of(23, 23)[:1], max_samples=10)
    np.testing.assert_allclose(surface.loss, expected.loss, rtol=1e-12)
    assert surface.attrs["n_samples"] == 10


def test_a_generator_of_batches_is_read_once():
    np.testing.assert_array_equal(surface_of(loader=iter(batches_of(8))).loss, surface_of().loss)


def test_a_progress_bar_ends_at_the_last_point(capsys):
    surface_of(progress=True)
    assert "9/9" in capsys.readouterr().err
    surface_of(progress=False)
    assert capsys.readouterr().err == ""


def test_the_error_of_a_model_that_fails_nearly_everywhere_is_raised():
    class Fragile(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear(3, 2)
            self.first = self.layer.weight[0, 0].item()

        def forward(self, x):
            if self.layer.weight[0, 0] != self.first:
                raise ArithmeticError("too far")
            return self.layer(x)

    loader = [(torch.rand(6, 3).double(), torch.arange(6) % 2)]
    message = (
        r"error at \d of the 9 points of the coarsest pass, at first ArithmeticError: too far.*try a smaller range"
    )
    with pytest.raises(RuntimeError, match=message):
        surface_of(Fragile(), loader)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"resolution": 0}, ValueError, "expected a resolution of at least 1 along alpha, got 0"),
        ({"resolution": (3, -1)}, ValueError, "expected a resolution of at least 1 along beta, got -1"),
        ({"resolution": 2.5}, TypeError, "expected resolution as a whole number"),
        ({"alpha": (1, -1)}, ValueError, "expected alpha as .* got the reversed range"),
        ({"beta": (0, float("nan"))}, ValueError, "expected a finite beta range"),
        ({"beta": (0.5, 0.5)}, ValueError, "expected beta .* got the single value 0.5"),
        ({"norm": "filters"}, ValueError, "expected norm as one of"),
        ({"ignore": "bias"}, ValueError, "expected ignore as 'biasbn' or None"),
        ({"seed": -1}, ValueError, r"expected a seed from 0 to 2\*\*53, got -1"),
        ({"seed": 1.5}, TypeError, "expected seed as a whole number, got 1.5"),
        (
            {"directions": ({},)},
            TypeError,
            r"expected directions as a pair \(delta, eta\) .* got tuple",
        ),
        ({"directions": {"w": 1}}, TypeError, "expected directions as a pair .* got dict; None draws them"),
        ({"directions": ({}, {})}, ValueError, "expected delta with the model's .* parameter names, got 0 names"),
        ({"directions": (1, 2)}, TypeError, "expected delta as a dict of parameter name to tensor, got int"),
        ({"max_samples": 0}, ValueError, "expected max_samples of at least 1"),
        ({"loss_fn": 3}, TypeError, "expected loss_fn as a callable"),
        ({"loader": []}, ValueError, "at least one batch"),
        ({"loader": {"train": batches_of(8), "test": []}}, ValueError, "the loader 'test': expected a loader with at"),
        ({"loader": {"trajectory": batches_of(8)}}, ValueError, "expected loaders of other names than 'trajectory'"),
        ({"model": "net"}, TypeError, "expected a torch.nn.Module as the model, got str"),
        ({"model": None, "directions": (1, 2)}, TypeError, "expected a torch.nn.Module as the model, got NoneType"),
    ],
    ids=str,
)
def test_bad_input_is_refused_before_the_model_runs(options, kind, message):
    calls = []
    model = options.get("model", network())
    if isinstance(model, nn.Module):
        model.register_forward_hook(lambda *_: calls.append(1))
    with pytest.raises(kind, match=message):
        loss_surface(**{"model": model, "loader": batches_of(8), "progress": False, **options})
    assert not calls


@pytest.mark.parametrize("seed", [0, 2**53, np.int64(3)])
def test_seeds_that_are_whole_numbers(seed):
    assert check_seed(seed) == int(seed)
    assert type(check_seed(seed)) is int


@pytest.mark.parametrize("seed", ["3", None, True, 1.0, torch.tensor(1.5), np.array([1, 2])])
def test_seeds_of_another_kind_are_refused(seed):
    with pytest.raises(TypeError, match="expected seed as a whole number, got"):
        check_seed(seed)


@pytest.mark.parametrize("verb", [loss_surface, loss_line, interpolate])
def test_every_option_is_in_the_signature_and_explained_once(verb):
    names = [p.name for p in signature(verb).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    assert {"loss_fn", "quantities", "device", "max_samples", "batchnorm", "progress"} < set(names)
    arguments = getdoc(verb).split("Args:\n")[1].split("\n\n")[0]
    assert sorted(re.findall(r"^    (\S+): .", arguments, re.MULTILINE)) == sorted(names)
    assert "Options``" not in arguments


def test_the_options_are_those_of_what_they_are_passed_on_to():
    users = set(signature(build_problem).parameters) | set(signature(Evaluator).parameters)
    assert set(EvaluationOptions.__annotations__) == users - {"model", "loader", "problem", "batchnorm"}
    own = {"model", "loader", "convexity_may_miss"}
    assert set(SurfaceOptions.__annotations__) == set(signature(prepare).parameters) - own
    assert set(SurfaceOptions.__annotations__) == set(DEFAULTS)
    assert signature(loss_line).parameters["norm"] == signature(prepare).parameters["norm"]


@pytest.mark.parametrize("verb", [loss_surface, loss_line])
def test_an_unknown_option_is_refused(verb):
    with pytest.raises(TypeError, match=rf"expected options among .*'max_samples'.*, got 'sed'; help\({verb.__name__}"):
        verb(network(), batches_of(8), sed=3)


def test_model_and_loader_may_be_named():
    assert loss_surface(model=network(), loader=batches_of(8), resolution=2, progress=False).evaluated.all()
