"""The optimizers of other libraries are followed by the recorder."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support.training.steps import check_recorded, in_two_steps, loss_of, network, plainly, sgd, with_a_closure

from lljupyter import TrajectoryRecorder


def schedule_free(kind: str) -> Callable[[Any], Any]:
    schedulefree = pytest.importorskip("schedulefree")
    return {
        "SGD": lambda params: schedulefree.SGDScheduleFree(params, lr=0.1),
        "AdamW": lambda params: schedulefree.AdamWScheduleFree(params, lr=0.01),
        "RAdam": lambda params: schedulefree.RAdamScheduleFree(params, lr=0.01),
        "wrapper": lambda params: schedulefree.ScheduleFreeWrapper(sgd(params)),
        "closure": lambda params: schedulefree.SGDScheduleFreeClosure(params, lr=0.1),
    }[kind]


@pytest.mark.parametrize("kind", ["SGD", "AdamW", "RAdam", "wrapper"])
def test_of_schedule_free_optimizers_the_weights_that_are_evaluated_are_recorded(tmp_path, kind):
    build, n = schedule_free(kind), 5
    plain, model = network(), network()
    optimizers = [build(list(plain.parameters())), build(list(model.parameters()))]
    for optimizer in optimizers:
        optimizer.train()
    expected = [copy.deepcopy(plain.state_dict())]
    for step in range(n):
        plainly(plain, optimizers[0], step)
        twin = copy.deepcopy((plain, optimizers[0]))
        twin[1].eval()
        expected.append(twin[0].state_dict())
    with TrajectoryRecorder(model, optimizers[1], tmp_path):
        for step in range(n):
            plainly(model, optimizers[1], step)
    assert all(torch.equal(tensor, plain.state_dict()[name]) for name, tensor in model.state_dict().items())
    optimizers[1].eval()  # the center
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == n + 1
    for file, states in zip(files, [*expected[:-1], model.state_dict()], strict=True):
        for name, tensor in load_file(file).items():
            torch.testing.assert_close(tensor, states[name], rtol=0, atol=0, msg=f"{file.name} {name}")
    optimizers[1].train()
    TrajectoryRecorder(model, optimizers[1], tmp_path, start=n)  # the same model, in either mode
    resumed = TrajectoryRecorder(model, optimizers[1], tmp_path / "other")
    with resumed:
        pass


def test_a_schedule_free_optimizer_that_takes_closures_is_followed(tmp_path):
    check_recorded(tmp_path, schedule_free("closure"), with_a_closure)


@pytest.mark.parametrize("inside", ["SGD", "schedule-free"])
def test_the_optimizers_of_accelerate_are_followed(tmp_path, inside):
    accelerate = pytest.importorskip("accelerate")
    model = network()
    params = list(model.parameters())
    optimizer = sgd(params) if inside == "SGD" else schedule_free("AdamW")(params)
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    prepared, wrapped = accelerator.prepare(model, optimizer)
    if inside != "SGD":
        wrapped.train()
    with TrajectoryRecorder(prepared, wrapped, tmp_path) as recorder:
        for step in range(6):
            with accelerator.accumulate(prepared):
                accelerator.backward(loss_of(prepared, step))
                wrapped.step()
                wrapped.zero_grad()
            assert recorder.step == (step + 1) // 2  # calls that accumulate are no steps
    if inside != "SGD":
        wrapped.eval()
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == 4
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in load_file(files[-1]).items())


def test_sam_and_closures_of_pytorch_optimizer_are_followed(tmp_path):
    library = pytest.importorskip("pytorch_optimizer")

    def build(params: Any) -> Any:
        return library.SAM(params, torch.optim.SGD, lr=0.1)

    check_recorded(tmp_path, build, in_two_steps)
