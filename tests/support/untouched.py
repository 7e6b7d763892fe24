"""A model in the middle of its training, and all of it that could be touched."""

from __future__ import annotations

import random

import numpy as np
import torch
from support.reference import network, samples
from torch import nn


def trained_network() -> nn.Module:
    """In the middle of training: gradients, mixed modes, a frozen parameter."""
    model = network(torch.float32).train()
    nn.functional.cross_entropy(model(samples(dtype=torch.float32)[0]), samples()[1]).backward()
    model[1].eval()
    model[0].weight.requires_grad_(False)
    return model


def everything(model: nn.Module) -> list:
    """All that could be touched, in a form that compares bit by bit."""

    def bits(tensor):
        return None if tensor is None else (tensor.data_ptr(), str(tensor.dtype), tensor.detach().numpy().tobytes())

    return [
        [(name, bits(p), bits(p.grad), p.requires_grad, p._version) for name, p in model.named_parameters()],
        [(name, bits(buffer), buffer._version) for name, buffer in model.named_buffers()],
        [(name, module.training) for name, module in model.named_modules()],
        torch.get_rng_state().tolist(),
        [part.tolist() if isinstance(part, np.ndarray) else part for part in np.random.get_state()],  # noqa: NPY002
        random.getstate(),
        (torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()),
    ]
