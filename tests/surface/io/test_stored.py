"""Files that version 0.1.0 wrote before the package was rebuilt, in ``tests/data/stored``: they load and resume."""

from __future__ import annotations

import numpy as np
import pytest
import xarray
from support.data import tiny

from lljupyter import interpolate, load, loss_surface, show
from lljupyter.surface.captions import describe, recipe

STORED = tiny.DATA / "stored"
OPTIONS = {"progress": False, "evaluation": "plain"}

POINTS = [(0, 2), (0, 4), (1, 1), (2, 0), (2, 1), (3, 1), (3, 4), (4, 3), (4, 4)]
LOSSES = [
    3.4619474691195133,
    5.427703634902388,
    0.7476023830816132,
    2.0210862424123732,
    0.1537900145628699,
    1.2601978698495948,
    2.740539044422391,
    6.686517897865986,
    11.08453844369843,
]

CAPTIONS = {
    "surface.nc": "The plane around Sequential, theta* + alpha delta + beta eta. Principal directions of the training",
    "half.nc": "The plane around Sequential, theta* + alpha delta + beta eta. Random directions of seed 3",
    "given.nc": "The plane around Sequential, theta* + alpha delta + beta eta. Given directions",
}


@pytest.mark.parametrize("name", CAPTIONS)
def test_stored_surfaces_are_drawn_and_described(name):
    surface = load(STORED / name)
    assert describe(surface).startswith(CAPTIONS[name])
    assert recipe(surface)["Fingerprint of the weights"] == surface.attrs["model_fingerprint"]
    assert show(STORED / name).surface.loss.equals(surface.loss)
    assert not {"format_version", "digest"} & set(surface.attrs)


def test_the_values_of_a_stored_surface():
    surface = load(STORED / "half.nc")
    assert surface.loss.dims == ("beta", "alpha")
    assert int(surface.evaluated.sum()) == 9
    rows, columns = np.nonzero(surface.evaluated.values)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == POINTS
    np.testing.assert_array_equal(surface.loss.values[rows, columns], LOSSES)


def test_a_stored_trajectory_and_the_same_surface_in_the_layout_of_the_authors():
    surface, theirs = load(STORED / "surface.nc"), load(STORED / "surface.h5")
    assert surface.sizes == {"beta": 3, "alpha": 5, "checkpoint": 5}
    assert surface.attrs["trajectory_captured"] == 0.8336215720408583
    np.testing.assert_array_equal(theirs.loss, surface.loss)
    np.testing.assert_allclose(theirs.accuracy, surface.accuracy, rtol=1e-15)


@pytest.mark.parametrize("name", ["half.nc", "given.nc"])
def test_stored_surfaces_are_resumed(name):
    half = load(STORED / name)
    whole = loss_surface(tiny.network(), tiny.loader(), resume=STORED / name, **OPTIONS)
    assert whole.evaluated.all()
    known = half.evaluated.values
    np.testing.assert_array_equal(whole.loss.values[known], half.loss.values[known])
    if name == "half.nc":
        anew = loss_surface(tiny.network(), tiny.loader(), resolution=5, seed=3, **OPTIONS)
        np.testing.assert_allclose(whole.loss, anew.loss, rtol=1e-4)


def test_a_stored_line_is_resumed():
    line = load(STORED / "line.nc")
    missing = line.evaluated.copy(data=np.arange(5) != 1)
    again = interpolate(
        tiny.network(), tiny.network("b"), tiny.loader(), resume=line.assign(evaluated=missing), **OPTIONS
    )
    xarray.testing.assert_allclose(again.loss, line.loss, rtol=1e-4)
    assert again.attrs["model_b_fingerprint"] == line.attrs["model_b_fingerprint"]
