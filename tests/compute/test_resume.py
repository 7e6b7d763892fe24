from __future__ import annotations

import itertools
import os
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from support.data import tiny
from support.resuming import QUIET, marked, partly

from lljupyter import (
    convexity_map,
    load,
    loss_line,
    loss_surface,
    pca_directions,
    save,
)
from lljupyter.geometry.directions import orthogonalize
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane


@pytest.mark.parametrize("kind", ["random", "given", "pca"])
def test_a_resumed_surface_equals_the_uninterrupted_one_bitwise(tmp_path, kind):
    model = tiny.network()
    plane = random_plane(parameters_of(model), 9)
    options = {
        "random": {"seed": 5, "norm": "layer", "ignore": None, "orthogonalize": True},
        "given": {"directions": (plane.delta, plane.eta)},
        "pca": {"trajectory": tiny.checkpoints()[5:]},
    }[kind]
    whole = loss_surface(model, tiny.loader(), resolution=(5, 4), beta=(-0.5, 1), **options, **QUIET)
    whole_with_path = whole.copy()
    whole = whole.drop_dims("checkpoint", errors="ignore")
    whole.attrs.pop("trajectory_captured", None)
    path = tmp_path / "half.nc"
    directions = None
    if kind == "given":
        directions = plane.delta, plane.eta
    elif kind == "pca":
        directions = pca_directions(tiny.checkpoints()[5:], model).directions
    save(partly(whole), path, directions=directions)
    resumed = loss_surface(model, tiny.loader(), resume=path, **QUIET)
    xarray.testing.assert_identical(resumed, whole)
    if kind == "pca":
        again = loss_surface(model, tiny.loader(), resume=path, **options, **QUIET)
        xarray.testing.assert_identical(again, whole_with_path)
    if kind == "random":
        assert not (tmp_path / "half.directions.safetensors").exists()
        xarray.testing.assert_identical(loss_surface(model, tiny.loader(), resume=partly(whole), **QUIET), whole)


def test_resuming_evaluates_only_what_is_missing():
    whole = loss_surface(tiny.network(), tiny.loader(), resolution=3, **QUIET)
    half = partly(whole, 4)
    resumed = loss_surface(tiny.network(), tiny.loader(), resume=marked(half), **QUIET)
    assert int((resumed.loss > 50).sum()) == 3


CALLS = count(1)  # not an attribute of the model, whose state is put back between calls


CALLS = itertools.count(1)  # an attribute that changes would be put back after each call


class Fleeting(torch.nn.Module):
    """Ends the process when it is called for the n-th time."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.inner, self.n = tiny.network(), n

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if next(CALLS) == self.n:
            os._exit(3)
        return self.inner(x)


def test_a_surface_whose_process_was_killed_is_resumed_in_another(tmp_path):
    path = str(tmp_path / "kept.nc")
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]}
import torch, test_resume
from support.data import tiny
from lljupyter import loss_surface
from lljupyter.compute import run
torch.set_num_threads(1)
run.SAVE_SECONDS = 0.0
loss_surface(test_resume.Fleeting(60), tiny.loader(), resolution=7, save_to={path!r}, progress=False)
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 3
    half = load(path)
    assert 0 < int(half.evaluated.sum()) < 49
    torch.set_num_threads(1)
    resumed = loss_surface(Fleeting(-1), tiny.loader(), resume=path, **QUIET)
    xarray.testing.assert_identical(resumed, loss_surface(Fleeting(-1), tiny.loader(), resolution=7, **QUIET))


@pytest.mark.parametrize("kind", ["surface", "line"])
def test_what_was_interrupted_is_kept(tmp_path, kind):
    calls = iter(range(50))

    def loss_fn(outputs, targets):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return torch.nn.functional.cross_entropy(outputs, targets, reduction="none")

    verb = partial(loss_surface, resolution=5) if kind == "surface" else partial(loss_line, resolution=25)
    with pytest.raises(KeyboardInterrupt):
        verb(tiny.network(), tiny.loader(), loss_fn=loss_fn, save_to=tmp_path / "kept.nc", **QUIET)
    kept = load(tmp_path / "kept.nc")
    assert 0 < int(kept.evaluated.sum()) < 25
    assert set(kept.evaluated.dims) == ({"alpha", "beta"} if kind == "surface" else {"alpha"})


def test_a_surface_that_does_not_belong_is_not_resumed(tmp_path):
    model = tiny.network()
    surface = loss_surface(model, tiny.loader(), resolution=2, **QUIET)

    def resume(model=model, data=None, resume=surface, **options):
        return loss_surface(model, tiny.loader() if data is None else data, resume=resume, **options, **QUIET)

    with pytest.raises(ValueError, match="expected a result of this model to resume, got one of another model"):
        resume(tiny.network("b"))
    with pytest.raises(ValueError, match="expected a result with n_samples = 32 to resume, got one with 64"):
        resume(data=tiny.loader(32))
    with pytest.raises(ValueError, match="expected a result with loss_fn = 'NLLLoss' to resume, got one"):
        resume(loss_fn=torch.nn.NLLLoss())
    with pytest.raises(ValueError, match="expected a result with batchnorm = 'recalibrate' to resume, got one with"):
        resume(batchnorm="recalibrate")
    with pytest.raises(ValueError, match="expected a result with precision = 'auto' to resume, got one with 'float32'"):
        resume(precision="auto")
    reduced = surface.assign_attrs(precision="auto")
    with pytest.raises(ValueError, match="expected a result with precision = 'float32' to resume, got one with 'auto'"):
        resume(resume=reduced)
    assert surface.attrs["precision"] == "float32"  # that of the model
    with pytest.raises(ValueError, match="expected a result with 'train_loss' to resume, got"):
        resume(data={"train": tiny.loader()})
    with pytest.raises(ValueError, match=r"expected a surface on the dimensions \(beta, alpha\) to resume, got"):
        resume(resume=surface.isel(beta=0))
    plane = random_plane(parameters_of(model), 9)
    given = loss_surface(model, tiny.loader(), directions=(plane.delta, plane.eta), resolution=2, **QUIET)
    with pytest.raises(ValueError, match="expected the directions of a surface to resume whose"):
        resume(resume=given)
    save(given, tmp_path / "alone.nc")
    with pytest.raises(FileNotFoundError, match=r"expected directions in .*alone.directions.safetensors, got no such"):
        resume(resume=tmp_path / "alone.nc")


def test_directions_that_are_passed_again_have_to_be_those_of_the_surface():
    model = tiny.network()
    plane, other = (random_plane(parameters_of(model), seed) for seed in (9, 10))
    raw = plane.delta, {name: part + plane.delta[name] for name, part in plane.eta.items()}
    whole = loss_surface(model, tiny.loader(), directions=raw, orthogonalize=True, resolution=3, **QUIET)
    for directions in (raw, (plane.delta, orthogonalize(raw[1], plane.delta))):
        resumed = loss_surface(model, tiny.loader(), directions=directions, resume=partly(whole, 3), **QUIET)
        xarray.testing.assert_identical(resumed, whole)
    with pytest.raises(ValueError, match=r"expected a result with directions_fingerprint = .* to resume, got one with"):
        loss_surface(model, tiny.loader(), directions=(other.delta, other.eta), resume=partly(whole, 3), **QUIET)


def test_directions_of_another_surface_that_lie_beside_the_file_are_refused(tmp_path):
    model = tiny.network()
    for seed, kept in ((9, True), (10, False)):
        plane = random_plane(parameters_of(model), seed)
        directions = plane.delta, plane.eta
        found = loss_surface(model, tiny.loader(), directions=directions, resolution=3, **QUIET)
        save(partly(found, 3), tmp_path / "one.nc", directions=directions if kept else None)
    with pytest.raises(ValueError, match=r"expected a result with directions_fingerprint = .* to resume, got one with"):
        loss_surface(model, tiny.loader(), resume=tmp_path / "one.nc", **QUIET)


def test_surfaces_of_every_precision_are_resumed():
    model, data = tiny.network().double(), [(x.double(), y) for x, y in tiny.loader()]
    whole = loss_surface(model, data, resolution=3, evaluation="plain", **QUIET)
    assert whole.attrs["precision"] == "float64"
    options = {"evaluation": "plain", **QUIET}
    xarray.testing.assert_equal(loss_surface(model, data, resume=partly(whole, 4), **options), whole)
    reduced = partly(whole, 4).assign_attrs(precision="bfloat16", precision_error=0.001)
    assert loss_surface(model, data, resume=reduced, precision="auto", **options).evaluated.all()
    with pytest.raises(ValueError, match="expected a result with precision = 'float32' to resume, got one with 'auto'"):
        loss_surface(model, data, resume=reduced, **options)


@pytest.mark.parametrize("times", [1, 2])
def test_the_error_of_points_in_reduced_precision_is_told_after_they_are_resumed(times):
    options = {"precision": "auto", "evaluation": "plain", **QUIET}
    whole = loss_surface(tiny.network(), tiny.loader(), resolution=3, **options)
    surface = whole.assign_attrs(precision="bfloat16", precision_error=0.004)
    for _ in range(times):
        surface = loss_surface(tiny.network(), tiny.loader(), resume=partly(surface, 4), **options)
        assert surface.evaluated.all()
        assert (surface.attrs["precision"], surface.attrs["precision_error"]) == ("bfloat16, float32", 0.004)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_surface_is_resumed_with_the_precision_that_was_asked_for(tmp_path, dtype):
    model, data = tiny.network().to(dtype), [(x.to(dtype), y) for x, y in tiny.loader()]
    for precision in ("auto", "float32"):
        options = {"precision": precision, "evaluation": "plain", **QUIET}  # plain: "auto" takes the model's own then
        whole = loss_surface(model, data, resolution=3, **options)
        assert whole.attrs["precision"] == str(dtype).removeprefix("torch.")
        save(partly(whole, 4), tmp_path / "part.nc")
        xarray.testing.assert_equal(loss_surface(model, data, resume=tmp_path / "part.nc", **options), whole)
        other = "float32" if precision == "auto" else "auto"
        expected = f"expected a result with precision = '{other}' to resume, got one with '{precision}'"
        with pytest.raises(ValueError, match=expected):
            loss_surface(model, data, resume=tmp_path / "part.nc", **{**options, "precision": other})


def test_points_that_are_other_ones_now_are_refused(tmp_path):
    model = tiny.network()
    message = r"expected a result of this model, data and loss to resume, got one with loss = .* where it is .* now"
    half = partly(loss_surface(model, tiny.loader(), resolution=5, **QUIET))
    others = [(x, y.roll(1)) for x, y in tiny.loader()]
    with pytest.raises(ValueError, match=message):
        loss_surface(model, others, resume=half, **QUIET)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.5)
    plain = partly(loss_surface(model, tiny.loader(), loss_fn=torch.nn.CrossEntropyLoss(), resolution=5, **QUIET))
    with pytest.raises(ValueError, match=message):
        loss_surface(model, tiny.loader(), loss_fn=smoothed, resume=plain, **QUIET)
    # An .h5 file knows neither the model nor its own directions.
    (a, b), n = (random_plane(parameters_of(model), seed) for seed in (1, 2)), 5
    surface = loss_surface(model, tiny.loader(), directions=(a.delta, a.eta), resolution=n, **QUIET)
    save(partly(surface), tmp_path / "a.h5", directions=(a.delta, a.eta))
    with pytest.raises(ValueError, match=message):
        loss_surface(tiny.network("b"), tiny.loader(), resume=tmp_path / "a.h5", **QUIET)
    with pytest.raises(ValueError, match=message):
        loss_surface(model, tiny.loader(), directions=(a.delta, b.eta), resume=tmp_path / "a.h5", **QUIET)
    resumed = loss_surface(model, tiny.loader(), resume=tmp_path / "a.h5", **QUIET)
    np.testing.assert_allclose(resumed.loss, surface.loss, rtol=1e-6)


def test_a_point_of_a_map_of_eigenvalues_is_measured_again():
    options = {"resolution": 2, "alpha": (-0.1, 0.1), "beta": (-0.1, 0.1)}
    whole = convexity_map(tiny.network(), tiny.loader(32), **options, **QUIET)
    whole.evaluated[0, 0] = False
    resumed = convexity_map(tiny.network(), tiny.loader(32), resume=whole, **QUIET)
    np.testing.assert_array_equal(resumed.lambda_max.values[1], whole.lambda_max.values[1])
    others = [(x, y.roll(1)) for x, y in tiny.loader(32)]
    with pytest.raises(ValueError, match="expected a result of this model, data and loss to resume, got one with lam"):
        convexity_map(tiny.network(), others, resume=whole, **QUIET)


@pytest.mark.parametrize("orthogonalize", [False, True])
def test_principal_directions_come_from_the_trajectory_again(tmp_path, orthogonalize):
    path, run = tmp_path / "kept.nc", tiny.checkpoints()[6:]
    options = {"resolution": 3, "trajectory": run, "orthogonalize": orthogonalize}
    whole = loss_surface(tiny.network(), tiny.loader(), **options, **QUIET)
    save(half := partly(whole, 4), path)
    for resume in (half, path):
        resumed = loss_surface(tiny.network(), tiny.loader(), resume=resume, trajectory=run, **QUIET)
        xarray.testing.assert_equal(resumed, whole)
        assert resumed.attrs["directions_fingerprint"] == whole.attrs["directions_fingerprint"]
        with pytest.raises(
            ValueError, match=r"directions are not random, got none; pass the trajectory again with traj"
        ):
            loss_surface(tiny.network(), tiny.loader(), resume=resume, **QUIET)
    with pytest.raises(ValueError, match=r"expected a result with directions_fingerprint = .* to resume, got one with"):
        loss_surface(tiny.network(), tiny.loader(), resume=path, trajectory=tiny.checkpoints()[4:], **QUIET)


def test_a_trajectory_stays_with_a_surface_that_is_resumed_without_it(tmp_path):
    path, run = tmp_path / "kept.nc", tiny.checkpoints()[6:]
    whole = loss_surface(tiny.network(), tiny.loader(), resolution=3, trajectory=run, save_to=path, **QUIET)
    resumed = loss_surface(tiny.network(), tiny.loader(), resume=path, save_to=path, **QUIET)
    xarray.testing.assert_identical(resumed, whole)
    xarray.testing.assert_identical(load(path), whole)


def test_one_surface_of_several_seeds_is_resumed_with_its_own_seed():
    stacked = loss_surface(tiny.network(), tiny.loader(), seed=4, repeats=2, resolution=3, **QUIET)
    resumed = loss_surface(tiny.network(), tiny.loader(), resume=partly(stacked.isel(seed=1), 3), **QUIET)
    xarray.testing.assert_equal(resumed, stacked.isel(seed=1, drop=True))
    assert resumed.attrs["seed"] == 5


def test_only_a_format_that_can_be_resumed_is_written_meanwhile(tmp_path):
    for name in ("a.h5", "a.vts", "a"):
        with pytest.raises(ValueError, match=r"expected save_to as a path that ends in .nc, which resume can go on"):
            loss_surface(tiny.network(), tiny.loader(), resolution=2, save_to=tmp_path / name, **QUIET)
    assert list(tmp_path.iterdir()) == []
