"""What the controls do, on a small model in a notebook that is shared by these tests."""

from __future__ import annotations

import io
from ast import literal_eval
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from support.jupyter.lab import Notebook, Viewer

pytestmark = pytest.mark.browser

N_POINTS = 441


def show(bench: Notebook, options: str = "") -> Viewer:
    """Shows ``w`` in a new cell and waits for its first picture."""
    bench.execute(f"w = landscape({options})\nw")
    viewer = bench.viewer()
    viewer.until_drawn()
    return viewer


def pixels(viewer: Viewer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(viewer.canvas_png())).convert("RGB"), dtype=float)


def test_views_differ(bench):
    viewer = show(bench)
    viewer.until_complete()
    assert (viewer["view"], viewer["plot"]) == ("surface", "surface")
    spatial = pixels(viewer)
    viewer.label("View").get_by_text("Contour").click()
    viewer.until("data.view === 'contour' && data.plot === 'contour'")
    flat = pixels(viewer)
    assert bench.execute("w.view") == "'contour'"
    viewer.label("View").get_by_text("3D").click()
    viewer.until("data.view === 'surface' && data.plot === 'surface'")
    assert spatial.std() > 10
    assert flat.std() > 10
    assert np.abs(spatial - flat).mean() > 5
    assert np.abs(spatial - pixels(viewer)).mean() < 1


def test_scales_differ(bench):
    viewer = show(bench, "view='contour'")
    viewer.until_complete()
    linear = pixels(viewer)
    viewer.label("Scale").get_by_text("Log").click()
    viewer.until("root.querySelector('.ll-canvas').getAttribute('aria-label').endsWith('log scale')")
    assert bench.execute("w.scale") == "'log'"
    assert np.abs(linear - pixels(viewer)).mean() > 1


def test_range_slider_computes_another_plane(bench):
    viewer = show(bench)
    viewer.until_complete()
    sequence = viewer.number("sequence")
    viewer.label("upper end of alpha").press("ArrowLeft")
    viewer.until("+data.sequence > argument", sequence)
    viewer.until_complete()
    low, high = literal_eval(bench.execute("w.alpha"))
    assert low == -1
    assert 0.9 < high < 1
    assert bench.execute("float(w.surface.alpha[-1]), bool(w.surface.evaluated.all())") == f"({high}, True)"


def test_range_can_be_typed(bench):
    viewer = show(bench)
    viewer.until_complete()
    sequence = viewer.number("sequence")
    viewer.label("beta minimum").fill("-0.5")
    viewer.label("beta minimum").press("Enter")
    viewer.until("+data.sequence > argument", sequence)
    viewer.until_complete()
    assert bench.execute("w.beta, float(w.surface.beta[0])") == "((-0.5, 1.0), -0.5)"


def test_earlier_seed_comes_back_at_once(bench):
    viewer = show(bench)
    viewer.until_complete()
    first = pixels(viewer)
    viewer.label("Next seed").click()
    viewer.until("root.querySelector('.ll-seed').value === '1'")
    viewer.until_complete()
    second = pixels(viewer)
    n_calls = bench.execute("calls[0]")
    viewer.label("Previous seed").click()
    viewer.until("root.querySelector('.ll-seed').value === '0'")
    viewer.until_complete(seconds=5)
    assert bench.execute("calls[0], w.seed") == f"({n_calls}, 0)"
    assert np.abs(first - second).mean() > 1
    assert np.abs(first - pixels(viewer)).mean() < 0.5


def test_python_moves_the_controls(bench):
    viewer = show(bench)
    bench.execute("w.seed, w.alpha, w.view, w.scale = 3, (-0.25, 0.75), 'contour', 'log'")
    viewer.until("data.view === 'contour' && root.querySelector('.ll-seed').value === '3'")
    assert viewer.label("alpha maximum").input_value() == "0.75"
    assert viewer.label("Scale").get_by_text("Log").get_attribute("aria-pressed") == "true"
    viewer.until_complete()


def test_pause_resume_and_cancel_while_a_cell_is_running(bench):
    viewer = show(bench, "seconds=0.02")
    other = bench.add("time.sleep(30)")
    bench.start(other)
    bench.cell(other).get_by_text("[*]").wait_for()

    viewer.label("Pause").click()
    viewer.until("data.status === 'paused'", seconds=5)
    viewer.label("Resume").click()
    n_done = viewer.number("n-done")
    viewer.until("data.status === 'running' && +data.nDone > argument", n_done, seconds=5)
    viewer.label("Cancel").click()
    viewer.until("data.status === 'stopped'", seconds=5)
    assert bench.is_running(other)
    assert 0 < viewer.number("n-done") < N_POINTS


def test_controls_work_while_a_cell_is_running(bench):
    viewer = show(bench, "seconds=0.02")
    other = bench.add("time.sleep(30)")
    bench.start(other)
    bench.cell(other).get_by_text("[*]").wait_for()
    sequence = viewer.number("sequence")
    viewer.label("Next seed").click()
    viewer.until("root.querySelector('.ll-seed').value === '1'")
    viewer.until("data.stale === 'false' && +data.drawnSequence > argument", sequence, seconds=5)
    assert bench.is_running(other)


def test_other_cells_answer_while_computing(bench):
    viewer = show(bench, "seconds=0.02")
    assert bench.execute("1 + 1") == "2"
    assert bench.execute("w.surface.evaluated.sum().item() < w.surface.evaluated.size") == "True"
    assert viewer["status"] == "running"


def test_frames_sharpen(bench):
    viewer = show(bench, "seconds=0.01")
    viewer.label("Pause").click()
    viewer.until("data.status === 'paused' && data.drawnSequence === data.sequence")
    before, n_done, drawn = pixels(viewer), viewer.number("n-done"), viewer.number("drawn-sequence")
    viewer.label("Resume").click()
    viewer.until_complete()
    assert n_done < viewer.number("n-done") == N_POINTS
    assert viewer.number("drawn-sequence") > drawn
    assert np.abs(before - pixels(viewer)).mean() > 0.1


def test_points_that_raise_are_holes(bench):
    bench.execute("Model.breaks_at = calls[0] + 200")
    viewer = show(bench)
    viewer.until_complete()
    assert bench.execute("int(w.surface.failed.sum()) > 0") == "True"
    assert " failed" in viewer.root.locator(".ll-progress").inner_text()
    assert "ArithmeticError: the model broke" in bench.execute("w.surface.attrs['failure']")
    bench.execute("Model.breaks_at = None")


def test_the_error_is_told_if_most_points_raise(bench):
    bench.execute("Model.breaks_away_from = model.weight.tolist()")
    viewer = show(bench)
    viewer.until("data.status === 'error'")
    text = viewer.root.get_by_role("alert").inner_text()
    assert "points of the coarsest pass" in text
    assert "ArithmeticError: the model broke away" in text
    bench.execute("Model.breaks_away_from = None")


def test_second_view_follows_the_first(bench):
    bench.execute("w = landscape()\ndisplay(w)\ndisplay(w)")
    first, second = bench.viewer(0), bench.viewer(1)
    first.until_complete()
    second.until_complete()
    second.label("View").get_by_text("Contour").click()
    first.until("data.plot === 'contour'")
    second.until("data.plot === 'contour'")


def test_keys_stay_in_the_viewer(bench):
    viewer = show(bench)
    viewer.until_complete()
    cell = bench.js("return nb.activeCellIndex")
    viewer.root.focus()
    page = bench.page
    page.keyboard.press("c")
    viewer.until("data.view === 'contour' && data.plot === 'contour'")
    for key in ("ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    viewer.until("root.querySelector('.ll-readout').textContent.startsWith('alpha')")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "m", "a", "b", "x", "d", "d"):
        page.keyboard.press(key)
    page.keyboard.press("l")
    viewer.until("root.querySelector('.ll-log').getAttribute('aria-pressed') === 'true'")
    page.keyboard.press("c")
    viewer.until("data.view === 'surface'")
    assert bench.js("return nb.activeCellIndex") == cell
    assert bench.js("return nb.widgets.map(cell => cell.model.type)") == ["code"] * (cell + 1)
    assert viewer.root.evaluate("root => root === document.activeElement")


def test_keys_stay_in_the_controls(bench):
    viewer = show(bench)
    viewer.until_complete()
    cell = bench.js("return nb.activeCellIndex")
    for control in (
        viewer.label("View").get_by_text("3D"),
        viewer.label("upper end of alpha"),
        viewer.label("Quantity"),
    ):
        control.focus()
        for key in ("m", "a", "b", "ArrowDown"):
            bench.page.keyboard.press(key)
        assert control.evaluate("control => control === document.activeElement")
    assert bench.js("return nb.activeCellIndex") == cell
    assert bench.js("return nb.widgets.map(cell => cell.model.type)") == ["code"] * (cell + 1)


@pytest.mark.parametrize("view", ["surface", "contour"])
def test_pointer_shows_the_value(bench, view):
    viewer = show(bench, f"view={view!r}")
    viewer.until_complete()
    viewer.root.locator(".ll-overlay").hover()
    viewer.until("/^alpha .* beta .* loss /.test(root.querySelector('.ll-readout').textContent)")
    bench.page.mouse.move(0, 0)
    viewer.until("/^At the center: loss /.test(root.querySelector('.ll-readout').textContent)")


def test_a_slow_surface_is_sketched_and_says_so(bench):
    bench.execute("Model.seconds, many = 0.02, loader * 64")  # a point takes 1.3 s, the coarsest pass 12 s
    bench.execute("w = lljupyter.LandscapeWidget(model, many, resolution=21, evaluation='plain')\nw")
    viewer = bench.viewer()
    text = "root.querySelector('.ll-progress').textContent"
    viewer.until(rf"/points.* · Sketch from [0-9]+ of 4,096 samples, ± 0\.[0-9]+$/.test({text})")
    viewer.until_drawn()
    viewer.label("Pause").click()
    viewer.until(f"data.status === 'paused' && {text}.includes('Sketch')")
    assert int(bench.execute("int(w.surface.evaluated.sum())")) == viewer.number("n-done") < 9
    assert pixels(viewer).std() > 10
    bench.execute("Model.seconds = 0.0")
    viewer.label("Resume").click()
    viewer.until_complete()
    assert "Sketch" not in viewer.root.locator(".ll-progress").inner_text()
