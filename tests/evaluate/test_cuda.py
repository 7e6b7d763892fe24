"""What only a GPU can show; skipped where there is none."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from lljupyter import TrajectoryRecorder, loss_surface
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import parameters_of
from lljupyter.process import memory

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def network(dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    ).to(dtype)


def batches(dtype: torch.dtype = torch.float64) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(23, 1, 8, 8, generator=generator, dtype=dtype)
    return list(zip(images.split(8), torch.randint(0, 3, (23,), generator=generator).split(8), strict=True))


@pytest.mark.parametrize("budget", [0.5, 0.0], ids=["resident", "streamed"])
def test_surface_on_the_gpu_equals_that_on_the_cpu(monkeypatch, budget):
    monkeypatch.setattr(memory, "DATA_BUDGET", budget)
    on_cpu = loss_surface(network(), batches(), resolution=5, progress=False)
    on_gpu = loss_surface(network().cuda(), batches(), resolution=5, progress=False)
    np.testing.assert_allclose(on_gpu.loss, on_cpu.loss, rtol=1e-10)
    np.testing.assert_array_equal(on_gpu.accuracy, on_cpu.accuracy)


@pytest.mark.parametrize("evaluation", ["folded", "stacked"])
def test_every_way_on_the_gpu_equals_the_plain_one(evaluation):
    model = network() if evaluation != "stacked" else nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).double()
    plain = loss_surface(model.cuda(), batches(), resolution=5, evaluation="plain", progress=False)
    found = loss_surface(model.cuda(), batches(), resolution=5, evaluation=evaluation, progress=False)
    assert found.attrs["evaluation"].startswith(evaluation)
    np.testing.assert_allclose(found.loss, plain.loss, rtol=1e-10)
    np.testing.assert_array_equal(found.accuracy, plain.accuracy)


def test_tf32_is_off_and_put_back():
    torch.backends.cudnn.allow_tf32 = True
    model = network(torch.float32)
    exact = loss_surface(model, batches(torch.float32), resolution=3, device="cpu", progress=False)
    found = loss_surface(model.cuda(), batches(torch.float32), resolution=3, progress=False)
    np.testing.assert_allclose(found.loss, exact.loss, rtol=1e-5)
    assert torch.backends.cudnn.allow_tf32


def test_model_on_the_cpu_is_evaluated_on_the_gpu_when_asked():
    surface = loss_surface(network(), batches(), resolution=3, device="cuda", progress=False)
    assert surface.attrs["device"] == "cuda:0"
    assert surface.evaluated.all()


def test_model_and_random_generators_on_the_gpu_stay_as_they_were():
    model = network().cuda().train()
    before = copy.deepcopy(model.state_dict())
    generators = torch.cuda.get_rng_state(), torch.get_rng_state()
    loss_surface(model, batches(), resolution=3, progress=False)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert model.training
    assert torch.equal(generators[0], torch.cuda.get_rng_state())
    assert torch.equal(generators[1], torch.get_rng_state())


def test_directions_are_those_of_the_cpu():
    on_cpu = random_direction(parameters_of(network()), 3)
    on_gpu = random_direction(parameters_of(network().cuda()), 3)
    assert all(torch.equal(on_gpu[name].cpu(), part) for name, part in on_cpu.items())


def test_model_on_the_cpu_with_data_on_the_gpu_is_refused():
    data = [(inputs.cuda(), targets.cuda()) for inputs, targets in batches()]
    with pytest.raises(
        ValueError, match="expected data on the model's device cpu or on the CPU, got a tensor on cuda:0"
    ):
        loss_surface(network(), data, resolution=3, progress=False)


def test_checkpoints_of_a_model_on_the_gpu(tmp_path):
    model = network().cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    states = []
    with TrajectoryRecorder(model, optimizer, tmp_path):
        for inputs, classes in batches():
            states.append({name: tensor.cpu() for name, tensor in model.state_dict().items()})
            nn.functional.cross_entropy(model(inputs.cuda()), classes.cuda()).backward()
            optimizer.step()
    for file, state in zip(sorted(tmp_path.iterdir()), states, strict=False):
        assert all(torch.equal(tensor, state[name]) for name, tensor in load_file(file).items())
