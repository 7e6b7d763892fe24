"""The model as it is, batch after batch: what every other path is held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lljupyter.evaluate.strategy import Moving, Tick, Values
from lljupyter.process.threads import using_threads

if TYPE_CHECKING:
    from lljupyter.evaluate.evaluator import Evaluator

# When the data are not on the device, a batch that was brought over serves this many points.
STREAMED_GROUP = 32


class Plain:
    """Evaluates points one by one on the evaluator's own copy of the model.

    Args:
        evaluator: What is evaluated.
        n_threads: How many threads torch may use; None for all. A thread pool beside that of the main thread makes
            OpenMP put its threads to sleep between operations, which costs small models more than a second core
            gains (measured: 65 ms against 37 ms a point for a ResNet-8 on two cores).
    """

    reduced = False

    def __init__(self, evaluator: Evaluator, n_threads: int | None = None) -> None:
        self._evaluator, self._n_threads = evaluator, n_threads
        self.group = 1 if evaluator.resident else STREAMED_GROUP
        self.label = "plain" if n_threads is None else f"plain, {n_threads} thread"

    def set_plane(self, moving: Moving) -> None:
        """Nothing to do: the evaluator knows its plane."""

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measures points, see ``Evaluator.evaluate``."""
        with using_threads(self._n_threads):
            return self._evaluator.evaluate_plainly(points, tick)

    def halve(self) -> bool:
        """Splits every batch in two."""
        return self._evaluator.halve()
