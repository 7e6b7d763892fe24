"""What people see and do with the viewer, in a real JupyterLab."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageChops
from support.jupyter.lab import colors

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from support.jupyter.lab import Notebook, Viewer

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = Path(__file__).parent / "screenshots"
LOOKS = """
import lljupyter
Model.seconds = 0.0  # whatever a test before asked for
bowl = lljupyter.loss_surface(model, loader, resolution=(31, 25), progress=False)
steep = lljupyter.loss_surface(model, loader, resolution=25, norm=None, alpha=(-3, 3), beta=(-3, 3), progress=False)
line = lljupyter.loss_surface(model, loader, resolution=(41, 1), beta=(0, 0), progress=False)
"""


def difference(a: bytes, b: bytes) -> float:
    """The share of pixels that differ between two pictures."""
    first, second = (Image.open(io.BytesIO(png)).convert("L") for png in (a, b))
    histogram = ImageChops.difference(first, second.resize(first.size)).histogram()
    return 1 - sum(histogram[:8]) / sum(histogram)


def shown(bench: Notebook, source: str, n: int = 1) -> list[Viewer]:
    """Runs a cell and returns its viewers, all computed and drawn."""
    bench.execute(source)
    viewers = [bench.viewer(i) for i in range(n)]
    for viewer in viewers:
        viewer.until_complete()
    return viewers


def python(bench: Notebook, expression: str) -> Any:
    """The value of an expression in the kernel, as text."""
    return bench.execute(f"print({expression})")


def python_until(bench: Notebook, expression: str) -> None:
    """Waits until an expression is true in the kernel."""
    source = (
        f"import time\nuntil = time.time() + 10\nwhile not ({expression}) and time.time() < until: time.sleep(0.05)"
    )
    assert bench.execute(f"{source}\nprint(bool({expression}))") == "True", expression


def drag(page: Page, viewer: Viewer, dx: float, dy: float = 0) -> None:
    """Drags the picture."""
    overlay = viewer.root.locator(".ll-overlay")
    overlay.scroll_into_view_if_needed()
    box = overlay.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx / 2, y + dy / 2)
    page.mouse.move(x + dx, y + dy)
    page.mouse.up()


def test_a_control_a_trait_and_a_linked_widget_are_one(bench: Notebook) -> None:
    (viewer,) = shown(
        bench,
        "import ipywidgets\nw = landscape()\nslider = ipywidgets.IntSlider(value=0, max=9)\n"
        "link = ipywidgets.jslink((slider, 'value'), (w, 'seed'))\ndisplay(w, slider)",
    )
    viewer.root.locator(".ll-colormap").select_option("magma")
    viewer.root.locator(".ll-color").select_option("accuracy")
    viewer.root.locator(".ll-levels").select_option("paper")
    viewer.root.locator(".ll-show-points").check()
    viewer.label("Clip").fill("100")
    viewer.label("Highest height").fill("4")
    viewer.label("Lowest height").fill("1")
    viewer.label("Lowest height").press("Enter")
    python_until(
        bench, "(w.colormap, w.color, w.levels, w.show_points, w.limits) == ('magma', 'accuracy', 'paper', 1, (1, 4))"
    )
    python_until(bench, "w.clip is not None and w.clip < float(w.surface.loss.max())")
    bench.execute("slider.value = 4")
    viewer.until("root.querySelector('.ll-seed').value === '4'")
    viewer.until_complete()
    python_until(bench, "w.seed == 4")
    bench.execute("w.seed, w.resolution, w.clip, w.limits, w.colormap = 3, (9, 7), None, None, 'gray'")
    viewer.until_complete()
    assert viewer.label("Points along alpha").input_value() == "9"
    assert viewer.root.locator(".ll-colormap").input_value() == "gray"
    assert viewer.root.locator(".ll-value").inner_text() == "off"
    assert python(bench, "slider.value") == "3"


def test_resolution_is_chosen_and_points_are_kept(bench: Notebook) -> None:
    (viewer,) = shown(bench, "w = landscape(resolution=(9, 9))\nw")
    viewer.label("Points along alpha").fill("17")
    viewer.label("Points along alpha").press("Enter")
    viewer.until("root.querySelector('.ll-resolution').textContent.startsWith('17')")
    viewer.until_complete()
    assert python(bench, "w.resolution, w.surface.loss.shape") == "(17, 9) (9, 17)"


def test_play_walks_through_seeds(bench: Notebook) -> None:
    (viewer,) = shown(bench, "w = landscape(resolution=(7, 7))\nw")
    viewer.label("Play through seeds").click()
    viewer.until("Number(root.querySelector('.ll-seed').value) >= 2")
    viewer.label("Stop playing").click()
    viewer.until_complete()
    seed = int(python(bench, "w.seed"))
    assert seed >= 2
    viewer.page.wait_for_timeout(1500)
    assert int(python(bench, "w.seed")) == seed


def test_the_camera_is_a_trait_and_has_presets(bench: Notebook) -> None:
    (viewer,) = shown(bench, "w = landscape()\nw")
    before = viewer.canvas_png()
    viewer.root.focus()
    viewer.page.keyboard.press("2")
    python_until(bench, "w.camera.get('elevation', 0) > 1.5")
    top = viewer.canvas_png()
    viewer.root.locator(".ll-preset", has_text="Front").click()
    python_until(bench, "w.camera.get('elevation', 1) < 0.2")
    bench.execute("w.camera = {}")
    viewer.page.mouse.move(0, 0)
    viewer.page.wait_for_timeout(300)
    assert difference(viewer.canvas_png(), before) < 0.02 < difference(top, before)
    viewer.root.locator(".ll-overlay").dblclick()


def test_a_camera_that_moves_is_not_reset_by_frames(bench: Notebook) -> None:
    bench.execute("w = landscape(0.02)\nw")
    viewer = bench.viewer()
    viewer.until_drawn()
    viewer.root.scroll_into_view_if_needed()
    for _ in range(30):
        viewer.root.press("ArrowLeft", delay=20)
    assert viewer["status"] == "running"
    python_until(bench, "abs(w.camera.get('azimuth', 0)) > 1.5")


def test_the_wheel_zooms_only_when_focused(bench: Notebook) -> None:
    (viewer,) = shown(bench, "w = landscape()\nw")
    viewer.page.evaluate("document.activeElement.blur()")
    viewer.root.locator(".ll-overlay").hover()
    viewer.page.mouse.wheel(0, -300)
    viewer.page.wait_for_timeout(500)
    assert python(bench, "w.camera") == "{}"
    viewer.root.focus()
    viewer.root.locator(".ll-overlay").hover()
    viewer.page.mouse.wheel(0, -300)
    python_until(bench, "w.camera.get('zoom', 1) > 1.2")


def test_compared_landscapes_share_scale_camera_and_look_while_a_cell_runs(bench: Notebook) -> None:
    bench.execute(LOOKS)
    a, b, c = shown(
        bench,
        "w = landscape()\nboth = lljupyter.compare(w, bowl, steep, names=['A', 'B', 'C'])\nw.show_panel = True\nboth",
        3,
    )
    same = "new Set([...document.querySelectorAll('.lljupyter')].map((e) => e.dataset.range)).size === 1"
    a.until(same)
    assert b.root.locator(".ll-plane").is_hidden()
    before = [v.canvas_png() for v in (b, c)]
    index = bench.add("import time\nfor _ in range(60): time.sleep(0.1)")
    bench.start(index)
    for _ in range(5):  # keys, as JupyterLab may still be scrolling to the new cell
        a.root.press("ArrowLeft")
    c.root.locator(".ll-colormap").select_option("cividis")
    b.root.locator(".ll-contour").click()
    for viewer in (a, b, c):
        viewer.until("data.plot === 'contour' && root.querySelector('.ll-colormap').value === 'cividis'")
    a.root.locator(".ll-surface").click()
    for viewer in (a, b, c):
        viewer.until("data.plot === 'surface'")
    assert bench.is_running(index)
    assert all(v.canvas_png() != old for v, old in zip((b, c), before, strict=True))
    bench.page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    )
    python_until(bench, "w.camera and all(x.camera == w.camera for x in both.landscapes)")
    assert python(bench, "{x.colormap for x in both.landscapes}") == "{'cividis'}"
    bench.execute("w.scale = 'log'")
    b.until("root.querySelector('.ll-log').getAttribute('aria-pressed') === 'true'")
    a.until(f"{same} && data.range.startsWith('-')")  # log10 of the smallest loss of all
    assert float(a["range"].split()[0]) == pytest.approx(
        math.log10(float(python(bench, "float(steep.loss.min())"))), abs=1e-4
    )


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures_are_saved(bench: Notebook, kind: str) -> None:
    (viewer,) = shown(bench, "w = landscape(view='contour')\nw")
    with bench.page.expect_download() as download:
        viewer.root.locator(f".ll-save-{kind}").click()
    path = download.value.path()
    assert download.value.suggested_filename == f"model-contour.{kind}"
    if kind == "png":
        with Image.open(path) as picture:
            assert picture.width >= 2 * viewer.root.locator(".ll-canvas").evaluate("e => e.clientWidth")
        assert colors(path.read_bytes()) > 300
        return
    text = path.read_text()
    assert text.startswith("<svg ")
    assert ">alpha</text>" in text
    assert "NaN" not in re.sub(r'"data:[^"]*"', "", text)
    assert text.count("<path") > 10
    SCREENSHOTS.mkdir(exist_ok=True)
    (SCREENSHOTS / "saved.svg").write_text(text)


def test_a_restarted_kernel_leaves_the_last_picture(bench: Notebook) -> None:
    (viewer,) = shown(bench, "w = landscape()\nw")
    picture = colors(viewer.canvas_png())
    bench.js("await panel.sessionContext.session.kernel.restart()")
    bench.await_kernel()
    viewer.until("root.querySelector('.ll-message')")
    assert "kernel is gone" in viewer.root.locator(".ll-message").first.inner_text()
    assert colors(viewer.canvas_png()) > picture / 2
    before = viewer.canvas_png()
    drag(bench.page, viewer, 100)
    viewer.root.locator(".ll-log").click()
    viewer.until("root.querySelector('.ll-log').getAttribute('aria-pressed') === 'true'")
    assert viewer.canvas_png() != before
    assert not [error for error in bench.errors if "lljupyter" in error or "TypeError" in error]
    bench.run(0)


def test_a_reload_and_a_second_view_show_the_same(bench: Notebook) -> None:
    bench.execute("w = landscape(view='contour', colormap='magma', show_panel=False)\nw")
    bench.execute("w")
    views = [bench.viewer(i) for i in (0, 1)]
    for view in views:
        view.until_complete()
    views[0].root.locator(".ll-log").click()
    views[1].until("root.querySelector('.ll-log').getAttribute('aria-pressed') === 'true'")
    bench.js("await panel.context.save()")
    bench.page.reload()
    bench.await_kernel()
    for view in (bench.viewer(0), bench.viewer(1)):
        view.until("data.plot === 'contour'")
        assert view.root.locator(".ll-colormap").input_value() == "magma"
        assert view.root.locator("details").get_attribute("open") is None


def test_24_widgets_lose_no_context(bench: Notebook) -> None:
    lost: list[str] = []
    bench.page.on("console", lambda m: "context" in m.text.lower() and lost.append(m.text))
    viewers = shown(bench, "ws = [landscape(resolution=(9, 9)) for _ in range(24)]\ndisplay(*ws)", 24)
    blank = []
    for i, viewer in enumerate(viewers):
        viewer.root.scroll_into_view_if_needed()
        viewer.until("data.plot === 'surface'")
        if colors(viewer.canvas_png()) < 300:
            blank.append(i)
    assert not blank
    assert not lost
    viewers[0].root.scroll_into_view_if_needed()
    before = viewers[0].canvas_png()
    drag(bench.page, viewers[0], 150)
    assert viewers[0].canvas_png() != before


def test_nothing_leaves_the_machine(bench: Notebook) -> None:
    shown(bench, "landscape(view='contour')")
    hosts = {
        re.sub(r"^\w+://([^/:]*).*", r"\1", url) for url in bench.requests if not url.startswith(("blob:", "data:"))
    }
    assert hosts == {"127.0.0.1"}


@pytest.fixture(params=["light", "dark"])
def theme(bench: Notebook, request: pytest.FixtureRequest) -> Iterator[str]:
    """A theme of JupyterLab, while the test runs."""
    for name in (request.param, None):
        wanted = "JupyterLab Dark" if name == "dark" else "JupyterLab Light"
        bench.js("await app.commands.execute('apputils:change-theme', {theme: argument})", wanted)
        bench.page.wait_for_function(f"document.body.dataset.jpThemeLight === '{str(name != 'dark').lower()}'")
        if name:
            yield name


LIVE = {
    "paused": "w = landscape(0.05, resolution=(31, 31), show_points=True)\ntime.sleep(2)\nw.pause()\nw",
    "compared-live": f"{LOOKS}\nlljupyter.compare(landscape(), bowl, steep, names=['Live', 'Bowl', 'Steep'])",
}


@pytest.mark.parametrize("name", LIVE)
def test_live_views_are_drawn_in_both_themes(bench: Notebook, theme: str, name: str) -> None:
    bench.execute(LIVE[name])
    viewer = bench.viewer()
    viewer.until_drawn()
    if name != "paused":
        viewer.until_complete()
    assert viewer["theme"] == theme
    viewer.root.scroll_into_view_if_needed()
    bench.page.wait_for_timeout(200)
    SCREENSHOTS.mkdir(exist_ok=True)
    bench.page.locator(".jp-OutputArea").last.screenshot(path=SCREENSHOTS / f"{name}-{theme}.png")
    assert colors(viewer.canvas_png()) > 300


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci in js/")
@pytest.mark.parametrize(
    "source", ["landscape()", "landscape(view='contour')", "landscape(resolution=(9, 1), beta=(0, 0))"]
)
def test_no_serious_accessibility_fault(bench: Notebook, theme: str, source: str) -> None:
    shown(bench, source)
    bench.page.add_script_tag(path=AXE)
    result = bench.page.evaluate("axe.run('.lljupyter')")
    faults = [
        f"{v['impact']}: {v['id']}, {v['help']}: {[n['html'][:120] for n in v['nodes']]}" for v in result["violations"]
    ]
    print(len(result["passes"]), "rules passed;", faults)
    assert not [fault for fault in faults if fault.startswith(("serious", "critical"))]


@pytest.mark.parametrize("width", [320, 480, 1100])
def test_it_fits_any_width(bench: Notebook, width: int) -> None:
    (viewer,) = shown(bench, "landscape()")
    viewer.root.evaluate("(e, w) => { e.style.width = `${w}px`; }", width)
    bench.page.wait_for_timeout(300)
    assert viewer.root.evaluate("e => e.scrollWidth <= e.clientWidth + 1")
    assert colors(viewer.canvas_png()) > 300
