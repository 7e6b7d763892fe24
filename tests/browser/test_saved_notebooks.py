"""What a saved notebook shows to whoever has no kernel and no network: ``nbconvert --to html``, opened from disk."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbconvert import HTMLExporter
from PIL import Image
from support.jupyter.lab import SCREENSHOTS
from support.made import made_surface

from lljupyter import compare, show

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
# Pictures that are drawn and seen, however they got into the page.
SEEN = """[...document.images].filter(
    (e) => e.complete && e.naturalWidth > 200 && e.offsetParent !== null && getComputedStyle(e).display !== "none"
).length"""


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(offline=True, viewport={"width": 1100, "height": 900})
    yield context.new_page()
    context.close()


def converted(notebook: nbformat.NotebookNode, path: Path) -> str:
    path.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return path.as_uri()


def with_output(*shown: object) -> nbformat.NotebookNode:
    """A notebook that was saved after a cell had shown something."""
    outputs = []
    for thing in shown:
        made = thing._repr_mimebundle_()  # type: ignore[attr-defined]
        data = made[0] if isinstance(made, tuple) else made
        outputs.append(nbformat.v4.new_output("display_data", data))
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("w", outputs=outputs)])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_shows_pictures(page, path, tmp_path):
    notebook = nbformat.read(path, 4)
    assert "widgets" not in notebook.metadata, (
        "saved with the state of its widgets, which needs the network to be shown"
    )
    page.goto(converted(notebook, tmp_path / "notebook.html"), wait_until="domcontentloaded")
    page.wait_for_function(f"{SEEN} > 0")
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"notebook-{path.stem}.png", full_page=True)
    print(path.name, "shows", page.evaluate(SEEN), "pictures")


def test_a_widget_is_a_still_picture(page, tmp_path):
    w, c = show(made_surface()), compare(made_surface(), made_surface(steep=3))
    page.goto(converted(with_output(w, c), tmp_path / "notebook.html"), wait_until="domcontentloaded")
    page.wait_for_function(f"{SEEN} === 2")
    w.close()
    c.close()


def test_a_snapshot_is_interactive(page, tmp_path):
    faults: list[str] = []
    w = show(made_surface(), view="contour")
    notebook = with_output(w.snapshot())
    w.close()
    page.goto(converted(notebook, tmp_path / "notebook.html"), wait_until="domcontentloaded")
    page.on("console", lambda message: faults.append(message.text))
    frame = page.frame_locator("iframe")
    root = frame.locator(".lljupyter")
    root.locator(".ll-overlay").wait_for()
    root.locator(".ll-log").click()
    frame.locator(".ll-log[aria-pressed=true]").wait_for()
    root.locator(".ll-overlay").hover(position={"x": 200, "y": 150})
    page.wait_for_timeout(300)
    picture = Image.open(io.BytesIO(root.locator(".ll-picture").screenshot())).convert("RGB")
    assert len(picture.getcolors(100_000) or range(100_000)) > 100
    assert "alpha" in root.locator(".ll-readout").inner_text()
    assert page.evaluate(SEEN) == 0  # the still picture gives way to the frame
    assert faults == []
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "snapshot.png")


def test_where_frames_are_removed_the_picture_of_a_snapshot_is_seen(page, tmp_path):
    w = show(made_surface())
    data = w.snapshot()._repr_mimebundle_()
    w.close()
    start, end = data["text/html"].index("<iframe"), data["text/html"].index("</iframe>") + len("</iframe>")
    html = data["text/html"][:start] + data["text/html"][end:]
    (tmp_path / "page.html").write_text(html)
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_function(f"{SEEN} === 1")
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
