"""Options on what moves and how it is scaled, from the verb to the file and back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import xarray
from torch import nn

from lljupyter import load, loss_line, loss_surface, save

QUIET = {"progress": False, "resolution": 3, "evaluation": "plain"}


class Upsampling(nn.Module):
    """A transposed convolution in front of a BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.norm, self.head = nn.ConvTranspose2d(3, 8, 2, 2), nn.BatchNorm2d(8, eps=1e-12), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.up(x)).relu()).mean((2, 3))


def upsampling() -> tuple[nn.Module, nn.Module, list[tuple[torch.Tensor, torch.Tensor]]]:
    """A network, the same function with its outputs rescaled, and data."""
    torch.manual_seed(0)
    model = Upsampling().double().eval()
    scaled = copy.deepcopy(model)
    factors = torch.logspace(-1, 1, 8, dtype=torch.float64)
    scaled.up.weight.data.mul_(factors[:, None, None])
    scaled.up.bias.data.mul_(factors)
    scaled.norm.running_var.mul_(factors**2)
    scaled.norm.running_mean.mul_(factors)
    return model, scaled, [(torch.randn(12, 3, 4, 4, dtype=torch.float64), torch.arange(12) % 4)]


def test_filters_lie_along_the_outputs_unless_the_rule_of_the_authors_is_asked_for():
    model, scaled, data = upsampling()
    one, other = (loss_surface(m, data, **QUIET) for m in (model, scaled))
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-8)
    theirs = [loss_surface(m, data, filters="axis0", **QUIET) for m in (model, scaled)]
    assert float(np.abs(theirs[0].loss / theirs[1].loss - 1).max()) > 0.01
    assert (one.attrs["filters"], theirs[0].attrs["filters"]) == ("output", "axis0")
    with pytest.raises(ValueError, match="expected filters as 'output' or 'axis0', got 'rows'"):
        loss_surface(model, data, filters="rows", **QUIET)


def half(surface: xarray.Dataset) -> xarray.Dataset:
    """The first row only, as after an interruption."""
    row = surface.alpha < surface.alpha[1]
    return surface.where(row).assign(evaluated=surface.evaluated & row)


@pytest.mark.parametrize("filters", ["output", "axis0"])
def test_a_result_is_resumed_with_its_own_filters(tmp_path, filters):
    model, _, data = upsampling()
    for compute in (loss_surface, loss_line):
        whole = compute(model, data, filters=filters, **QUIET)
        save(half(whole), tmp_path / "half.nc")
        found = compute(model, data, resume=tmp_path / "half.nc", progress=False, evaluation="plain")
        xarray.testing.assert_equal(found.loss, whole.loss)
        assert found.attrs["filters"] == filters
        assert load(tmp_path / "half.nc").attrs["filters"] == filters


def test_results_of_before_there_was_an_option_have_their_filters_along_axis_0():
    model, _, data = upsampling()
    whole = loss_surface(model, data, filters="axis0", **QUIET)
    earlier = half(whole)
    del earlier.attrs["filters"]
    found = loss_surface(model, data, resume=earlier, progress=False, evaluation="plain")
    xarray.testing.assert_equal(found.loss, whole.loss)
    assert found.attrs["filters"] == "axis0"
    earlier.attrs["filters"] = "rows"
    with pytest.raises(ValueError, match="expected filters as 'output' or 'axis0', got 'rows'"):
        loss_surface(model, data, resume=earlier, progress=False)
