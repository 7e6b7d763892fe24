"""Saved pages, opened from disk with the network refused, in Chromium with and without WebGL."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from support.jupyter.lab import SCREENSHOTS
from support.made import made_half, made_line, made_seeds, made_surface, made_trajectory

from lljupyter import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Playwright
    from support.jupyter.lab import Viewer

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)>"
UNTOUCHED = ".ll-fullscreen, .ll-save-png, .ll-save-svg"
PAGES: dict[str, tuple[Any, dict[str, Any]]] = {
    "surface": (made_surface(), {"caption": "The landscape of a network, saved as a page."}),
    "trajectory": (made_trajectory(), {"view": "contour"}),
    "line": (made_line(), {}),
    "point": (made_surface(1, 1), {}),
    "seeds": (made_seeds(), {}),
    "half": (made_half(), {"show_points": True}),
    "nothing-finite": (made_surface(9, 9).assign(loss=lambda d: d.loss * np.nan), {}),
    "several": ([made_surface(), made_surface(steep=3)], {"names": ["flat", "steep"], "title": "Two networks"}),
}


@pytest.fixture(scope="module", params=["webgl", "no-webgl"])
def browser(request: pytest.FixtureRequest, playwright: Playwright) -> Iterator[Browser]:
    from support.jupyter import lab

    browser = lab.launch(playwright, lab.WEBGL if request.param == "webgl" else lab.NO_WEBGL)
    yield browser
    browser.close()


class Opened:
    """A page from disk, with whatever it asked for and complained of.

    Args:
        browser: Where to open it.
        path: The file.
        **context: Options of the browser's context.
    """

    def __init__(self, browser: Browser, path: Path, **context: Any) -> None:
        from support.jupyter import lab

        self.context: BrowserContext = browser.new_context(
            **{"offline": True, "viewport": {"width": 620, "height": 700}, **context}
        )
        self.page = self.context.new_page()
        self.faults: list[str] = []
        url = path.as_uri()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda message: self.faults.append(f"{message.type}: {message.text}"))
        self.page.on("dialog", lambda dialog: (self.faults.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: request.url != url and self.faults.append(request.url))
        self.page.goto(url)
        self.page.locator(".lljupyter").first.wait_for()
        n = self.page.locator(".landscape").count()
        self.viewers: list[Viewer] = [lab.Viewer(self.page, self.page.locator(".lljupyter").nth(i)) for i in range(n)]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Any]:
    pages: list[Opened] = []

    def opened(path: Path, **context: Any) -> Opened:
        pages.append(Opened(browser, path, **context))
        return pages[-1]

    yield opened
    for page in pages:
        page.context.close()


# Uses every control and draws in between; the root, and the controls to leave alone, are given.
SWEEP = """async ([root, untouched]) => {
    const shown = (e) => !e.disabled && e.offsetParent !== null && !e.matches(untouched);
    const drawn = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const change = (e) => ["input", "change"].forEach((name) => e.dispatchEvent(new Event(name, {bubbles: true})));
    let n = 0;
    for (const details of root.querySelectorAll("details")) details.open = true;
    await drawn();
    for (const select of root.querySelectorAll("select")) {
        for (const { value } of [...select.options, select.options[0]]) {
            select.value = value;
            change(select);
            await drawn();
            n++;
        }
    }
    const boxes = [...root.querySelectorAll("input[type=checkbox]")];
    for (const element of [...root.querySelectorAll("button"), ...boxes, ...boxes].filter(shown)) {
        element.click();
        await drawn();
        n++;
    }
    for (const element of [...root.querySelectorAll("input[type=number], input[type=range]")].filter(shown)) {
        for (const value of [element.max || "1", element.defaultValue]) {
            element.value = value;
            change(element);
            await drawn();
            n++;
        }
    }
    return n;
}"""


def switch_everything(viewer: Viewer) -> int:
    """Uses every control there is, the keys and the mouse, and returns how many times."""
    n = int(viewer.page.evaluate(SWEEP, [viewer.root.element_handle(), UNTOUCHED]))
    keys = ("c", "l", "1", "2", "ArrowLeft", "ArrowUp", "+", "-", "Escape", "l", "c")
    for key in keys:
        viewer.root.press(key)
    overlay = viewer.root.locator(".ll-overlay")
    overlay.scroll_into_view_if_needed()
    box = overlay.bounding_box()
    assert box
    viewer.page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.5 * box["height"])
    viewer.page.mouse.down()
    viewer.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.55 * box["height"])
    viewer.page.mouse.up()
    return n + len(keys) + 1


@pytest.mark.parametrize("name", PAGES)
def test_every_control_works_without_a_request_or_a_complaint(name, opened, tmp_path):
    surfaces, options = PAGES[name]
    to_html(surfaces, tmp_path / "page.html", **options)
    shown = opened(tmp_path / "page.html")
    finite = name != "nothing-finite"
    assert switch_everything(shown.viewers[0]) > 25
    for viewer in shown.viewers:
        if finite:
            viewer.until_drawn()
            viewer.page.wait_for_timeout(50)
            picture = np.asarray(Image.open(io.BytesIO(viewer.canvas_png())).convert("L"), dtype=float)
            assert picture.std() > 5
    assert shown.faults == []


def test_the_views_differ(opened, tmp_path, request):
    to_html(made_surface(), tmp_path / "page.html")
    (viewer,) = opened(tmp_path / "page.html").viewers
    viewer.until_drawn()
    has_webgl = "no-webgl" not in request.node.name
    assert viewer["plot"] == ("surface" if has_webgl else "contour")
    assert viewer.label("View").get_by_text("3D").is_enabled() == has_webgl
    before = viewer.canvas_png()
    viewer.root.locator(".ll-log").click()
    viewer.until("data.range.startsWith('-')")
    assert viewer.canvas_png() != before
    viewer.root.locator(".ll-contour").click()
    viewer.until("data.plot === 'contour'")
    viewer.root.locator(".ll-overlay").hover(position={"x": 300, "y": 200})
    viewer.until("root.querySelector('.ll-readout').textContent.includes('alpha')")
    viewer.root.locator(".ll-quantity").select_option("accuracy")
    viewer.until("root.querySelector('canvas').ariaLabel.includes('ccuracy')")


def test_nothing_of_the_map_stays_over_the_surface(opened, tmp_path, request):
    if "no-webgl" in request.node.name:
        pytest.skip("there is no surface without WebGL")
    to_html(made_surface(), tmp_path / "page.html")
    shown = opened(tmp_path / "page.html", viewport={"width": 1000, "height": 900})
    (viewer,) = shown.viewers
    viewer.until_drawn()
    shown.page.wait_for_timeout(1200)  # a picture that was drawn in a hurry is drawn well by then

    def picture() -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(viewer.canvas_png())).convert("RGB"), dtype=int)

    before = picture()
    for _ in range(3):
        viewer.root.locator(".ll-contour").click()
        viewer.until("data.plot === 'contour'")
        shown.page.wait_for_timeout(300)
        shown.page.emulate_media(color_scheme="dark")
        shown.page.wait_for_timeout(200)
        shown.page.emulate_media(color_scheme="light")
        shown.page.wait_for_timeout(150)
        viewer.root.locator(".ll-surface").click()
        viewer.until("data.plot === 'surface'")
        shown.page.wait_for_timeout(1200)
        assert (np.abs(picture() - before).max(-1) > 60).sum() < 100


def test_what_is_changed_in_one_is_changed_in_all(opened, tmp_path):
    to_html([made_surface(), made_surface(steep=3)], tmp_path / "page.html", view="contour")
    first, second = opened(tmp_path / "page.html").viewers
    for viewer in (first, second):
        viewer.until_drawn()
    first.root.locator(".ll-log").click()
    second.until("root.querySelector('.ll-log').getAttribute('aria-pressed') === 'true'")
    second.until("data.range.startsWith('-')")
    assert first["range"] == second["range"]


def test_pictures_are_saved(opened, tmp_path):
    to_html(made_surface(), tmp_path / "page.html", view="contour")
    shown = opened(tmp_path / "page.html", accept_downloads=True)
    (viewer,) = shown.viewers
    viewer.until_drawn()
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<svg ")):
        with shown.page.expect_download() as download:
            viewer.root.locator(f".ll-save-{kind}").click()
        assert Path(download.value.path()).read_bytes().startswith(start)
        assert download.value.suggested_filename == f"resnet-contour.{kind}"
    assert shown.faults == []


def test_a_hostile_model_runs_nothing(opened, tmp_path):
    surface = made_trajectory(model=HOSTILE, loss_fn=HOSTILE, **{HOSTILE: HOSTILE})
    surface[HOSTILE] = surface.loss
    surface = surface.assign_coords(checkpoint=[f"{HOSTILE}{i}" for i in range(surface.sizes["checkpoint"])])
    to_html([surface, surface], tmp_path / "page.html", title=HOSTILE, caption=HOSTILE, names=[HOSTILE, "<!--<script>"])
    shown = opened(tmp_path / "page.html")
    for viewer in shown.viewers:
        viewer.until_drawn()
        viewer.root.locator(".ll-quantity").select_option(HOSTILE)
    switch_everything(shown.viewers[0])
    assert shown.viewers[0].root.locator(".ll-title").inner_text() == HOSTILE
    assert shown.page.locator("h1").inner_text() == HOSTILE
    assert shown.page.title() == HOSTILE
    assert shown.page.locator("img").count() == 0
    assert shown.faults == []


def test_the_policy_stops_what_is_not_the_viewer(opened, tmp_path):
    """What the other tests look for can be found."""
    path = tmp_path / "page.html"
    to_html(made_surface(9, 9), path)
    for markup in (
        "<script>alert(1)</script>",
        "<img src='https://example.org/x.png'>",
        "<style>p { color: red }</style>",
    ):
        path.with_name("worse.html").write_text(path.read_text().replace("</main>", f"{markup}</main>"))
        shown = opened(path.with_name("worse.html"))
        shown.page.wait_for_timeout(100)
        assert "Content Security Policy" in str(shown.faults)
        assert "1" not in shown.faults  # no dialog


def test_pages_are_photographed(opened, tmp_path, request):
    if "no-webgl" in request.node.name:
        pytest.skip("looks the same as the contour map")
    SCREENSHOTS.mkdir(exist_ok=True)
    for name in ("surface", "trajectory", "line", "several"):
        surfaces, options = PAGES[name]
        to_html(surfaces, tmp_path / f"{name}.html", **options)
        shown = opened(tmp_path / f"{name}.html", viewport={"width": 1200, "height": 800})
        for theme in ("light", "dark"):
            shown.page.emulate_media(color_scheme=theme)
            for viewer in shown.viewers:
                viewer.until("data.theme === argument && data.firstDrawnMs", theme)
            shown.page.wait_for_timeout(200)
            shown.page.screenshot(path=SCREENSHOTS / f"page-{name}-{theme}.png", full_page=True)
            background = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background == "rgb(255, 255, 255)") == (theme == "light")
        assert shown.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shown.context.close()


def test_the_tools_of_a_narrow_page_stand_in_one_row(tmp_path: Path, opened: Any) -> None:
    to_html(made_surface(), tmp_path / "page.html")
    for width in (360, 400):
        tools = opened(tmp_path / "page.html", viewport={"width": width, "height": 700}).page.locator(".ll-tools > *")
        boxes = [box for box in (tools.nth(i).bounding_box() for i in range(tools.count())) if box is not None]
        assert len(boxes) == 4
        assert len({round(box["y"]) for box in boxes}) == 1
        assert all(box["x"] + box["width"] <= width - 20 for box in boxes)
