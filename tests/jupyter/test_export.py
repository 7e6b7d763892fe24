"""What is left of a widget in a saved notebook."""

from __future__ import annotations

import base64
import re
from html import unescape

import numpy as np
import pytest
from support.made import made_surface
from support.reference import PATIENCE, linear
from torch import arange, rand

from lljupyter import LandscapeWidget, compare
from lljupyter.jupyter.export import WIDGET
from lljupyter.jupyter.result import ResultWidget

PNG = b"\x89PNG"


def bundle(widget) -> dict:
    made = widget._repr_mimebundle_()
    return made[0] if isinstance(made, tuple) else made


def live(**options) -> LandscapeWidget:
    return LandscapeWidget(linear(), [(rand(4, 3).double(), arange(4) % 2)], resolution=3, **options)


def test_a_result_has_a_view_a_picture_and_a_text_but_no_html():
    w = ResultWidget(made_surface(9, 9))
    data = bundle(w)
    assert set(data) == {WIDGET, "image/png", "text/plain"}
    assert base64.b64decode(data["image/png"]).startswith(PNG)
    assert data["text/plain"] == "ResultWidget(ResNet, 9 x 9)"
    w.close()


def test_a_live_widget_has_a_picture_once_it_is_done():
    w = live()
    w.wait(PATIENCE)
    assert base64.b64decode(bundle(w)["image/png"]).startswith(PNG)
    w.close()


def test_what_can_not_be_drawn_is_shown_without_a_picture():
    w = ResultWidget(made_surface(9, 9).assign(loss=lambda d: d.loss * np.nan))
    assert set(bundle(w)) == {WIDGET, "text/plain"}
    w.close()


def test_a_comparison_has_a_picture():
    c = compare(made_surface(9, 9), made_surface(9, 9))
    data = bundle(c)
    assert set(data) == {WIDGET, "image/png", "text/plain"}
    assert data["text/plain"] == "compare(ResultWidget(ResNet, 9 x 9), ResultWidget(ResNet, 9 x 9))"
    c.close()


def test_a_snapshot_is_a_page_in_a_frame_that_may_run_its_own_scripts_only():
    w = ResultWidget(made_surface(9, 9, model='"><script>alert(1)</script>'))
    data = w.snapshot(height=500)._repr_mimebundle_()
    assert set(data) == {"text/html", "image/png", "text/plain"}
    (sandbox,) = re.findall(r'sandbox="([^"]*)"', data["text/html"])
    assert sandbox.split() == ["allow-scripts", "allow-downloads"]
    assert 'height="500"' in data["text/html"]
    assert "<script" not in data["text/html"]
    (page,) = re.findall(r'srcdoc="([^"]*)"', data["text/html"])
    assert unescape(page).startswith("<!doctype html>")
    assert unescape(page).count("<script") == 2
    assert data["text/plain"] == f"snapshot of {w!r}"
    w.close()


def test_a_snapshot_before_the_first_point_is_refused():
    w = ResultWidget(made_surface(9, 9).assign(evaluated=lambda d: d.loss > 1e9))
    with pytest.raises(ValueError, match=r"expected a surface with points, got one where none is evaluated yet"):
        w.snapshot()
    with pytest.raises(ValueError, match="expected height as a number of pixels above 0, got 0; try height=780"):
        w.snapshot(height=0)
    w.close()
