"""The training path and the models a plane goes through, in a real JupyterLab."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.jupyter.lab import Notebook, Viewer

pytestmark = pytest.mark.browser

# A run of eleven checkpoints, with a learning rate that is lowered once; and two other models.
RUN = """
import copy, tempfile
Model.seconds = 0.0
torch.manual_seed(1)
start = torch.nn.Linear(4, 3)
trained = Model(4, 3)
trained.load_state_dict(start.state_dict())
optimizer = torch.optim.SGD(trained.parameters(), lr=2.0)
folder = tempfile.mkdtemp()
with lljupyter.TrajectoryRecorder(trained, optimizer, folder, every=2, steps_per_epoch=4):
    for step in range(20):
        optimizer.param_groups[0]["lr"] = 2.0 if step < 10 else 0.2
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(trained(x), loader[0][1]).backward()
        optimizer.step()

def along(**options):
    return lljupyter.LandscapeWidget(trained, loader, trajectory=folder, resolution=(21, 21), **options)
"""


def shown(bench: Notebook, source: str, n: int = 1) -> list[Viewer]:
    bench.execute(source)
    viewers = [bench.viewer(i) for i in range(n)]
    for viewer in viewers:
        viewer.until_complete()
    return viewers


def checkpoint_texts(viewer: Viewer, keys: str) -> list[str]:
    """What the line under the picture says after each key."""
    texts = []
    viewer.page.mouse.move(0, 0)
    viewer.root.scroll_into_view_if_needed()
    viewer.page.wait_for_timeout(100)
    viewer.root.focus()
    for key in keys:
        before = viewer.root.locator(".ll-readout").inner_text()
        viewer.page.keyboard.press(key)
        viewer.until("root.querySelector('.ll-readout').textContent !== argument", before)
        texts.append(viewer.root.locator(".ll-readout").inner_text())
    return texts


@pytest.mark.parametrize("view", ["surface", "contour"])
def test_a_path_is_drawn_and_says_what_it_is(bench: Notebook, view: str) -> None:
    bench.execute(RUN)
    (viewer,) = shown(bench, f"w = along(view={view!r})\nw")
    viewer.until("data.checkpoints === '11'")
    with_path = viewer.canvas_png()
    captured = float(bench.execute("print(100 * w.surface.attrs['trajectory_captured'])"))
    note = viewer.root.locator(".ll-message", has_text="captures").inner_text()
    assert abs(float(re.search(r"([\d.]+) %", note)[1]) - captured) <= 0.5  # type: ignore[index]
    first, second, again = checkpoint_texts(viewer, "..,")
    assert first == again
    assert first.startswith("epoch 0 · loss ")
    assert second.startswith("step 2 · loss ")
    assert "learning rate 2" in first
    for _ in range(12):
        viewer.page.keyboard.press(".")
    viewer.until("root.querySelector('.ll-readout').textContent.startsWith('epoch 5')")
    last = viewer.root.locator(".ll-readout").inner_text()
    real, on_plane, outside = re.search(r"loss ([\d.]+) · surface ([\d.]+) .* ([\d.]+) % outside", last).groups()  # type: ignore[union-attr]
    assert real == on_plane  # the trained model itself
    assert float(outside) == 0
    assert "learning rate 0.2" in last
    viewer.page.keyboard.press("Escape")
    viewer.page.keyboard.press("t")
    viewer.until("data.checkpoints === '0' && root.querySelectorAll('.ll-message').length === 0")
    assert bench.execute("w.show_path") == "False"
    assert viewer.canvas_png() != with_path
    assert not viewer.root.locator(".ll-show-path").is_checked()
    viewer.root.locator(".ll-show-path").check()
    viewer.until("data.checkpoints === '11'")


def test_labels_and_drop_lines_are_traits(bench: Notebook) -> None:
    bench.execute(RUN)
    (viewer,) = shown(bench, "w = along(camera={'elevation': 0.2})\nw")
    pictures: list[Any] = [viewer.canvas_png()]
    for name in ("show_labels", "show_drop_lines"):
        bench.execute(f"w.{name} = False")
        viewer.until(f"!root.querySelector('.ll-{name.replace('_', '-')}').checked")
        viewer.page.wait_for_timeout(100)
        pictures.append(viewer.canvas_png())
    assert len(set(pictures)) == 3
    viewer.root.locator(".ll-show-labels").check()
    viewer.page.wait_for_timeout(300)
    assert bench.execute("w.show_labels, w.show_drop_lines") == "(True, False)"


def test_the_pointer_finds_a_checkpoint(bench: Notebook) -> None:
    bench.execute(RUN)
    (viewer,) = shown(bench, "w = along(view='contour', alpha=(-1, 1), beta=(-1, 1))\nw")
    # The last checkpoint is the center, in the middle of the map.
    viewer.root.locator(".ll-overlay").hover()
    overlay = viewer.root.locator(".ll-overlay").bounding_box()
    assert overlay
    for x in range(int(overlay["x"]) + 60, int(overlay["x"] + overlay["width"]), 5):
        viewer.page.mouse.move(x, overlay["y"] + overlay["height"] / 2 - 8)
        if "outside the plane" in viewer.root.locator(".ll-readout").inner_text():
            break
    viewer.until("root.querySelector('.ll-readout').textContent.includes('outside the plane')")


def test_loaded_and_compared_runs_are_drawn_as_well(bench: Notebook) -> None:
    bench.execute(RUN)
    live, stored = shown(
        bench,
        "w = along()\nboth = lljupyter.compare(w, lljupyter.loss_surface(trained, loader, trajectory=folder, "
        "resolution=11, progress=False))\nboth",
        2,
    )
    for viewer in (live, stored):
        viewer.until("data.checkpoints === '11'")
    stored.root.focus()
    stored.page.keyboard.press("t")
    for viewer in (live, stored):
        viewer.until("data.checkpoints === '0'")


def test_the_models_of_a_plane_are_named(bench: Notebook) -> None:
    bench.execute(RUN)
    (viewer,) = shown(
        bench,
        "torch.manual_seed(2)\nothers = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)\n"
        "w = lljupyter.LandscapeWidget(trained, loader, resolution=(21, 21), view='contour',\n"
        "    directions=lljupyter.plane_through(trained, *others))\nw",
    )
    assert bench.execute("sorted(w.meta['marks'])") == "['a', 'b', 'c']"
    assert viewer.root.locator(".ll-show-path").is_hidden()
    with_names = viewer.canvas_png()
    with bench.page.expect_download() as download:
        viewer.root.locator(".ll-save-svg").click()
    text = download.value.path().read_text()
    for name in "abc":
        assert f">{name}</text>" in text
    viewer.root.locator(".ll-show-labels").uncheck()
    viewer.page.wait_for_timeout(100)
    assert viewer.canvas_png() != with_names
