"""How a landscape is drawn: its traits, results without a model, and comparisons."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray
from support.made import made_seeds

from lljupyter import LandscapeWidget, compare
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.dataset import on_grid
from lljupyter.surface.frame import pack_dataset


@pytest.fixture
def surface() -> xarray.Dataset:
    alpha, beta = np.linspace(-1, 1, 5), np.linspace(-1, 1, 3)
    loss = alpha**2 + beta[:, None] * 10
    evaluated = np.ones((3, 5), bool)
    return xarray.Dataset(
        {"loss": (("beta", "alpha"), loss), "evaluated": (("beta", "alpha"), evaluated)},
        coords={"beta": beta, "alpha": alpha},
        attrs={"model": "Net", "n_samples": 1797, "loss_fn": "cross-entropy", "norm": "filter"},
    )


@pytest.fixture
def live() -> LandscapeWidget:
    x = torch.randn(8, 4)
    widget = LandscapeWidget(torch.nn.Linear(4, 3), [(x, torch.zeros(8, dtype=torch.long))], resolution=3)
    widget.wait(30)
    yield widget
    widget.close()


def test_a_dataset_is_packed_rows_are_beta(surface):
    frame, meta = pack_dataset(surface.transpose("alpha", "beta"), ["loss"])
    layers = np.frombuffer(frame, "<f4").reshape(2, 3, 5)
    np.testing.assert_allclose(layers[0], surface.loss, rtol=1e-6)
    assert (layers[1] == 1).all()
    assert meta["shape"] == (3, 5)
    assert meta["layers"] == ["loss", "evaluated"]
    assert meta["center"] == {"loss": 0.0}
    assert meta["subtitle"] == "cross-entropy on 1,797 samples, filter-normalized"


def test_what_a_dataset_lacks_is_interpolated_and_said_to_be(surface):
    surface["evaluated"][1, 1] = False
    surface["loss"][1, 1] = np.nan
    frame, meta = pack_dataset(surface, ["loss"])
    layers = np.frombuffer(frame, "<f4").reshape(2, 3, 5)
    assert np.isfinite(layers[0]).all()
    assert layers[1, 1, 1] == 0
    assert (meta["n_done"], meta["n_points"]) == (14, 15)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("quantity", "accuracy", "expected quantity as one of"),
        ("color", "accuracy", "expected color as one of"),
        ("clip", float("inf"), "expected clip as a finite number"),
        ("levels", "some", 'expected levels as "auto"'),
        ("levels", [1, float("nan")], 'expected levels as "auto"'),
        ("limits", (2, 1), "expected limits as"),
        ("limits", 3, "expected limits as"),
        ("color_limits", (1, 0), "expected color_limits as"),
        ("camera", {"roll": 1}, "expected camera as a dict"),
        ("camera", {"pan": 1}, "expected camera as a dict"),
        ("camera", {"zoom": 0}, "zoom above 0"),
    ],
)
def test_bad_looks_are_refused(surface, name, value, message):
    widget = ResultWidget(surface)
    with pytest.raises(ValueError, match=message):
        setattr(widget, name, value)


def test_good_looks_are_taken_as_plain_numbers(surface):
    widget = ResultWidget(
        surface, clip=np.float32(2), levels=np.array([2, 1, 1]), limits=[0, 5], camera={"pan": (0, 1)}
    )
    assert (widget.clip, widget.levels, widget.limits, widget.camera) == (
        2.0,
        [1.0, 2.0],
        (0.0, 5.0),
        {"pan": [0.0, 1.0]},
    )
    assert repr(widget) == "ResultWidget(Net, 5 x 3)"


@pytest.mark.parametrize(
    ("broken", "error", "message"),
    [
        (lambda s: s.loss, TypeError, "expected an xarray.Dataset"),
        (lambda s: s.rename(alpha="x", beta="y"), ValueError, "on the dimensions"),
        (lambda s: s[["evaluated"]], ValueError, "with a quantity"),
        (lambda s: s.isel(alpha=[0, 1, 4]), ValueError, "ascending in even steps"),
        (lambda s: s.isel(beta=slice(None, None, -1)), ValueError, "ascending in even steps"),
    ],
)
def test_datasets_that_cannot_be_drawn_are_refused(surface, broken, error, message):
    with pytest.raises(error, match=message):
        ResultWidget(broken(surface))


def test_a_line_is_a_grid_with_one_row(surface):
    assert ResultWidget(surface.isel(beta=1)).meta["shape"] == (1, 5)
    assert ResultWidget(surface.isel(alpha=1, drop=True)).meta["shape"] == (3, 1)


def test_several_seeds_are_chosen_from():
    stacked = made_seeds()
    widget = ResultWidget(stacked)
    assert repr(widget) == "ResultWidget(ResNet, 11 x 9, 2 seeds)"
    assert (widget.seed, widget.meta["seeds"]) == (3, [3, 4])
    widget.seed = np.int64(4)
    assert widget.seed == 4
    with pytest.raises(ValueError, match=r"expected seed as one of \[3, 4\], got 5; try 3"):
        widget.seed = 5
    assert ResultWidget(stacked, seed=4).seed == 4
    assert widget.surface.sizes["seed"] == 2
    line = ResultWidget(stacked.isel(beta=4, drop=True))
    assert line.meta["shape"] == (1, 11)
    assert len(line.frame) == 2 * 5 * 11 * 4
    assert ResultWidget(stacked.isel(seed=0)).seed is None


def test_one_seed_is_asked_for_where_several_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"expected one seed, got 2 of them; take one with dataset.isel\(seed=0\)"):
        on_grid(made_seeds())
    with pytest.raises(ValueError, match="expected one seed, got 0 of them"):
        ResultWidget(made_seeds().isel(seed=slice(0, 0)))


def test_compared_landscapes_look_alike_and_stay_themselves(surface, live):
    live.colormap = "magma"
    both = compare(live, surface, names=["Live", "Stored"])
    result = both.landscapes[1]
    assert [x.title for x in both.landscapes] == ["Live", "Stored"]
    assert result.colormap == "magma"
    assert live.group == result.group != ""
    result.scale, live.camera, live.seed = "log", {"zoom": 2}, 3
    assert (live.scale, result.camera) == ("log", {"zoom": 2.0})
    live.color = "accuracy"  # which the other one lacks
    assert result.color is None
    compare(live)
    live.scale = "linear"
    assert result.scale == "log"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ([], {}, ValueError, "at least one landscape"),
        (["s", "s"], {}, ValueError, "every landscape once"),
        (["s", 3], {}, TypeError, "got int as number 2"),
        (["s"], {"columns": 0}, ValueError, "at least one column"),
        (["s"], {"columns": 1.5}, TypeError, "columns as a whole number"),
        (["s"], {"names": ["a", "b"]}, ValueError, "expected 1 name, one a landscape"),
        (["s", "other"], {}, ValueError, "a quantity that all landscapes have"),
    ],
)
def test_comparisons_that_make_no_sense_are_refused(surface, arguments, options, error, message):
    named = {"s": surface, "other": surface.rename(loss="cost")}
    with pytest.raises(error, match=message):
        compare(*[named.get(x, x) if isinstance(x, str) else x for x in arguments], **options)
