"""Whatever reads a parameter or buffer of a model is seen, with and without gradients."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional

from lljupyter.problem.isolation.storages import StorageWatch

X = torch.ones(2, 3)


def net():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Linear(2, 2)).eval()
    model[2].requires_grad_(False)
    return model


READS = {
    "a layer": (lambda m: m[0](X), {"0.weight", "0.bias"}),
    "a frozen layer": (lambda m: m[2](torch.ones(2, 4)), {"2.weight", "2.bias"}),
    "buffers": (lambda m: m[1].running_mean + 1, {"1.running_mean"}),
    "a view": (lambda m: m[0].weight[:1].sum(), {"0.weight"}),
    "detached": (lambda m: m[0].weight.detach().square(), {"0.weight"}),
    "a list of tensors": (lambda m: torch.cat([m[0].weight.flatten(), torch.ones(2)]), {"0.weight"}),
    "in place": (lambda m: m[0].bias.data.mul_(1), {"0.bias"}),
    "nothing": (lambda m: functional.linear(X, torch.ones(4, 3)), set()),
}


@pytest.mark.parametrize("kind", READS)
@pytest.mark.parametrize("gradients", [True, False])
def test_what_is_read_is_recorded(kind, gradients):
    call, expected = READS[kind]
    model = net()
    with torch.set_grad_enabled(gradients), StorageWatch(model) as watch:
        call(model)
    assert watch.read == expected


def test_parameters_in_one_memory_are_recorded_together_and_the_rest_is_unread():
    model = net()
    model[3].weight.data = model[2].weight.data[:, :2]
    with StorageWatch(model) as watch:
        model[:3](X)
    assert "3.weight" in watch.read
    assert watch.unread(name for name, _ in model.named_parameters()) == ["3.bias"]


def test_two_watches_see_the_same_call():
    one, other = net(), net()
    with StorageWatch(one) as first, StorageWatch(other) as second:
        one[0](X)
    assert (first.read, second.read) == ({"0.weight", "0.bias"}, set())


def test_to_watch_does_not_import_the_compiler_which_takes_seconds():
    code = (
        "import sys, torch; from torch import nn\n"
        "from lljupyter.problem.isolation.storages import StorageWatch\n"
        "model = nn.Linear(3, 4)\n"
        "with StorageWatch(model) as watch: model(torch.ones(2, 3))\n"
        "print(sorted(watch.read), 'torch._dynamo' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == "['bias', 'weight'] False\n"
