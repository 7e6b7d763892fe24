"""What the widget passes on: trajectories, several loaders, saving and resuming."""

from __future__ import annotations

import json

import numpy as np
import torch
import xarray
from support.data import tiny

from lljupyter import LandscapeWidget, load, loss_surface
from lljupyter.jupyter.result import ResultWidget

PATIENCE = 60.0


def small() -> list[tuple[torch.Tensor, torch.Tensor]]:
    return tiny.digits()[:1]


def test_a_trajectory_crosses_the_wire_and_fits_the_ranges():
    w = LandscapeWidget(tiny.network(), small(), trajectory=tiny.checkpoints(), resolution=5)
    surface = w.wait(PATIENCE)
    told = json.loads(json.dumps(w.meta["trajectory"], allow_nan=False))
    assert told["labels"] == [str(k) for k in range(11)]
    assert told["captured"] == surface.attrs["trajectory_captured"]
    assert set(told["values"]) == {"loss", "loss_stderr", "accuracy", "accuracy_stderr"}
    assert told["learning_rate"] is None
    for name, values in {**told, **told["values"]}.items():
        if name in ("alpha", "beta", "outside", *told["values"]):
            np.testing.assert_array_equal(values, surface[f"trajectory_{name}"])
    assert w.alpha == (float(surface.alpha[0]), float(surface.alpha[-1]))
    assert w.beta == (float(surface.beta[0]), float(surface.beta[-1]))
    w.close()


def test_a_loaded_trajectory_is_shown_like_a_live_one(tmp_path):
    w = LandscapeWidget(tiny.network(), small(), trajectory=tiny.checkpoints(), resolution=3)
    w.wait(PATIENCE)
    w.save(tmp_path / "w.nc")
    w.close()
    shown = ResultWidget(load(tmp_path / "w.nc"))
    assert shown.meta["trajectory"] == w.meta["trajectory"]
    shown.close()


def test_without_a_trajectory_nothing_is_said_of_one():
    w = LandscapeWidget(tiny.network(), small(), resolution=2)
    w.wait(PATIENCE)
    assert "trajectory" not in w.meta
    assert w.alpha == (-1, 1)
    w.close()


def test_several_loaders_show_the_loss_on_the_first():
    w = LandscapeWidget(tiny.network(), {"train": small(), "test": tiny.digits("test")[:1]}, resolution=2)
    w.wait(PATIENCE)
    assert w.quantity == "train_loss"
    assert {"train_loss", "test_loss"} < set(w.meta["layers"])
    w.close()


def test_a_saved_widget_is_resumed(tmp_path):
    torch.set_num_threads(1)
    w = LandscapeWidget(tiny.network(), small(), trajectory=tiny.checkpoints(), resolution=(5, 3))
    whole = w.wait(PATIENCE)
    w.save(tmp_path / "w.nc")
    w.close()
    assert (tmp_path / "w.directions.safetensors").exists()
    xarray.testing.assert_identical(load(tmp_path / "w.nc"), whole)
    again = LandscapeWidget(tiny.network(), small(), resume=tmp_path / "w.nc")
    found = again.wait(PATIENCE)
    assert again.resolution == (5, 3)
    assert again.alpha == (float(whole.alpha[0]), float(whole.alpha[-1]))
    xarray.testing.assert_equal(found, whole)
    again.close()
    seeded = LandscapeWidget(
        tiny.network(), small(), resume=loss_surface(tiny.network(), small(), seed=4, resolution=3)
    )
    seeded.wait(PATIENCE)
    assert seeded.seed == 4
    seeded.close()
