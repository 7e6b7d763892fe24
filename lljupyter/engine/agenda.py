"""What is measured in which order, and all that is known already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.engine.overlay import Overlay
from lljupyter.engine.points import Cell, Points, Request
from lljupyter.geometry.checkpoints import Checkpoint

Floats = NDArray[np.float64]


class Task(NamedTuple):
    """What to measure next: some points of the surface, or a checkpoint.

    Attributes:
        request: The surface.
        cells: Rows and columns of the points.
        checkpoint: Its index and the checkpoint, when it is one.
    """

    request: Request
    cells: Sequence[Cell] = ()
    checkpoint: tuple[int, Checkpoint] | None = None


class Agenda:
    """The points of the surface, coarse to fine, and after the coarsest pass the checkpoints. Not thread-safe.

    Args:
        names: The values of a point or a checkpoint, in this order everywhere.
        request: The first surface.
        overlay: The checkpoints, or None.

    Attributes:
        points: The points.
        overlay: As given.
        seconds: How long the points that were measured of the surface at hand took.
    """

    def __init__(self, names: Sequence[str], request: Request, overlay: Overlay | None) -> None:
        self.points = Points(names, request)
        self.overlay = overlay
        self._projected = request.seed
        self.seconds = 0.0
        self._n_measured = 0

    def begin(self, request: Request, passes: list[NDArray[np.int64]]) -> None:
        """Turns to another surface, see ``Points.begin``."""
        self.points.begin(request, passes)
        self.seconds, self._n_measured = 0.0, 0

    def pace(self) -> float | None:
        """Returns the seconds that a point takes, or None while that is not known."""
        return self.seconds / self._n_measured if self._n_measured else None

    def next(self, chunk: Callable[[float | None], int]) -> Task | None:
        """Returns what to measure next, or None when nothing is left.

        Args:
            chunk: Returns how many points to take at once, from the seconds that one takes.
        """
        request = self.points.request
        if self.overlay is not None and self.points.coarse_is_done() and (index := self.overlay.next()) is not None:
            return Task(request, checkpoint=(index, self.overlay.checkpoints[index]))
        cells = self.points.next(chunk(self.pace()))
        return Task(request, cells=cells) if cells else None

    def take(self, task: Task, table: list[list[float]], seconds: float) -> bool:
        """Keeps what was measured.

        Args:
            task: What ``next`` returned last; if its surface is not at hand any more, it is kept for later.
            table: The values of each cell, or of the checkpoint, in the order of ``names``.
            seconds: How long it took.

        Returns:
            Whether this completed a pass over the surface.
        """
        if task.checkpoint is not None:
            assert self.overlay is not None
            self.overlay.take(task.checkpoint[0], table[0])
            return False
        if self.points.request is task.request:
            self.seconds += seconds
            self._n_measured += len(task.cells)
        return self.points.take(task.request, list(task.cells), table)

    def again(self, task: Task) -> None:
        """Has the points of a task measured once more, before all others."""
        if task.request is self.points.request:
            self.points.again(task.cells)

    def counts(self) -> tuple[int, int]:
        """Returns how many points of the surface are known, and how many it has."""
        return int(self.points.evaluated.sum()), self.points.evaluated.size

    def arrays(self) -> tuple[Request, dict[str, Floats], NDArray[np.bool_]]:
        """Returns copies of what is known of the surface, see ``Session.arrays``."""
        values = {name: array.copy() for name, array in self.points.values.items()}
        return self.points.request, values, self.points.evaluated.copy()

    def trajectory(self) -> tuple[list[str], dict[str, Floats], float] | None:
        """Returns what is known of the checkpoints; None without any, or on another plane than theirs."""
        if self.overlay is None or self.points.request.seed != self._projected:
            return None
        return self.overlay.labels, self.overlay.variables(), self.overlay.path.captured

    def restore(self, values: Mapping[str, Floats], evaluated: NDArray[np.bool_]) -> None:
        """Takes over points that were evaluated earlier, see ``Points.restore``."""
        self.points.restore(values, evaluated)

    def center(self) -> dict[str, float] | None:
        """Returns the quantities at (0, 0), or None while they are not known."""
        values = self.points.center()
        return None if values is None else dict(zip(self.points.names, values, strict=True))
