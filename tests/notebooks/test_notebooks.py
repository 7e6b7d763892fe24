"""What is stored in the notebooks; nbval runs them and compares."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest

from lljupyter import load

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
README = NOTEBOOKS.parent / "README.md"
RESULTS = sorted((NOTEBOOKS / "results").glob("*"))


def code_cells(path: Path) -> list[dict]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"], "stored widget state"
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_numbers_have_no_gap():
    assert [path.name[:2] for path in FILES] == [f"{number:02d}" for number in range(1, len(FILES) + 1)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_notebooks_are_stored_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert outputs
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_code_fits_a_page_on_the_web(path):
    lines = [line for cell in code_cells(path) for line in "".join(cell["source"]).splitlines()]
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_pictures_are_small_and_views_are_not_stored(path):
    pictures = []
    for cell in code_cells(path):
        for data in (output.get("data", {}) for output in cell["outputs"]):
            assert "application/vnd.jupyter.widget-view+json" not in data
            pictures += [base64.b64decode(data["image/png"])] if "image/png" in data else []
    assert pictures, "nothing to see on the web"
    assert path.stat().st_size < 500_000
    assert all(picture.startswith(b"\x89PNG") and len(picture) < 125_000 for picture in pictures)


def test_the_readme_leads_to_all_of_them_and_its_pictures():
    text = README.read_text(encoding="utf-8")
    assert [path.name for path in FILES if f"notebooks/{path.name}" not in text] == []
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert pictures
    assert all((README.parent / picture).is_file() for picture in pictures)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_results_are_complete_and_small(path):
    surface = load(path)
    assert path.stat().st_size < 1_000_000
    assert bool(surface.evaluated.all())
    assert float(surface.loss.min()) >= 0
