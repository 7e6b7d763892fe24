"""How many processor threads torch uses for one point, chosen by timing."""

from __future__ import annotations

import threading

import torch


class ThreadTrial:
    """Times one point with all threads and one with a single thread, and keeps the faster.

    A thread pool beside that of the main thread makes OpenMP put its threads to sleep between operations, which costs
    small models more than a second core gains (measured: 65 ms against 37 ms a point for a ResNet-8 on two cores),
    while large ones still gain.

    Args:
        n_threads: All threads there are; with 1 there is nothing to choose.
    """

    def __init__(self, n_threads: int) -> None:
        # The first point pays for what torch sets up lazily, so it is not compared.
        self._left = [n_threads, n_threads, 1] if n_threads > 1 else []
        self._seconds: dict[int, float] = {}
        self._all = n_threads

    @property
    def running(self) -> bool:
        """Whether the next point is one of the trial's."""
        return bool(self._left)

    def begin(self) -> None:
        """Sets the number of threads that the next point is to be timed with."""
        if self._left:
            self._set(self._left[0])

    def end(self, seconds: float) -> None:
        """Takes the time of that point; after the last one, the faster number of threads stays set."""
        if self._left:
            self._seconds[self._left.pop(0)] = seconds
            if not self._left:
                self._set(min(self._seconds, key=lambda n: self._seconds[n]))

    def _set(self, n_threads: int) -> None:
        torch.set_num_threads(n_threads)
        # That also becomes the number of every thread that is started later; another thread sets it back for those.
        restore = threading.Thread(target=torch.set_num_threads, args=(self._all,))
        restore.start()
        restore.join()
