"""What a training changes around the weights, and puts back afterwards, also after an error or an interrupt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from lljupyter.zoo.checks import first_parameter, whole_number


@contextmanager
def training(model: nn.Module, device: torch.device, kind: torch.dtype) -> Iterator[None]:
    """Brings a model to a device, a precision and training mode; leaves it there, in its own and in evaluation mode."""
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
def randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Draws from a seed within, and puts the generators of torch, NumPy and Python back afterwards."""
    # torch.manual_seed would also seed, for good, the GPUs that are not used here.
    generators = [torch.default_generator]
    if device.type == "cuda":
        torch.cuda.init()  # type: ignore[no-untyped-call]
        generators.append(torch.cuda.default_generators[device.index])
    states = [generator.get_state() for generator in generators]
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 the user's global state
    try:
        for generator in generators:
            generator.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        for generator, state in zip(generators, states, strict=True):
            generator.set_state(state)


@contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """Sets how many threads torch computes with; None leaves them."""
    before = torch.get_num_threads()
    torch.set_num_threads(before if n is None else whole_number("threads", n, least=1, advice="leave it out"))
    try:
        yield
    finally:
        torch.set_num_threads(before)
