"""A JupyterLab server of its own, Chromium, and a notebook page that tests can drive."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Playwright

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
SCREENSHOTS = Path(__file__).parents[2] / "browser" / "screenshots"
TOKEN = "a-token-for-tests"
FLAGS = ["--no-sandbox", "--disable-quic", "--no-first-run"]
# WebGL in software, so that it works without a graphics card; and no WebGL at all, not even on an OffscreenCanvas.
WEBGL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
NO_WEBGL = ["--disable-gpu", "--disable-software-rasterizer"]
START_SECONDS = 60


class Server(NamedTuple):
    """A running JupyterLab.

    Attributes:
        url: Without a slash at the end.
        folder: Where its notebooks lie.
    """

    url: str
    folder: Path


# A model whose evaluation takes a known time and counts itself, and a widget of it on a grid of 441 points.
BENCH = """
import time, torch, lljupyter
from array import array
from IPython.display import display

calls = array("q", [0])  # a number that the model keeps would be put back after every call

class Model(torch.nn.Linear):
    seconds, breaks_at, breaks_away_from = 0.0, None, None

    def forward(self, x):
        calls[0] += 1
        time.sleep(Model.seconds)
        if Model.breaks_at is not None and calls[0] >= Model.breaks_at:
            raise ArithmeticError("the model broke")
        if Model.breaks_away_from is not None and self.weight.tolist() != Model.breaks_away_from:
            raise ArithmeticError("the model broke away")
        scores = super().forward(x)
        assert scores.isfinite().all()  # it looks at what it computes, so that every point takes a call of its own
        return scores

torch.manual_seed(0)
x = torch.randn(64, 4)
model, loader = Model(4, 3), [(x, (x @ torch.randn(4, 3)).argmax(1))]

def landscape(seconds=0.0, resolution=(21, 21), **options):
    Model.seconds = seconds
    # Faster ways to evaluate would leave out what takes the time and is counted.
    return lljupyter.LandscapeWidget(model, loader, resolution=resolution, evaluation="plain", **options)
"""


def find_chromium() -> str | None:
    """The browser in LLJUPYTER_CHROMIUM, or else the first of the usual names on the PATH."""
    if named := os.environ.get("LLJUPYTER_CHROMIUM"):
        return named
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


def launch(playwright: Playwright, flags: Sequence[str] = WEBGL) -> Browser:
    """Starts the browser that ``find_chromium`` found."""
    return playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """Runs JupyterLab in a new folder below ``root``, with a copy of the notebooks and no settings but its own."""
    folder, own = root / "work", root / "jupyter"
    shutil.copytree(NOTEBOOKS, folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = own / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    no_news = {"fetchNews": "false", "checkForUpdates": False}
    (settings / "notification.jupyterlab-settings").write_text(json.dumps(no_news))
    places = {
        "JUPYTER_CONFIG_DIR": own / "config",
        "JUPYTER_DATA_DIR": own / "data",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "IPYTHONDIR": own / "ipython",
    }
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *(f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"),
        *(f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"),
    ]
    server = Server(f"http://127.0.0.1:{port}", folder)
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}}
    health = f"{server.url}/api/status?token={TOKEN}"
    with running(command, environment, folder, root / "server.log", health):
        yield server


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, health: str
) -> Iterator[None]:
    """Runs a server in a folder until the block ends, once it answers at the address ``health``."""
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        _await_answer(health, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _await_answer(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"no answer from {health} within {START_SECONDS} s:\n{log.read_text()[-3000:]}")


def write_bench(path: Path) -> None:
    """Writes a notebook with one cell, which defines ``landscape()``."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BENCH.strip())])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, path)


class Notebook:
    """A notebook that is open in JupyterLab.

    Args:
        page: An empty page.
        server: Where to open it.
        name: File name of the notebook.
    """

    def __init__(self, page: Page, server: Server, name: str) -> None:
        self.page, self.errors, self.requests = page, [], []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda websocket: self.requests.append(websocket.url))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{server.url}/lab/tree/{name}?reset&token={TOKEN}")
        self.await_kernel()

    errors: list[str]
    requests: list[str]

    def await_kernel(self) -> None:
        """Waits until the notebook is shown and its kernel has answered."""
        self.page.wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell.currentWidget;
                const kernel = panel?.sessionContext?.session?.kernel;
                return panel?.content?.widgets?.length > 0 && kernel?.status === "idle";
            }""",
            timeout=60_000,
        )

    def js(self, body: str, argument: Any = None) -> Any:
        """Runs JavaScript that finds the notebook as ``nb``, its panel as ``panel`` and the application as ``app``."""
        return self.page.evaluate(
            f"""async (argument) => {{
                const app = window.jupyterapp, panel = app.shell.currentWidget, nb = panel.content;
                {body}
            }}""",
            argument,
        )

    def select(self, index: int) -> None:
        """Makes a cell the active one, in command mode."""
        self.js("nb.mode = 'command'; nb.deselectAll(); nb.activeCellIndex = argument; nb.activate()", index)

    def add(self, source: str) -> int:
        """Puts a code cell at the end and returns its index."""
        return int(
            self.js(
                """const model = nb.model.sharedModel;
                model.insertCell(model.cells.length, {cell_type: "code", source: argument});
                return model.cells.length - 1;""",
                source,
            )
        )

    def start(self, index: int) -> None:
        """Runs a cell and returns at once."""
        self.select(index)
        self.js("void app.commands.execute('notebook:run-cell')")

    def run(self, index: int) -> str:
        """Runs a cell, waits for its end and returns its text."""
        self.select(index)
        self.js("await app.commands.execute('notebook:run-cell')")
        return self.text(index)

    def execute(self, source: str) -> str:
        """Runs code in a new cell at the end, waits for its end and returns its text."""
        return self.run(self.add(source))

    def text(self, index: int) -> str:
        """What a cell has printed and its result, or its traceback."""
        outputs = self.js("return nb.widgets[argument].model.outputs.toJSON()", index)
        parts = [o.get("text") or o.get("data", {}).get("text/plain") or o.get("evalue") or "" for o in outputs]
        return "".join(part if isinstance(part, str) else "".join(part) for part in parts).strip()

    def is_running(self, index: int) -> bool:
        """Whether a cell has been started and has not ended."""
        return bool(self.js("return nb.widgets[argument].model.executionState !== 'idle'", index))

    def cell(self, index: int) -> Locator:
        """The element of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def viewer(self, index: int = 0) -> Viewer:
        """A viewer on the page, counted from the top."""
        return Viewer(self.page, self.page.locator(".lljupyter").nth(index))

    def clear(self) -> None:
        """Interrupts the kernel, closes every widget and deletes every cell but the first."""
        self.js("await panel.sessionContext.session.kernel.interrupt()")
        self.execute("import ipywidgets; ipywidgets.Widget.close_all()")
        self.js("const model = nb.model.sharedModel; model.deleteCellRange(1, model.cells.length)")


def colors(png: bytes) -> int:
    """How many colors a picture has, up to 10,000."""
    found = Image.open(io.BytesIO(png)).convert("RGB").getcolors(10_000)
    return 10_000 if found is None else len(found)


class Viewer:
    """The widget's element."""

    def __init__(self, page: Page, root: Locator) -> None:
        self.page, self.root = page, root

    def __getitem__(self, name: str) -> str:
        """A ``data-`` attribute."""
        return self.root.get_attribute(f"data-{name}") or ""

    def number(self, name: str) -> int:
        """A ``data-`` attribute that is a number; -1 while it is missing."""
        return int(self[name] or -1)

    def until(self, condition: str, argument: Any = None, seconds: float = 30) -> None:
        """Waits until a JavaScript expression of ``data`` (the element's dataset), ``root`` and ``argument`` holds."""
        self.root.wait_for(timeout=seconds * 1000)
        self.page.wait_for_function(
            f"([root, argument]) => {{ const data = root.dataset; return {condition}; }}",
            arg=[self.root.element_handle(), argument],
            timeout=seconds * 1000,
            polling=20,
        )

    def until_drawn(self, seconds: float = 30) -> None:
        """Waits for the first picture."""
        self.until("data.firstDrawnMs", seconds=seconds)

    def until_complete(self, seconds: float = 60) -> None:
        """Waits until everything is computed and drawn."""
        self.until(
            "data.status === 'done' && data.stale === 'false' && data.drawnSequence === data.sequence", seconds=seconds
        )

    def label(self, name: str) -> Locator:
        """A control, by its aria-label."""
        return self.root.get_by_label(name, exact=True)

    def canvas_png(self) -> bytes:
        """The picture as one sees it."""
        return self.root.locator(".ll-picture").screenshot()
