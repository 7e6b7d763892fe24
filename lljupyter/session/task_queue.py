"""What the threads of a session share, under one lock: commands come in, tasks are claimed, results are kept."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.problem.messages import forget_frames
from lljupyter.session.ledger import EarlierPoints
from lljupyter.session.request import Request
from lljupyter.session.schedule import Schedule
from lljupyter.session.snapshot import Snapshot, frozen, read_only
from lljupyter.session.sources.preview import Samples
from lljupyter.session.tasks import InspectPoint, Interrupted, Task
from lljupyter.session.throttle import Throttle
from lljupyter.surface.frame import Status

if TYPE_CHECKING:
    import xarray

ENDED = ("stopped", "done", "error")
Answer = Future[dict[str, Any]]


class TaskQueue:
    """The state of a session. Every method may be called from any thread.

    Args:
        schedule: What to do, and what is known.
        recipe: Attributes for the Dataset.
        quantities: The names of what is evaluated, without standard errors.

    Attributes:
        on_update: Called with a snapshot after every chunk that is worth drawing and after every change of status,
            from the thread that caused it, one call at a time; the last state is always published.
        closed: Whether the session was closed: nothing more is computed then.
    """

    def __init__(self, schedule: Schedule, recipe: Mapping[str, Any], quantities: Sequence[str]) -> None:
        self._schedule = schedule
        self._recipe, self._quantities = recipe, tuple(quantities)
        self._condition = threading.Condition()
        self._throttle = Throttle()
        self._status: Status = "running"
        self._error: BaseException | None = None
        self._running: set[Task] = set()
        # The point to inspect next, and those that are inspected now.
        self._wanted: tuple[InspectPoint, Answer] | None = None
        self._answers: dict[Task, Answer] = {}
        self._inherited: tuple[int | None, xarray.Dataset] | None = None
        self.on_update: Callable[[Snapshot], None] = lambda snapshot: None
        self.closed = False

    # Commands.

    def request(self, request: Request) -> None:
        """Turn to another surface; what is known of it already is published at once."""
        passes = coarse_to_fine(request.alpha, request.beta)
        with self._condition:
            if self.closed:
                raise RuntimeError("expected an open session, got a closed one; make a new widget to compute again")
            self._schedule.begin(request, passes)
            self._status, self._error = "running", None
            self._condition.notify_all()
        self.publish()

    def change(self, status: Status, when: Sequence[Status]) -> None:
        """Set the status, if it is one of ``when`` now."""
        with self._condition:
            if self.closed or self._status not in when:
                return
            self._status, self._error = status, None
            self._condition.notify_all()
        self.publish()

    def inspect(self, alpha: float, beta: float) -> Answer:
        """Have a point inspected before anything else; an earlier point without an answer is cancelled."""
        answer: Answer = Future()
        with self._condition:
            task = InspectPoint(self._schedule.points.request, alpha, beta)
            former, self._wanted = self._wanted, (task, answer)
            if self.closed:
                former, self._wanted = self._wanted, None
            self._condition.notify_all()
        if former is not None:
            former[1].cancel()
        return answer

    def close(self) -> None:
        """Have the engine end; points without an answer are cancelled."""
        with self._condition:
            self.closed = True
            if self._status not in ENDED:
                self._status = "stopped"
            former, self._wanted = self._wanted, None
            self._condition.notify_all()
        if former is not None:
            former[1].cancel()

    def preview_from(self, samples: Samples | None) -> None:
        """Have slow surfaces previewed from some of the samples."""
        with self._condition:
            self._schedule.preview_samples = samples

    def inherit_from(
        self,
        dataset: xarray.Dataset,
        stages: Sequence[EarlierPoints],
        attributes: Mapping[str, Any],
    ) -> None:
        """Take over an earlier Dataset of the present surface, see ``Session.inherit_from``."""
        with self._condition:
            self._schedule.restore(stages)
            self._schedule.attributes = dict(attributes)
            self._inherited = self._schedule.points.request.seed, dataset

    def wait(self, timeout: float | None, from_engine: bool) -> None:
        """Block until the surface is done or stopped, and (not from the engine itself) the last task has ended."""
        with self._condition:
            if not self._condition.wait_for(
                lambda: self._status in ENDED and (from_engine or not self._running), timeout
            ):
                n_done, n_points = self._schedule.counts()
                raise TimeoutError(
                    f"expected the surface within {timeout:g} s, got {n_done} of {n_points} points "
                    f"({self._status}); wait again, or lower resolution or max_samples"
                )
            if self._status == "error" and self._error is not None:
                raise self._error

    # State.

    def snapshot(self) -> Snapshot:
        """Return all that is known now, frozen."""
        with self._condition:
            schedule, request = self._schedule, self._schedule.points.request
            n_done, n_points = schedule.counts()
            failed, failure = schedule.failures()
            refinement, center, trajectory = schedule.refinement, schedule.center(), schedule.trajectory()
            inherited = self._inherited if self._inherited and self._inherited[0] == request.seed else None
            attributes = {
                **self._recipe,
                **schedule.attributes,
                "center_on_grid": int(request.has_center),
                **({} if request.seed is None else {"seed": request.seed}),
                **({} if refinement is None else refinement.attributes),
            }
            return Snapshot(
                request=request,
                quantities=self._quantities,
                values=frozen(schedule.values()),
                evaluated=read_only(schedule.points.evaluated),
                failed=read_only(failed),
                failure=failure,
                predicted=frozen({} if refinement is None else refinement.predicted),
                preview=schedule.preview(),
                trajectory=None if trajectory is None else trajectory._replace(values=frozen(trajectory.values)),
                center=None if center is None else MappingProxyType(center),
                attributes=MappingProxyType(attributes),
                status=self._status,
                error=self._error,
                n_done=n_done,
                n_points=n_points,
                elapsed=schedule.seconds,
                remaining=schedule.remaining(),
                at_most=schedule.may_end_early(),
                inherited=None if inherited is None else inherited[1],
            )

    def publish(self) -> None:
        """Call ``on_update`` with the present state."""
        self._throttle.publish(lambda: self.on_update(self.snapshot()))

    # What the worker calls.

    def wait_for_work(self) -> bool:
        """Block until there is something to do; return False once the session is closed."""
        with self._condition:
            self._condition.wait_for(lambda: self.closed or self._status == "running" or self._wanted is not None)
            return not self.closed

    def claim(self, chunk: Callable[[float | None], int]) -> Task | None:
        """Return what to do next, see ``Schedule.claim``, or None if there is nothing to claim for now."""
        with self._condition:
            task: Task | None = None
            if self.closed:
                return None
            if self._wanted is not None:
                (inspection, answer), self._wanted = self._wanted, None
                self._answers[inspection] = answer
                task = inspection
            elif self._status not in ENDED:
                task = self._schedule.claim(chunk)
            done = task is None and self._status not in ENDED and self._schedule.is_idle
            if task is not None:
                self._running.add(task)
            if done:
                self._status = "done"
                self._condition.notify_all()
        if done:
            self.publish()
        return task

    def raise_if_stale(self, task: Task) -> float:
        """Wait while the session is paused, and return the seconds that took.

        Raises:
            Interrupted: If the task is not wanted any more.
        """
        waited = 0.0
        with self._condition:
            if not task.urgent and self._status == "paused":
                began = time.monotonic()
                self._condition.wait_for(lambda: self.closed or self._status != "paused" or self._wanted is not None)
                waited = time.monotonic() - began
            wanted = task.urgent or (self._status == "running" and self._schedule.points.request is task.request)
            if self.closed or self._wanted is not None or not wanted:
                raise Interrupted
        return waited

    def complete(self, task: Task, result: Any) -> None:
        """Keep the result of a task; that of a claim that is over changes nothing."""
        with self._condition:
            answer = self._answers.pop(task, None)
            news = self._schedule.complete(task, result)
            last_for_now = news == "pass" or self._status != "running"
            n_done = self._schedule.counts()[0]
        if answer is not None:
            with contextlib.suppress(InvalidStateError):  # cancelled by whoever asked
                answer.set_result(result)
        elif news is not None and (last_for_now or self._throttle.is_due(n_done)):
            self.publish()

    def fail(self, error: BaseException, task: Task | None = None) -> None:
        """End the surface with an error, unless the task belongs to a request that is not wanted any more."""
        forget_frames(error)
        with self._condition:
            answer = None if task is None else self._answers.pop(task, None)
            stale = task is not None and self._schedule.points.request is not task.request
            if answer is None and not stale:
                self._status, self._error = "error", error
                self._condition.notify_all()
        if answer is not None:
            with contextlib.suppress(InvalidStateError):
                answer.set_exception(error)
        elif not stale:
            self.publish()

    def task_finished(self, task: Task) -> None:
        """Record that a task has ended; a claim that was neither completed nor failed is given back."""
        with self._condition:
            self._running.discard(task)
            self._schedule.release(task)
            answer = self._answers.pop(task, None)
            self._condition.notify_all()
        if answer is not None:
            answer.cancel()
