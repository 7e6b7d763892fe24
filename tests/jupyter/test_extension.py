from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from support.reference import PATIENCE, linear
from traitlets.config import Config

import lljupyter
from lljupyter.jupyter import extension


@pytest.fixture
def ip(monkeypatch):
    for name in ("displayhook", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    return InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))


def test_the_name_is_there_after_loading_and_gone_after_unloading(ip):
    ip.run_line_magic("load_ext", "lljupyter")
    assert ip.user_ns["LandscapeWidget"] is extension.LandscapeWidget
    assert "LandscapeWidget" not in ip.run_line_magic("who_ls", "")
    ip.run_line_magic("unload_ext", "lljupyter")
    assert "LandscapeWidget" not in ip.user_ns


def test_a_name_that_is_taken_stays(ip):
    ip.push({"LandscapeWidget": "mine"})
    ip.run_line_magic("load_ext", "lljupyter")
    assert ip.user_ns["LandscapeWidget"] == "mine"
    ip.run_line_magic("unload_ext", "lljupyter")
    assert ip.user_ns["LandscapeWidget"] == "mine"


def test_a_name_that_was_replaced_since_stays(ip):
    ip.run_line_magic("load_ext", "lljupyter")
    ip.push({"LandscapeWidget": "mine"})
    ip.run_line_magic("unload_ext", "lljupyter")
    assert ip.user_ns["LandscapeWidget"] == "mine"


def test_loading_again_changes_nothing(ip):
    for magic in ("load_ext", "load_ext", "reload_ext"):
        ip.run_line_magic(magic, "lljupyter")
    assert "LandscapeWidget" in ip.user_ns


def test_the_name_makes_the_widget():
    widget = extension.LandscapeWidget(linear(), [(torch.rand(4, 3).double(), torch.arange(4) % 2)], resolution=3)
    assert isinstance(widget, lljupyter.LandscapeWidget)
    widget.wait(PATIENCE)
    widget.close()


LIGHT = """
import sys
heavy = {"torch", "anywidget", "ipywidgets", "xarray", "matplotlib", "plotly"}
import lljupyter
assert not (heavy | {"traitlets", "IPython", "numpy"}) & set(sys.modules), "import lljupyter"
dir(lljupyter)
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
ip = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
ip.run_line_magic("load_ext", "lljupyter")
assert "LandscapeWidget" in ip.user_ns
assert not heavy & set(sys.modules), "%load_ext lljupyter"
"""


def test_importing_and_loading_is_light():
    result = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_public_names():
    for name in lljupyter.__all__:
        assert getattr(lljupyter, name) is not None
    assert set(lljupyter.__all__) <= set(dir(lljupyter))
    with pytest.raises(AttributeError, match="module 'lljupyter' has no attribute 'loss_surfaces'"):
        _ = lljupyter.loss_surfaces
