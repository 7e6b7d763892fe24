from __future__ import annotations

import contextlib
import gc
import json
import sys
import threading
import weakref

import comm
import numpy as np
import pytest
import torch
import traitlets
from comm.base_comm import BaseComm
from reference import PATIENCE, linear
from torch import nn

from lljupyter import LandscapeWidget, loss_surface
from lljupyter.geometry.directions import random_direction
from lljupyter.geometry.parameters import parameters_of

SENT: list[tuple[dict, list]] = []


class RecordingComm(BaseComm):
    """Keeps what is sent to the browser; ``broken`` makes it raise."""

    broken = False
    _reply_subshell_for = staticmethod(lambda data, default: "the thread that published last")

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
        if self.broken and msg_type == "comm_msg":
            raise RuntimeError("the socket is closed")
        SENT.append((data or {}, list(buffers or [])))

    def receive(self, data):
        self.handle_msg({"content": {"data": data}, "buffers": [], "metadata": {}})


@pytest.fixture(autouse=True)
def _comms(monkeypatch):
    SENT.clear()
    monkeypatch.setattr(comm, "create_comm", RecordingComm)


def data(n: int = 7):
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(n, 3, generator=generator, dtype=torch.float64), torch.arange(n) % 2)]


@pytest.fixture
def make():
    made = []

    def build(model=None, loader=None, **options):
        options = {"resolution": 5, **options}
        made.append(LandscapeWidget(model or linear(), loader or data(), **options))
        return made[-1]

    yield build
    for widget in made:
        widget.close()


class Held(nn.Module):
    """A linear model whose copies wait at every point after the first until ``go`` is set."""

    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.start = self.layer.weight.detach().clone()

    reached, go = threading.Event(), threading.Event()

    def forward(self, x):
        if not torch.equal(self.layer.weight, self.start):
            self.reached.set()
            assert self.go.wait(PATIENCE)
        return self.layer(x)


@pytest.fixture
def held():
    Held.reached, Held.go = threading.Event(), threading.Event()
    yield Held()
    Held.go.set()


def frames():
    """What the browser knew after each message with a meta: (meta, frame). An equal frame is not sent again."""
    found, frame = [], b""
    for message, buffers in SENT:
        has_frame = ["frame"] in message.get("buffer_paths", [])
        if has_frame:
            frame = bytes(buffers[message["buffer_paths"].index(["frame"])])
        assert not has_frame or "meta" in message["state"], "a frame without its meta"
        if "version" in message.get("state", {}).get("meta", {}):
            found.append((message["state"]["meta"], frame))
    return found


def decoded(meta, frame):
    array = np.frombuffer(frame, "<f4").reshape(len(meta["layers"]), *meta["shape"])
    return dict(zip(meta["layers"], array, strict=True))


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


def test_a_model_that_draws_random_numbers_is_left_to_the_blocking_call():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = linear()

        def forward(self, x):
            return self.layer(nn.functional.dropout(x, 0.5, training=True))

    with pytest.raises(ValueError, match=r"expected a model that draws no random numbers .*; use loss_surface"):
        LandscapeWidget(Noisy(), data())
    one, two = (loss_surface(Noisy(), data(), resolution=3, progress=False) for _ in range(2))
    np.testing.assert_array_equal(one.loss, two.loss)


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


def test_commands_of_the_browser(make, held):
    widget = make(held)
    assert Held.reached.wait(PATIENCE)
    widget.comm.receive({"method": "custom", "content": {"type": "pause"}})
    assert widget.meta["status"] == "paused"
    Held.go.set()
    widget.comm.receive({"method": "custom", "content": {"type": "stop"}})
    assert widget.meta["status"] == "stopped"
    n = widget.meta["sequence"]
    widget.comm.receive({"method": "custom", "content": {"type": "pull"}})
    assert frames()[-1][0]["sequence"] == n + 1
    widget.comm.receive({"method": "custom", "content": {"type": "resume"}})
    assert widget.wait(PATIENCE).evaluated.all()
    assert widget.meta["status"] == "done"


@pytest.mark.parametrize("content", [{"type": "dance"}, {}, None, [], "stop", {"type": ["stop"]}, {"type": None}])
def test_messages_that_are_no_commands_are_ignored(make, content):
    widget = make()
    widget.comm.receive({"method": "custom", "content": content})
    assert widget.wait(PATIENCE).evaluated.all()


def test_the_same_commands_in_python(make, held):
    widget = make(held)
    assert Held.reached.wait(PATIENCE)
    widget.pause()
    assert widget.meta["status"] == "paused"
    widget.resume()
    widget.stop()
    assert widget.meta["status"] == "stopped"
    Held.go.set()
    widget.wait(PATIENCE)
    assert not widget.surface.evaluated.all()


class Fragile(nn.Module):
    repaired = False

    def __init__(self):
        super().__init__()
        self.layer = linear()
        self.start = self.layer.weight.detach().clone()

    def forward(self, x):
        if not self.repaired and not torch.equal(self.layer.weight, self.start):
            raise ArithmeticError("too far")
        return self.layer(x)


def test_an_error_of_the_model_reaches_the_browser_and_wait_and_can_be_resumed(make, monkeypatch):
    widget = make(Fragile())
    message = r"evaluating the point \(alpha, beta\) = \(-?[01], -?[01]\) failed: ArithmeticError: too far"
    with pytest.raises(RuntimeError, match=message):
        widget.wait(PATIENCE)
    widget.comm.receive({"method": "custom", "content": {"type": "pull"}})
    meta, _ = frames()[-1]
    assert meta["status"] == "error"
    assert "ArithmeticError: too far" in meta["error"]
    monkeypatch.setattr(Fragile, "repaired", True)
    widget.resume()
    assert widget.wait(PATIENCE).evaluated.all()
    assert widget.meta["error"] is None


def test_wait_gives_up_when_the_time_is_over(make, held):
    widget = make(held)
    with pytest.raises(TimeoutError, match=r"expected the surface within 0\.1 s, got \d+ of 25 points"):
        widget.wait(0.1)


@pytest.mark.parametrize("command", ["stop", "pause"])
def test_an_observer_may_give_commands(make, command):
    """Such as ending a run when the loss is known well enough."""
    widget = make(resolution=51)
    done = threading.Event()

    def look(change):
        if change.new["status"] == "running" and change.new["n_done"] > 1:
            getattr(widget, command)()
        if change.new["status"] in ("stopped", "paused", "done"):
            done.set()

    widget.observe(look, "meta")
    thread = threading.Thread(target=lambda: widget.wait(PATIENCE) if command == "stop" else None, daemon=True)
    thread.start()
    assert done.wait(5), "the widget hangs"
    thread.join(5)
    assert not thread.is_alive()


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
