"""The widget as a part of the page: the quickstart, reload, themes, and a browser without WebGL."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image
from support.jupyter import lab
from support.jupyter.lab import SCREENSHOTS

if TYPE_CHECKING:
    from support.jupyter.lab import Notebook, Viewer

pytestmark = pytest.mark.browser


def std(viewer: Viewer) -> float:
    return float(np.asarray(Image.open(io.BytesIO(viewer.canvas_png())).convert("L"), dtype=float).std())


def run_until_widget(notebook: Notebook) -> Viewer:
    """Runs the cells from the top until a viewer is there."""
    for index, kind in enumerate(notebook.js("return nb.widgets.map(cell => cell.model.type)")):
        if kind == "code":
            notebook.run(index)
            if "LandscapeWidget(" in notebook.text(index):
                return notebook.viewer()
    raise AssertionError("no cell showed a widget")


def test_quickstart(chromium, open_notebook):
    notebook = open_notebook(chromium, "01_quickstart.ipynb")
    viewer = run_until_widget(notebook)
    viewer.until_drawn()
    assert std(viewer) > 10
    n_done, drawn = viewer.number("n-done"), viewer.number("drawn-sequence")
    viewer.until("+data.nDone > argument[0] && +data.drawnSequence > argument[1]", [n_done, drawn])
    viewer.label("Cancel").click()
    viewer.until("data.status === 'stopped'")

    hosts = {urlparse(url).hostname for url in notebook.requests if urlparse(url).scheme not in ("blob", "data")}
    assert hosts == {"127.0.0.1"}
    assert notebook.errors == []


def test_reload_brings_the_picture_back(bench):
    bench.execute("w = landscape()\nw")
    bench.viewer().until_complete()
    bench.execute("w.view = 'contour'")
    bench.js("await app.commands.execute('docmanager:save')")
    bench.page.reload()
    bench.await_kernel()
    viewer = bench.viewer()
    viewer.until_complete()
    assert viewer["plot"] == "contour"
    assert std(viewer) > 10
    bench.execute("w.seed = 1")
    viewer.until("root.querySelector('.ll-seed').value === '1'")
    viewer.until_complete()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_themes(bench, theme):
    bench.js("await app.commands.execute('apputils:change-theme', {theme: argument})", f"JupyterLab {theme}")
    bench.execute("w = landscape(resolution=(51, 51))\nw")
    viewer = bench.viewer()
    viewer.until_complete()
    viewer.until("data.theme === argument", theme.lower())
    SCREENSHOTS.mkdir(exist_ok=True)
    viewer.root.screenshot(path=SCREENSHOTS / f"surface-{theme.lower()}.png")
    bench.execute("w.view = 'contour'")
    viewer.until("data.plot === 'contour'")
    viewer.root.screenshot(path=SCREENSHOTS / f"contour-{theme.lower()}.png")
    bench.js("await app.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")
    viewer.until("data.theme === 'light'")


def test_without_webgl(playwright, open_notebook, server):
    browser = lab.launch(playwright, lab.NO_WEBGL)
    lab.write_bench(server.folder / "without_webgl.ipynb")
    notebook = open_notebook(browser, "without_webgl.ipynb")
    notebook.run(0)
    notebook.execute("w = landscape()\nw")
    viewer = notebook.viewer()
    viewer.until_complete()
    assert (viewer["view"], viewer["plot"]) == ("contour", "contour")
    assert std(viewer) > 10
    assert viewer.label("View").get_by_text("3D").is_disabled()
    assert notebook.errors == []
