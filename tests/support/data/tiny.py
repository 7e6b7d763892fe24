"""The small network of the reference files in ``tests/data`` (numbers of the authors' published code)."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

DATA = Path(__file__).parents[2] / "data"


def network(weights: str = "a") -> nn.Module:
    """The network with the weights of run A (batch 32) or B (batch 600)."""
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 8, 3, padding=1, bias=False),
            bn1=nn.BatchNorm2d(8),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False),
            bn2=nn.BatchNorm2d(16),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            fc=nn.Linear(256, 10),
        )
    )
    model.load_state_dict(load_file(DATA / "weights" / f"model_{weights}.safetensors"))
    return model


def digits(part: str = "train") -> list[tuple[Tensor, Tensor]]:
    """scikit-learn's digits in batches of 128: rows 0 to 1199, or the rest."""
    from sklearn.datasets import load_digits

    rows = slice(0, 1200) if part == "train" else slice(1200, None)
    bunch = load_digits()
    images = torch.as_tensor(bunch.images[rows] / 16, dtype=torch.float32)[:, None]
    classes = torch.as_tensor(bunch.target[rows])
    return list(zip(images.split(128), classes.split(128), strict=True))


def batches(part: str = "train") -> list[tuple[Tensor, Tensor]]:
    """The first 128 samples in batches of 40, 40, 40 and 8."""
    (x, y), *_ = digits(part)
    return list(zip(x.split(40), y.split(40), strict=True))


def checkpoints() -> list[dict[str, Tensor]]:
    """The 11 state dicts of run A, the last one being ``network("a")``."""
    stored = load_file(DATA / "weights" / "checkpoints.safetensors")
    return [
        {key[3:]: tensor for key, tensor in stored.items() if key.startswith(f"{index:02d}/")} for index in range(11)
    ]


def direction(file: h5py.File, group: str, model: nn.Module) -> dict[str, Tensor]:
    """A direction of an authors' file as a parameter dict."""
    names = [name for name, _ in model.named_parameters()]
    return {name: torch.as_tensor(file[group][str(index)][()]) for index, name in enumerate(names)}


def vector(direction: dict[str, Tensor]) -> np.ndarray:
    """All entries of a parameter dict in one row, float64."""
    return torch.cat([part.detach().reshape(-1).double() for part in direction.values()]).numpy()


def loader(n: int = 64) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The first n training rows, in batches of 32."""
    x, y = digits()[0]
    return list(zip(x[:n].split(32), y[:n].split(32), strict=True))
