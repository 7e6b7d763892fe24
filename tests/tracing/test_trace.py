"""To trace a model leaves nothing behind."""

from __future__ import annotations

import torch
from torch import nn

from lljupyter.tracing.trace import trace_model


def test_tracing_draws_no_random_numbers():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 5)).eval()
    x = torch.randn(2, 3, 5, 5)
    state = torch.get_rng_state()
    trace = trace_model(model, x)
    assert torch.equal(torch.get_rng_state(), state)
    assert len(trace.convolutions) == 2, "a linear layer of flattened images becomes a convolution"
