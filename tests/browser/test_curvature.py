"""Convexity colors the surface once it is complete, and a click looks at a point closely."""

from __future__ import annotations

from ast import literal_eval
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.jupyter.lab import Notebook

pytestmark = pytest.mark.browser


NETWORK = """
net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
w = lljupyter.LandscapeWidget(net, loader, resolution=(11, 9), quantities=["loss", "convexity"], color="convexity")
w
"""

# What the browser sets and the next cell come to the kernel on ways of their own.
LIMITS = """
for _ in range(200):
    if w.color_limits is not None:
        break
    time.sleep(0.05)
tuple(w.color_limits)
"""


def test_convexity_colors_and_a_point_is_probed(bench: Notebook):
    bench.execute(NETWORK)
    viewer = bench.viewer()
    viewer.until_complete()
    assert viewer.number("n-done") == 198
    page = bench.page
    page.get_by_label("Highest color scale").fill("0.2")
    page.get_by_label("Lowest color scale").fill("0")
    page.get_by_label("Lowest color scale").press("Enter")
    viewer.until("root.querySelector('[aria-label=\"Lowest color scale\"]').value === '0'")
    assert literal_eval(bench.execute(LIMITS)) == (0, 0.2)
    page.locator(".ll-overlay").click()
    viewer.until("root.querySelector('.ll-inspect').dataset.status === 'done'")
    text = page.locator(".ll-inspect").inner_text()
    assert "λmax" in text
    assert "curvature in the plane" in text
    before = bench.execute("w.probe['alpha'], w.probe['beta']")
    viewer.label("View").get_by_text("Contour").click()
    viewer.until("data.plot === 'contour'")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Enter"):
        page.locator(".lljupyter").press(key)
    viewer.until(f"root.querySelector('.ll-inspect').textContent !== {text!r}.replaceAll('\\n', '')")
    assert bench.execute("w.probe['alpha'], w.probe['beta']") != before
