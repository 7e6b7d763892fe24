"""Does the tasks of a session: claims them, has them run, and brings the results back."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from lljupyter.process.priority import step_back
from lljupyter.session.engine import Engine
from lljupyter.session.executor import Executor, Inline
from lljupyter.session.task_queue import TaskQueue
from lljupyter.session.tasks import Task

# A chunk of points takes about so many seconds: a command is answered within one.
CHUNK_SECONDS = 0.05


class Pauses:
    """The ``tick`` of a task: waits while the session is paused, and raises ``Interrupted`` if the task is stale.

    Attributes:
        waited: Seconds spent waiting so far.
    """

    def __init__(self, queue: TaskQueue, task: Task) -> None:
        self._queue, self._task = queue, task
        self.waited = 0.0

    def __call__(self) -> None:
        """Wait or raise."""
        self.waited += self._queue.raise_if_stale(self._task)


class Worker:
    """Does tasks until there is nothing left to do. Used by one thread.

    Args:
        queue: Where tasks are claimed and results are kept.
        engine: What tasks run on.
        executor: Runs them.
        n_in_flight: How many tasks are claimed at a time.
    """

    def __init__(
        self, queue: TaskQueue, engine: Engine, executor: Executor | None = None, n_in_flight: int = 1
    ) -> None:
        self._queue, self._engine = queue, engine
        self._executor = Inline() if executor is None else executor
        self._n_in_flight = n_in_flight

    def serve(self) -> None:
        """Work whenever there is something to do, until the session is closed."""
        step_back()
        while self._queue.wait_for_work():
            try:
                self.run()
            except BaseException as error:  # a model that calls sys.exit must not leave wait() hanging
                self._queue.fail(RuntimeError(f"the engine was ended by {type(error).__name__}: {error}"))

    def run(self) -> None:
        """Work until there is nothing left to do for now."""
        in_flight: dict[Future[Any], Task] = {}
        try:
            while True:
                while len(in_flight) < self._n_in_flight and (task := self._queue.claim(self._chunk)) is not None:
                    in_flight[self._submit(task)] = task
                if not in_flight:
                    return
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    self._finish(in_flight.pop(future), future)
        finally:
            for task in in_flight.values():
                self._queue.task_finished(task)

    def _submit(self, task: Task) -> Future[Any]:
        try:
            return self._executor.submit(task.run, self._engine, Pauses(self._queue, task))
        except BaseException:
            self._queue.task_finished(task)
            raise

    def _finish(self, task: Task, future: Future[Any]) -> None:
        try:
            if future.cancelled():
                return
            if (error := future.exception()) is None:
                self._queue.complete(task, future.result())
            else:
                self._queue.fail(error, task)
        except Exception as error:
            self._queue.fail(error, task)
        finally:
            self._queue.task_finished(task)

    def _chunk(self, pace: float | None) -> int:
        """Return how many points to evaluate in one task, from the seconds per point."""
        group = self._engine.evaluators[0].group
        fitting = int(CHUNK_SECONDS / max(CHUNK_SECONDS if pace is None else pace, 1e-9))
        return max(fitting // group, 1) * group
