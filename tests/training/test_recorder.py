from __future__ import annotations

import threading

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from support.reference import PATIENCE
from support.training.recording import model_and_optimizer, steps, train
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.training import checkpoint_file
from lljupyter.training import recorder as recorder_module


def test_the_start_every_nth_step_and_the_end_are_recorded(tmp_path):
    model, optimizer = model_and_optimizer()
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with TrajectoryRecorder(model, optimizer, tmp_path, every=3) as recorder:
        train(model, optimizer, 7)
    assert recorder.step == 7
    assert steps(tmp_path) == [0, 3, 6, 7]
    first, last = (load_file(tmp_path / f"step-{step:09d}.safetensors") for step in (0, 7))
    assert set(first) == {name for name in start if "num_batches" not in name}
    assert all(torch.equal(tensor, start[name]) for name, tensor in first.items())
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in last.items())
    train(model, optimizer, 3)
    assert steps(tmp_path) == [0, 3, 6, 7]


def test_epochs_and_learning_rates_are_noted(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2, unit="epoch", steps_per_epoch=3):
        train(model, optimizer, 6)
        optimizer.param_groups[0]["lr"] = 0.01
        train(model, optimizer, 7)
    assert steps(tmp_path) == [0, 6, 12, 13]
    told = [checkpoint.metadata() for checkpoint in open_checkpoints(tmp_path)]
    assert [t["label"] for t in told] == ["epoch 0", "epoch 2", "epoch 4", "step 13"]
    assert [float(t["learning_rate"]) for t in told] == [0.1, 0.1, 0.01, 0.01]
    assert float(told[3]["epoch"]) == pytest.approx(13 / 3, abs=1e-4)


def test_training_is_bitwise_the_same_with_a_recorder(tmp_path):
    plain, recorded = model_and_optimizer(), model_and_optimizer()
    train(*plain, 5)
    rng = torch.get_rng_state()
    with TrajectoryRecorder(*recorded, tmp_path):
        train(*recorded, 5)
    assert torch.equal(rng, torch.get_rng_state())
    for name, tensor in plain[0].state_dict().items():
        assert torch.equal(tensor, recorded[0].state_dict()[name])


def test_a_recording_is_resumed_from_its_last_checkpoint(tmp_path):
    model, optimizer = model_and_optimizer()
    for _ in range(2):
        with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
            train(model, optimizer, 3)
    assert steps(tmp_path) == [0, 2, 3, 4, 6]


def test_a_run_that_begins_anew_is_not_added_to_one_that_is_recorded(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
        train(model, optimizer, 4)
    other, its_optimizer = model_and_optimizer(1)
    with pytest.raises(ValueError, match=r"as it was recorded last, in .*step-000000004.* got other weights; pass sta"):
        TrajectoryRecorder(other, its_optimizer, tmp_path)
    with TrajectoryRecorder(other, its_optimizer, tmp_path, start=0):
        train(other, its_optimizer, 1)
    assert steps(tmp_path) == [0, 1]
    model[1].running_mean.fill_(torch.nan)  # equal bit for bit, although NaN is not equal to itself
    with TrajectoryRecorder(model, optimizer, tmp_path / "nan"):
        pass
    assert TrajectoryRecorder(model, optimizer, tmp_path / "nan").step == 0


def test_optimizers_without_a_learning_rate_are_recorded(tmp_path):
    model, optimizer = model_and_optimizer()
    optimizer.param_groups[0]["lr"] = None
    with TrajectoryRecorder(model, optimizer, tmp_path):
        pass
    assert open_checkpoints(tmp_path)[0].metadata() == {"step": "0", "label": "step 0"}


def test_a_run_that_goes_back_drops_what_came_after(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
        train(model, optimizer, 8)
    TrajectoryRecorder(model, optimizer, tmp_path, start=4)
    assert steps(tmp_path) == [0, 2, 4, 6, 8]
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2, start=4):
        train(model, optimizer, 1)
    assert steps(tmp_path) == [0, 2, 4, 5]


def test_steps_that_were_not_recorded_are_a_gap(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path):
        train(model, optimizer, 2)
    with pytest.raises(
        ValueError, match="expected start=2 for a model as it was recorded at step 2, got 50; leave sta"
    ):
        TrajectoryRecorder(model, optimizer, tmp_path, start=50)
    train(model, optimizer, 3)
    with TrajectoryRecorder(model, optimizer, tmp_path, start=50):
        train(model, optimizer, 1)
    assert steps(tmp_path) == [0, 1, 2, 50, 51]


def test_what_changes_after_the_last_step_is_recorded_as_the_end(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
        train(model, optimizer, 2)
        with torch.no_grad():
            model[0].weight.zero_()  # as averaging of weights does
    assert steps(tmp_path) == [0, 2]
    assert not load_file(tmp_path / "step-000000002.safetensors")["0.weight"].any()


def test_steps_that_change_nothing_are_steps(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path, every=2):
        train(model, optimizer, 2)
        optimizer.zero_grad()
        optimizer.step()
    assert steps(tmp_path) == [0, 2, 3]


def test_a_checkpoint_is_as_it_was_at_its_step_however_slowly_a_thread_writes_it(tmp_path, monkeypatch):
    model, optimizer = model_and_optimizer()
    go, writing = threading.Event(), []

    def slow(tensors, path, metadata):
        writing.append(metadata["step"])
        assert go.wait(PATIENCE)
        save_file(tensors, path, metadata)

    monkeypatch.setattr(checkpoint_file, "save_file", slow)
    monkeypatch.setattr(recorder_module, "is_away", lambda states: True)
    with TrajectoryRecorder(model, optimizer, tmp_path, every=4):
        start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        train(model, optimizer, 3)
        assert steps(tmp_path) == []
        go.set()
        train(model, optimizer, 1)
    assert writing == ["0", "4"]
    first = load_file(tmp_path / "step-000000000.safetensors")
    assert all(torch.equal(tensor, start[name]) for name, tensor in first.items())
    assert not torch.equal(first["0.weight"], model[0].weight)


def test_compiled_and_tied_models_have_their_own_names(tmp_path):
    model, optimizer = model_and_optimizer()
    tied = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    tied["b"].weight = tied["a"].weight
    for name, one in (("compiled", torch.compile(model)), ("tied", tied)):
        with TrajectoryRecorder(one, optimizer, tmp_path / name):
            pass
    with safe_open(tmp_path / "tied" / "step-000000000.safetensors", framework="pt") as file:
        assert set(file.keys()) == {"a.weight", "a.bias", "b.bias"}
    assert "0.weight" in load_file(tmp_path / "compiled" / "step-000000000.safetensors")


def test_only_what_a_recorder_wrote_counts(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path):
        train(model, optimizer, 1)
    save_file(model.state_dict(), tmp_path / "step-final.safetensors")
    assert TrajectoryRecorder(model, optimizer, tmp_path).step == 1


def test_a_buffer_that_shares_memory_with_a_parameter_is_recorded(tmp_path):
    model, optimizer = model_and_optimizer()
    model.register_buffer("shared", model[0].weight.detach())
    with TrajectoryRecorder(model, optimizer, tmp_path):
        pass
    found = load_file(tmp_path / "step-000000000.safetensors")
    assert torch.equal(found["shared"], model[0].weight)
    assert torch.equal(found["0.weight"], model[0].weight)
