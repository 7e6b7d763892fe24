"""A network, ways to train it for a step, and the check that each step is recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from safetensors.torch import load_file
from support.training.optimizers import Sam
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.training.steps import nested_optimizers

Train = Callable[[nn.Module, Any, int], None]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


INPUTS = [torch.randn(6, 3, generator=torch.Generator().manual_seed(step)) for step in range(6)]


def loss_of(model: nn.Module, step: int) -> torch.Tensor:
    return model(INPUTS[step]).pow(2).mean()


def plainly(model: nn.Module, optimizer: Any, step: int) -> None:
    optimizer.zero_grad()
    loss_of(model, step).backward()
    optimizer.step()


def in_two_steps(model: nn.Module, optimizer: Sam, step: int) -> None:
    loss_of(model, step).backward()
    optimizer.first_step(zero_grad=True)
    loss_of(model, step).backward()
    optimizer.second_step(zero_grad=True)


def with_a_closure(model: nn.Module, optimizer: Any, step: int) -> None:
    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, step)
        loss.backward()
        return loss

    closure()
    optimizer.step(closure)
    optimizer.zero_grad()


def sgd(params: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(params, lr=0.1, momentum=0.9)


def check_recorded(tmp_path, build: Callable[[Any], Any], train: Train, n: int = 5) -> None:
    """Check that every step is recorded as it was when it ended, and that training is bitwise as without a recorder."""
    plain = network()
    optimizer = build(list(plain.parameters()))
    expected = [copy.deepcopy(plain.state_dict())]
    for step in range(n):
        train(plain, optimizer, step)
        expected.append(copy.deepcopy(plain.state_dict()))
    model = network()
    optimizer = build(list(model.parameters()))
    attributes = {id(one): set(vars(one)) for one in nested_optimizers(optimizer)}
    with TrajectoryRecorder(model, optimizer, tmp_path) as recorder:
        for step in range(n):
            train(model, optimizer, step)
            assert recorder.step == step + 1
    assert {id(one): set(vars(one)) for one in nested_optimizers(optimizer)} == attributes
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == n + 1
    for file, states in zip(files, expected, strict=True):
        assert all(torch.equal(tensor, states[name]) for name, tensor in load_file(file).items()), file.name
    train(model, optimizer, n)
    assert recorder.step == n
