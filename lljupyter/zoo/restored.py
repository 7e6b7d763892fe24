"""What a training changes around the weights, and puts back afterwards, also after an error or an interrupt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lljupyter.zoo.checks import first_parameter, whole_number


@contextmanager
def training(model: nn.Module, device: torch.device, kind: torch.dtype) -> Iterator[None]:
    """Bring a model to a device, a precision and training mode; leave it there, in its own and in evaluation mode."""
    kept = first_parameter(model).dtype
    model.to(device)
    try:
        if kind != kept:
            model.to(kind)
        model.train()
        yield
    finally:
        if kind != kept:
            model.to(kept)
        model.eval()


@contextmanager
def rates(optimizer: torch.optim.Optimizer) -> Iterator[list[Any]]:
    """The learning rates of an optimizer, which are put back afterwards."""
    rates = [group["lr"] for group in optimizer.param_groups]
    try:
        yield rates
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


@contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """Set how many threads torch computes with; None leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if n is None else whole_number("threads", n, least=1, advice="leave it out"))
    try:
        yield
    finally:
        torch.set_num_threads(before)
