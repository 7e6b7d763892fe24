"""Tracing a model leaves models that run in other threads alone."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import fx, nn

from lljupyter.tracing.capture import capture_graph


def test_models_run_and_are_trained_while_others_are_traced():
    big = nn.Sequential(*[nn.Linear(4, 4) for _ in range(50)])
    own, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.ones(2, 4)
    expected = own(x).detach()
    call, getattr_ = nn.Module.__call__, nn.Module.__getattr__
    threads = [threading.Thread(target=lambda: [capture_graph(big) for _ in range(15)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    n = 0
    while any(thread.is_alive() for thread in threads) or not n:
        y = own(x)
        y.sum().backward()
        assert torch.equal(y, expected)
        n += 1
    assert n > 10
    assert nn.Module.__call__ is call
    assert nn.Module.__getattr__ is getattr_


def test_the_graph_is_that_of_torch():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    ours, theirs = capture_graph(model), fx.symbolic_trace(model)
    assert str(ours.graph) == str(theirs.graph)
    x = torch.randn(4, 3)
    assert torch.equal(ours(x), model(x))


def test_what_cannot_be_traced_leaves_nothing_behind():
    class Branches(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    call = nn.Module.__call__
    with pytest.raises(fx.proxy.TraceError):
        capture_graph(Branches())
    assert nn.Module.__call__ is call
