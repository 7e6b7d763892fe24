"""Modules of Lightning: as a model, with their own step as the objective, their checkpoints and a run recorded."""

from __future__ import annotations

import functools

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from safetensors.torch import load_file
from support.trust import batches, check, measured, perceptron, truth
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from lljupyter import TrajectoryRecorder, loss_surface

X, Y = (torch.cat(part) for part in zip(*batches(), strict=True))
X = X.double()


class Classifier(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = perceptron()

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = functional.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5, momentum=0.9)


def loader() -> DataLoader:
    return DataLoader(TensorDataset(X, Y), batch_size=8)


def own_loop(net: nn.Module) -> float:
    return float(np.mean([-float(net(x[None])[0].log_softmax(0)[y]) for x, y in zip(X, Y, strict=True)]))


class Recording(Callback):
    """The recorder around ``fit``."""

    def __init__(self, folder):
        self.folder = folder

    def on_fit_start(self, trainer, module):
        self.recorder = TrajectoryRecorder(module, trainer.optimizers[0], self.folder)
        self.recorder.__enter__()

    def on_fit_end(self, trainer, module):
        self.recorder.__exit__(None, None, None)


def fitted(module: nn.Module, folder, *callbacks: Callback) -> None:
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", callbacks=list(callbacks), default_root_dir=folder, **quiet
    )
    trainer.fit(module, loader())


@functools.cache
def trained() -> lightning.LightningModule:
    torch.manual_seed(0)
    return Classifier().double()


def test_a_module_is_a_model_like_others():
    module = trained()
    check(module, loader(), lambda: own_loop(module), rtol=1e-9)


def test_its_own_step_is_an_objective():
    """``self.log`` has nowhere to go without a trainer, and is no obstacle."""
    module = trained()
    expected = truth(module, lambda: own_loop(module))
    line = measured(module, loader(), objective=lambda module, batch: module.training_step(batch, 0))
    np.testing.assert_allclose(line.loss, expected, rtol=1e-9)


@pytest.mark.parametrize("inner", [False, True], ids=["the module", "the network in it"])
def test_a_run_and_its_checkpoints(tmp_path, inner):
    """The recorder's steps, and the files of Lightning's own callback, in which ``net`` has a prefix."""
    module, losses = Classifier().double(), []

    class Watching(Callback):
        def on_train_batch_end(self, *_):
            losses.append(own_loop(module))

    saved = ModelCheckpoint(tmp_path / "saved", every_n_train_steps=1, save_top_k=-1, filename="{epoch}-{step}")
    start = own_loop(module)
    fitted(module, tmp_path, Recording(tmp_path / "run"), Watching(), saved)
    assert len(losses) == 6
    model = module.net if inner else module
    for folder, expected in ((tmp_path / "run", [start, *losses]), (tmp_path / "saved", losses)):
        surface = loss_surface(model, loader(), trajectory=folder, resolution=3, progress=False)
        np.testing.assert_allclose(surface.trajectory_loss, expected, rtol=1e-9)
    last: dict[str, Tensor] = load_file(sorted((tmp_path / "run").iterdir())[-1])
    assert all(torch.equal(part, last[name]) for name, part in module.state_dict().items())
