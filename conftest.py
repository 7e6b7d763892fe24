"""How the tests are spread over processes."""

from __future__ import annotations

import gc
import os
import re
from pathlib import Path
from typing import Any

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; kernels and other processes inherit it


def pytest_configure(config: pytest.Config) -> None:
    """Leave out of the comparison what notebooks print of a network whose training depends on the processor."""
    if getattr(config.option, "nbval_sanitize_with", "") is None:
        config.option.nbval_sanitize_with = str(config.rootpath / "notebooks" / "sanitize.cfg")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the tests with other libraries out unless they are asked for; then one that is missing is an error."""
    asked = re.search(r"(?<!not )\blibraries\b", config.getoption("markexpr"))
    return True if collection_path == config.rootpath / "tests" / "libraries" and not asked else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cells of notebooks, keep the tests that share a page in one process, and start with what takes long.

    Whatever uses JupyterLab shares one server; other files of browser tests have none.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("notebooks")
        if item.get_closest_marker("browser"):
            in_jupyterlab = "server" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("jupyterlab" if in_jupyterlab else item.path.name))


def pytest_collection_finish() -> None:
    """Leave what was imported out of every search for garbage: half a second each, through all of torch."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the cells of a notebook, which share a kernel, in one process; their names do not carry a group."""
    from xdist.scheduler import LoadGroupScheduling

    class NotebooksWhole(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            notebook, is_cell, _ = nodeid.partition(".ipynb::")
            return notebook if is_cell else super()._split_scope(nodeid)

    return NotebooksWhole(config, log) if config.getvalue("dist") == "loadgroup" else None
