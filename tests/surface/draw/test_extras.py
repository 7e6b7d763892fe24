"""What is drawn or read with packages that may be missing names them, and says what to type."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.made import made_surface

import lljupyter
from lljupyter import show, to_matplotlib, to_plotly

MISSING = r'expected plotly to draw a figure to explore, got none \(.*plotly.*\); pip install "lljupyter\[plotly\]", or'


@pytest.fixture
def without_plotly(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)


@pytest.mark.usefixtures("without_plotly")
def test_only_plotly_figures_need_plotly():
    with pytest.raises(ImportError, match=MISSING):
        to_plotly(made_surface())
    with pytest.raises(ImportError, match=MISSING):
        show(made_surface()).to_plotly()
    assert to_matplotlib(made_surface()).axes


@pytest.mark.usefixtures("without_plotly")
def test_all_public_names_are_there_without_plotly():
    for name in lljupyter.__all__:
        assert getattr(lljupyter, name) is not None


def test_no_verb_loads_plotly_before_it_draws_with_it():
    code = "import sys\nfrom lljupyter import *\nassert 'plotly' not in sys.modules\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
