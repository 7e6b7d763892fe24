"""Browser, server and pages for the browser tests.

They need Chromium, named by LLJUPYTER_CHROMIUM or found on the PATH. Without it they are skipped; where CI is "true",
they fail.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright
    from support.jupyter.lab import Notebook, Server

FAILED = pytest.StashKey[bool]()
SIZE = {"width": 1280, "height": 1100}
# What stays open from one file to the next, as long as nothing but browser tests follows; and what closes it.
OPEN: dict[str, Any] = {}
CLOSERS = ExitStack()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One JupyterLab for all tests."""
    from support.jupyter import lab

    with lab.serve(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="module")
def playwright() -> Playwright:
    """Playwright, until the last browser test in a row: while it runs there is an event loop in the main thread."""
    if "playwright" not in OPEN:
        try:
            from playwright.sync_api import sync_playwright
            from support.jupyter.lab import find_chromium
        except ImportError:
            missing = "Playwright is not installed: pip install lljupyter[test]"
        else:
            missing = "" if find_chromium() else "no Chromium on the PATH; name one in LLJUPYTER_CHROMIUM"
        if missing:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
        OPEN["playwright"] = CLOSERS.enter_context(sync_playwright())
    return OPEN["playwright"]


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Browser:
    """The browser, with WebGL."""
    from support.jupyter import lab

    if "chromium" not in OPEN:
        OPEN["chromium"] = lab.launch(playwright)
        CLOSERS.callback(OPEN["chromium"].close)
    return OPEN["chromium"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Any:
    """Closes the browser after the last browser test in a row."""
    result = yield
    if nextitem is None or not nextitem.get_closest_marker("browser"):
        close_all()
    return result


def pytest_sessionfinish() -> None:
    """Closes the browser where the run was cut short."""
    close_all()


def close_all() -> None:
    OPEN.clear()
    CLOSERS.close()


@pytest.fixture
def open_notebook(server: Server, request: pytest.FixtureRequest) -> Iterator[Callable[..., Notebook]]:
    """Opens a notebook in a context of its own: ``open_notebook(browser, name)``, closed after the test."""
    contexts = []

    def open_notebook(browser: Browser, name: str) -> Notebook:
        from support.jupyter import lab

        contexts.append(browser.new_context(viewport=SIZE))
        return lab.Notebook(contexts[-1].new_page(), server, name)

    yield open_notebook
    for context in contexts:
        _photograph(request, context.pages[0])
        context.close()


@pytest.fixture(scope="module")
def _pages() -> Iterator[dict[str, Notebook]]:
    pages: dict[str, Notebook] = {}
    yield pages
    for notebook in pages.values():
        notebook.page.context.close()


@pytest.fixture
def bench(
    _pages: dict[str, Notebook], chromium: Browser, server: Server, request: pytest.FixtureRequest
) -> Iterator[Notebook]:
    """A notebook with a small model, ``model``, and its ``loader``; shared by a file until a test fails on it.

    Not by several files: a page that is loaded again asks for every widget that its kernel ever showed.
    """
    from support.jupyter import lab

    if "bench" not in _pages:
        name = f"{request.module.__name__}.ipynb"
        lab.write_bench(server.folder / name)
        page = chromium.new_context(viewport=SIZE).new_page()
        _pages["bench"] = lab.Notebook(page, server, name)
        _pages["bench"].run(0)
    notebook = _pages["bench"]
    yield notebook
    failed = _photograph(request, notebook.page)
    if not failed:
        notebook.clear()
    else:
        _pages.pop("bench").page.context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def _photograph(request: pytest.FixtureRequest, page: Page) -> bool:
    """Saves a picture of the page if the test failed, and says whether it did."""
    from support.jupyter import lab

    failed = request.node.stash.get(FAILED, True)
    if failed:
        lab.SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=lab.SCREENSHOTS / f"failed-{request.node.name}.png")
    return failed
