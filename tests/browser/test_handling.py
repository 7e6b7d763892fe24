"""How the picture is handled, on a page without Jupyter: camera, full screen, motion, folding, themes of hosts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.jupyter.lab import Viewer
from support.made import made_surface

from lljupyter import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture
def viewer(chromium: Browser, tmp_path: Path) -> Iterator[Viewer]:
    """A surface on a page of its own."""
    to_html(made_surface(), tmp_path / "page.html")
    page = chromium.new_context(viewport={"width": 900, "height": 900}).new_page()
    page.goto((tmp_path / "page.html").as_uri())
    viewer = Viewer(page, page.locator(".lljupyter"))
    viewer.until_drawn()
    yield viewer
    page.context.close()


def picture(viewer: Viewer) -> bytes:
    """The picture once it has come to rest; one drawn in a hurry stands for less than a second."""
    shots = [viewer.canvas_png()]
    while len(shots) < 4 or len(set(shots[-4:])) > 1:
        viewer.page.wait_for_timeout(300)
        shots.append(viewer.canvas_png())
    return shots[-1]


def comes_back(viewer: Viewer, usual: bytes) -> bool:
    """Whether it looks as usual again; a busy machine takes its time for the fine picture."""
    return any(picture(viewer) == usual for _ in range(5))


def test_it_is_turned_moved_zoomed_and_reset(viewer: Viewer) -> None:
    page, usual = viewer.page, picture(viewer)
    box = viewer.root.locator(".ll-overlay").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    seen = {usual}
    for keys in ([], ["Shift"]):
        for key in keys:
            page.keyboard.down(key)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y + 20, steps=3)
        page.mouse.up()
        for key in keys:
            page.keyboard.up(key)
        page.mouse.move(0, 0)
        seen.add(picture(viewer))
    viewer.root.focus()
    for key in ("+", "Shift+ArrowUp", "ArrowLeft", "2", "3", "4"):
        page.keyboard.press(key)
        seen.add(picture(viewer))
    assert len(seen) == 9
    page.mouse.dblclick(x, y)
    page.mouse.move(0, 0)
    assert comes_back(viewer, usual)
    page.keyboard.press("-")
    different = picture(viewer) != usual  # pytest takes minutes to tell two pictures apart
    assert different
    page.keyboard.press("r")
    assert comes_back(viewer, usual)


def test_it_fills_the_screen_and_comes_back(viewer: Viewer) -> None:
    width = viewer.root.locator(".ll-canvas").bounding_box()
    viewer.label("Full screen").click()
    viewer.until("document.fullscreenElement === root")
    viewer.until("root.querySelector('.ll-canvas').clientWidth > argument", width["width"] if width else 0)
    viewer.root.focus()
    viewer.page.keyboard.press("f")
    viewer.until("document.fullscreenElement === null")


def test_who_wants_less_motion_gets_less(viewer: Viewer) -> None:
    """The skeleton breathes and the surface moves to its next frame, unless the person asked for stillness."""
    animation = """(root) => {
        root.querySelector('.ll-placeholder').hidden = false;
        root.querySelector('.ll-placeholder').classList.add('ll-skeleton');
        return getComputedStyle(root.querySelector('.ll-placeholder'), '::before').animationName;
    }"""
    assert viewer.root.evaluate(animation) == "ll-breathe"
    viewer.page.emulate_media(reduced_motion="reduce")
    assert viewer.root.evaluate(animation) == "none"


def test_the_panel_folds(viewer: Viewer) -> None:
    assert viewer.root.locator(".ll-style").is_visible()
    viewer.root.locator("summary").first.click()
    assert viewer.root.locator(".ll-style").is_hidden()


def test_it_takes_the_colors_of_vs_code(viewer: Viewer) -> None:
    background = "e => getComputedStyle(e).backgroundColor"
    assert viewer["theme"] == "light"
    viewer.page.evaluate(
        """() => {
            document.documentElement.style.setProperty("--vscode-editor-background", "#1e1e1e");
            document.documentElement.style.setProperty("--vscode-editor-foreground", "#d4d4d4");
            document.body.classList.add("vscode-dark");
        }"""
    )
    viewer.until("data.theme === 'dark'")
    assert viewer.root.evaluate(background) == "rgb(30, 30, 30)"
    assert viewer.root.evaluate("e => getComputedStyle(e).color") == "rgb(212, 212, 212)"
