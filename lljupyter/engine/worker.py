"""Measures what a session asks for, task after task, in one thread."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from lljupyter.engine.agenda import Task
from lljupyter.engine.evaluator import Evaluator, Values
from lljupyter.engine.threads import ThreadTrial
from lljupyter.geometry.checkpoints import Checkpoint
from lljupyter.geometry.plane import Plane

if TYPE_CHECKING:
    from lljupyter.engine.session import Session

# A chunk of points takes about this long: a command is answered within one.
CHUNK_SECONDS = 0.05
# How far the engine thread, and torch's threads that it starts, step back behind everything else (0 to 19).
ENGINE_NICENESS = 10
# When the data are not on the device, a batch that was brought over serves this many points.
STREAMED_CHUNK = 32


class Interrupted(Exception):
    """What is in hand is not wanted any more."""


class Worker:
    """Measures the tasks of a session. Used by one thread.

    Args:
        session: Says what to measure, takes the values, and says before every batch whether they are still wanted.
        evaluator: Measures points and checkpoints.
        plane_for: Returns the plane of a seed.
    """

    def __init__(self, session: Session, evaluator: Evaluator, plane_for: Callable[[int | None], Plane]) -> None:
        self._session = session
        self._evaluator = evaluator
        self._plane_for = plane_for
        self._plane_seed: int | Literal["none yet"] | None = "none yet"
        self._trial = ThreadTrial(1)

    def serve(self, n_threads: int) -> None:
        """Works whenever there is something to do, until the session is closed.

        Args:
            n_threads: How many threads torch may use.
        """
        if sys.platform == "linux":  # where a thread has a priority of its own: other cells and the browser come first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), ENGINE_NICENESS)
        self._trial = ThreadTrial(n_threads)
        while self._session.wait_for_work():
            try:
                self.run()
            except BaseException as error:  # a model that calls sys.exit must not leave wait() hanging
                self._session.fail(RuntimeError(f"the engine was ended by {type(error).__name__}: {error}"))

    def run(self) -> None:
        """Works until there is nothing left to do for now."""
        while (task := self._session.next_task(self._chunk)) is not None:
            try:
                self._measure(task)
            except Interrupted:
                continue
            except Exception as error:
                self._session.fail(error, task.request)
            finally:
                self._session.leave()

    def _chunk(self, pace: float | None) -> int:
        if self._trial.running:
            return 1
        fitting = int(CHUNK_SECONDS / max(CHUNK_SECONDS if pace is None else pace, 1e-9))
        return max(fitting, 1 if self._evaluator.resident else STREAMED_CHUNK)

    def _measure(self, task: Task) -> None:
        paused = 0.0

        def tick() -> None:
            nonlocal paused
            paused += self._session.check(task.request)

        if task.checkpoint is None:
            self._turn_to(task.request.seed)
        started = time.monotonic()
        measured = self._at_points(task, tick) if task.checkpoint is None else self._at(task.checkpoint[1], tick)
        table = np.stack([measured[name] for name in self._session.names], axis=1).tolist()
        seconds = time.monotonic() - started - paused
        if task.checkpoint is None:
            self._trial.end(seconds)
        self._session.take(task, table, seconds)

    def _turn_to(self, seed: int | None) -> None:
        if self._plane_seed != seed:
            self._evaluator.leave_plane()
            self._evaluator.set_plane(self._plane_for(seed))
            self._plane_seed = seed

    def _at_points(self, task: Task, tick: Callable[[], None]) -> Values:
        self._trial.begin()
        points = np.array([(task.request.alpha[column], task.request.beta[row]) for row, column in task.cells])
        return self._evaluator.evaluate(points, tick)

    def _at(self, checkpoint: Checkpoint, tick: Callable[[], None]) -> Values:
        try:
            states = checkpoint.tensors(self._evaluator.states)
            return self._evaluator.evaluate_states(states, f"checkpoint {checkpoint.label}", tick)
        finally:
            checkpoint.close()
