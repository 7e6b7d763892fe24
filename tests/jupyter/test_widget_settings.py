"""Settings of the live widget, from Python and from the browser."""

from __future__ import annotations

import contextlib
import gc
import json
import sys
import threading

import numpy as np
import pytest
import traitlets
from support.jupyter.widgets import SENT, data
from support.reference import PATIENCE, linear

from lljupyter import LandscapeWidget
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import parameters_of

pytestmark = pytest.mark.usefixtures("browser_that_listens")


def test_another_range_or_seed_or_resolution_is_computed(make):
    widget = make()
    first = widget.wait(PATIENCE)
    widget.alpha = (0, 2)
    assert widget.wait(PATIENCE).alpha.values.tolist() == [0, 0.5, 1, 1.5, 2]
    widget.beta = (-2, 0)
    assert widget.wait(PATIENCE).beta.values.tolist() == [-2, -1.5, -1, -0.5, 0]
    widget.seed = 9
    assert widget.wait(PATIENCE).attrs["seed"] == 9
    widget.resolution = 3
    assert widget.wait(PATIENCE).loss.shape == (3, 3)
    assert widget.resolution == (3, 3)
    widget.alpha, widget.beta, widget.resolution, widget.seed = (-1, 1), (-1, 1), (5, 5), 0
    np.testing.assert_array_equal(widget.surface.loss, first.loss)  # nothing to wait for
    assert widget.surface.evaluated.all()


def test_sliders_in_the_browser_do_the_same(make):
    widget = make()
    widget.wait(PATIENCE)
    widget.comm.receive({"method": "update", "state": {"alpha": [-0.5, 0.5], "seed": 4}, "buffer_paths": []})
    surface = widget.wait(PATIENCE)
    assert surface.alpha.values.tolist() == [-0.5, -0.25, 0, 0.25, 0.5]
    assert surface.attrs["seed"] == 4
    assert widget.alpha == (-0.5, 0.5)


def test_setting_what_is_set_already_starts_nothing(make):
    widget = make()
    widget.wait(PATIENCE)
    widget.alpha, widget.seed = [-1, 1], 0
    assert widget.meta["status"] == "done"


BAD_SETTINGS = [
    ("alpha", (1, -1), "reversed range"),
    ("alpha", (0, 0), "single value"),
    ("beta", (0, float("inf")), "finite beta range"),
    ("beta", "ab", r"pair \(low, high\)"),
    ("alpha", [None, 1], r"pair \(low, high\)"),
    ("resolution", 0, "at least 1"),
    ("resolution", (5, 2.5), "whole number"),
    ("seed", -1, "seed from 0"),
    ("seed", "3", "whole number"),
    ("quantity", "error", "expected quantity as one of"),
    ("view", "globe", "view"),
    ("scale", "sqrt", "scale"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD_SETTINGS)
def test_bad_settings_are_refused_and_the_old_one_stays(make, name, value, message):
    widget = make()
    widget.wait(PATIENCE)
    before = getattr(widget, name)
    with pytest.raises((ValueError, TypeError, traitlets.TraitError), match=message):
        setattr(widget, name, value)
    assert getattr(widget, name) == before
    assert widget.meta["status"] == "done"


@pytest.mark.parametrize(("name", "value", "message"), BAD_SETTINGS)
@pytest.mark.parametrize("way", ["browser", "held notifications"])
def test_bad_settings_that_arrive_in_a_bundle_are_undone(make, name, value, message, way):
    widget = make()
    widget.wait(PATIENCE)
    before = getattr(widget, name)
    with contextlib.suppress(ValueError, TypeError, traitlets.TraitError):
        if way == "browser":
            widget.comm.receive({"method": "update", "state": {name: value}, "buffer_paths": []})
        else:
            with widget.hold_trait_notifications():
                setattr(widget, name, value)
    assert getattr(widget, name) == before
    widget.comm.receive({"method": "update", "state": {"seed": 6}, "buffer_paths": []})
    assert widget.wait(PATIENCE).attrs["seed"] == 6


def test_the_browser_is_told_which_setting_was_kept(make):
    widget = make()
    widget.wait(PATIENCE)
    SENT.clear()
    widget.comm.receive({"method": "update", "state": {"alpha": [1, -1], "seed": 5}, "buffer_paths": []})
    told = {}
    for message, _ in SENT:
        told |= message.get("state", {})
    assert tuple(told["alpha"]) == widget.alpha == (-1, 1)
    assert told["seed"] == widget.seed


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"resolutoin": 3}, TypeError, "expected options among .*'view', 'scale', 'quantity'.*, got 'resolutoin'"),
        ({"progress": False}, TypeError, "got 'progress'"),
        ({"alpha": (1, -1)}, ValueError, "reversed range"),
        ({"seed": -1}, ValueError, "seed from 0"),
        ({"resolution": 0}, ValueError, "at least 1"),
        ({"view": "globe"}, ValueError, "expected view as one of .*, got 'globe'; try 'surface'"),
        ({"quantity": "error"}, ValueError, "expected quantity as one of"),
        ({"scale": 3}, ValueError, "expected scale as one of"),
        ({"loader": []}, ValueError, "at least one batch"),
        ({"model": 3}, TypeError, "torch.nn.Module"),
    ],
    ids=str,
)
def test_bad_options_are_refused_and_nothing_is_left_behind(monkeypatch, options, kind, message):
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: ignored.append(problem.exc_value))
    before = set(threading.enumerate())
    with pytest.raises(kind, match=message):
        LandscapeWidget(**{"model": linear(), "loader": data(), **options})
    gc.collect()
    assert not ignored
    assert set(threading.enumerate()) <= before


def test_options_set_the_controls(make):
    widget = make(alpha=[-2, 2], seed=np.int64(5), resolution=7, view="contour", scale="log", quantity="accuracy")
    assert (widget.alpha, widget.beta, widget.seed) == ((-2, 2), (-1, 1), 5)
    assert (widget.resolution, widget.view, widget.scale, widget.quantity) == ((7, 7), "contour", "log", "accuracy")
    json.dumps({name: getattr(widget, name) for name in ("alpha", "beta", "seed", "resolution")})


def test_range_and_resolution_may_change_together_in_any_order(make):
    widget = make()
    for names in (("alpha", "resolution"), ("resolution", "alpha")):
        values = {"alpha": (0.3, 0.3), "resolution": 1} if names[0] == "alpha" else {"alpha": (-2, 2), "resolution": 5}
        with widget.hold_trait_notifications():
            for name in names:
                setattr(widget, name, values[name])
        surface = widget.wait(PATIENCE)
        assert len(surface.alpha) == values["resolution"]
        assert surface.alpha[0] == values["alpha"][0]


def test_the_quantity_that_is_drawn_is_one_that_was_measured(make):
    widget = make(quantities=["accuracy"])
    widget.wait(PATIENCE)
    assert widget.quantity in widget.meta["layers"]


def test_given_directions_have_no_seed(make):
    model = linear()
    theta = parameters_of(model)
    widget = make(model, directions=(random_direction(theta, 1), random_direction(theta, 2)))
    widget.wait(PATIENCE)
    assert widget.meta["seed"] is None
    before = widget.seed
    with pytest.raises((ValueError, traitlets.TraitError), match="expected random directions to change their seed"):
        widget.seed = 4
    assert widget.seed == before
    widget.alpha = (-2, 2)
    assert widget.wait(PATIENCE).alpha[0] == -2
