"""CIFAR-10 images from beside the project."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from support.reference import SHARED


def cifar_images(indices: np.ndarray) -> list[tuple[torch.Tensor, torch.Tensor]]:
    image = pytest.importorskip("PIL.Image")
    with np.load(SHARED / "data" / "cifar10_test_jpeg.npz") as data:
        jpeg, offsets, labels = data["jpeg"], data["offsets"], data["labels"]
    pixels = [np.asarray(image.open(BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))) for i in indices]
    x = torch.from_numpy(np.stack(pixels)).float().permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    return list(zip(x.split(128), torch.from_numpy(labels[indices].astype(np.int64)).split(128), strict=True))
