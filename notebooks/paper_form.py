"""The paper's form of the notebooks: checks first what it needs, and keeps what takes days."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from lljupyter.zoo.data import CIFAR, Split, cifar10, digits, jpeg_archive
from lljupyter.zoo.training import EPOCHS, train

VARIABLE = "LLJUPYTER_PAPER"
ARCHIVES = ("cifar10_train_jpeg.npz", "cifar10_test_jpeg.npz")
N_SHORT = (100, 50)  # images for training and testing


class PaperForm(NamedTuple):
    """What a notebook uses in the paper's form.

    Attributes:
        data: For training and testing.
        folder: Where trained networks and surfaces are kept.
        epochs: How long networks are trained.
        training: Options of ``train``.
        sampling: Options of ``loss_surface``.
    """

    data: Split
    folder: Path
    epochs: int
    training: dict[str, Any]
    sampling: dict[str, Any]


def paper_form(name: str, *, root: str | os.PathLike[str] = "paper") -> PaperForm | None:
    """Return what a notebook uses in the paper's form, which the environment variable ``LLJUPYTER_PAPER`` asks for.

    "1" is CIFAR-10, the paper's recipe and 51 x 51 points, on a CUDA device. "short" runs the same code on the
    processor, to check that it works: one epoch on 100 images of 32 x 32 pixels, 5 x 5 points; its results mean
    nothing. CIFAR-10 is downloaded by torchvision, or read from ``root`` if that has two archives of JPEG images,
    ``cifar10_train_jpeg.npz`` and ``cifar10_test_jpeg.npz`` (see ``zoo.jpeg_archive``). Without either, "short" uses
    enlarged digits.

    Args:
        name: Of the notebook; what it trains and computes is kept in ``root/name``, or ``root/short/name``.
        root: A folder.

    Returns:
        None if the variable is not set, empty or "0": notebooks then use their small form.

    Raises:
        ValueError: If the variable is something else.
        RuntimeError: If there is no CUDA device.
        ImportError: If there are neither archives nor torchvision.
    """
    kind, root = os.environ.get(VARIABLE, ""), Path(root)
    if kind in ("", "0"):
        return None
    if kind not in ("1", "short"):
        raise ValueError(f"expected {VARIABLE} as 1 or short, got {kind!r}; leave it out for the notebook's small form")
    form = _short_form(root, name) if kind == "short" else _whole_form(root, name)
    where = (
        "one epoch on 100 images, a coarse grid: its results mean nothing but that the code runs"
        if kind == "short"
        else f"on {torch.cuda.get_device_name()}"
    )
    print(f"The paper's form, {where}. What is trained and computed is kept in {form.folder}.")
    return form


def _short_form(root: Path, name: str) -> PaperForm:
    archives = _archives_in(root)
    return PaperForm(
        data=_enlarged() if archives is None else _archived(archives, 500, 200),
        folder=root / "short" / name,
        epochs=1,
        training={"recipe": "paper", "augment": True, "progress": False},
        sampling={"resolution": 5, "max_samples": 20, "progress": False},
    )


def _whole_form(root: Path, name: str) -> PaperForm:
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"expected a CUDA device for {VARIABLE}=1, which trains for {EPOCHS['paper']} epochs, got none; "
            f"{VARIABLE}=short tries the same cells on the processor, and without it they take their small form"
        )
    archives = _archives_in(root)
    if archives is None and find_spec("torchvision") is None:
        raise ImportError(
            f"expected torchvision to download CIFAR-10, or {' and '.join(ARCHIVES)} in {root}, got neither; "
            "pip install torchvision"
        )
    return PaperForm(
        data=cifar10(root / "cifar10", download=True) if archives is None else _archived(archives, 1, 1),
        folder=root / name,
        epochs=EPOCHS["paper"],
        training={"recipe": "paper", "augment": True, "device": "cuda"},
        sampling={"resolution": 51},
    )


def train_once(
    model: nn.Module, loader: Iterable[Any], folder: str | os.PathLike[str] | None, name: str, **options: Any
) -> None:
    """Train a classifier as ``zoo.train`` does, or read its weights if a folder already has them.

    Args:
        model: Trained in place.
        loader: See ``zoo.train``.
        folder: Where the weights are kept, as ``name.safetensors``; None keeps nothing.
        name: Of the network.
        **options: See ``zoo.train``.

    Raises:
        ValueError: If the folder has weights of that name that were trained with other options, batches of another
            size or another optimizer, or of another network.
    """
    if folder is None:
        train(model, loader, **options)
        return
    path = weights_file(folder, name)
    recipe = _recipe(loader, options)
    if path.exists():
        _read_weights(model, path, recipe)
        model.to(options.get("device")).eval()
        return
    train(model, loader, **options)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")  # what carries the name is whole
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, part, {"options": recipe})
    part.replace(path)


def kept(folder: str | os.PathLike[str] | None, name: str) -> dict[str, Any]:
    """Return options that save a surface or line in a folder, and resume it if it is there.

    Args:
        folder: Where it is kept, as ``name.nc``; None keeps nothing.
        name: Of the surface.

    Returns:
        ``save_to`` and ``resume`` of ``loss_surface``; no options if there is no folder.
    """
    if folder is None:
        return {}
    path = Path(folder) / f"{_stem(name)}.nc"
    path.parent.mkdir(parents=True, exist_ok=True)
    return {"save_to": path, "resume": path if path.exists() else None}


def weights_file(folder: str | os.PathLike[str], name: str) -> Path:
    """Return where ``train_once`` keeps the weights of a network."""
    return Path(folder) / f"{_stem(name)}.safetensors"


def _read_weights(model: nn.Module, path: Path, recipe: str) -> None:
    """Load weights into a model, if they are those of this network and this recipe."""
    try:
        with safe_open(path, framework="pt") as file:
            stored_recipe = (file.metadata() or {}).get("options")
        stored = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"expected weights in {path}, got a damaged file ({error}); remove it") from error
    shapes, expected = ({key: tuple(x.shape) for key, x in states.items()} for states in (stored, model.state_dict()))
    if shapes != expected:
        different = sorted(key for key in {*shapes, *expected} if shapes.get(key) != expected.get(key))
        raise ValueError(
            f"expected weights of this network in {path}, got others ({different[0]} differs); remove the file"
        )
    if stored_recipe != recipe:
        raise ValueError(f"expected {path} trained with {recipe}, got {stored_recipe}; remove the file to train again")
    model.load_state_dict(stored)


def _recipe(loader: Iterable[Any], options: dict[str, Any]) -> str:
    """Return what the weights depend on, as JSON."""
    recipe = {key: value for key, value in options.items() if key not in ("optimizer", "progress", "device", "threads")}
    recipe |= {"batch_size": _batch_size(loader), "optimizer": _settings(options.get("optimizer"))}
    return json.dumps({key: value for key, value in recipe.items() if value is not None}, sort_keys=True, default=str)


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)


def _batch_size(loader: Iterable[Any]) -> int | None:
    size = getattr(loader, "batch_size", None)
    if size is None and isinstance(loader, list) and loader:
        size = len(loader[0][1])
    return size


def _settings(optimizer: torch.optim.Optimizer | None) -> dict[str, Any] | None:
    """Return the kind of an optimizer and what was chosen for it; None for that of the recipe."""
    if optimizer is None:
        return None
    chosen = {key: value for key, value in optimizer.defaults.items() if value is not None and value is not False}
    return {"kind": type(optimizer).__name__, **chosen}


def _archives_in(root: Path) -> list[Path] | None:
    """Return the archives of CIFAR-10 if a folder has both."""
    archives = [root / archive for archive in ARCHIVES]
    return archives if all(archive.exists() for archive in archives) else None


def _archived(paths: list[Path], step: int, test_step: int) -> Split:
    """Return every ``step``-th image for training, every ``test_step``-th for testing, in random order.

    Archives are sorted by class, and a part should have all of them.
    """
    parts = []
    for path, every in zip(paths, (step, test_step), strict=True):
        images, labels = jpeg_archive(path, step=every, normalize=CIFAR).tensors
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        parts.append(TensorDataset(images[order], labels[order]))
    return Split(*parts)


def _enlarged() -> Split:
    """Return a few digits in the size of CIFAR-10."""

    def larger(part: TensorDataset, n: int) -> TensorDataset:
        images, labels = part.tensors
        size: Tensor = functional.interpolate(images[:n], size=(32, 32), mode="bilinear", align_corners=False)
        return TensorDataset(size, labels[:n])

    train, test = digits()
    return Split(larger(train, N_SHORT[0]), larger(test, N_SHORT[1]))
