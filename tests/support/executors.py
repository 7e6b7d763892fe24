"""Executors that a session must not be able to tell from the one that runs everything at once, but for the order."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from random import Random

from lljupyter.session.executor import Inline
from lljupyter.session.session import Session
from lljupyter.session.worker import Worker


class AnyOrder:
    """Runs functions in one thread of its own, the ones that wait in any order, and loses some of them.

    Args:
        seed: Decides the order.
        share_lost: The share of the tasks that are lost: they are run, but their results never arrive.

    Attributes:
        most: How many tasks were in flight at most.
        n_lost: How many were lost.
    """

    def __init__(self, seed: int, share_lost: float = 0.0) -> None:
        self._random, self._share_lost = Random(seed), share_lost
        self._waiting: list = []
        self._condition = threading.Condition()
        self._closed = False
        self.most = self.n_lost = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def submit(self, function, /, *args) -> Future:
        future: Future = Future()
        with self._condition:
            self._waiting.append((future, function, args))
            self.most = max(self.most, len(self._waiting))
            self._condition.notify_all()
        return future

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            with self._condition:
                # For a moment, so that others can come in and be run first.
                self._condition.wait_for(lambda: self._closed or len(self._waiting) > 1, 0.002)
                if not self._waiting:
                    if self._closed:
                        return
                    continue
                future, function, args = self._waiting.pop(self._random.randrange(len(self._waiting)))
            done = Inline().submit(function, *args)
            if done.cancelled() or self._random.random() < self._share_lost:
                self.n_lost += not done.cancelled()
                future.cancel()
                future.set_running_or_notify_cancel()
            elif (error := done.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())


def run_in_any_order(session: Session, seed: int, n_in_flight: int = 3, share_lost: float = 0.0) -> AnyOrder:
    """Runs a session with several tasks in flight, which end in any order."""
    executor = AnyOrder(seed, share_lost)
    worker = session._worker
    assert worker is not None
    session._worker = Worker(session._queue, worker._engine, executor, n_in_flight)
    try:
        session.run()
        session.wait(0)
    finally:
        executor.close()
        session._worker = worker
    return executor
