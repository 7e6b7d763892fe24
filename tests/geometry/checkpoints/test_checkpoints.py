"""The checkpoints of a training run, from lists and folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.reference import run

from lljupyter import pca_directions
from lljupyter.geometry.checkpoints import in_order, open_checkpoints
from lljupyter.geometry.direction_files import save_directions


def test_trajectories_from_files_and_folders(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"step-{index:09d}.safetensors")
        torch.save({"epoch": index, "state_dict": state}, tmp_path / f"{index}.pt")
    expected = pca_directions(states, center, ignore=None).directions[0]["w"]
    paths = sorted(tmp_path.glob("*.safetensors"))
    for trajectory in (tmp_path, str(tmp_path), paths, [tmp_path / f"{index}.pt" for index in range(len(states))]):
        assert torch.equal(pca_directions(trajectory, center, ignore=None).directions[0]["w"], expected)
    assert [c.label for c in open_checkpoints(tmp_path)][:2] == ["step-000000000", "step-000000001"]
    assert set(open_checkpoints(tmp_path)[0].tensors(center)) == set(center)


@pytest.mark.parametrize(
    ("trajectory", "error", "message"),
    [
        (3, TypeError, "expected a trajectory as a folder or a list .*, got int"),
        ([], ValueError, "at least one checkpoint, got an empty list"),
        ([3], TypeError, "expected checkpoint 0 as a state dict or a path, got int; use model.state_dict"),
        (["nowhere.safetensors"], ValueError, "checkpoint 0 as a file, got nowhere.safetensors, which is not there"),
        ("nowhere", ValueError, "expected a folder of .safetensors checkpoints, got nowhere, which is missing; check"),
        ([{}] * 3, ValueError, r"expected checkpoint 0 with 'w' of shape \(5, 4\), got none of that name"),
        ([{"v": torch.ones(5, 4)}] * 3, ValueError, r"got none of that name among \['v'\]; use the checkpoints"),
        ([{"w": torch.ones(2)}] * 3, ValueError, r"'w' of shape \(5, 4\), got \(2,\); use the checkpoints of the same"),
    ],
)
def test_trajectories_that_are_refused(trajectory, error, message):
    with pytest.raises(error, match=message):
        pca_directions(trajectory, run()[0])


def test_directions_beside_checkpoints_are_no_checkpoint(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        save_file(state, tmp_path / f"step-{index}.safetensors")
    n = len(open_checkpoints(tmp_path))
    pca = pca_directions(states, center)
    save_directions(pca.directions, tmp_path / "surface.directions.safetensors")
    assert len(open_checkpoints(tmp_path)) == n == len(states)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"expected a folder of .safetensors checkpoints, got .* with none; record"):
        open_checkpoints(tmp_path / "empty")


def test_folders_of_a_trainer_are_a_run_in_the_order_of_their_steps(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        folder = tmp_path / f"checkpoint-{index * 500}"
        folder.mkdir()
        save_file(state, folder / "model.safetensors")
        torch.save({"state": {}}, folder / "optimizer.pt")
    save_file(states[-1], tmp_path / "model.safetensors")  # of trainer.save_model()
    torch.save({}, tmp_path / "training_args.bin")
    (tmp_path / "runs").mkdir()
    checkpoints = open_checkpoints(tmp_path)
    assert [c.label for c in checkpoints] == [f"checkpoint-{index * 500}" for index in range(len(states))]
    expected = pca_directions(states, center, ignore=None).directions[0]["w"]
    folders = [tmp_path / f"checkpoint-{index * 500}" for index in range(len(states))]
    for trajectory in (tmp_path, folders):
        assert torch.equal(pca_directions(trajectory, center, ignore=None).directions[0]["w"], expected)
    assert [c.label for c in open_checkpoints(tmp_path / "checkpoint-500")] == ["checkpoint-500"]


def test_a_folder_of_lightning_is_a_run(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        named = {f"model.{name}": part for name, part in state.items()}
        torch.save({"state_dict": named, "epoch": index // 4}, tmp_path / f"epoch={index // 4}-step={index * 9}.ckpt")
    expected = pca_directions(states, center, ignore=None).directions[0]["w"]
    assert torch.equal(pca_directions(tmp_path, center, ignore=None).directions[0]["w"], expected)


@pytest.mark.parametrize(
    "names",
    [
        ["step-000000000.x", "step-000000100.x", "step-000001000.x", "step-final.x"],
        ["0.x", "2.x", "10.x"],
        ["epoch=0-step=9.x", "epoch=0-step=90.x", "epoch=1-step=100.x", "last.x"],
        ["val=0.9-epoch=1.x", "val=0.3-epoch=2.x", "val=0.5-epoch=10.x"],
        ["net_epoch_1_loss_0.9.x", "net_epoch_2_loss_0.31.x", "net_epoch_10_loss_0.2.x"],
        ["model1_9.x", "model1_10.x", "model2_1.x"],
        ["epoch=1.x", "epoch=1-v1.x", "epoch=2.x"],
        ["begin.x", "end.x"],
    ],
)
def test_files_are_put_in_the_order_of_training(names):
    paths = [Path(name) for name in names]
    assert in_order(sorted(paths, key=lambda path: hash(path.name))) == paths or "begin.x" in names
    assert in_order(sorted(paths)) == paths


def test_folders_whose_order_is_not_clear_are_refused(tmp_path):
    for name in ("warm_1.pt", "warm_2.pt", "main_1.pt"):
        torch.save({}, tmp_path / name)
    with pytest.raises(
        ValueError, match=r"names that tell the order .*, got ones such as main_0 and warm_0; pass a li"
    ):
        open_checkpoints(tmp_path)
    (tmp_path / "0.ckpt").touch()
    with pytest.raises(
        ValueError, match=r"expected checkpoints of one kind in .*, got .ckpt and .pt files; pass a list"
    ):
        open_checkpoints(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"got .*empty, which is a folder without weights; check the path"):
        open_checkpoints([tmp_path / "empty"])
