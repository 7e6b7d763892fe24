"""Every view in both themes: pictures to look at, in ``tests/browser/screenshots``, and what must hold of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import xarray
from support.jupyter.lab import SCREENSHOTS, Viewer, colors
from support.made import made_half, made_line, made_surface, made_trajectory

from lljupyter import compare
from lljupyter.jupyter.result import ResultWidget

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

MODELS = json.dumps({"a": (0.0, 0.0), "b": (0.75, 0.0), "c": (0.3, 0.6)})
ENDS = json.dumps({"a": (0.0, 0.0), "b": (1.0, 0.0)})


def far_run() -> xarray.Dataset:
    """A run that a random plane hardly captures, over a surface that is higher or lower than it everywhere."""
    run = made_trajectory(25)
    n = np.arange(25)
    run["trajectory_outside"] = ("checkpoint", np.where(n == 24, 0, 0.97))
    run["trajectory_loss"] = ("checkpoint", 2.3 * np.exp(-n / 5) + 0.02)
    run.attrs["trajectory_captured"] = 0.07
    return run


def several_lines() -> xarray.Dataset:
    """Lines of five seeds, on training and test data."""
    parts = []
    for seed in range(5):
        line, noise = made_line(), np.random.default_rng(seed)
        rise = 1 + 0.3 * noise.standard_normal() * np.abs(line.alpha - 0.3)
        for part in ("train", "test"):
            line[f"{part}_loss"] = line[f"{part}_loss"] * rise
            line[f"{part}_accuracy"] = np.exp(-line[f"{part}_loss"])
        parts.append(line.assign_attrs(directions="random"))
        parts[-1].attrs.pop("seed")
    return xarray.concat(parts, "seed", combine_attrs="override").assign_coords(seed=range(5))


def result(dataset: xarray.Dataset, **look: Any) -> Callable[[], Any]:
    return lambda: ResultWidget(dataset, **{"show_panel": False, **look})


STEEP = made_surface(steep=30)
VIEWS: dict[str, Callable[[], Any]] = {
    "surface": result(made_surface(51, 51), show_panel=True),
    "surface-log": result(STEEP, scale="log"),
    "surface-clipped": result(STEEP, clip=20, colormap="cividis"),
    "surface-top": result(made_surface(), camera={"azimuth": -1.5708, "elevation": 1.5698}, colormap="gray"),
    "surface-front": result(made_surface(), camera={"azimuth": -1.5708, "elevation": 0.12}),
    "surface-side": result(made_surface(), camera={"azimuth": 0, "elevation": 0.12}),
    "surface-holes": result(made_half(), show_points=True),
    "surface-error": result(made_surface(), quantity="loss_stderr"),
    "accuracy-color": result(made_surface(), color="accuracy", colormap="magma", show_points=True),
    "contour": result(made_surface(51, 51), view="contour", show_panel=True),
    "contour-paper": result(STEEP, view="contour", scale="log", levels="paper"),
    "contour-holes": result(made_half(), view="contour", show_points=True),
    "contour-color": result(made_surface(), view="contour", color="accuracy"),
    "path": result(made_trajectory()),
    "path-log": result(made_trajectory(), scale="log"),
    "path-contour": result(made_trajectory(), view="contour"),
    "path-far": result(far_run()),
    "path-far-contour": result(far_run(), view="contour"),
    "models": result(made_surface(marks=MODELS)),
    "models-contour": result(made_surface(marks=MODELS), view="contour"),
    "line": result(made_line(marks=ENDS)),
    "line-log": result(made_line(), scale="log"),
    "line-error": result(made_surface(41, 1)),
    "line-seeds": result(several_lines()),
    "point": result(made_surface(1, 1)),
    "compared": lambda: compare(made_trajectory(), made_surface(steep=2), names=["With a run", "Steeper"]),
    "compared-contours": lambda: compare(
        ResultWidget(made_trajectory(), view="contour"), made_surface(steep=2), names=["With a run", "Steeper"]
    ),
}
NARROW = ("surface", "contour", "path", "path-contour", "line-seeds", "compared")


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Iterator[Page]:
    """A page of its own, which all pictures are opened in."""
    page = chromium.new_context(viewport={"width": 960, "height": 1000}).new_page()
    yield page
    page.context.close()


@pytest.mark.parametrize(
    ("name", "width"),
    [*((name, 900) for name in VIEWS), *((name, 360) for name in NARROW)],
    ids=lambda value: str(value),
)
def test_view(page: Page, tmp_path: Path, name: str, width: int) -> None:
    VIEWS[name]().to_html(tmp_path / "view.html")
    page.set_viewport_size({"width": width + 40, "height": 1000})
    page.goto((tmp_path / "view.html").as_uri())
    viewer = Viewer(page, page.locator(".lljupyter").first)
    viewer.until_drawn()
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        viewer.until("data.theme === argument", theme)
        if viewer["plot"] in ("contour", "line"):
            viewer.root.locator(".ll-overlay").hover(position={"x": 0.4 * width, "y": 160})
        page.wait_for_timeout(150)
        SCREENSHOTS.mkdir(exist_ok=True)
        page.locator(".grid").screenshot(path=SCREENSHOTS / f"{name}-{width}-{theme}.png")
        assert colors(viewer.canvas_png()) > (
            60 if viewer["plot"] in ("line", "point") or name == "surface-top" else 300
        )
    assert len(viewer.root.locator("canvas").first.get_attribute("aria-label") or "") > 40
    assert viewer.root.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
