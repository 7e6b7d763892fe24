"""The paper's form of the notebooks: what it asks for first, and what it keeps."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from paper_form import kept, paper_form, train_once, weights_file
from torch.utils.data import DataLoader, TensorDataset

from lljupyter import loss_surface, zoo


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return zoo.vgg(9, width=4, image_size=8)


def batches(n: int = 64) -> DataLoader:
    images, labels = zoo.digits().train.tensors
    return DataLoader(TensorDataset(images[:n], labels[:n]), 32, shuffle=True)


@pytest.mark.parametrize("value", [None, "", "0"])
def test_without_the_variable_there_is_no_such_form(monkeypatch, value, capsys):
    monkeypatch.delenv("LLJUPYTER_PAPER", raising=False)
    if value is not None:
        monkeypatch.setenv("LLJUPYTER_PAPER", value)
    assert paper_form("01") is None
    assert not capsys.readouterr().out


def test_another_value_is_refused(monkeypatch):
    monkeypatch.setenv("LLJUPYTER_PAPER", "yes")
    with pytest.raises(ValueError, match=r"expected LLJUPYTER_PAPER as 1 or short, got 'yes'; leave it out"):
        paper_form("01")


def test_what_is_missing_is_said_before_anything_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.setenv("LLJUPYTER_PAPER", "1")
    monkeypatch.setattr("paper_form.cifar10", lambda *_, **__: pytest.fail("downloaded"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"expected a CUDA device .* got none; LLJUPYTER_PAPER=short tries"):
        paper_form("01", root=tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr("paper_form.find_spec", lambda _: None)
    with pytest.raises(ImportError, match=r"expected torchvision to download CIFAR-10, or .* got neither; pip install"):
        paper_form("01", root=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_whole_form_takes_cifar10_and_the_recipe(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LLJUPYTER_PAPER", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a device")
    monkeypatch.setattr("paper_form.find_spec", lambda _: object())
    monkeypatch.setattr("paper_form.cifar10", lambda root, download: (root, download))
    form = paper_form("01", root=tmp_path)
    assert form.data == (tmp_path / "cifar10", True)
    assert (form.epochs, form.training["recipe"], form.sampling["resolution"]) == (300, "paper", 51)
    assert f"on a device. What is trained and computed is kept in {tmp_path / '01'}." in capsys.readouterr().out


def test_the_short_form_needs_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("LLJUPYTER_PAPER", "short")
    form = paper_form("01", root=tmp_path)
    images, labels = form.data.train.tensors
    assert images.shape == (100, 3, 32, 32)
    assert len(labels) == 100
    assert form.folder == tmp_path / "short" / "01"
    assert form.epochs == 1


def test_archives_are_read_and_mixed(monkeypatch, tmp_path):
    labels = torch.arange(10).repeat_interleave(10)
    part = TensorDataset(labels[:, None, None, None].float().expand(100, 3, 2, 2), labels)
    monkeypatch.setattr("paper_form.jpeg_archive", lambda path, **_: part)
    monkeypatch.setenv("LLJUPYTER_PAPER", "short")
    for name in ("cifar10_train_jpeg.npz", "cifar10_test_jpeg.npz"):
        (tmp_path / name).touch()
    images, found = paper_form("01", root=tmp_path).data.train.tensors
    assert torch.equal(images[:, 0, 0, 0], found.float())
    assert len(set(found[:30].tolist())) > 5


def test_networks_are_trained_once(tmp_path, monkeypatch):
    first, second = small(), small()
    train_once(first, batches(), tmp_path / "a", "VGG, small", epochs=1, progress=False)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["VGG-small.safetensors"]
    monkeypatch.setattr("paper_form.train", lambda *_, **__: pytest.fail("trained again"))
    second.train()
    train_once(second, batches(), tmp_path / "a", "VGG, small", epochs=1, progress=True)
    assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())
    assert not second.training


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small()
    before = model.classifier[1].weight.clone()
    train_once(model, batches(), None, "VGG", epochs=1, progress=False)
    assert not torch.equal(before, model.classifier[1].weight)
    assert kept(None, "VGG") == {}
    assert not list(Path().iterdir())


def test_other_weights_are_not_taken(tmp_path):
    train_once(small(), batches(), tmp_path, "VGG", epochs=1, progress=False)
    with pytest.raises(
        ValueError,
        match=r'with {"batch_size": 32, "epochs": 2}, got {"batch_size": 32, "epochs": 1}; remove the file to',
    ):
        train_once(small(), batches(), tmp_path, "VGG", epochs=2, progress=False)
    with pytest.raises(ValueError, match=r"expected weights of this network in .* \(\S+ differs\); remove the file"):
        train_once(zoo.vgg(9, width=8, image_size=8), batches(), tmp_path, "VGG", epochs=1)
    weights_file(tmp_path, "VGG").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"expected weights in .*, got a damaged file .*; remove it"):
        train_once(small(), batches(), tmp_path, "VGG", epochs=1)


def test_batches_of_another_size_and_another_optimizer_are_other_training(tmp_path):
    def once(batches, make=None):
        model = small()
        optimizer = None if make is None else make(model.parameters())
        train_once(model, batches, tmp_path, "VGG", epochs=1, progress=False, optimizer=optimizer)

    adam = partial(torch.optim.Adam, lr=0.001)
    once(list(batches()), adam)
    once(batches(), adam)
    with pytest.raises(ValueError, match=r'trained with {"batch_size": 64, .* got {"batch_size": 32, '):
        once(DataLoader(batches().dataset, 64), adam)
    with pytest.raises(ValueError, match=r'"kind": "Adam", "lr": 0.01.* got .*"lr": 0.001'):
        once(batches(), partial(adam, lr=0.01))
    with pytest.raises(ValueError, match=r'"kind": "SGD", .* got .*"kind": "Adam"'):
        once(batches(), partial(torch.optim.SGD, lr=0.1))
    with pytest.raises(ValueError, match=r'trained with {"batch_size": 32, "epochs": 1}, got .*"kind": "Adam"'):
        once(batches())


def test_surfaces_are_gone_on_with(tmp_path):
    model, options = small().eval(), {"resolution": 3, "progress": False}
    first = loss_surface(model, batches(), **kept(tmp_path / "b", "k = 1"), **options)
    again = kept(tmp_path / "b", "k = 1")
    assert again["resume"] == again["save_to"] == tmp_path / "b" / "k-1.nc"
    assert loss_surface(model, batches(), **again, **options).loss.equals(first.loss)
