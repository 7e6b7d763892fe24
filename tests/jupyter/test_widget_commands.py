"""Commands to the live widget, and what a model that fails does to it."""

from __future__ import annotations

import threading

import pytest
import torch
from support.jupyter.widgets import Held, frames
from support.reference import PATIENCE, linear
from torch import nn

pytestmark = pytest.mark.usefixtures("browser_that_listens")


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
    message = r"error at \d of the 9 points of the coarsest pass, at first ArithmeticError: too far"
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
