"""What a recorder refuses, and what happens when a checkpoint cannot be written."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from support.training import recording
from support.training.recording import model_and_optimizer, steps, train
from torch import nn

from lljupyter import TrajectoryRecorder
from lljupyter.training import checkpoint_file
from lljupyter.training import recorder as recorder_module


def torn(tensors, path, metadata):
    if metadata["step"] != "4":
        return save_file(tensors, path, metadata)
    path.write_bytes(b"half")
    raise OSError("disk full")


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize("n_steps", [4, 9])
def test_a_torn_write_leaves_nothing_is_told_once_and_training_goes_on(tmp_path, monkeypatch, away, n_steps):
    model, optimizer = model_and_optimizer()
    monkeypatch.setattr(checkpoint_file, "save_file", torn)
    monkeypatch.setattr(recorder_module, "is_away", lambda states: away)
    recorder = TrajectoryRecorder(model, optimizer, tmp_path, every=2)
    with pytest.warns(UserWarning, match=r"got OSError at step .*disk full.*; training goes on, but") as told, recorder:
        train(model, optimizer, n_steps)
    assert recorder.step == n_steps
    assert steps(tmp_path) == ([0, 2] if n_steps == 4 else [0, 2, 6, 8, 9])
    assert len(list(tmp_path.iterdir())) == len(steps(tmp_path))
    assert len(told) == (2 if n_steps == 4 else 1)  # that the end is missing is told again
    # they point at the lines that train, not into the recorder
    assert {warning.filename for warning in told} <= {__file__, recording.__file__}
    train(model, optimizer, 1)
    assert recorder.step == n_steps  # the hook is gone


def test_an_error_in_training_is_the_one_to_see_and_the_end_is_recorded_all_the_same(tmp_path, monkeypatch):
    model, optimizer = model_and_optimizer()
    monkeypatch.setattr(checkpoint_file, "save_file", torn)
    monkeypatch.setattr(recorder_module, "is_away", lambda states: True)

    def fail(n_steps: int, error: BaseException) -> None:
        with TrajectoryRecorder(model, optimizer, tmp_path, every=2, start=0):
            train(model, optimizer, n_steps)
            raise error

    with pytest.raises(ArithmeticError, match="diverged"):
        fail(3, ArithmeticError("diverged"))
    assert steps(tmp_path) == [0, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        fail(1, KeyboardInterrupt())
    assert steps(tmp_path) == [0, 1]
    with pytest.warns(UserWarning, match="disk full"), pytest.raises(ArithmeticError, match="diverged"):
        fail(5, ArithmeticError("diverged"))  # the checkpoint of step 4 is torn as well
    assert steps(tmp_path) == [0, 2, 5]
    last = load_file(tmp_path / "step-000000005.safetensors")
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in last.items())


def test_a_folder_that_vanishes_is_told_and_recording_goes_on(tmp_path):
    model, optimizer = model_and_optimizer()

    def run() -> None:
        with TrajectoryRecorder(model, optimizer, tmp_path / "run"):
            train(model, optimizer, 2)
            shutil.rmtree(tmp_path / "run")
            train(model, optimizer, 2)

    with pytest.warns(UserWarning, match=r"the folder vanished, and with it what was recorded so far.*checkpoints are"):
        run()
    assert steps(tmp_path / "run") == [3, 4]


def test_a_folder_that_cannot_be_written_to_is_an_error_before_training_begins(tmp_path, monkeypatch):
    model, optimizer = model_and_optimizer()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"expected a folder for the checkpoints, got the file .*file; choose"):
        TrajectoryRecorder(model, optimizer, tmp_path / "file")

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint_file, "save_file", full)
    recorder = TrajectoryRecorder(model, optimizer, tmp_path / "run")
    with pytest.raises(OSError, match=r"expected to write .*step-000000000.safetensors, got: disk full; check"):
        recorder.__enter__()
    train(model, optimizer, 1)
    assert recorder.step == 0  # the hook is gone
    assert steps(tmp_path / "run") == []


def test_weights_that_change_without_a_step_are_told(tmp_path):
    model, optimizer = model_and_optimizer()
    another = torch.optim.SGD(model.parameters(), lr=0.1)
    message = "expected to hear of the steps of SGD, got none although the weights changed"
    with pytest.warns(UserWarning, match=message), TrajectoryRecorder(model, optimizer, tmp_path):
        train(model, another, 3)
    assert steps(tmp_path) == [0, 1]
    last = load_file(tmp_path / "step-000000001.safetensors")
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in last.items())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"model": 1}, TypeError, r"expected a torch.nn.Module as the model, got int"),
        ({"optimizer": None}, TypeError, r"expected a torch.optim.Optimizer, got NoneType; pass the optimizer"),
        ({"every": 0}, ValueError, "expected every as a whole number of at least 1, got 0"),
        ({"start": -1}, ValueError, "expected start as a whole number of at least 0, got -1"),
        ({"unit": "batch"}, ValueError, "expected unit as 'step' or 'epoch', got 'batch'"),
        ({"unit": "epoch"}, ValueError, "expected steps_per_epoch to count epochs, got None; pass"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, options, error, message):
    model, optimizer = model_and_optimizer()
    with pytest.raises(error, match=message):
        TrajectoryRecorder(**{"model": model, "optimizer": optimizer, "path": tmp_path, **options})


def test_a_folder_of_another_model_is_refused(tmp_path):
    model, optimizer = model_and_optimizer()
    with TrajectoryRecorder(model, optimizer, tmp_path):
        pass
    with pytest.raises(ValueError, match=r"got those of another \('0.bias' differs\); choose another folder"):
        TrajectoryRecorder(nn.Sequential(nn.Linear(3, 5)), optimizer, tmp_path)


def test_two_runs_do_not_share_a_folder(tmp_path):
    (a, its_optimizer), (b, other_optimizer) = model_and_optimizer(), model_and_optimizer(1)
    first, second = (TrajectoryRecorder(m, o, tmp_path) for m, o in ((a, its_optimizer), (b, other_optimizer)))
    message = "as it was when the recorder was made, got checkpoints that another one wrote; choose a folder"
    with first, pytest.raises(ValueError, match=message), second:
        pass
    assert torch.equal(load_file(tmp_path / "step-000000000.safetensors")["0.weight"], a[0].weight)


def test_a_recorder_is_not_entered_within_itself(tmp_path):
    model, optimizer = model_and_optimizer()
    recorder = TrajectoryRecorder(model, optimizer, tmp_path)
    with recorder, pytest.raises(RuntimeError, match="expected a recorder that is not recording yet"), recorder:
        pass
    train(model, optimizer, 1)
    assert steps(tmp_path) == [0]  # no hook is left
    with recorder:
        train(model, optimizer, 1)
    assert steps(tmp_path) == [0, 1]


def test_a_damaged_folder_is_told(tmp_path, monkeypatch):
    model, optimizer = model_and_optimizer()
    (tmp_path / "step-000000000.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"expected a whole checkpoint in .*step-000000000.safetensors, got one that"):
        TrajectoryRecorder(model, optimizer, tmp_path)

    def fail(*_):
        raise SafetensorError("no room")

    monkeypatch.setattr(checkpoint_file, "save_file", fail)
    with pytest.raises(OSError, match=r"expected to write .*step-000000000.safetensors, got: no room; check the fol"):
        TrajectoryRecorder(model, optimizer, tmp_path / "new").__enter__()
