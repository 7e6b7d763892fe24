"""How fast the viewer draws, in a real JupyterLab with software rendering.

    python tests/benchmarks/viewer.py

Prints how many of 50 frames at 10 a second are drawn at 101 x 101 (wanted: 45), and the time from the kernel's send to
the animation frame after the drawing at 51 x 51 (wanted: a median of 100 ms at most). Run it on a quiet machine.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from playwright.sync_api import sync_playwright
from support.jupyter import lab

SETUP = """
import json, threading, time
import numpy as np, xarray
from lljupyter.jupyter.result import ResultWidget
from lljupyter.surface.frame import pack_dataset

def surface(n, phase):
    a, b = np.linspace(-1, 1, n), np.linspace(-1, 1, n)[:, None]
    loss = a**2 + b**2 + 0.2 * np.sin(5 * a + phase) * np.sin(4 * b)
    return xarray.Dataset({"loss": (("beta", "alpha"), loss)}, coords={"alpha": a, "beta": b[:, 0]})

def stream(widget, n, n_frames, interval, sent):
    frames = [pack_dataset(surface(n, 0.1 * k), ["loss"]) for k in range(n_frames)]
    begin = time.time() + 0.5
    for k, (frame, meta) in enumerate(frames, 1):
        time.sleep(max(0, begin + k * interval - time.time()))
        sent[k] = time.time() * 1000
        with widget.hold_sync():
            widget.frame, widget.meta = frame, {**meta, "sequence": k}
"""
WATCH = """() => {
    window.drawn = {};
    const root = document.querySelector(".lljupyter");
    new MutationObserver(() => {
        const sequence = root.dataset.drawnSequence;
        if (!(sequence in window.drawn)) {
            window.drawn[sequence] = null;
            requestAnimationFrame(() => { window.drawn[sequence] = Date.now(); });
        }
    }).observe(root, { attributes: true, attributeFilter: ["data-drawn-sequence"] });
}"""


def measure(notebook: lab.Notebook, n: int, interval: float, view: str, n_frames: int = 50) -> dict[str, Any]:
    """Streams frames from a thread and returns how many were drawn, and the latencies in ms."""
    notebook.execute(f"w = ResultWidget(surface({n}, 0), view={view!r})\nw")
    notebook.viewer().until_drawn()
    notebook.page.wait_for_timeout(1500)
    notebook.page.evaluate(WATCH)
    thread = f"threading.Thread(target=stream, args=(w, {n}, {n_frames}, {interval}, sent))"
    notebook.execute(f"sent = {{}}\nt = {thread}\nt.start()\nt.join()")
    notebook.page.wait_for_timeout(1000)
    sent = json.loads(notebook.execute("print(json.dumps(sent))"))
    drawn = {k: t for k, t in notebook.page.evaluate("window.drawn").items() if k in sent and t is not None}
    latencies = sorted(drawn[k] - sent[k] for k in drawn)
    notebook.clear()
    p95 = latencies[int(0.95 * (len(latencies) - 1))]
    return {"drawn": len(drawn), "of": n_frames, "median_ms": statistics.median(latencies), "p95_ms": p95}


def main() -> None:
    """Measures twice and prints one line a measurement."""
    with lab.serve(Path(tempfile.mkdtemp())) as server, sync_playwright() as playwright:
        browser = lab.launch(playwright)
        lab.write_bench(server.folder / "bench.ipynb")
        page = browser.new_context(viewport={"width": 1280, "height": 1100}).new_page()
        notebook = lab.Notebook(page, server, "bench.ipynb")
        notebook.execute(SETUP)
        for _ in range(2):
            for n, interval, view in (
                (101, 0.1, "surface"),
                (51, 0.1, "surface"),
                (51, 0.5, "surface"),
                (51, 0.1, "contour"),
            ):
                found = measure(notebook, n, interval, view, 50 if interval < 0.3 else 16)
                name = f"{view} {n} x {n}, {1 / interval:g} frames/s"
                text = f"{found['drawn']} of {found['of']} drawn, kernel to pixels {found['median_ms']:.0f} ms (median)"
                print(f"{name}: {text}, {found['p95_ms']:.0f} ms (95 %)", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
