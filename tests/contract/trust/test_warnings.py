"""A surface that may not show what it seems to is warned of, once, and the warning stays."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.trust import batches, measured, perceptron
from torch import nn

from lljupyter import LandscapeWidget, load, loss_line, loss_surface, save, show
from lljupyter.jupyter.wire import pack

FLAT = r"the loss is exactly [\d.]+ at all \d+ points"


def dead() -> nn.Module:
    """Its ReLU lets nothing through, wherever the weights are."""
    model = perceptron()
    model[1] = nn.ReLU()
    with torch.no_grad():
        model[0].bias.fill_(-1e4)
    return model


def saturated() -> nn.Module:
    """The same scores for all samples, as the first layer's outputs are all cut off."""
    model = perceptron()
    model[1] = nn.Hardtanh()
    with torch.no_grad():
        model[0].bias.fill_(1e4)
        model[2].weight.zero_()
    return model


class Detached(nn.Module):
    """Looks at its inputs only."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        return x[:, :4] + 0 * self.layer(x)


class BadRoot(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = perceptron()

    def forward(self, x):
        return self.layer(x) + (-1 - self.layer(x).abs()).sqrt()


class Halved(nn.Module):
    """Weights in full precision, outputs in half."""

    def __init__(self, dtype):
        super().__init__()
        self.layer, self.dtype = perceptron(), dtype

    def forward(self, x):
        return self.layer(x).to(self.dtype)


def in_half(dtype):
    return perceptron().to(dtype), [(x.to(dtype), y) for x, y in batches()]


NARROW = {"alpha": (-0.002, 0.002), "beta": (-0.002, 0.002), "resolution": 9}
CASES = {
    "flat: a dead ReLU": (dead, batches(), {"resolution": 5, "evaluation": "plain"}, FLAT),
    "flat: saturated": (saturated, batches(), {"resolution": 5}, FLAT),
    "flat: outputs without the weights": (Detached, batches(), {"resolution": 5}, FLAT),
    "NaN: a root of what is negative": (BadRoot, batches(), {"resolution": 3}, "the loss is NaN at all 9 points"),
    "NaN: inputs": (
        perceptron,
        [(x * float("nan"), y) for x, y in batches()],
        {"resolution": 3},
        "the loss is NaN at all 9 points",
    ),
    "bfloat16 weights": (lambda: in_half(torch.bfloat16)[0], in_half(torch.bfloat16)[1], NARROW, "bfloat16 is too"),
    "bfloat16 outputs": (
        lambda: Halved(torch.bfloat16),
        batches(),
        {**NARROW, "loss_fn": nn.CrossEntropyLoss()},
        "bfloat16 is too",
    ),
    "float16 outputs": (lambda: Halved(torch.float16), batches(), NARROW, "float16 is too"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_the_values_show_is_warned_of_once_and_stays(case, tmp_path):
    make, data, options, message = CASES[case]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        surface = loss_surface(make(), data, progress=False, **options)
    ours = [str(w.message) for w in told if w.category is UserWarning]
    assert len([line for line in ours if re.match("the loss (is|has)", line)]) == 1
    assert re.search(message, ours[-1])
    assert surface.attrs["warnings"].splitlines() == ours
    save(surface, tmp_path / "surface.nc")
    again = load(tmp_path / "surface.nc")
    assert again.attrs["warnings"] == surface.attrs["warnings"]
    assert show(again).meta["warnings"] == ours
    assert show(again.assign_attrs(warnings="")).meta["warnings"]  # a file of before has no such line


@pytest.mark.parametrize("case", ["flat: saturated", "NaN: inputs", "bfloat16 weights"])
def test_a_widget_warns_when_it_is_done(case):
    make, data, options, message = CASES[case]
    widget = LandscapeWidget(make(), data, **options)
    surface = widget.wait(60)
    assert re.search(message, surface.attrs["warnings"])
    assert widget.meta["warnings"] == surface.attrs["warnings"].splitlines()
    widget.close()


@pytest.mark.parametrize("resolution", [5, 11])
def test_a_line_is_warned_of(resolution):
    with pytest.warns(UserWarning, match=f"exactly .* at all {resolution} points"):
        line = loss_line(Detached(), batches(), resolution=resolution, progress=False)
    assert line.attrs["warnings"]


def test_seeds_are_warned_of_together():
    with pytest.warns(UserWarning, match="exactly") as told:
        lines = loss_line(Detached(), batches(), resolution=5, repeats=3, progress=False)
    assert lines.attrs["warnings"].splitlines() == [str(w.message) for w in told]
    assert "(seed" not in lines.attrs["warnings"]


@pytest.mark.parametrize("make", [perceptron, lambda: perceptron().double(), lambda: in_half(torch.bfloat16)[0]])
def test_surfaces_that_vary_are_not_warned_of(make):
    model = make()
    data = [(x.to(next(model.parameters()).dtype), y) for x, y in batches()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        surface = loss_surface(model, data, resolution=7, progress=False)
        line = measured(model, data)
    assert "warnings" not in surface.attrs
    assert "warnings" not in line.attrs
    assert np.ptp(surface.loss.values) > 0


def test_nothing_is_said_of_the_values_before_the_end():
    widget = LandscapeWidget(Detached(), batches(), resolution=5)
    widget.wait(60)
    snapshot = widget._engine.snapshot()
    assert "warnings" in pack(snapshot, 1)[1]
    assert len(pack(replace(snapshot, status="running"), 1)[1]["warnings"]) == len(pack(snapshot, 1)[1]["warnings"]) - 1
    widget.close()
