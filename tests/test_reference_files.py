"""Surfaces and directions computed with the authors' published code."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from reference import SHARED, TESTS
from safetensors.torch import load_file
from torch import nn

from lljupyter import loss_surface
from lljupyter.geometry.parameters import parameters_of
from lljupyter.geometry.plane import random_plane
from lljupyter.zoo import resnet

TINY = SHARED / "reference" / "tiny"
needs_tiny = pytest.mark.skipif(not TINY.is_dir(), reason=f"{TINY} is not on this machine")


def tiny_network() -> nn.Module:
    model = nn.Sequential()
    for name, module in {
        "conv1": nn.Conv2d(1, 8, 3, padding=1, bias=False),
        "bn1": nn.BatchNorm2d(8),
        "relu1": nn.ReLU(),
        "conv2": nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
        "bn2": nn.BatchNorm2d(16),
        "relu2": nn.ReLU(),
        "flatten": nn.Flatten(),
        "fc": nn.Linear(256, 10),
    }.items():
        model.add_module(name, module)
    model.load_state_dict(load_file(TESTS / "data" / "model_a.safetensors"))
    return model


def digits() -> list[tuple[torch.Tensor, torch.Tensor]]:
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    images = torch.tensor(x[:1200] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return list(zip(images.split(128), torch.tensor(y[:1200]).split(128), strict=True))


def stored_directions(path: Path, model: nn.Module):
    names = list(parameters_of(model))
    with h5py.File(path) as file:
        return tuple(
            {name: torch.from_numpy(file[group][str(k)][()]) for k, name in enumerate(names)}
            for group in ("xdirection", "ydirection")
        )


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


def test_the_tiny_surface_with_the_stored_directions():
    path, model = TESTS / "data" / "surface_filter_biasbn.h5", tiny_network()
    compare(path, model, digits(), 9, 1, directions=stored_directions(path, model))


def test_the_tiny_surface_from_its_seed():
    compare(TESTS / "data" / "surface_filter_biasbn.h5", tiny_network(), digits(), 9, 1, seed=123)


def test_the_copies_are_those_of_the_shared_files():
    for name in ("model_a.safetensors", "surface_filter_biasbn.h5"):
        if not (TINY / name).exists():
            pytest.skip(f"{TINY / name} is not on this machine")
        assert (TESTS / "data" / name).read_bytes() == (TINY / name).read_bytes()


CASES = [("filter", "biasbn"), ("filter", None), ("layer", "biasbn"), ("weight", "biasbn"), ("dfilter", "biasbn")]
CASES.append(("dlayer", "biasbn"))


@needs_tiny
@pytest.mark.parametrize(("norm", "ignore"), CASES)
def test_directions_of_the_authors_seed(norm, ignore):
    model = tiny_network()
    plane = random_plane(parameters_of(model), 123, norm, ignore)
    theirs = stored_directions(TINY / f"surface_{norm}_{str(ignore).lower()}.h5", model)
    for ours, stored_direction in zip((plane.delta, plane.eta), theirs, strict=True):
        for name, part in stored_direction.items():
            torch.testing.assert_close(ours[name], part, rtol=1e-6, atol=1e-7)


@needs_tiny
@pytest.mark.parametrize(("norm", "ignore"), CASES[1:])
def test_the_other_tiny_surfaces(norm, ignore):
    path = TINY / f"surface_{norm}_{str(ignore).lower()}.h5"
    compare(path, tiny_network(), digits(), 3, 4, seed=123, norm=norm, ignore=ignore)


def cifar_images(indices: np.ndarray) -> list[tuple[torch.Tensor, torch.Tensor]]:
    image = pytest.importorskip("PIL.Image")
    with np.load(SHARED / "data" / "cifar10_test_jpeg.npz") as data:
        jpeg, offsets, labels = data["jpeg"], data["offsets"], data["labels"]
    pixels = [np.asarray(image.open(BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))) for i in indices]
    x = torch.from_numpy(np.stack(pixels)).float().permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    return list(zip(x.split(128), torch.from_numpy(labels[indices].astype(np.int64)).split(128), strict=True))


def test_every_fifth_point_of_the_resnet_surface():
    path = SHARED / "reference" / "resnet20_filter_biasbn.h5"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    model = resnet(20)
    model.load_state_dict(load_file(SHARED / "data" / "resnet20_cifar10.safetensors"))
    with h5py.File(path) as file:
        loader = cifar_images(file["indices"][()])
    compare(path, model, loader, 3, 5, directions=stored_directions(path, model))
