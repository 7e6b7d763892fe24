"""The script that runs the notebooks and stores what they show."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / ".ci" / "notebooks"


@pytest.fixture(scope="module")
def script():
    if not SCRIPT.exists():
        pytest.skip("the source distribution has no .ci")
    loader = SourceFileLoader("ci_notebooks", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


def png(pixels: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def test_small_pictures_stay_and_large_ones_shrink(script):
    small = png(np.zeros((5, 5, 4), np.uint8))
    assert script.small(f"{small[:40]}\n{small[40:]}\n") == small
    fine = np.random.default_rng(0).integers(0, 255, (20, 1500, 4), dtype=np.uint8)
    fine[:, :500, 3] = 0  # transparent
    fine[:, 500:, 3] = 255
    largest = 18_000
    assert len(base64.b64decode(png(fine))) > largest
    content = base64.b64decode(script.small(png(fine), largest))
    assert len(content) <= largest
    image = Image.open(io.BytesIO(content)).convert("RGB")
    assert image.size in {(1300, 17), (1150, 15), (1000, 13)}
    assert min(image.getpixel((5, 5))) > 240


@pytest.mark.parametrize("width", [90, 1500])
def test_pictures_that_stay_too_large_are_refused(script, width):
    noise = np.random.default_rng(0).integers(0, 255, (20, width, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"expected a picture of at most 1000 bytes, got \d+ after scaling; draw less"):
        script.small(png(noise), 1000)


def test_pictures_stay_below_what_is_allowed_in_a_notebook(script):
    assert script.LARGEST < 125_000


def test_a_notebook_is_run_and_stored_without_widgets(script, tmp_path):
    cells = [
        "import ipywidgets; slider = ipywidgets.IntSlider(value=3); slider",
        "print(open('beside.txt').read())",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    (tmp_path / "beside.txt").write_text("found")
    nbformat.write(notebook, tmp_path / "a.ipynb")
    script.run(tmp_path / "a.ipynb")
    stored = nbformat.read(tmp_path / "a.ipynb", as_version=4)
    assert [cell.execution_count for cell in stored.cells] == [1, 2]
    assert list(stored.cells[0].outputs[0].data) == ["text/plain"]
    assert stored.cells[1].outputs[0].text == "found\n"
    assert "widgets" not in stored.metadata
    assert not any("execution" in cell.metadata for cell in stored.cells)


def test_without_notebooks_it_says_how_it_is_used(script):
    result = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert "expected notebooks, got none; Usage: .venv/bin/python .ci/notebooks" in result.stderr
