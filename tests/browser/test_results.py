"""Results without a model: lines over several loaders, several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.jupyter.lab import Notebook

pytestmark = pytest.mark.browser

RESULTS = """
Model.seconds = 0.0
from lljupyter.jupyter.result import ResultWidget
both = {"train": loader, "test": [(x.flip(1), loader[0][1])]}
line = lljupyter.loss_line(model, both, resolution=21, repeats=3, progress=False)
planes = lljupyter.loss_surface(model, loader, resolution=7, repeats=3, seed=5, progress=False)
"""


def test_loaders_and_seeds_of_a_line_are_told_apart(bench: Notebook) -> None:
    bench.execute(f"{RESULTS}\nw = ResultWidget(line)\nw")
    viewer = bench.viewer()
    viewer.until_complete()
    viewer.until("data.plot === 'line'")
    assert viewer.root.locator(".ll-surface").is_hidden()
    assert viewer.root.locator(".ll-plane").is_hidden()
    low, high = map(float, viewer["range"].split())
    ends = bench.execute("print(min(line.train_loss.min(), line.test_loss.min()).item())")
    assert low == pytest.approx(float(ends), rel=1e-5)
    assert high == pytest.approx(
        float(bench.execute("print(max(line.train_loss.max(), line.test_loss.max()).item())")), rel=1e-5
    )
    with bench.page.expect_download() as download:
        viewer.root.locator(".ll-save-svg").click()
    text = download.value.path().read_text()
    for name in ("Train loss", "Test loss", "Train accuracy", "Test accuracy", "median and quartiles of 3 seeds"):
        assert f">{name}</text>" in text
    assert text.count('stroke-dasharray="6 4"') >= 4
    viewer.root.locator(".ll-overlay").hover()
    viewer.until("root.querySelector('.ll-readout').textContent.endsWith('median of 3 seeds')")


def test_seeds_of_a_surface_are_stepped_through(bench: Notebook) -> None:
    bench.execute(f"{RESULTS}\nw = ResultWidget(planes)\nw")
    viewer = bench.viewer()
    viewer.until_complete()
    assert viewer.label("Previous seed").is_disabled()
    first = viewer.canvas_png()
    viewer.label("Next seed").click()
    viewer.until("root.querySelector('.ll-seed').value === '6'")
    viewer.page.wait_for_timeout(200)
    assert viewer.canvas_png() != first
    assert bench.execute("w.seed") == "6"
    bench.execute("w.seed = 7")
    viewer.until("root.querySelector('.ll-seed').value === '7'")
    assert viewer.label("Next seed").is_disabled()
    viewer.label(
        "Seed",
    ).fill("3")
    viewer.label("Seed").press("Enter")
    assert viewer.label("Seed").input_value() == "7"
    viewer.label("Play through seeds").click()
    viewer.until("root.querySelector('.ll-seed').value === '5'")
    viewer.label("Stop playing").click()
    assert viewer.root.locator(".ll-range").first.is_hidden()


WARNED = """
from lljupyter.jupyter.result import ResultWidget
plane = lljupyter.loss_surface(model, loader, resolution=7, progress=False)
w = ResultWidget(plane.assign_attrs(warnings="the first of them\\nthe second\\nthe third"))
w
"""


def test_warnings_stay_below_the_picture(bench: Notebook) -> None:
    bench.execute(WARNED)
    viewer = bench.viewer()
    viewer.until_complete()
    line = viewer.root.locator(".ll-warnings")
    assert line.get_attribute("role") == "status"
    assert (line.text_content() or "").startswith("3 warnings: the first")  # in words for who cannot see the icon
    assert line.locator(".ll-more").inner_text() == "2 more"
    assert line.locator("li").first.is_hidden()
    line.locator("summary").press("Enter")
    assert line.locator("li").all_inner_texts() == ["the second", "the third"]
    assert line.locator("li").last.is_visible()
    bench.execute("w.meta = {**w.meta, 'warnings': ['only one, ' + 'and long ' * 30]}")
    viewer.until("!root.querySelector('.ll-more')")
    text = line.locator(".ll-warning")
    short = text.bounding_box()["height"]
    line.locator("summary").click()
    assert text.bounding_box()["height"] > short
    bench.execute("w.meta = {name: part for name, part in w.meta.items() if name != 'warnings'}")
    viewer.until("!root.querySelector('.ll-warnings').children.length")
