"""The live widget: a session in an engine thread, shown by the viewer in ``static/widget.js``."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from torch import nn

from lljupyter.compute import check_seed, make_request, prepare
from lljupyter.engine.session import Session
from lljupyter.geometry.grid import axis, resolution_pair
from lljupyter.jupyter.cells import replace_previous
from lljupyter.jupyter.wire import pack

if TYPE_CHECKING:
    import xarray

CONTROLS = ("alpha", "beta", "seed", "resolution")


class LandscapeWidget(anywidget.AnyWidget):
    """Shows the loss landscape of a model while it is computed, from coarse to fine, in a thread of its own.

    The constructor checks everything, copies the model and reads the loader once; then it returns, and the kernel is
    free for other cells. The model is not changed in any way.

    Args:
        model: A trained module.
        loader: Yields ``(inputs, targets)`` batches.
        **options: Those of ``loss_surface`` (``loss_fn``, ``quantities``, ``directions``, ``norm``, ``ignore``,
            ``seed``, ``resolution``, ``alpha``, ``beta``, ``device``, ``max_samples``), and ``view``
            ("surface" or "contour"), ``scale`` ("linear" or "log") and ``quantity`` (what is drawn, "loss").

    Attributes:
        alpha: Range along delta, (low, high). Setting it, like moving the slider, computes the new plane.
        beta: Range along eta.
        seed: Seed of the random directions. An earlier seed comes back at once.
        resolution: (n_alpha, n_beta); a single number sets both.
        view: "surface" or "contour".
        scale: "linear" or "log".
        quantity: The quantity that is drawn.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.

    Example:
        >>> w = LandscapeWidget(model, loader)  # doctest: +SKIP
        >>> w.wait().loss.min()  # doctest: +SKIP
    """

    _esm = Path(__file__).parent / "static" / "widget.js"

    frame = traitlets.Bytes(b"").tag(sync=True)
    meta = traitlets.Dict({}).tag(sync=True)
    alpha = traitlets.Any((-1.0, 1.0)).tag(sync=True)
    beta = traitlets.Any((-1.0, 1.0)).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)
    resolution = traitlets.Any((51, 51)).tag(sync=True)
    view = traitlets.Enum(["surface", "contour"], "surface").tag(sync=True)
    scale = traitlets.Enum(["linear", "log"], "linear").tag(sync=True)
    quantity = traitlets.Unicode("loss").tag(sync=True)

    def __init__(self, model: nn.Module, loader: Iterable[Any], **options: Any) -> None:
        shown = {name: options.pop(name) for name in ("view", "scale", "quantity") if name in options}
        known = [name for name in signature(prepare).parameters if name not in ("model", "loader", "on_update")]
        if unknown := [name for name in options if name not in known]:
            raise TypeError(f"expected options among {[*known, 'view', 'scale', 'quantity']}, got {unknown[0]!r}")
        prepared = prepare(model, loader, **options)
        self._session = prepared.session
        self._seeded = prepared.seeded
        self._sequence = 0
        self._sending = threading.Lock()
        controls = {name: options[name] for name in CONTROLS if name in options and (name != "seed" or self._seeded)}
        super().__init__(**controls, **shown)
        self._answer_while_cells_run()
        self.on_msg(LandscapeWidget._on_command)
        self.observe(self._on_control, CONTROLS)
        this = weakref.ref(self)

        def on_update(session: Session) -> None:
            if (widget := this()) is not None:
                widget._publish()

        self._session.on_update = on_update
        replace_previous(self._session)
        self._session.start()

    @property
    def surface(self) -> xarray.Dataset:
        """The surface as far as it is known, see ``loss_surface``. A copy, at any moment."""
        return self._session.dataset()

    def wait(self, timeout: float | None = None) -> xarray.Dataset:
        """Blocks until the surface is done or stopped, and returns it.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: If it takes longer; computing goes on.
            RuntimeError: If the model failed at a point; the message names it.
        """
        self._session.wait(timeout)
        self._publish()  # so that the last frame is on its way before anything that follows
        return self.surface

    def pause(self) -> None:
        """Halts before the next batch; nothing is lost."""
        self._session.pause()

    def resume(self) -> None:
        """Goes on after a pause, a stop or an error."""
        self._session.resume()

    def stop(self) -> None:
        """Ends the computation before the next batch; what was evaluated is kept and shown."""
        self._session.stop()

    def close(self) -> None:
        """Ends the computation and takes the widget off the page."""
        self._session.close()
        super().close()

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        n_alpha, n_beta = self.resolution
        return f"LandscapeWidget({self._session.recipe['model']}, {n_alpha} x {n_beta})"

    @traitlets.validate("alpha", "beta")
    def _valid_range(self, proposal: Any) -> tuple[float, float]:
        name = proposal["trait"].name
        n = self.resolution[0 if name == "alpha" else 1]
        axis(proposal["value"], n, name)
        low, high = proposal["value"]
        return float(low), float(high)

    @traitlets.validate("resolution")
    def _valid_resolution(self, proposal: Any) -> tuple[int, int]:
        n_alpha, n_beta = resolution_pair(proposal["value"])
        axis(self.alpha, n_alpha, "alpha")
        axis(self.beta, n_beta, "beta")
        return n_alpha, n_beta

    @traitlets.validate("seed")
    def _valid_seed(self, proposal: Any) -> int:
        if not self._seeded:
            raise ValueError("expected random directions to change their seed, got given ones; pass directions=None")
        return check_seed(proposal["value"])

    @traitlets.validate("quantity")
    def _valid_quantity(self, proposal: Any) -> str:
        names: list[str] = self._session.names
        if proposal["value"] not in names:
            raise ValueError(f"expected quantity as one of {names}, got {proposal['value']!r}")
        return str(proposal["value"])

    def _on_control(self, change: Any) -> None:
        # May run on the main thread or on a subshell's; the engine picks the request up before its next batch.
        request = make_request(self.seed if self._seeded else None, self.resolution, self.alpha, self.beta)
        if not self._session.shows(request):
            self._session.request(request)

    def _on_command(self, content: Any, buffers: Any) -> None:
        commands: dict[Any, Any] = {
            "pause": self.pause,
            "resume": self.resume,
            "stop": self.stop,
            "pull": self._publish,
        }
        command = commands.get(content.get("type")) if isinstance(content, dict) else None
        if command is not None:
            command()

    def _publish(self) -> None:
        with self._sending:
            self._sequence += 1
            frame, meta = pack(self._session, self._sequence)
            try:
                with self.hold_sync():
                    self.frame, self.meta = frame, dict(meta)
            except Exception as error:  # a kernel that is shutting down, or a comm that closed
                self.log.debug("a frame could not be sent: %s", error)

    def _answer_while_cells_run(self) -> None:
        """Lets the sliders work during a long cell.

        ipykernel 7.4 answers a widget on whichever thread published last, which is never the one that is free; this
        private hook, looked up by name there, restores the subshell that the front end asked for.
        """
        if self.comm is not None and hasattr(self.comm, "_reply_subshell_for"):
            self.comm._reply_subshell_for = lambda data, default: default
