"""How the tests are spread over processes."""

from __future__ import annotations

import os

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported; kernels and other processes inherit it


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cells of notebooks, and keep each file that shares a kernel or a page in one process."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker("notebooks")
        if item.path.suffix == ".ipynb" or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
