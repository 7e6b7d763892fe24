"""Data sets in memory: scikit-learn's digits, CIFAR-10, and archives of JPEG images."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from lljupyter.zoo.checks import switch, whole_number

Numbers = tuple[float, float, float]

# Mean and standard deviation of the channels, 0 to 1: of ImageNet, and of CIFAR-10 as Li et al. used them (in the code
# they published: 125.3, 123.0, 113.9 and 63.0, 62.1, 66.7 of 255).
IMAGENET: tuple[Numbers, Numbers] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR: tuple[Numbers, Numbers] = ((0.4914, 0.4824, 0.4467), (0.2471, 0.2435, 0.2616))


class Split(NamedTuple):
    """Data for training and for testing, each of images, (n, channels, height, width), and labels, (n,) int64."""

    train: TensorDataset
    test: TensorDataset


def digits(*, channels: int = 3, n_train: int = 1200, dtype: torch.dtype = torch.float32) -> Split:
    """Return scikit-learn's 1,797 handwritten digits, 8 x 8 pixels from 0 to 1; nothing is downloaded.

    Args:
        channels: The gray image is repeated in so many channels; 3 for networks made for color.
        n_train: The first so many are for training, the others for testing.
        dtype: Of the images.

    Returns:
        Images, (n, channels, 8, 8), and labels, (n,) int64.

    Raises:
        ImportError: If scikit-learn is not installed.
        ValueError: If a number is out of range or ``dtype`` no floating-point type.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("expected scikit-learn for its digits, got none; pip install scikit-learn") from error
    channels = whole_number("channels", channels, least=1, advice="3 fits networks made for color images")
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"expected dtype as a floating-point torch.dtype, got {dtype!r}; try torch.float32")
    bunch = load_digits()
    n_train = whole_number("n_train", n_train, least=1, advice="try 1200")
    if n_train >= len(bunch.target):
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
    """Return CIFAR-10 through torchvision, normalized.

    Args:
        root: The folder that torchvision keeps it in.
        download: Whether torchvision may download it.
        normalize: Mean and standard deviation of the channels: ``CIFAR``, Li et al.'s, or ``IMAGENET``.

    Returns:
        Images, (n, 3, 32, 32) float32, and labels, (n,) int64; 50,000 for training, 10,000 for testing.

    Raises:
        ImportError: If torchvision is not installed, or was built for another version of torch.
        ValueError: If ``download`` is no bool or ``normalize`` no such pair.
        RuntimeError: If the data are not there and may not be downloaded (torchvision's own).
    """
    try:
        from torchvision.datasets import CIFAR10
    except Exception as error:  # also operators that torch does not have, symbols that are missing, and so on
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("torchvision"):
            raise ImportError(
                "expected torchvision for CIFAR-10, got none; pip install torchvision, or read it with zoo.jpeg_archive"
            ) from error
        raise ImportError(
            f"expected a torchvision that fits torch {torch.__version__}, got one that does not load "
            f"({type(error).__name__}: {str(error)[:200]}); pip install --upgrade torch torchvision, "
            "or read the images with zoo.jpeg_archive"
        ) from error
    switch("download", download, advice="True lets torchvision download 170 MB")
    _check_normalize(normalize)
    parts = [CIFAR10(os.fspath(root), train=train, download=download) for train in (True, False)]
    return Split(*(_dataset(part.data, np.asarray(part.targets), normalize) for part in parts))


def jpeg_archive(
    path: str | os.PathLike[str], *, step: int = 1, normalize: tuple[Numbers, Numbers] = IMAGENET
) -> TensorDataset:
    """Return the images of an ``.npz`` archive of JPEG files, decoded and normalized.

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
        ValueError: If it holds something else, images of several sizes, or ``step`` or ``normalize`` is no such value.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("expected Pillow to decode JPEG images, got none; pip install pillow") from error
    step = whole_number("step", step, least=1, advice="1 takes all images")
    _check_normalize(normalize)
    jpeg, offsets, labels = _arrays(Path(path))
    images: list[NDArray[np.uint8]] = []
    for i in range(0, len(labels), step):
        try:
            image = np.asarray(Image.open(BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes())).convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"expected image {i} of {path} as JPEG, got {error}; write the archive anew") from error
        if images and image.shape != images[0].shape:
            raise ValueError(
                f"expected images of one size in {path}, got {image.shape[:2]} for image {i} after "
                f"{images[0].shape[:2]}; resize them before they are archived"
            )
        images.append(image)
    return _dataset(np.stack(images), labels[::step], normalize)


def _arrays(path: Path) -> list[NDArray[Any]]:
    """Return ``jpeg``, ``offsets`` and ``labels`` of an archive."""
    names = ("jpeg", "offsets", "labels")
    try:
        archive = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"expected an archive of JPEG images, got no file {path}; check the path") from error
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(f"expected an archive by numpy.savez, got {path} ({error}); see zoo.jpeg_archive") from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError(f"expected an archive by numpy.savez, got a single array in {path}; see zoo.jpeg_archive")
    with archive:
        if missing := set(names) - set(archive.files):
            raise ValueError(
                f"expected an archive with jpeg, offsets and labels, got {path} without {sorted(missing)}; "
                "write one with numpy.savez"
            )
        jpeg, offsets, labels = arrays = [archive[name] for name in names]
    whole = all(array.ndim == 1 and np.issubdtype(array.dtype, np.integer) for array in arrays)
    if not whole or not len(labels) or len(offsets) != len(labels) + 1 or jpeg.dtype != np.uint8:
        raise ValueError(
            "expected bytes (uint8), n + 1 offsets and n labels, whole numbers, in an archive, got "
            f"{', '.join(f'{array.dtype}{array.shape}' for array in arrays)} in {path}; see zoo.jpeg_archive"
        )
    return arrays


def _check_normalize(normalize: Any) -> None:
    try:
        mean, std = np.asarray(normalize, np.float64)
        fits = mean.shape == std.shape == (3,) and bool(np.isfinite([mean, std]).all() and (std > 0).all())
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"expected normalize as the mean and the positive standard deviation of three channels, got {normalize!r}; "
            "try zoo.CIFAR or zoo.IMAGENET"
        )


def _dataset(images: NDArray[np.uint8], labels: NDArray[Any], normalize: tuple[Numbers, Numbers]) -> TensorDataset:
    """From uint8, (n, height, width, 3)."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in normalize)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    return TensorDataset(pixels.sub_(mean).div_(std), torch.from_numpy(labels.astype(np.int64)))
