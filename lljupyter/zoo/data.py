"""Data sets in memory: scikit-learn's digits, CIFAR-10, and archives of JPEG images."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

Numbers = tuple[float, float, float]

# Mean and standard deviation of the channels, 0 to 1: of ImageNet, and of CIFAR-10 as Li et al. used them.
IMAGENET: tuple[Numbers, Numbers] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR: tuple[Numbers, Numbers] = ((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616))


class Split(NamedTuple):
    """Data for training and for testing, each of images, (n, channels, height, width) float32, and labels, (n,)."""

    train: TensorDataset
    test: TensorDataset


def digits(*, channels: int = 3, n_train: int = 1200, dtype: torch.dtype = torch.float32) -> Split:
    """Returns scikit-learn's 1,797 handwritten digits, 8 x 8 pixels from 0 to 1; nothing is downloaded.

    Args:
        channels: The gray image is repeated in so many channels; 3 for networks made for color.
        n_train: The first so many are for training, the others for testing.
        dtype: Of the images.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If a number is out of range.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("expected scikit-learn for its digits, got none; pip install scikit-learn") from error
    if channels < 1:
        raise ValueError(f"expected at least 1 channel, got {channels}; 3 fits networks made for color images")
    bunch = load_digits()
    if not 1 <= n_train < len(bunch.target):
        raise ValueError(f"expected n_train from 1 to {len(bunch.target) - 1}, got {n_train}; try 1200")
    images = torch.as_tensor(bunch.images, dtype=dtype)[:, None].repeat(1, channels, 1, 1) / 16
    labels = torch.as_tensor(bunch.target, dtype=torch.int64)
    return Split(
        TensorDataset(images[:n_train], labels[:n_train]),
        TensorDataset(images[n_train:], labels[n_train:]),
    )


def cifar10(
    root: str | os.PathLike[str], *, download: bool = False, normalize: tuple[Numbers, Numbers] = CIFAR
) -> Split:
    """Returns CIFAR-10 through torchvision, normalized.

    Args:
        root: The folder that torchvision keeps it in.
        download: Whether torchvision may download it.
        normalize: Mean and standard deviation of the channels: ``CIFAR``, Li et al.'s, or ``IMAGENET``.

    Raises:
        ImportError: If torchvision is not installed.
        RuntimeError: If the data are not there and may not be downloaded (torchvision's own).
    """
    try:
        from torchvision.datasets import CIFAR10
    except ImportError as error:
        raise ImportError(
            "expected torchvision for CIFAR-10, got none; pip install torchvision, or read it with zoo.jpeg_archive"
        ) from error
    parts = [CIFAR10(os.fspath(root), train=train, download=download) for train in (True, False)]
    return Split(*(_dataset(part.data, np.asarray(part.targets), normalize) for part in parts))


def jpeg_archive(
    path: str | os.PathLike[str], *, step: int = 1, normalize: tuple[Numbers, Numbers] = IMAGENET
) -> TensorDataset:
    """Returns the images of an ``.npz`` archive of JPEG files, decoded and normalized.

    Args:
        path: The archive: ``jpeg``, the bytes of all files end to end (uint8), ``offsets``, where each begins and the
            last ends, shape (n + 1,), and ``labels``, shape (n,).
        step: Take every so many; of images sorted by class that is an even share of each.
        normalize: Mean and standard deviation of the channels: ``IMAGENET`` or ``CIFAR``.

    Returns:
        Images, (n, 3, height, width) float32, and labels, (n,) int64.

    Raises:
        ImportError: If Pillow is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else, or ``step`` is below 1.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("expected Pillow to decode JPEG images, got none; pip install pillow") from error
    if step < 1:
        raise ValueError(f"expected step of at least 1, got {step}; 1 takes all images")
    with np.load(Path(path), allow_pickle=False) as archive:
        if missing := {"jpeg", "offsets", "labels"} - set(archive.files):
            raise ValueError(
                f"expected an archive with jpeg, offsets and labels, got {path} without {sorted(missing)}; "
                "write one with numpy.savez"
            )
        jpeg, offsets, labels = (archive[name] for name in ("jpeg", "offsets", "labels"))
    chosen = range(0, len(labels), step)
    files = (BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()) for i in chosen)
    return _dataset(
        np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]), labels[::step], normalize
    )


def _dataset(images: NDArray[np.uint8], labels: NDArray[Any], normalize: tuple[Numbers, Numbers]) -> TensorDataset:
    """From uint8, (n, height, width, 3)."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in normalize)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    return TensorDataset(pixels.sub_(mean).div_(std), torch.from_numpy(labels.astype(np.int64)))
