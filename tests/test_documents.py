"""What the documents for contributors say of files is true, and so is the walk of a model."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest
import torch
from support.reference import batches_of, network

import lljupyter
from lljupyter import LandscapeWidget

PACKAGE = Path(lljupyter.__file__).parent
ROOT = Path(__file__).parents[1]
DOCUMENTS = ["README.md", "lljupyter/README.md", "tests/README.md", ".github/CONTRIBUTING.md"]
WALK = (PACKAGE / "README.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)/` \|", WALK, re.MULTILINE)
ENDINGS = r"\.(?:py|ts|js|md|json|toml|txt|yml|ipynb)"


@pytest.fixture(params=DOCUMENTS)
def document(request):
    path = ROOT / request.param
    if not path.exists():
        pytest.skip(f"the source distribution has no {request.param}")
    return path


def test_links_lead_somewhere(document):
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_paths_exist(document):
    text = document.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([\w./-]+)`", text)
    paths = [span for span in spans if re.search(rf"{ENDINGS}$|/$|^\.(ci|github)/", span)]
    homes = (ROOT, document.parent)
    assert [path for path in paths if not any((home / path).exists() for home in homes)] == []


def test_the_rooms_are_all_there_and_in_the_order_of_imports():
    order = (ROOT / "tests" / "test_import_order.py").read_text(encoding="utf-8")
    listed = re.search(r"^ORDER = \[(.*?)\]", order, re.DOTALL | re.MULTILINE)
    assert re.findall(r'"(\w+)"', listed[1]) == ROOMS
    beside = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} - set(ROOMS)
    assert beside == {"zoo"}


def test_names_beside_a_file_are_in_it():
    """Such as ``Strategy`` in ``evaluate/strategy.py``."""
    pairs = re.findall(r"`([A-Za-z_]+)` in `([\w/.]+)`", WALK)
    pairs += [(name, path) for path, name in re.findall(r"`([\w/.]+)` \(`([A-Za-z_]+)`\)", WALK)]
    pairs += [
        (name, path)
        for path, names in re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", WALK)
        for name in re.findall(r"\w+", names)
    ]
    assert len(pairs) >= 5
    for name, path in pairs:
        home = PACKAGE if (PACKAGE / path).exists() else ROOT
        assert re.search(rf"\b{name}\b", (home / path).read_text(encoding="utf-8")), f"no {name} in {path}"


def test_a_model_walks_through_the_rooms_in_the_order_of_the_walk():
    """It is handed from room to room, only to rooms further left, and after the problem nobody sees it."""
    model = network(torch.float32)
    edges = []

    def on_event(frame, event, argument):
        if event != "call" or not frame.f_code.co_filename.startswith(str(PACKAGE)):
            return
        if any(value is model for value in inspect.getargvalues(frame).locals.values()):
            caller = frame.f_back
            while caller is not None and not caller.f_code.co_filename.startswith(str(PACKAGE)):
                caller = caller.f_back
            edges.append((caller and room_of(caller), room_of(frame)))

    sys.setprofile(on_event)
    try:
        widget = LandscapeWidget(model, batches_of(8, dtype=torch.float32), resolution=3)
    finally:
        sys.setprofile(None)
    widget.close()
    assert edges[0] == (None, "jupyter")
    assert [edge for edge in edges[1:] if ROOMS.index(edge[1]) > ROOMS.index(edge[0])] == []
    visited = list(dict.fromkeys(room for _, room in edges))
    assert visited == ["jupyter", "compute", "geometry", "problem"]


def room_of(frame) -> str:
    return Path(frame.f_code.co_filename).relative_to(PACKAGE).parts[0]
