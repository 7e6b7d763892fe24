"""A session computes surfaces: the commands that any thread may give, and the thread that does the work."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from lljupyter.geometry.plane import Plane
from lljupyter.session.engine import Autotuner, Engine, Inspect, PointEvaluator, PreviewSource
from lljupyter.session.ledger import EarlierPoints
from lljupyter.session.request import Request
from lljupyter.session.schedule import Schedule
from lljupyter.session.shutdown import close_at_exit
from lljupyter.session.snapshot import Snapshot
from lljupyter.session.sources.checkpoint_losses import CheckpointLosses
from lljupyter.session.sources.preview import Samples
from lljupyter.session.task_queue import TaskQueue
from lljupyter.session.worker import Worker

if TYPE_CHECKING:
    import xarray


class Session:
    """Computes one surface after another, each from coarse to fine.

    ``run`` works in the calling thread until there is nothing left to do; ``start`` leaves that to one engine thread.
    All other methods may be called from any thread at any time and return at once (but for ``wait`` and ``close``).
    Points that were evaluated once are kept: the grid of another range takes over those that coincide, and a plane
    that was shown before is there at once.

    Args:
        evaluator: Evaluates points.
        plane_for: Returns the plane of a seed.
        request: The first surface to compute.
        recipe: Attributes for the Dataset.
        on_update: See below.
        checkpoint_losses: Checkpoints to evaluate once the coarsest pass is complete, or None.
        further: Evaluate the same points, one by one, once the surface is complete, one after the other.
        tolerance: Evaluate only as many points as the others need to be predicted within this relative error, see
            ``Refinement``; None evaluates all.
        autotuner: Finds the fastest strategy of the evaluator, or None.
        preview: Evaluates points on some of the samples, for previews once the session was started; or None.
        inspect: Looks closely at a point, or None.

    Attributes:
        recipe: As given.
        quantities: The names of what is evaluated, without standard errors.
        names: The values of a point, in the order of the Dataset.
        further: The names of what is evaluated once the surface is complete, by stage; part of both.
    """

    def __init__(
        self,
        evaluator: PointEvaluator,
        plane_for: Callable[[int | None], Plane],
        request: Request,
        recipe: Mapping[str, Any],
        on_update: Callable[[Snapshot], None] = lambda snapshot: None,
        *,
        checkpoint_losses: CheckpointLosses | None = None,
        further: Sequence[PointEvaluator] = (),
        tolerance: float | None = None,
        autotuner: Autotuner | None = None,
        preview: PreviewSource | None = None,
        inspect: Inspect | None = None,
    ) -> None:
        self.recipe = recipe
        self.further = [list(other.names) for other in further]
        self.quantities = [*evaluator.quantities, *(name for names in self.further for name in names)]
        self.names = [*evaluator.names, *(name for names in self.further for name in names)]
        schedule = Schedule(
            evaluator.names,
            evaluator.quantities,
            request,
            checkpoint_losses,
            further=self.further,
            tolerance=tolerance,
            tunes=autotuner is not None,
        )
        self._queue = TaskQueue(schedule, recipe, self.quantities)
        self._queue.on_update = on_update
        self._samples = Samples(preview.n_samples, preview.smallest) if preview is not None and preview.useful else None
        evaluators = [evaluator, *further]
        # Freed when the session is closed, with the model and the data; so the session keeps nothing of it.
        self._worker: Worker | None = Worker(self._queue, Engine(evaluators, plane_for, autotuner, preview, inspect))
        self._thread: threading.Thread | None = None

    @property
    def on_update(self) -> Callable[[Snapshot], None]:
        """Called with a snapshot after every chunk worth drawing and every change of status.

        It is called from the thread that caused the update, one call at a time; the last state is always published.
        """
        return self._queue.on_update

    @on_update.setter
    def on_update(self, callback: Callable[[Snapshot], None]) -> None:
        self._queue.on_update = callback

    @property
    def closed(self) -> bool:
        """Whether the session was closed: nothing more is computed then."""
        return self._queue.closed

    def snapshot(self) -> Snapshot:
        """Return all that is known now, frozen."""
        return self._queue.snapshot()

    def publish(self) -> None:
        """Call ``on_update`` with the present state."""
        self._queue.publish()

    def request(self, request: Request) -> None:
        """Compute another surface instead; what is known of it already is shown at once."""
        self._queue.request(request)

    def pause(self) -> None:
        """Halt before the next batch; nothing is lost."""
        self._queue.change("paused", when=("running",))

    def resume(self) -> None:
        """Go on after a pause, a stop or an error."""
        self._queue.change("running", when=("paused", "stopped", "error"))

    def stop(self) -> None:
        """End this surface before the next batch; what was evaluated is kept."""
        self._queue.change("stopped", when=("running", "paused"))

    def inspect(self, alpha: float, beta: float) -> Future[dict[str, Any]]:
        """Look closely at one point of the plane, before anything else, also after a pause or a stop.

        Returns:
            The answer: alpha and beta, the quantities there, and the gradient and the Hessian. It is cancelled if
            another point is asked for before it is known, or the session is closed.
        """
        return self._queue.inspect(alpha, beta)

    def wait(self, timeout: float | None = None) -> None:
        """Block until the surface is done or stopped.

        Args:
            timeout: Seconds to wait at most; None waits for ever.

        Raises:
            TimeoutError: If it takes longer; computing goes on.
            Exception: What ended the computation, if an error did.
        """
        self._queue.wait(timeout, from_engine=threading.current_thread() is self._thread)

    def run(self) -> None:
        """Compute in the calling thread until the surface is done, stopped or failed, or the session closed."""
        if self._worker is not None:
            self._worker.run()

    def start(self) -> None:
        """Start the engine thread.

        Raises:
            RuntimeError: If it was started or closed before.
        """
        if self._worker is None:
            raise RuntimeError("expected a new session, got one that was started or closed already; make another one")
        worker, self._worker = self._worker, None  # it and the model live as long as the thread
        self._queue.preview_from(self._samples)  # somebody watches, and sees a preview before the first points
        # The context is copied because some kernels look up the running cell in it whenever a message is sent.
        work = contextvars.copy_context().run
        self._thread = threading.Thread(target=work, args=(worker.serve,), name="lljupyter-engine", daemon=True)
        close_at_exit(self)
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """End the engine thread, wait for it at most ``timeout`` seconds, and free the model and the data."""
        self._queue.close()
        if self._thread is None:
            self._worker = None
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def inherit_from(
        self,
        dataset: xarray.Dataset,
        stages: Sequence[EarlierPoints],
        attributes: Mapping[str, Any],
    ) -> None:
        """Take over an earlier Dataset of the present surface.

        Args:
            dataset: Its trajectory and its precision are kept.
            stages: The points of each stage.
            attributes: How these points were evaluated; stays until others are.
        """
        self._queue.inherit_from(dataset, stages, attributes)
