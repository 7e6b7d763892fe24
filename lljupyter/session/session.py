"""What is computed and how far it is: the commands and snapshots that any thread may ask for at any time."""

from __future__ import annotations

import contextvars
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.geometry.plane import Plane
from lljupyter.session.checkpoint_losses import Overlay
from lljupyter.session.request import Request
from lljupyter.session.schedule import Agenda, Task
from lljupyter.session.shutdown import closed_at_exit
from lljupyter.session.snapshot import Snapshot, frozen, read_only
from lljupyter.session.throttle import Publisher
from lljupyter.session.worker import Interrupted, Measuring, Worker
from lljupyter.surface.frame import Status

if TYPE_CHECKING:
    import xarray

ENDED = ("stopped", "done", "error")


class Session:
    """Computes one surface after another, each from coarse to fine.

    ``run`` works in the calling thread until there is nothing left to do; ``start`` leaves that to one engine thread.
    All other methods may be called from any thread at any time and return at once (``wait`` excepted). Points that
    were evaluated once are kept: the grid of another range takes over those that coincide, and a plane that was shown
    before is there at once.

    The session guards what is shared between threads: its status and the ``Agenda`` (what is left, what is known). A
    ``Worker`` fetches its tasks here, measures them without a lock, and brings the values back.

    Args:
        evaluator: Measures points.
        plane_for: Returns the plane of a seed.
        request: The first surface to compute.
        recipe: Attributes for the Dataset.
        overlay: Checkpoints to measure once the coarsest pass is complete, or None.
        further: Measures the same points, one by one, once the surface is complete, or None.
        tolerance: Points are measured until the others are predicted so well, see ``Refinement``; None measures all.
        on_update: Called with a snapshot after every chunk that is worth drawing and after every change of
            status, from the thread that caused it, one call at a time; the last state is always announced.

    Attributes:
        recipe: As given.
        quantities: What is measured.
        names: The quantities with their standard errors, in the order of the Dataset.
        further: The names of what is measured once the surface is complete, part of both.
        on_update: As given; may be replaced until the session runs.
        on_probe: Called with what was found where ``probe`` looked, see ``Worker``; may be replaced, too.
    """

    def __init__(
        self,
        evaluator: Measuring,
        plane_for: Callable[[int | None], Plane],
        request: Request,
        recipe: dict[str, Any],
        on_update: Callable[[Snapshot], None] = lambda snapshot: None,
        overlay: Overlay | None = None,
        further: Measuring | None = None,
        tolerance: float | None = None,
    ) -> None:
        self.recipe = recipe
        self.further = [] if further is None else list(further.names)
        self.quantities = [*evaluator.quantities, *self.further]
        self.names = [*evaluator.names, *self.further]
        self.on_update = on_update
        self._worker: Worker | None = Worker(self, evaluator, plane_for, further)
        self._agenda = Agenda(list(evaluator.names), request, overlay, self.further, tolerance)
        self._condition = threading.Condition()
        self._publisher = Publisher()
        self._thread: threading.Thread | None = None
        self._status: Status = "running"
        self._error: Exception | None = None
        self._closed = self._busy = False
        self._notes: dict[str, Any] = {}
        self._carried: tuple[int | None, xarray.Dataset] | None = None
        self.on_probe: Callable[[dict[str, Any]], None] = lambda answer: None
        self._probe: tuple[float, float] | None = None

    # What may be called from any thread.

    def request(self, request: Request) -> None:
        """Computes another surface instead; what is known of it already is shown at once."""
        passes = coarse_to_fine(request.alpha, request.beta)
        with self._condition:
            if self._closed:
                raise RuntimeError("expected an open session, got a closed one; make a new widget to compute again")
            self._agenda.begin(request, passes)
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

    def probe(self, alpha: float, beta: float) -> None:
        """Looks at one point of the plane closely, before anything else, also after a pause or a stop.

        The answer goes to ``on_probe``: alpha and beta, the quantities there, and what the Hessian tells.
        """
        with self._condition:
            self._probe = alpha, beta
            self._condition.notify_all()

    def close(self, timeout: float = 5.0) -> None:
        """Ends the engine thread, waits for it at most ``timeout`` seconds, and frees the model and the data."""
        with self._condition:
            self._closed = True
            if self._status not in ENDED:
                self._status = "stopped"
            self._condition.notify_all()
        if self._thread is None:
            self._worker = None
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
                n_done, n_points = self._agenda.counts()
                raise TimeoutError(
                    f"expected the surface within {timeout:g} s, got {n_done} of {n_points} points "
                    f"({self._status}); wait again, or lower resolution or max_samples"
                )
            if self._status == "error" and self._error is not None:
                raise self._error

    @property
    def closed(self) -> bool:
        """Whether the session was closed: nothing more is computed then."""
        return self._closed

    def snapshot(self) -> Snapshot:
        """Returns all that is known now, frozen."""
        with self._condition:
            agenda, request = self._agenda, self._agenda.points.request
            values, evaluated = agenda.arrays()
            n_done, n_points = agenda.counts()
            refinement, center, trajectory = agenda.refinement, agenda.center(), agenda.trajectory()
            carried = self._carried is not None and self._carried[0] == request.seed
            return Snapshot(
                request=request,
                quantities=tuple(self.quantities),
                values=frozen(values),
                evaluated=read_only(evaluated),
                predicted=frozen({} if refinement is None else refinement.predicted),
                preview=None if agenda.sketch is None else agenda.sketch.means(),
                trajectory=None if trajectory is None else trajectory._replace(values=frozen(trajectory.values)),
                center=None if center is None else MappingProxyType(center),
                attributes=MappingProxyType(
                    {
                        **self.recipe,
                        **self._notes,
                        "center_on_grid": int(request.has_center),
                        **({} if request.seed is None else {"seed": request.seed}),
                        **({} if refinement is None else refinement.told),
                    }
                ),
                status=self._status,
                error=self._error,
                n_done=n_done,
                n_points=n_points,
                elapsed=agenda.seconds,
                remaining=agenda.remaining(),
                at_most=agenda.may_end_early(),
                inherited=self._carried[1] if carried and self._carried else None,
            )

    def restore(self, values: Mapping[str, NDArray[np.float64]], evaluated: NDArray[np.bool_], stage: int = 0) -> None:
        """Takes over points of the surface at hand that were evaluated earlier, see ``Points.restore``."""
        with self._condition:
            self._agenda.restore(values, evaluated, stage)

    def carry(self, dataset: xarray.Dataset) -> None:
        """Keeps what an earlier Dataset of the surface at hand tells of its precision, and of a trajectory."""
        with self._condition:
            self._carried = self._agenda.points.request.seed, dataset

    def publish(self) -> None:
        """Announces the present state through ``on_update``."""
        self._publisher.publish(lambda: self.on_update(self.snapshot()))

    def start(self) -> None:
        """Starts the engine thread.

        Raises:
            RuntimeError: If it was started or closed before.
        """
        if self._worker is None:
            raise RuntimeError("expected a new session, got one that was started or closed already; make another one")
        worker, self._worker = self._worker, None  # it and the model live as long as the thread
        self._agenda.subsets = worker.subsets()  # somebody looks on, and is shown a sketch before the first points
        # The context is copied because some kernels look up the running cell in it whenever a message is sent.
        work = contextvars.copy_context().run
        self._thread = threading.Thread(target=work, args=(worker.serve,), name="lljupyter-engine", daemon=True)
        closed_at_exit(self)
        self._thread.start()

    def run(self) -> None:
        """Computes in the calling thread until the surface is done, stopped or failed, or the session closed."""
        if self._worker is not None:
            self._worker.run()

    def _change(self, status: Status, when: tuple[Status, ...]) -> None:
        with self._condition:
            if self._closed or self._status not in when:
                return
            self._status, self._error = status, None
            self._condition.notify_all()
        self.publish()

    # What the worker calls.

    def wait_for_work(self) -> bool:
        """Blocks until there is something to compute; returns False when the session was closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or self._status == "running" or self._probe is not None)
            return not self._closed

    def next_task(self, chunk: Callable[[float | None], int]) -> Task | None:
        """Returns what to measure next, see ``Agenda.next``, or None when there is nothing to do for now."""
        with self._condition:
            if self._closed:
                return None
            if self._probe is not None:
                probe, self._probe = self._probe, None
                self._busy = True
                return Task(self._agenda.points.request, probe=probe)
            if self._status in ENDED:
                return None
            task = self._agenda.next(chunk)
            self._busy = task is not None
            if task is None:
                self._status = "done"
                self._condition.notify_all()
        if task is None:
            self.publish()
        return task

    def take(self, task: Task, table: list[list[float]], seconds: float) -> None:
        """Keeps what was measured, see ``Agenda.take``."""
        with self._condition:
            last_for_now = self._agenda.take(task, table, seconds) or self._status != "running"
            n_done = self._agenda.counts()[0]
        if last_for_now or self._publisher.due(n_done):
            self.publish()

    def note(self, attributes: Mapping[str, Any]) -> None:
        """Sets further attributes of the Dataset, in place of those that were noted before."""
        with self._condition:
            self._notes = dict(attributes)

    def outlook(self) -> tuple[float | None, bool]:
        """Returns the seconds left of the surface, None if not known, and whether its coarsest pass is complete."""
        with self._condition:
            return self._agenda.left(), self._agenda.points.coarse_is_done()

    def refine(self, task: Task) -> None:
        """Finds out where the surface needs more points; called without a lock, as it may take a while."""
        assert task.refinement is not None
        with self._condition:
            values, evaluated = self._agenda.arrays()
            values, evaluated = {name: array.copy() for name, array in values.items()}, evaluated.copy()
            if self._agenda.points.request is not task.request:
                return
        first = [name for name in self.quantities if name in self._agenda.points.values]
        cells = task.refinement.next(task.request, {name: values[name] for name in first}, evaluated)
        with self._condition:
            self._agenda.extend(task, cells)

    def again(self, tasks: Sequence[Task]) -> None:
        """Has points measured once more that are known; they stay in the picture meanwhile."""
        with self._condition:
            for task in tasks:
                self._agenda.again(task)

    def leave(self) -> None:
        """Says that the task was ended, one way or another."""
        with self._condition:
            self._busy = False
            self._condition.notify_all()

    def check(self, request: Request) -> float:
        """Waits while the session is paused; returns for how many seconds.

        Raises:
            Interrupted: If the request is not wanted any more.
        """
        waited = 0.0
        with self._condition:
            if self._status == "paused":
                began = time.monotonic()
                self._condition.wait_for(lambda: self._closed or self._status != "paused" or self._probe is not None)
                waited = time.monotonic() - began
            other = self._agenda.points.request is not request or self._probe is not None
            if self._closed or self._status != "running" or other:
                raise Interrupted
        return waited

    def check_probe(self) -> None:
        """Raises Interrupted when the session was closed or another point is to be looked at."""
        if self._closed or self._probe is not None:
            raise Interrupted

    def fail(self, error: Exception, request: Request | None = None) -> None:
        """Ends the surface with an error, unless that happened on a request which is not wanted any more."""
        _forget_frames(error)
        with self._condition:
            if request is not None and self._agenda.points.request is not request:
                return
            self._status, self._error = "error", error
            self._condition.notify_all()
        self.publish()


def _forget_frames(error: BaseException | None) -> None:
    """The frames of a failed forward pass hold its activations."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__
