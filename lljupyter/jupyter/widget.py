"""The live widget: a session in an engine thread, shown by the viewer in ``static/widget.js``."""

from __future__ import annotations

import math
import os
import weakref
from concurrent import futures
from typing import TYPE_CHECKING, Any, cast

import traitlets
from torch import nn

from lljupyter.compute.options import SurfaceOptions
from lljupyter.compute.prepare import prepare
from lljupyter.compute.prepare.grids import check_seed, make_request
from lljupyter.compute.signatures import check_names
from lljupyter.geometry.grid import axis, resolution_pair
from lljupyter.jupyter.cells import replace_previous
from lljupyter.jupyter.options import StyleOptions, WidgetOptions, widget_docstring, widget_signature
from lljupyter.jupyter.viewer import Landscape
from lljupyter.jupyter.wire import Command, pack
from lljupyter.problem.loaders import Loader
from lljupyter.session.session import Session
from lljupyter.session.snapshot import Snapshot, dataset_of
from lljupyter.surface.frame import HESSIAN_QUANTITIES, finite
from lljupyter.surface.io.save import save
from lljupyter.surface.style import STYLE, check_choices, check_texts, checked_option

if TYPE_CHECKING:
    import xarray
    from typing_extensions import Unpack

CONTROLS = ("alpha", "beta", "seed", "resolution")


class LandscapeWidget(Landscape):
    """Shows the loss landscape of a model while it is computed, from coarse to fine, in its own thread.

    The constructor checks everything, copies the model and reads the loader once; then it returns, and the kernel is
    free for other cells. The model is not changed in any way. If the coarsest pass takes long, it is drawn from some
    of the samples first; ``surface`` never holds such values. Running the cell again ends what its earlier run was
    computing. A saved notebook keeps a picture only of a widget displayed after it finished; otherwise call
    ``w.snapshot()`` in a later cell.

    Args:
        model: A trained module.
        loader: Yields ``(inputs, targets)`` batches.
        **options: See ``WidgetOptions``.

    Attributes:
        alpha: Range along delta, (low, high). Setting it, like moving the slider, computes the new plane, also after a
            pause or a stop.
        beta: Range along eta.
        seed: Seed of the random directions. An earlier seed comes back at once.
        resolution: (n_alpha, n_beta); a single number sets both.
        probe: The result for the point inspected last (by click, Enter or ``probe_at``); its ``status`` is "computing"
            or "done".
        view, scale and so on: The drawing options, ``title`` and those after it. They can be set here, with the
            controls, or through linked ipywidgets.

    Raises:
        TypeError: If an argument is of another kind than expected.
        ValueError: If an argument is out of range or does not fit the model; nothing was computed then.

    Example:
        >>> w = LandscapeWidget(model, loader)  # doctest: +SKIP
        >>> w.wait().loss.min()  # doctest: +SKIP
    """

    live = traitlets.Bool(True, read_only=True).tag(sync=True)
    probe = traitlets.Dict({}).tag(sync=True)
    alpha = traitlets.Any((-1.0, 1.0)).tag(sync=True)
    beta = traitlets.Any((-1.0, 1.0)).tag(sync=True)
    seed = traitlets.Any(0).tag(sync=True)
    resolution = traitlets.Any((51, 51)).tag(sync=True)

    _session: Session | None = None

    def __init__(self, model: nn.Module, loader: Loader, **options: Unpack[WidgetOptions]) -> None:
        check_names(options, list(WidgetOptions.__annotations__), "LandscapeWidget")
        style, surface_options = _split(options)
        check_choices(style)
        check_texts(title=style.get("title", ""))
        prepared = prepare(model, loader, convexity_may_miss=True, **surface_options)
        self._session, self._seeded, self._directions = prepared.session, prepared.seeded, prepared.directions
        if prepared.borrows:
            raise ValueError(
                "expected a model that draws random numbers with torch on the CPU alone, without its own generators "
                "and seeds, got one that would disturb those of your other cells while it is computed; "
                "use loss_surface, which is blocking"
            )
        self._sequence = 0
        names = self._session.names
        if prepared.no_convexity:  # it can't be drawn either
            for name in ("quantity", "color"):
                if style.get(name) in HESSIAN_QUANTITIES:
                    del style[name]
        if style.get("quantity") is None:
            style["quantity"] = names[0]
        style.update({name: checked_option(name, style[name], names) for name in STYLE if name in style})
        request = self._session.snapshot().request
        controls: dict[str, Any] = {}
        for axis_name, limits in (("alpha", options.get("alpha")), ("beta", options.get("beta"))):
            if limits is not None:
                controls[axis_name] = tuple(map(float, limits))
        controls.update(prepared.ranges)
        controls["resolution"] = (len(request.alpha), len(request.beta))
        if self._seeded:
            controls["seed"] = request.seed
        super().__init__(**controls, **style)
        self.on_msg(LandscapeWidget._on_command)
        self.observe(self._on_control, CONTROLS)
        this = weakref.ref(self)

        def on_update(snapshot: Snapshot) -> None:
            if (widget := this()) is not None:
                widget._show(snapshot)

        self._session.on_update = on_update
        replace_previous(self._session)
        self._session.start()

    @property
    def _engine(self) -> Session:
        assert self._session is not None
        return self._session

    @property
    def surface(self) -> xarray.Dataset:
        """The surface as far as it is known, see ``loss_surface``. A copy, at any moment."""
        return dataset_of(self._engine.snapshot())

    def wait(self, timeout: float | None = None) -> xarray.Dataset:
        """Block until the surface is done or stopped, and return it. While the session is paused, it keeps waiting.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: If it takes longer; computing goes on.
            RuntimeError: If the model or the loss failed at the center, or at most points of the coarsest pass.
        """
        self._engine.wait(timeout)
        self._engine.publish()  # so that the last frame is on its way before anything that follows
        return self.surface

    def pause(self) -> None:
        """Pause before the next batch; nothing is lost."""
        self._engine.pause()

    def resume(self) -> None:
        """Go on after a pause, a stop or an error."""
        self._engine.resume()

    def stop(self) -> None:
        """End the computation before the next batch; what was evaluated is kept and shown."""
        self._engine.stop()

    def probe_at(self, alpha: float, beta: float, timeout: float | None = None) -> dict[str, Any]:
        """Look at one point of the plane closely, on the grid or between, and show the result.

        Args:
            alpha: Coordinate along delta.
            beta: Coordinate along eta.
            timeout: Seconds to wait at most; None waits for ever.

        Returns:
            alpha and beta, the quantities there with their standard errors, ``gradient_norm``, the eigenvalues
            ``lambda_min`` and ``lambda_max`` with residuals, ``convexity``, and ``f_aa``, ``f_ab``, ``f_bb``, the
            second derivatives of the surface. ``error`` explains why something is missing.

        Raises:
            TypeError: If a coordinate is no number.
            ValueError: If one is not finite, or the widget is closed.
            TimeoutError: If it takes longer.
            RuntimeError: If the widget is closed, or another point is asked for, before this one is known.
        """
        answer = self._inspect(alpha, beta)
        try:
            values = answer.result(timeout)
        except futures.TimeoutError:
            raise TimeoutError(f"expected the point within {timeout:g} s, got no answer; wait longer") from None
        except futures.CancelledError:
            reason = "a closed widget; make a new one" if self._engine.closed else "another point; ask for it again"
            raise RuntimeError(f"expected an answer for ({alpha:g}, {beta:g}), got {reason}") from None
        self._show_answer(values)  # the engine does so as well, but maybe a moment later
        return values

    def _inspect(self, alpha: Any, beta: Any) -> futures.Future[dict[str, Any]]:
        if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in (alpha, beta)):
            raise TypeError(f"expected a point as two numbers, got ({alpha!r}, {beta!r}); try probe_at(0, 0)")
        if not (math.isfinite(alpha) and math.isfinite(beta)):
            raise ValueError(f"expected a finite point, got ({alpha}, {beta}); try probe_at(0, 0)")
        if self._engine.closed:
            raise ValueError("expected an open widget to look at a point, got a closed one; make a new widget")
        self.probe = {"status": "computing", "alpha": float(alpha), "beta": float(beta)}
        answer, this = self._engine.inspect(float(alpha), float(beta)), weakref.ref(self)

        def on_answer(answer: futures.Future[dict[str, Any]]) -> None:
            widget = this()
            if widget is not None and not answer.cancelled() and answer.exception() is None:
                widget._show_answer(answer.result())

        answer.add_done_callback(on_answer)
        return answer

    def _show_answer(self, answer: dict[str, Any]) -> None:
        if any(self.probe.get(name) != answer[name] for name in ("alpha", "beta")):
            return  # it is not asked for any more
        numbers = {name: finite(value) if isinstance(value, float) else value for name, value in answer.items()}
        try:
            self.probe = {"status": "done", **numbers}
        except Exception as error:  # a kernel that is shutting down, or a comm that closed
            self.log.debug("a point could not be sent: %s", error)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the surface as far as it is known, with its directions unless they come from a seed.

        Args:
            path: A ``.nc`` file, which ``resume=path`` goes on with later, or another that ``lljupyter.save`` knows.
            **options: See ``lljupyter.save``.
        """
        save(self.surface, path, **{"directions": self._directions, **options})

    def close(self) -> None:
        """End the computation, free the copy of the model and the data, and take the widget off the page."""
        if self._session is not None:
            self._session.close()
        super().close()

    def __repr__(self) -> str:
        """The same in every session, so that stored notebooks can be compared."""
        n_alpha, n_beta = self.resolution
        return f"LandscapeWidget({self._engine.recipe['model']}, {n_alpha} x {n_beta})"

    def quantities(self) -> list[str]:
        """Return the names of what can be drawn."""
        names: list[str] = self._engine.names
        return names

    def _still(self) -> bytes | None:
        # While the first points are computed the widget is shown at once, and not after a picture of them. It cannot be
        # added later: on update_display JupyterLab's widget manager makes a second view beside the first one.
        return self._png() if self._engine.snapshot().status != "running" else None

    @traitlets.validate("alpha", "beta", "resolution", "seed")
    def _valid_setting(self, proposal: Any) -> Any:
        return self._refusing(proposal, self._checked_setting)

    def _checked_setting(self, name: str, value: Any) -> Any:
        if self._engine.closed:
            raise ValueError(f"expected an open widget to change {name}, got a closed one; make a new widget")
        if name in ("alpha", "beta"):
            axis(value, resolution_pair(self.resolution)[name == "beta"], name)
            return tuple(map(float, value))
        if name == "resolution":
            n_alpha, n_beta = resolution_pair(value)
            return len(axis(self.alpha, n_alpha, "alpha")), len(axis(self.beta, n_beta, "beta"))
        if not self._seeded and value != self.seed:
            raise ValueError(
                "expected random directions to change their seed, got given ones or those of a trajectory; "
                "make a widget without directions and trajectory"
            )
        return check_seed(value)

    def _on_control(self, change: Any) -> None:
        # May run on the main thread or on a subshell's; the engine picks the request up before its next batch.
        request = make_request(self.seed if self._seeded else None, self.resolution, self.alpha, self.beta)
        if change["name"] == "seed":
            self.probe = {}  # the point was one of another plane
        if not self._engine.snapshot().request.same_as(request):
            self._engine.request(request)

    def _on_command(self, content: Command, buffers: Any) -> None:
        command = content.get("type") if isinstance(content, dict) else None
        if command == "pause":
            self.pause()
        elif command == "resume":
            self.resume()
        elif command == "stop":
            self.stop()
        elif command == "probe":
            try:
                self._inspect(content.get("alpha"), content.get("beta"))
            except (TypeError, ValueError) as error:
                self.log.debug("a point from the browser was refused: %s", error)
        elif command == "pull":
            self._engine.publish()

    def _show(self, snapshot: Snapshot) -> None:
        self._sequence += 1
        frame, meta = pack(snapshot, self._sequence)
        try:
            with self.hold_sync():
                self.frame, self.meta = frame, dict(meta)
        except Exception as error:  # a kernel that is shutting down, or a comm that closed
            self.log.debug("a frame could not be sent: %s", error)


def _split(options: WidgetOptions) -> tuple[dict[str, Any], SurfaceOptions]:
    """Return how the landscape is drawn, and the options of the surface."""
    passed: dict[str, Any] = {**options}
    style = {name: passed.pop(name) for name in StyleOptions.__annotations__ if name in passed}
    return style, cast("SurfaceOptions", passed)


LandscapeWidget.__signature__ = widget_signature()
LandscapeWidget.__doc__ = widget_docstring(LandscapeWidget.__doc__ or "")
