"""A small model to train, and the steps that were recorded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn


def model_and_optimizer(seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    return model, torch.optim.SGD(model.parameters(), lr=0.1)


def train(model: nn.Module, optimizer: torch.optim.Optimizer, n_steps: int) -> None:
    for step in range(n_steps):
        optimizer.zero_grad()
        model(torch.ones(2, 3) * torch.tensor([[step + 1.0], [0.0]])).pow(2).mean().backward()
        optimizer.step()


def steps(path: Path) -> list[int]:
    return [int(file.stem[5:]) for file in sorted(path.glob("*.safetensors"))]
