"""One checkpoint in memory, in a file or in a folder of another library."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.data import tiny
from support.reference import run

from lljupyter import pca_directions
from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.geometry.checkpoints import open_checkpoints
from lljupyter.geometry.parameters import parameters_of


def test_a_checkpoint_can_be_read_again_after_it_was_closed(tmp_path):
    _, states = run()
    torch.save(states[1], tmp_path / "1.pt")
    for source in (tmp_path / "1.pt", states[1]):
        checkpoint = open_checkpoints([source])[0]
        for _ in range(2):
            assert torch.equal(checkpoint.part("w", states[0]["w"]), states[1]["w"])
            checkpoint.close()


def test_a_damaged_checkpoint_is_named(tmp_path):
    for name in ("0.safetensors", "1.pt"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match=f"expected a readable checkpoint, got .*{name}"):
            pca_directions([tmp_path / name] * 3, run()[0])


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_checkpoints_of_compiled_and_parallel_models_and_of_other_programs_are_read(tmp_path, prefix):
    model, states = tiny.network(), tiny.checkpoints()
    expected = pca_directions(states, model).directions[0]["conv1.weight"]
    wrapped = [{prefix + name: part for name, part in state.items()} for state in states]
    paths = [tmp_path / f"{index}.pt" for index in range(len(states))]
    for path, state in zip(paths, wrapped, strict=True):
        torch.save({"model_state_dict": state, "epoch": 1}, path)
    for trajectory in (wrapped, paths):
        for center in (model, torch.compile(model), torch.nn.DataParallel(model)):
            assert torch.equal(pca_directions(trajectory, center).directions[0]["conv1.weight"], expected)


def test_files_of_old_programs_are_read_and_those_of_another_kind_are_named(tmp_path):
    center, states = run()
    for index, state in enumerate(states):
        torch.save(state, tmp_path / f"{index}.pt", _use_new_zipfile_serialization=False)
    files = [tmp_path / f"{index}.pt" for index in range(len(states))]
    ours, theirs = pca_directions(states, center), pca_directions(files, center)
    assert all(torch.equal(part, theirs.directions[0][name]) for name, part in ours.directions[0].items())
    for content in (b"", b"text"):
        files[0].write_bytes(content)
        with pytest.raises(ValueError, match=r"expected a readable checkpoint, got .*0.pt \((?!.*mmap)"):
            pca_directions(files, center)


def model_states() -> dict[str, torch.Tensor]:
    return {name: part.clone() for name, part in tiny.network().state_dict().items()}


def shards(folder: Path, states: dict[str, torch.Tensor], kind: str) -> None:
    """Write a state dict in two files with an index, as transformers does."""
    stem, suffix = ("model", "safetensors") if kind == "safetensors" else ("pytorch_model", "bin")
    names = sorted(states)
    index = {}
    for k, part in enumerate((names[::2], names[1::2])):
        file = f"{stem}-{k + 1:05d}-of-00002.{suffix}"
        tensors = {name: states[name] for name in part}
        save_file(tensors, folder / file) if kind == "safetensors" else torch.save(tensors, folder / file)
        index |= dict.fromkeys(part, file)
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


@pytest.mark.parametrize("kind", ["model.safetensors", "pytorch_model.bin", "safetensors shards", "bin shards"])
def test_folders_of_hugging_face_libraries_are_checkpoints(tmp_path, kind):
    states = model_states()
    if "shards" in kind:
        shards(tmp_path, states, kind.split()[0])
    elif kind.endswith(".bin"):
        torch.save(states, tmp_path / kind)
    else:
        save_file(states, tmp_path / kind)
    torch.save({}, tmp_path / "optimizer.pt")
    checkpoint = Checkpoint(tmp_path, "checkpoint-1")
    center = parameters_of(tiny.network())
    for _ in range(2):
        read = checkpoint.tensors(center)
        assert list(read) == list(center)
        assert all(torch.equal(part, states[name]) for name, part in read.items())
        assert torch.equal(checkpoint.part("fc.weight", center["fc.weight"], (slice(2, 4),)), states["fc.weight"][2:4])
        checkpoint.close()
    assert checkpoint.metadata() == {}


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "has no weight_map of files beside it"),
        ('{"weight_map": {"w": "../model.safetensors"}}', "has no weight_map of files beside it"),
        ('{"weight_map": {"w": 3}}', "has no weight_map of files beside it"),
        ('{"weight_map": {"w": "missing.safetensors"}}', "missing.safetensors"),
    ],
)
def test_damaged_indices_are_named(tmp_path, index, reason):
    (tmp_path / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=f"expected a readable checkpoint, got .*{tmp_path.name} .*{reason}"):
        Checkpoint(tmp_path, "0").has("w")


def test_what_a_trainer_wrote_beside_its_weights_is_known(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    history = [{"learning_rate": 0.1, "step": 5}, {"learning_rate": 0.05, "step": 10}, {"eval_loss": 1.0}]
    state = {"global_step": 10, "epoch": 0.5, "log_history": history}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    assert Checkpoint(tmp_path, "0").metadata() == {"step": "10", "epoch": "0.5", "learning_rate": "0.05"}
    for damaged in ("{", "[]", json.dumps({**state, "epoch": "x"}), json.dumps({**state, "log_history": [3]})):
        (tmp_path / "trainer_state.json").write_text(damaged)
        assert Checkpoint(tmp_path, "0").metadata() == {}


def test_files_of_lightning_are_read_and_those_that_run_code_are_refused_in_one_line(tmp_path):
    states = {f"net.{name}": part for name, part in model_states().items()}
    content = {"epoch": 3, "global_step": 12, "state_dict": {**states, "loss.weight": torch.ones(10)}}
    torch.save(content, tmp_path / "epoch=3-step=12.ckpt")
    checkpoint = Checkpoint(tmp_path / "epoch=3-step=12.ckpt", "0")
    center = parameters_of(tiny.network())
    checkpoint.match(center)
    assert torch.equal(checkpoint.part("fc.weight", center["fc.weight"]), states["net.fc.weight"])
    assert checkpoint.has("bn1.running_mean")
    torch.save({"state_dict": states, "hyper_parameters": {"model": tiny.network()}}, tmp_path / "own.ckpt")
    with pytest.raises(
        ValueError, match=r"expected a readable checkpoint, got .*own.ckpt .*; pass .safetensors"
    ) as told:
        Checkpoint(tmp_path / "own.ckpt", "0").has("w")
    assert len(str(told.value)) < 600
    assert "\n" not in str(told.value)
