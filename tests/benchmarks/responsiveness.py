"""How soon the first surface is drawn, and how soon another cell answers meanwhile.

In a real JupyterLab and Chromium, with the quickstart notebook run from the top. Not a test: run it on a quiet machine.

    python tests/benchmarks/responsiveness.py [--repeats 5] [--samples 120]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from playwright.sync_api import Browser, TimeoutError, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.jupyter import lab

QUICKSTART = "01_quickstart.ipynb"
PACKAGES = ("lljupyter", "torch", "numpy", "jupyterlab", "ipykernel", "ipywidgets", "anywidget")

# Execute requests as a cell makes them, one after the other, at uneven distances: milliseconds until reply and idle.
ROUND_TRIPS = """
const kernel = panel.sessionContext.session.kernel, times = [];
for (let i = 0; i < argument; i++) {
    const started = performance.now();
    await kernel.requestExecute({code: "1 + 1", store_history: false}).done;
    times.push(performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 40 + 40 * Math.random()));
}
return times;
"""


class Start(NamedTuple):
    """Seconds from the first line of the widget's cell."""

    returned: float
    drawn: float


def run_until_widget(notebook: lab.Notebook) -> Start:
    """Runs the quickstart up to and with the cell of the widget."""
    cells = notebook.js("return nb.widgets.map((cell) => [cell.model.type, cell.model.sharedModel.getSource()])")
    for index, (kind, source) in enumerate(cells):
        if kind != "code":
            continue
        if "LandscapeWidget(" not in source:
            notebook.run(index)
            continue
        lines = ["import time", "started = time.time()", *source.splitlines()]
        lines.insert(-1, "returned = time.time()")
        notebook.js("nb.model.sharedModel.cells[argument[0]].setSource(argument[1])", [index, "\n".join(lines)])
        notebook.start(index)
        viewer = notebook.viewer()
        try:
            viewer.until_drawn(60)
        except TimeoutError as error:
            raise RuntimeError(f"no surface was drawn; the cell says: {notebook.text(index)}") from error
        drawn = viewer.number("first-drawn-ms") / 1000
        started, returned = (float(notebook.execute(f"repr({name})").strip("'")) for name in ("started", "returned"))
        return Start(returned - started, drawn - started)
    raise AssertionError("no cell makes a widget")


def measure_start(browser: Browser, server: lab.Server, repeats: int) -> list[Start]:
    """Starts the widget in a fresh page with a fresh kernel, again and again."""
    starts = []
    for i in range(repeats):
        name = f"start-{i}.ipynb"
        shutil.copy(server.folder / QUICKSTART, server.folder / name)
        with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
            notebook = lab.Notebook(context.new_page(), server, name)
            starts.append(run_until_widget(notebook))
            print(f"start {i}: {starts[-1]}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
            notebook.js("await panel.sessionContext.shutdown()")
    return starts


def measure_round_trips(browser: Browser, server: lab.Server, samples: int) -> tuple[list[float], list[float]]:
    """Returns the round trips of ``1 + 1`` while the widget computes, and after it was canceled."""
    with browser.new_context(viewport={"width": 1280, "height": 1000}) as context:
        notebook = lab.Notebook(context.new_page(), server, QUICKSTART)
        run_until_widget(notebook)
        viewer = notebook.viewer()
        computing = notebook.js(ROUND_TRIPS, samples)
        if viewer["status"] != "running":
            raise AssertionError("the surface was complete before the samples were; take fewer")
        viewer.label("Cancel").click()
        viewer.until("data.status === 'stopped'")
        idle = notebook.js(ROUND_TRIPS, samples)
    return computing, idle


def main() -> None:
    """Measures, and prints two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--samples", type=int, default=120)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as root, lab.serve(Path(root)) as server, sync_playwright() as playwright:
        browser = lab.launch(playwright)
        chromium = browser.version
        starts = measure_start(browser, server, options.repeats)
        computing, idle = measure_round_trips(browser, server, options.samples)
        browser.close()

    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, {platform.system()}, load {load:.1f} before;")
    print(f"Python {platform.python_version()}, {versions}, Chromium {chromium} with software WebGL.\n")
    print(f"| seconds from the first line of the cell ({len(starts)} fresh kernels) | median | max |")
    print("| --- | --- | --- |")
    for label, values in (
        ("cell returned", [s.returned for s in starts]),
        ("surface drawn", [s.drawn for s in starts]),
    ):
        print(f"| {label} | {np.median(values):.2f} | {max(values):.2f} |")
    print(f"\n| milliseconds until `1 + 1` has answered ({options.samples} samples) | p50 | p95 | max |")
    print("| --- | --- | --- | --- |")
    for label, values in (("while the widget computes", computing), ("nothing computing", idle)):
        p50, p95 = np.percentile(values, [50, 95])
        print(f"| {label} | {p50:.0f} | {p95:.0f} | {max(values):.0f} |")


if __name__ == "__main__":
    main()
