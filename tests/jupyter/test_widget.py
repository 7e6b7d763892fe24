"""The live widget: what it computes, sends and leaves behind."""

from __future__ import annotations

import contextlib
import gc
import json
import weakref

import numpy as np
import pytest
import torch
import traitlets
from support.jupyter.widgets import SENT, Held, RecordingComm, data, decoded, frames
from support.reference import PATIENCE, linear

from lljupyter import LandscapeWidget, loss_surface

pytestmark = pytest.mark.usefixtures("browser_that_listens")


def test_wait_returns_the_surface_that_loss_surface_computes(make):
    surface = make(seed=3, resolution=(5, 3)).wait(PATIENCE)
    expected = loss_surface(linear(), data(), seed=3, resolution=(5, 3), progress=False)
    for name in expected:
        np.testing.assert_array_equal(surface[name], expected[name])
    assert surface.attrs == expected.attrs


def test_the_constructor_returns_before_anything_was_computed(make, held):
    widget = make(held)
    assert Held.reached.wait(PATIENCE)
    assert widget.surface.evaluated.sum() == 1  # the center
    assert widget.meta["status"] == "running"


def test_the_last_frame_decodes_to_the_surface(make):
    surface = make(resolution=(5, 3), alpha=(-2, 1)).wait(PATIENCE)
    meta, frame = frames()[-1]
    assert meta["layers"] == ["loss", "loss_stderr", "accuracy", "accuracy_stderr", "evaluated"]
    assert meta["shape"] == (3, 5)
    assert (meta["alpha"], meta["beta"], meta["seed"]) == ((-2, 1), (-1, 1), 0)
    assert (meta["status"], meta["n_done"], meta["n_points"]) == ("done", 15, 15)
    for name, layer in decoded(meta, frame).items():
        np.testing.assert_array_equal(layer, surface[name].values.astype(np.float32))


def test_frames_come_in_order_and_every_meta_is_json(make):
    make(resolution=33).wait(PATIENCE)
    metas = [meta for meta, _ in frames()]
    numbers = [meta["sequence"] for meta in metas]
    assert numbers == sorted(set(numbers))
    assert len(metas) >= 3
    for meta in metas:
        json.dumps(meta, allow_nan=False)


def test_holes_are_json_too(make):
    widget = make(loader=[(torch.full((4, 3), torch.inf).double(), torch.zeros(4).long())])
    assert not np.isfinite(widget.wait(PATIENCE).loss).any()
    meta, frame = frames()[-1]
    json.dumps(meta, allow_nan=False)
    assert meta["center"]["loss"] is None
    assert not np.isfinite(decoded(meta, frame)["loss"]).any()
    assert decoded(meta, frame)["evaluated"].all()


def test_a_page_that_is_reloaded_finds_the_last_frame_in_the_state(make):
    widget = make()
    widget.wait(PATIENCE)
    state = widget.get_state()
    assert state["meta"] == frames()[-1][0]
    assert state["frame"] == frames()[-1][1]


def test_a_browser_that_is_gone_does_not_end_the_run(make, monkeypatch):
    monkeypatch.setattr(RecordingComm, "broken", True)
    assert make().wait(PATIENCE).evaluated.all()


def test_close_ends_the_engine_and_can_be_repeated(make, held):
    widget = make(held)
    assert Held.reached.wait(PATIENCE)
    Held.go.set()
    widget.close()
    assert not widget._session._thread.is_alive()
    widget.close()
    assert widget.surface.loss.shape == (5, 5)
    assert repr(widget) == "LandscapeWidget(Held, 5 x 5)"


def test_nothing_hangs_after_close(make):
    widget = make()
    widget.wait(PATIENCE)
    widget.close()
    with contextlib.suppress(RuntimeError, ValueError, traitlets.TraitError):
        widget.seed = 8
    assert widget.wait(2) is not None


def test_a_closed_widget_is_freed():
    widget = LandscapeWidget(linear(), data(), resolution=3)
    widget.wait(PATIENCE)
    widget.close()
    alive = weakref.ref(widget)
    del widget
    SENT.clear()
    gc.collect()
    assert alive() is None


def test_its_text_is_the_same_every_time(make):
    assert repr(make()) == repr(make()) == "LandscapeWidget(Linear, 5 x 5)"
    assert repr(make(resolution=(7, 3))) == "LandscapeWidget(Linear, 7 x 3)"


def test_messages_are_answered_on_the_subshell_they_came_from(make):
    assert make().comm._reply_subshell_for({}, "subshell") == "subshell"


def test_two_widgets_do_not_mix(make):
    one, two = make(seed=1, resolution=9), make(seed=2, resolution=9)
    for widget, seed in ((one, 1), (two, 2)):
        expected = loss_surface(linear(), data(), seed=seed, resolution=9, progress=False)
        np.testing.assert_array_equal(widget.wait(PATIENCE).loss, expected.loss)
