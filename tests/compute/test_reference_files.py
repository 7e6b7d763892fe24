"""Surfaces and directions computed with the authors' published code."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.data import tiny
from support.data.cifar import cifar_images
from support.reference import NIGHTLY, SHARED
from torch import nn

from lljupyter import load_directions, loss_surface
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.zoo import resnet

TINY = SHARED / "reference" / "tiny"


def stored(path: Path) -> dict[str, np.ndarray]:
    """The surface with the axes turned to (beta, alpha): they store [x, y]."""
    with h5py.File(path) as file:
        return {
            "alpha": file["xcoordinates"][()],
            "beta": file["ycoordinates"][()],
            "loss": file["train_loss"][()].T,
            "accuracy": file["train_acc"][()].T / 100,
        }


def compare(path: Path, model: nn.Module, loader, resolution: int, step: int, **options) -> None:
    expected = stored(path)
    surface = loss_surface(model, loader, resolution=resolution, progress=False, **options)
    np.testing.assert_allclose(surface.alpha, expected["alpha"][::step], atol=1e-12)
    np.testing.assert_allclose(surface.beta, expected["beta"][::step], atol=1e-12)
    np.testing.assert_allclose(surface.loss, expected["loss"][::step, ::step], rtol=1e-4)
    np.testing.assert_allclose(surface.accuracy, expected["accuracy"][::step, ::step], rtol=0, atol=1e-12)


def test_the_tiny_surface_from_its_seed():
    compare(tiny.DATA / "surface_filter_biasbn.h5", tiny.network(), tiny.digits(), 9, 1, seed=123)


@pytest.mark.skipif(not TINY.is_dir(), reason=f"{TINY} is not on this machine")
def test_the_copies_are_those_of_the_shared_files():
    copies = [path for path in tiny.DATA.rglob("*") if (TINY / path.name).exists()]
    assert len(copies) >= 13
    for copy in copies:
        assert copy.read_bytes() == (TINY / copy.name).read_bytes()


CASES = [("filter", "biasbn"), ("filter", None), ("layer", "biasbn"), ("weight", "biasbn"), ("dfilter", "biasbn")]
CASES.append(("dlayer", "biasbn"))


@pytest.mark.parametrize(("norm", "ignore"), CASES)
def test_directions_of_the_authors_seed(norm, ignore):
    model = tiny.network()
    plane = random_plane(parameters_of(model), 123, norm, ignore)
    theirs = load_directions(tiny.DATA / f"surface_{norm}_{str(ignore).lower()}.h5", model)
    for ours, stored_direction in zip((plane.delta, plane.eta), theirs, strict=True):
        for name, part in stored_direction.items():
            torch.testing.assert_close(ours[name], part, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("norm", "ignore"), CASES[1:])
def test_the_other_tiny_surfaces(norm, ignore):
    path = tiny.DATA / f"surface_{norm}_{str(ignore).lower()}.h5"
    compare(path, tiny.network(), tiny.digits(), 3, 4, seed=123, norm=norm, ignore=ignore)


@pytest.mark.slow
def test_every_fifth_point_of_the_resnet_surface():
    path = SHARED / "reference" / "resnet20_filter_biasbn.h5"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    model = resnet(20)
    model.load_state_dict(load_file(SHARED / "data" / "resnet20_cifar10.safetensors"))
    with h5py.File(path) as file:
        loader = cifar_images(file["indices"][()])
    compare(path, model, loader, 3, 5, directions=load_directions(path, model))


@pytest.mark.slow
@pytest.mark.skipif(not NIGHTLY, reason="half a minute: in the nightly run")
def test_some_points_of_the_deeper_resnet_surface():
    path = SHARED / "reference" / "resnet56_filter_biasbn.h5"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    model = resnet(56)
    model.load_state_dict(load_file(SHARED / "data" / "resnet56_cifar10.safetensors"), strict=True)
    with h5py.File(path) as file:
        loader = cifar_images(file["indices"][()])
    options = {"directions": load_directions(path, model), "alpha": (0, 1), "beta": (-1, 0)}
    found = loss_surface(model, loader, resolution=2, progress=False, **options)
    expected = {name: values[0:4:3, 3::3] for name, values in stored(path).items() if name in ("loss", "accuracy")}
    np.testing.assert_allclose(found.loss, expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(found.accuracy, expected["accuracy"], rtol=0, atol=1e-12)
