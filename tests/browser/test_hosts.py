"""The widget beyond JupyterLab: in Notebook 7 and in marimo."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import nbformat
import pytest
from support.jupyter import lab

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from support.jupyter.lab import Server

pytestmark = pytest.mark.browser

SHOW = "w = landscape(0.01)\nw"


def errors_of_the_viewer(page: Page) -> list[str]:
    """Collects the errors of the page whose trace runs through the viewer, which is loaded from a blob."""
    errors: list[str] = []
    page.on("pageerror", lambda error: "blob:" in (error.stack or "") and errors.append(str(error)))
    return errors


def sharpens(page: Page) -> lab.Viewer:
    """Waits for a picture, a better one, and the last one."""
    viewer = lab.Viewer(page, page.locator(".lljupyter").first)
    viewer.until_drawn(60)
    n_done, drawn = viewer.number("n-done"), viewer.number("drawn-sequence")
    viewer.until("+data.nDone > argument[0] && +data.drawnSequence > argument[1]", [n_done, drawn])
    viewer.label("Cancel").click()
    viewer.until("data.status === 'stopped'")
    assert 0 < viewer.number("n-done") < 441
    viewer.label("View").get_by_text("Contour").click()
    viewer.until("data.plot === 'contour'")
    return viewer


def test_notebook_7(chromium: Browser, server: Server) -> None:
    name = "hosted.ipynb"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"{lab.BENCH.strip()}\n{SHOW}")])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, server.folder / name)
    page = chromium.new_context(viewport={"width": 1000, "height": 900}).new_page()
    errors = errors_of_the_viewer(page)
    page.goto(f"{server.url}/notebooks/{name}?token={lab.TOKEN}")
    page.locator(".jp-Notebook .jp-Cell").first.click()
    page.get_by_text("Python 3", exact=False).first.wait_for()
    page.keyboard.press("Shift+Enter")
    viewer = sharpens(page)
    viewer.root.focus()
    page.keyboard.press("m")  # a key of the notebook: it would turn the cell into text
    assert page.locator(".jp-CodeCell").count() >= 1
    assert viewer.root.is_visible()
    assert errors == []
    page.context.close()


@pytest.fixture
def marimo(tmp_path: Path) -> Iterator[str]:
    """The address of a marimo app that shows a landscape."""
    app = tmp_path / "app.py"
    app.write_text(
        "import marimo\n\napp = marimo.App()\n\n\n@app.cell\ndef _():\n"
        + indent(f"{lab.BENCH.strip()}\n{SHOW}", "    ").replace("from IPython.display import display", "pass")
        + "\n    return\n\n\nif __name__ == '__main__':\n    app.run()\n"
    )
    port = lab.free_port()
    command = [
        *(sys.executable, "-m", "marimo", "--quiet", "run", str(app), "--headless", "--no-token"),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    log = tmp_path / "server.log"
    with lab.running(command, environment, tmp_path, log, f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}"


def test_marimo(chromium: Browser, marimo: str) -> None:
    page = chromium.new_context(viewport={"width": 1000, "height": 900}).new_page()
    errors = errors_of_the_viewer(page)
    page.goto(marimo)
    viewer = sharpens(page)
    # marimo says that it is light, and stays so whatever the system prefers.
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.body.classList.add('touched')")
    page.wait_for_timeout(200)
    assert viewer["theme"] == "light"
    page.evaluate("document.body.dataset.theme = 'dark'")
    viewer.until("data.theme === 'dark'")
    assert errors == []
    page.context.close()
