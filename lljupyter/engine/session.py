"""Computes surfaces progressively, coarse to fine, and publishes snapshots of them."""

from __future__ import annotations

import atexit
import contextvars
import logging
import os
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.engine.evaluator import Evaluator
from lljupyter.engine.overlay import Overlay
from lljupyter.engine.points import Cell, Points, Request
from lljupyter.engine.threads import ThreadTrial
from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.geometry.plane import Plane
from lljupyter.surface.dataset import add_trajectory, surface_dataset
from lljupyter.surface.frame import Status

if TYPE_CHECKING:
    import xarray

logger = logging.getLogger(__name__)

ENDED = ("stopped", "done", "error")

# A chunk of points takes about this long: a command is answered within one.
CHUNK_SECONDS = 0.05
# How far the engine thread, and torch's threads that it starts, step back behind everything else (0 to 19).
ENGINE_NICENESS = 10
# Pictures follow each other no sooner than this. Browsers drop bursts of messages silently, and where the processor
# has to draw them, more would cost it a core.
PUBLISH_SECONDS = 0.1
# When the data are not on the device, a batch that was brought over serves this many points.
STREAMED_CHUNK = 32


class Progress(NamedTuple):
    """How far a session is. Seconds count computing time, not pauses; ``remaining`` is None before the first point."""

    status: Status
    n_done: int
    n_points: int
    elapsed: float
    remaining: float | None
    error: Exception | None


class _Interrupted(Exception):
    """The points in hand are not wanted any more."""


class Session:
    """Computes one surface after another, each from coarse to fine.

    ``run`` works in the calling thread until there is nothing left to do; ``start`` leaves that to one engine thread.
    All other methods may be called from any thread at any time and return at once (``wait`` excepted). Points that
    were evaluated once are kept: the grid of another range takes over those that coincide, and a plane that was shown
    before is there at once.

    Args:
        evaluator: Measures points.
        plane_for: Returns the plane of a seed.
        request: The first surface to compute.
        recipe: Attributes for the Dataset.
        overlay: Checkpoints to measure once the coarsest pass is complete, or None.
        on_update: Called with this session after every chunk that is worth drawing and after every change of
            status, from the thread that caused it, one call at a time; the last state is always announced.

    Attributes:
        recipe: As given.
        quantities: What is measured.
        names: The quantities with their standard errors, in the order of the Dataset.
        on_update: As given; may be replaced until the session runs.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        plane_for: Callable[[int | None], Plane],
        request: Request,
        recipe: dict[str, Any],
        on_update: Callable[[Session], None] = lambda session: None,
        overlay: Overlay | None = None,
    ) -> None:
        self.recipe = recipe
        self.quantities = list(evaluator.quantities)
        self.names = [name for quantity in self.quantities for name in (quantity, f"{quantity}_stderr")]
        self.on_update = on_update
        self._work: tuple[Evaluator, Callable[[int | None], Plane]] | None = (evaluator, plane_for)
        self._points = Points(self.names, request)
        self._overlay = overlay
        self._plane_seed: int | Literal["none yet"] | None = "none yet"
        self._condition = threading.Condition()
        self._publishing = threading.RLock()
        self._thread: threading.Thread | None = None
        self._trial = ThreadTrial(1)
        self._status: Status = "running"
        self._error: Exception | None = None
        self._closed = self._busy = False
        self._paused_seconds = self._seconds = self._published = 0.0
        self._n_measured = 0

    # What may be called from any thread.

    def request(self, request: Request) -> None:
        """Computes another surface instead; what is known of it already is shown at once."""
        passes = coarse_to_fine(request.alpha, request.beta)
        with self._condition:
            if self._closed:
                raise RuntimeError("expected an open session, got a closed one; make a new widget to compute again")
            self._points.begin(request, passes)
            self._seconds, self._n_measured = 0.0, 0
            self._status, self._error = "running", None
            self._condition.notify_all()
        self.publish()

    def pause(self) -> None:
        """Halts before the next batch; nothing is lost."""
        self._change("paused", when=("running",))

    def resume(self) -> None:
        """Goes on after a pause, a stop or an error."""
        self._change("running", when=("paused", "stopped", "error"))

    def stop(self) -> None:
        """Ends this surface before the next batch; what was evaluated is kept."""
        self._change("stopped", when=("running", "paused"))

    def close(self, timeout: float = 5.0) -> None:
        """Ends the engine thread, waits for it at most ``timeout`` seconds, and frees the model and the data."""
        with self._condition:
            self._closed = True
            if self._status not in ENDED:
                self._status = "stopped"
            self._condition.notify_all()
        if self._thread is None:
            self._work = None
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the surface is done or stopped.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: If it takes longer; computing goes on.
            Exception: What ended the computation, if an error did.
        """
        own = threading.current_thread() is self._thread
        with self._condition:
            if not self._condition.wait_for(lambda: self._status in ENDED and (own or not self._busy), timeout):
                evaluated = self._points.evaluated
                raise TimeoutError(
                    f"expected the surface within {timeout:g} s, got {int(evaluated.sum())} of {evaluated.size} points "
                    f"({self._status}); wait again, or lower resolution or max_samples"
                )
            if self._status == "error" and self._error is not None:
                raise self._error

    @property
    def closed(self) -> bool:
        """Whether the session was closed: nothing more is computed then."""
        return self._closed

    def progress(self) -> Progress:
        """Returns how far the session is."""
        with self._condition:
            n_done, n_points = int(self._points.evaluated.sum()), self._points.evaluated.size
            pace = self._seconds / self._n_measured if self._n_measured else None
            left = None if pace is None else pace * (n_points - n_done)
            return Progress(self._status, n_done, n_points, self._seconds, left, self._error)

    def arrays(self) -> tuple[Request, dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
        """Returns copies of what is known now: the request, ``{quantity: (n_beta, n_alpha)}`` and ``evaluated``."""
        with self._condition:
            values = {name: array.copy() for name, array in self._points.values.items()}
            return self._points.request, values, self._points.evaluated.copy()

    def dataset(self) -> xarray.Dataset:
        """Returns what is known now as a Dataset with the whole recipe."""
        request, values, evaluated = self.arrays()
        attributes = {**self.recipe, "center_on_grid": int(self.center_on_grid())}
        if request.seed is not None:
            attributes["seed"] = request.seed
        dataset = surface_dataset(request.alpha, request.beta, values, evaluated, attributes)
        trajectory = self.trajectory()
        return dataset if trajectory is None else add_trajectory(dataset, *trajectory)

    def trajectory(self) -> tuple[list[str], dict[str, NDArray[np.float64]], float] | None:
        """Returns the labels of the checkpoints, what is known of them, and the share that the plane captures."""
        if self._overlay is None:
            return None
        with self._condition:
            return self._overlay.labels, self._overlay.variables(), self._overlay.path.captured

    def restore(self, values: Mapping[str, NDArray[np.float64]], evaluated: NDArray[np.bool_]) -> None:
        """Takes over points of the surface at hand that were evaluated earlier, see ``Points.restore``."""
        with self._condition:
            self._points.restore(values, evaluated)

    def center(self) -> dict[str, float] | None:
        """Returns the quantities at (0, 0), or None while they are not known."""
        with self._condition:
            values = self._points.center()
            return None if values is None else dict(zip(self.names, values, strict=True))

    def center_on_grid(self) -> bool:
        """Says whether the center, (0, 0), is a point of the grid."""
        with self._condition:
            request = self._points.request
        return bool((request.alpha == 0).any() and (request.beta == 0).any())

    def shows(self, request: Request) -> bool:
        """Says whether a request asks for the surface that is already being computed."""
        with self._condition:
            return self._points.request.same_as(request)

    def publish(self) -> None:
        """Announces the present state through ``on_update``."""
        with self._publishing:
            self._published = time.monotonic()
            try:
                self.on_update(self)
            except Exception:  # whoever looks on must not end the computation
                logger.exception("on_update raised; the surface is computed all the same")

    # The engine.

    def start(self) -> None:
        """Starts the engine thread."""
        self._trial = ThreadTrial(torch.get_num_threads())
        # The context is copied because some kernels look up the running cell in it whenever a message is sent.
        work = contextvars.copy_context().run
        self._thread = threading.Thread(target=work, args=(self._serve,), name="lljupyter-engine", daemon=True)
        _sessions.add(self)
        self._thread.start()

    def run(self) -> None:
        """Computes in the calling thread until the surface is done, stopped or failed, or the session closed."""
        while True:
            with self._condition:
                if self._closed or self._status in ENDED:
                    return
                request, checkpoint = self._points.request, self._next_checkpoint()
                cells = [] if checkpoint is not None else self._next_chunk()
                self._busy = bool(cells) or checkpoint is not None
                if not self._busy:
                    self._status = "done"
                    self._condition.notify_all()
            if not cells and checkpoint is None:
                self.publish()
                return
            try:
                if checkpoint is None:
                    self._measure(request, cells)
                else:
                    self._measure_checkpoint(request, checkpoint)
            except _Interrupted:
                continue
            except Exception as error:
                if self._fail(error, request):
                    return
            finally:
                with self._condition:
                    self._busy = False
                    self._condition.notify_all()

    def _serve(self) -> None:
        if sys.platform == "linux":  # where a thread has a priority of its own: other cells and the browser come first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICENESS)
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closed or self._status == "running")
                if self._closed:
                    self._work = None
                    return
            try:
                self.run()
            except BaseException as error:  # a model that calls sys.exit must not leave wait() hanging
                self._fail(RuntimeError(f"the engine was ended by {type(error).__name__}: {error}"), None)

    def _fail(self, error: Exception, request: Request | None) -> bool:
        """Ends the surface with an error, unless that happened on one which is not wanted any more."""
        cause: BaseException | None = error
        while cause is not None:  # the frames of the failed forward pass hold its activations
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__
        with self._condition:
            if request is not None and self._points.request is not request:
                return False
            self._status, self._error = "error", error
            self._condition.notify_all()
        self.publish()
        return True

    def _next_chunk(self) -> list[Cell]:
        if self._trial.running:
            return self._points.next(1)
        pace = self._seconds / self._n_measured if self._n_measured else CHUNK_SECONDS
        fitting = int(CHUNK_SECONDS / max(pace, 1e-9))
        streamed = self._work is not None and not self._work[0].resident
        return self._points.next(max(fitting, STREAMED_CHUNK if streamed else 1))

    def _next_checkpoint(self) -> int | None:
        return self._overlay.next() if self._overlay is not None and self._points.coarse_is_done() else None

    def _measure_checkpoint(self, request: Request, index: int) -> None:
        if self._work is None or self._overlay is None:
            raise _Interrupted
        evaluator, checkpoint = self._work[0], self._overlay.checkpoints[index]
        states = checkpoint.tensors(evaluator.states)
        measured = evaluator.evaluate_states(states, f"checkpoint {checkpoint.label}", lambda: self._tick(request))
        with self._condition:
            self._overlay.take(index, [float(measured[name][0]) for name in self.names])
        if self._status == "running" and time.monotonic() - self._published > CHUNK_SECONDS:
            self.publish()

    def _measure(self, request: Request, cells: list[Cell]) -> None:
        if self._work is None:
            raise _Interrupted
        evaluator, plane_for = self._work
        if self._plane_seed != request.seed:
            evaluator.leave_plane()
            evaluator.set_plane(plane_for(request.seed))
            self._plane_seed = request.seed
        self._paused_seconds = 0.0
        self._trial.begin()
        started = time.monotonic()
        points = np.array([(request.alpha[column], request.beta[row]) for row, column in cells])
        measured = evaluator.evaluate(points, lambda: self._tick(request))
        table = np.stack([measured[name] for name in self.names], axis=1).tolist()
        seconds = time.monotonic() - started - self._paused_seconds
        self._trial.end(seconds)
        with self._condition:
            pass_ended = self._points.take(request, cells, table)
            if self._points.request is request:
                self._seconds += seconds
                self._n_measured += len(cells)
            last_for_now = pass_ended or self._status != "running"
        if last_for_now or time.monotonic() - self._published > PUBLISH_SECONDS:
            self.publish()

    def _tick(self, request: Request) -> None:
        with self._condition:
            if self._status == "paused":
                began = time.monotonic()
                self._condition.wait_for(lambda: self._closed or self._status != "paused")
                self._paused_seconds += time.monotonic() - began
            if self._closed or self._status != "running" or self._points.request is not request:
                raise _Interrupted

    def _change(self, status: Status, when: tuple[Status, ...]) -> None:
        with self._condition:
            if self._closed or self._status not in when:
                return
            self._status, self._error = status, None
            self._condition.notify_all()
        self.publish()


# A thread that is inside torch when the interpreter goes away aborts the process, so all engines are ended first.
_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    sessions = list(_sessions)
    for session in sessions:
        session.close(timeout=0)
    for session in sessions:
        session.close()
