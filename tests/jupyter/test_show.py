"""Results that come back as widgets."""

from __future__ import annotations

import pytest
import xarray
from support.made import made_half, made_line, made_seeds, made_surface, made_trajectory
from support.reference import PATIENCE, linear
from torch import arange, rand

from lljupyter import LandscapeWidget, load, loss_surface, save, show


@pytest.mark.parametrize("made", [made_surface, made_line, made_trajectory, made_half])
def test_a_saved_surface_comes_back_as_a_widget(tmp_path, made):
    save(made(), tmp_path / "surface.nc")
    w = show(tmp_path / "surface.nc", view="contour", title="Mine")
    assert (w.live, w.view, w.title) == (False, "contour", "Mine")
    direct = show(made())
    assert (w.meta, w.frame) == (direct.meta, direct.frame)
    direct.close()
    w.close()


def test_it_computes_nothing_and_keeps_its_own_copy():
    surface = made_surface(5, 5)
    w = show(surface)
    before = w.surface.copy(deep=True)
    w.surface.loss[:] = 7
    xarray.testing.assert_identical(w.surface, before)
    assert not hasattr(w, "wait")
    w.close()


def test_seeds_are_compared():
    c = show(made_seeds(), view="contour")
    assert [w.title for w in c.landscapes] == ["ResNet, seed 3", "ResNet, seed 4"]
    assert {w.view for w in c.landscapes} == {"contour"}
    c.close()


def test_the_same_file_is_continued_with_its_model(tmp_path):
    model, loader = linear(), [(rand(4, 3).double(), arange(4) % 2)]
    surface = loss_surface(model, loader, resolution=5, progress=False)
    part = surface.where(surface.alpha <= 0).assign(evaluated=surface.evaluated & (surface.alpha <= 0))
    part.attrs = surface.attrs
    save(part, tmp_path / "part.nc")
    shown = show(tmp_path / "part.nc")
    assert (shown.meta["n_done"], shown.meta["n_points"]) == (15, 25)
    w = LandscapeWidget(model, loader, resume=tmp_path / "part.nc")
    xarray.testing.assert_equal(w.wait(PATIENCE), surface)
    w.save(tmp_path / "whole.nc")
    xarray.testing.assert_equal(show(load(tmp_path / "whole.nc")).surface, surface)
    w.close()


def test_what_can_not_be_shown_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a saved surface, got .*no.nc, which is not there"):
        show(tmp_path / "no.nc")
    with pytest.raises(TypeError, match=r"expected an xarray.Dataset, got int"):
        show(3)
    with pytest.raises(TypeError, match=r"expected options among .*'view'.*, got 'views'; help\(show\) explains"):
        show(made_surface(), views=1)
    with pytest.raises(ValueError, match=r"expected quantity as one of .* got 'f1'"):
        show(made_surface(), quantity="f1")
    with pytest.raises(ValueError, match=r"expected color as one of .* got 5; try 'loss'"):
        show(made_surface(), color=5)
    with pytest.raises(TypeError, match="expected show_path as True or False, got 1; try show_path=True"):
        show(made_surface(), show_path=1)
    with pytest.raises(TypeError, match="expected title as a text, got 5; try title="):
        show(made_surface(), title=5)
