from __future__ import annotations

import numpy as np
import xarray
from support.reference import fake_session, make_request

from lljupyter.session.snapshot import dataset_of
from lljupyter.surface.dataset import surface_dataset

ALPHA, BETA = np.linspace(-2, 2, 5), np.linspace(-1, 1, 3)


def dataset(attributes=None):
    loss = np.arange(15.0).reshape(3, 5)
    loss[0, 0], loss[2, 4] = np.nan, np.inf
    evaluated = np.ones((3, 5), dtype=bool)
    evaluated[0, 0] = False
    return surface_dataset(ALPHA, BETA, {"loss": loss}, evaluated, attributes or {"seed": 3, "norm": "filter"})


def test_a_value_is_found_under_its_coordinates():
    surface = dataset()
    assert surface.loss.dims == ("beta", "alpha")
    assert surface.loss.dtype == np.float64
    assert surface.evaluated.dtype == bool
    assert float(surface.loss.sel(alpha=1, beta=-1)) == 3
    assert float(surface.loss.sel(alpha=-2, beta=1)) == 10


def test_everything_has_a_name_a_person_can_read():
    surface = dataset()
    assert surface.loss.attrs["long_name"] == "mean loss"
    assert surface.alpha.attrs["long_name"] == "multiple of delta"


def test_arrays_and_attributes_are_copied():
    values, evaluated, attributes = np.zeros((3, 5)), np.ones((3, 5), dtype=bool), {"seed": 1}
    surface = surface_dataset(ALPHA, BETA, {"loss": values}, evaluated, attributes)
    values[:], evaluated[:], attributes["seed"] = 7, False, 2
    assert not surface.loss.any()
    assert surface.evaluated.all()
    assert surface.attrs == {"seed": 1}


def test_a_surface_survives_netcdf_with_its_holes(tmp_path):
    surface = dataset()
    surface.to_netcdf(tmp_path / "surface.nc", engine="h5netcdf")
    with xarray.open_dataset(tmp_path / "surface.nc", engine="h5netcdf") as read:
        xarray.testing.assert_identical(read.load(), surface)


def test_the_dataset_of_a_session_has_the_recipe():
    session = fake_session(request=make_request(2**53, 5, 4))
    attributes = dataset_of(session.snapshot()).attrs
    assert attributes["seed"] == 2**53
    assert attributes["norm"] == "filter"
    assert attributes["center_on_grid"] == 0
    assert "seed" not in dataset_of(fake_session(request=make_request(None)).snapshot()).attrs


def test_what_is_not_known_yet_is_nan_and_not_evaluated():
    surface = dataset_of(fake_session().snapshot())
    assert np.isnan(surface.loss).all()
    assert not surface.evaluated.any()
