"""The README's examples run from top to bottom, as a reader would type them, and its commands name what exists."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from support.reference import batches_of
from traitlets.config import Config

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)

# What differs on the machine of a test: no GPU is needed, and few points are enough.
HERE = [
    ('device="cuda"', 'device="cpu"'),
    (", resolution=25", ""),
    (", resolution=15", ""),
    ("LandscapeWidget(model, loader", "LandscapeWidget(model, loader, resolution=5"),
    ("loss_surface(model, loader", "loss_surface(model, loader, resolution=5"),
    ("loss_surface(other, loader", "loss_surface(other, loader, resolution=5"),
]
# The examples call any loader ``loader``; that of this one has targets like the outputs.
REGRESSION = "torch.nn.MSELoss()"


def fit(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """A reader's training loop."""
    for inputs, targets in 140 * batches_of(8, dtype=torch.float32):  # 420 steps, a checkpoint after every 100
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()


def reader_model(seed: int) -> torch.nn.Module:
    """A small network for the images of ``batches_of``."""
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(25, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4))


@pytest.fixture
def shell(monkeypatch, tmp_path):
    for name in ("displayhook", "excepthook"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    monkeypatch.chdir(tmp_path)
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    model = reader_model(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    shell.push({"torch": torch, "model": model, "optimizer": optimizer, "train": fit})
    shell.push({"other": reader_model(1), "third": reader_model(2)})
    return shell


def test_the_examples_run_from_top_to_bottom(shell):
    assert len(PYTHON) >= 6
    loader = batches_of(8, dtype=torch.float32)
    with torch.no_grad():
        regression = [(inputs, shell.user_ns["other"](inputs)) for inputs, _ in loader]
    for block in PYTHON:
        for there, here in HERE:
            block = block.replace(there, here)
        shell.push({"loader": regression if REGRESSION in block else loader})
        shell.run_cell(block).raise_error()
    found = {path.name for path in Path.cwd().iterdir()}
    assert {"surface.nc", "landscape.html", "figure.pdf", "run"} <= found


def test_every_replacement_is_needed():
    """Otherwise an example that changed might not be the one that is run."""
    assert [there for there, _ in [*HERE, (REGRESSION, "")] if not any(there in block for block in PYTHON)] == []


def test_the_commands_name_what_exists():
    assert len(SHELL) >= 2
    words = [word for block in SHELL for word in shlex.split(block, comments=True)]
    declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.findall(r"\.\[([\w,]+)\]", " ".join(words))
    assert extras
    assert [extra for extra in extras if not re.search(rf"^{extra} = \[", declared, re.MULTILINE)] == []
    paths = [word for word in words if "/" in word and not word.startswith((".venv", "-"))]
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
