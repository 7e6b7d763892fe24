"""What the tests of training share."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lljupyter.zoo import digits, resnet


def small(seed: int = 0, **switches) -> nn.Module:
    torch.manual_seed(seed)
    return resnet(8, width=4, **switches)


def batches(n: int = 256, batch_size: int = 64) -> DataLoader:
    images, labels = digits().train.tensors
    return DataLoader(TensorDataset(images[:n], labels[:n]), batch_size, shuffle=True)


def state_of(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])
