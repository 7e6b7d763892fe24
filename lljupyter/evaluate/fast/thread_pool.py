"""Several threads of one core each, that share the work on a list of points."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

import torch

from lljupyter.evaluate.strategy import Tick
from lljupyter.process.threads import use_threads

# Interval at which ``tick`` is called, in seconds.
LOOK_SECONDS = 0.02


class Workers:
    """Threads of one core each.

    Args:
        n_workers: Number of threads; 1 works in the calling thread, with all its cores.
    """

    def __init__(self, n_workers: int) -> None:
        self.n = n_workers
        one = use_threads, (1, torch.get_num_threads())
        self._pool = ThreadPoolExecutor(n_workers, "lljupyter-point", *one) if n_workers > 1 else None
        if self._pool is not None:
            # All of them begin here: while one does, threads of others would be given its number of cores.
            together = threading.Barrier(n_workers)
            try:
                wait([self._pool.submit(together.wait) for _ in range(n_workers)])
            except BaseException:  # one could not be started: the others must not wait for it
                together.abort()
                raise

    def share(self, work: Callable[[int, int, Tick], None], n_items: int, tick: Tick) -> None:
        """Call ``work(worker, item, check)`` for every item, each in the first thread that is free.

        Args:
            work: Receives the index of its thread, the index of the item, and a function to call now and then.
            n_items: Number of items.
            tick: Called often in the calling thread; if it raises, all work ends.
        """
        if self._pool is None or n_items < 2:
            for item in range(n_items):
                work(0, item, tick)
            return
        left, given_up = itertools.count(), threading.Event()

        def check() -> None:
            if given_up.is_set():
                raise InterruptedError("the points are not wanted any more")

        def take(worker: int) -> None:
            for item in left:
                if item >= n_items:
                    return
                work(worker, item, check)

        futures: list[Future[None]] = [self._pool.submit(take, worker) for worker in range(self.n)]
        try:
            pending = set(futures)
            while pending:
                tick()
                done, pending = wait(pending, LOOK_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
        finally:
            given_up.set()
            wait(futures)
