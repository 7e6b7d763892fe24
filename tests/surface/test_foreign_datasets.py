"""Datasets that others made: every verb refuses what it cannot use, in one error that says what was expected."""

from __future__ import annotations

import numpy as np
import pytest
from support.data import tiny
from support.made import made_surface

from lljupyter import loss_line, loss_surface, nonconvex_share, save, sharpness, show, to_html

QUIET = {"progress": False, "evaluation": "plain"}
DEEP = "[" * 5000 + "]" * 5000


class Mute:
    """An object that cannot be written."""

    def __repr__(self):
        raise RuntimeError("no repr")


def of(name, values):
    return lambda surface: surface.assign({name: (surface.loss.dims, np.broadcast_to(values, surface.loss.shape))})


def along(axis, values):
    return lambda surface: surface.assign_coords({axis: np.resize(values, surface.sizes[axis])})


FOREIGN = {
    "dates as coordinates": along("alpha", np.array(["2020-01-01", "2020-01-02"], dtype="M8[ns]")),
    "texts as coordinates": along("alpha", np.array(["a", "b"])),
    "objects as coordinates": along("alpha", np.array([1, "b", None], dtype=object)),
    "coordinates that are not finite": along("alpha", np.array([np.nan, 0.0, np.inf])),
    "enormous coordinates": along("alpha", np.array([-1e308, 0.0, 1e308])),
    "no coordinates": lambda surface: surface.drop_vars("alpha"),
    "no points": lambda surface: surface.isel(alpha=slice(0, 0)),
    "evaluated as texts": of("evaluated", "yes"),
    "evaluated as NaN": of("evaluated", np.nan),
    "losses as texts": of("loss", "low"),
    "losses as dates": of("loss", np.datetime64("2020-01-01", "ns")),
    "losses along one axis": lambda surface: surface.assign(loss=surface.loss[0]),
    "an attribute that cannot be written": lambda surface: surface.assign_attrs(model=Mute()),
    "an ignore that is a list": lambda surface: surface.assign_attrs(ignore=[1.0, 2.0]),
}
VERBS = {
    "save as netCDF": lambda surface, folder: save(surface, folder / "surface.nc"),
    "save as the authors do": lambda surface, folder: save(surface, folder / "surface.h5"),
    "save for ParaView": lambda surface, folder: save(surface, folder / "surface.vts"),
    "show": lambda surface, folder: show(surface),
    "to_html": lambda surface, folder: to_html(surface, folder / "page.html"),
    "sharpness": lambda surface, folder: sharpness(surface),
    "nonconvex_share": lambda surface, folder: nonconvex_share(surface),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_what_cannot_be_used_is_refused_and_the_rest_is_used(tmp_path, verb, change):
    message = "expected "
    try:
        verb(change(made_surface(3, 3)), tmp_path)
    except (TypeError, ValueError) as error:
        message = str(error)
    assert message.startswith("expected ")


@pytest.fixture(scope="module")
def computed():
    return loss_surface(tiny.network(), tiny.loader(), resolution=3, **QUIET)


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN)
def test_none_of_these_is_resumed(computed, change):
    with pytest.raises((TypeError, ValueError), match=r"^expected "):
        loss_surface(tiny.network(), tiny.loader(), resume=change(computed), **QUIET)


@pytest.mark.parametrize(
    "attributes",
    [
        {"loss_fn": np.ones(2)},
        {"batchnorm": np.ones(2)},
        {"model_fingerprint": np.ones(2)},
        {"norm": "weird"},
        {"seed": 1e300},
        {"precision_option": np.ones(3)},
    ],
    ids=str,
)
def test_attributes_of_another_kind_are_refused(computed, attributes):
    with pytest.raises(ValueError, match=r"^expected "):
        loss_surface(tiny.network(), tiny.loader(), resume=computed.assign_attrs(attributes), **QUIET)


def test_a_line_with_texts_as_coordinates_is_not_resumed():
    line = loss_line(tiny.network(), tiny.loader(), resolution=3, **QUIET)
    with pytest.raises(ValueError, match="expected numbers as coordinates along alpha, got"):
        loss_line(tiny.network(), tiny.loader(), resume=line.assign_coords(alpha=["a", "b", "c"]), **QUIET)


@pytest.mark.parametrize("text", ['{"a": ' + DEEP + "}", "{1}", "{}"], ids=["deep", "no JSON", "empty"])
def test_attributes_that_look_like_json_are_listed(tmp_path, text):
    to_html(made_surface(evaluation_seconds=text), tmp_path / "page.html")
