"""What is measured in which order, and all that is known already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.checkpoints import Checkpoint
from lljupyter.session.checkpoint_losses import Overlay, TrajectoryLosses
from lljupyter.session.ledger import Points
from lljupyter.session.preview import Sketch, Subsets
from lljupyter.session.refinement import Refinement
from lljupyter.session.request import Cell, Request

Floats = NDArray[np.float64]


class Task(NamedTuple):
    """What to measure next: some points of the surface, or a checkpoint.

    Attributes:
        request: The surface.
        cells: Rows and columns of the points.
        checkpoint: Its index and the checkpoint, when it is one.
        probe: (alpha, beta) of a point that is looked at closely.
        stage: 0 for the surface, 1 for what is measured once that is complete.
        refinement: What says where the surface needs more points, when that is to be found out.
        sketch: What measures points on some of the samples, when that is to be done.
    """

    request: Request
    cells: Sequence[Cell] = ()
    checkpoint: tuple[int, Checkpoint] | None = None
    stage: int = 0
    refinement: Refinement | None = None
    probe: tuple[float, float] | None = None
    sketch: Sketch | None = None


class Agenda:
    """The points of the surface, coarse to fine, and after the coarsest pass the checkpoints. Not thread-safe.

    Where further values are asked for, the same points come again for these, once the surface is complete.

    Args:
        names: The values of a point or a checkpoint, in this order everywhere.
        request: The first surface.
        overlay: The checkpoints, or None.
        further: The values of the second stage; none leaves it out.
        tolerance: See ``Refinement``; None measures every point.

    Attributes:
        points: The points.
        overlay: As given.
        refinement: Says where the surface at hand needs more points, with a tolerance.
        subsets: What the coarsest pass is sketched from where it takes long; None, as at first, leaves that out.
        sketch: Of the surface at hand, once it was begun.
        seconds: How long what was measured of the surface at hand took, its sketch included.
    """

    def __init__(
        self,
        names: Sequence[str],
        request: Request,
        overlay: Overlay | None,
        further: Sequence[str] = (),
        tolerance: float | None = None,
    ) -> None:
        self.points = Points(names, request, coarse_only=tolerance is not None)
        self._stages = [self.points, *([Points(further, request)] if further else [])]
        self.overlay = overlay
        self._tolerance = tolerance
        self.refinement = None if tolerance is None else Refinement(tolerance)
        self._projected = request.seed
        self._pace: list[tuple[float, int]] = [(0.0, 0)] * len(self._stages)  # seconds, points
        self._usual_pace: float | None = None
        self._sketching = 0.0
        self.subsets: Subsets | None = None
        self.sketch: Sketch | None = None

    def begin(self, request: Request, passes: list[NDArray[np.int64]]) -> None:
        """Turns to another surface, see ``Points.begin``."""
        self._usual_pace = self.pace() or self._usual_pace
        self.sketch, self._sketching = None, 0.0
        for points in self._stages:
            points.begin(request, [cells.copy() for cells in passes])
        self._pace = [(0.0, 0)] * len(self._stages)
        self.refinement = None if self._tolerance is None else Refinement(self._tolerance)

    @property
    def seconds(self) -> float:
        """How long what was measured of the surface at hand took."""
        return self._sketching + sum(seconds for seconds, _ in self._pace)

    def pace(self, stage: int = 0) -> float | None:
        """Returns the seconds that a point takes, or None while that is not known."""
        seconds, n_measured = self._pace[stage]
        return seconds / n_measured if n_measured else None

    def left(self, stage: int = 0) -> float | None:
        """Returns the seconds that are left of a stage, or None while that is not known.

        With a tolerance it is not known which points will be needed: it is what all would take, until it is met.
        """
        if stage == 0 and self.refinement is not None and self.refinement.done:
            return 0.0
        evaluated, pace = self._stages[stage].evaluated, self.pace(stage)
        n_left = evaluated.size - int(evaluated.sum())
        if pace is None:
            return None if n_left or stage == 0 else 0.0
        return pace * n_left

    def remaining(self) -> float | None:
        """Returns the seconds that are left, or None while that is not known."""
        left = [self.left(stage) for stage in range(len(self._stages))]
        known = [seconds for seconds in left if seconds is not None]
        return sum(known) if len(known) == len(left) else None

    def may_end_early(self) -> bool:
        """Says whether a tolerance may leave out points of the surface that are not measured yet."""
        return self.refinement is not None and not self.refinement.done

    def next(self, chunk: Callable[[float | None], int]) -> Task | None:
        """Returns what to measure next, or None when nothing is left.

        Args:
            chunk: Returns how many points to take at once, from the seconds that one takes.
        """
        request = self.points.request
        if self.overlay is not None and self.points.coarse_is_done() and (index := self.overlay.next()) is not None:
            return Task(request, checkpoint=(index, self.overlay.checkpoints[index]))
        if self.subsets is not None:
            self.sketch = self.sketch or Sketch(self.subsets, self.points.coarse_left(), self._usual_pace)
            if not self.sketch.done:
                return Task(request, sketch=self.sketch)
        cells = self.points.next(chunk(self.pace()))
        if cells:
            return Task(request, cells=cells)
        if self.refinement is not None and not self.refinement.done:
            return Task(request, refinement=self.refinement)
        for stage, points in enumerate(self._stages[1:], 1):
            if cells := points.next(1):
                return Task(request, cells=cells, stage=stage)
        return None

    def extend(self, task: Task, cells: Sequence[Cell]) -> None:
        """Adds points that a refinement asks for."""
        if task.request is self.points.request:
            self.points.extend(cells)

    def take(self, task: Task, table: list[list[float]], seconds: float) -> bool:
        """Keeps what was measured.

        Args:
            task: What ``next`` returned last; if its surface is not at hand any more, it is kept for later.
            table: The values of each cell, or of the checkpoint, in the order of ``names``; a sketch has its own.
            seconds: How long it took.

        Returns:
            Whether this completed a pass over the surface, or a sketch of one.
        """
        if task.sketch is not None:
            if self.points.request is task.request:
                self._sketching += seconds
            return task.sketch.take(seconds)
        if task.checkpoint is not None:
            assert self.overlay is not None
            self.overlay.take(task.checkpoint[0], table[0])
            return False
        if self.points.request is task.request:
            before, n_measured = self._pace[task.stage]
            self._pace[task.stage] = before + seconds, n_measured + len(task.cells)
        return self._stages[task.stage].take(task.request, list(task.cells), table)

    def again(self, task: Task) -> None:
        """Has the points of a task measured once more, before all others."""
        if task.request is self.points.request:
            self.points.again(task.cells)

    def counts(self) -> tuple[int, int]:
        """Returns how many points of the surface are known, and how many it has; in two stages, of both together."""
        return (
            sum(int(points.evaluated.sum()) for points in self._stages),
            sum(points.evaluated.size for points in self._stages),
        )

    def arrays(self) -> tuple[dict[str, Floats], NDArray[np.bool_]]:
        """Returns what is known of the surface, ``{name: array}`` and ``evaluated``; not copies."""
        values = {name: array for points in self._stages for name, array in points.values.items()}
        return values, self.points.evaluated

    def trajectory(self) -> TrajectoryLosses | None:
        """Returns what is known of the checkpoints; None without any, or on another plane than theirs."""
        if self.overlay is None or self.points.request.seed != self._projected:
            return None
        return self.overlay.known()

    def restore(self, values: Mapping[str, Floats], evaluated: NDArray[np.bool_], stage: int = 0) -> None:
        """Takes over points that were evaluated earlier, see ``Points.restore``."""
        request = self.points.request
        self._stages[stage].restore(values, evaluated)
        assert self.points.request is request

    def center(self) -> dict[str, float] | None:
        """Returns the quantities at (0, 0), or None while they are not known."""
        found: dict[str, float] = {}
        for points in self._stages:
            values = points.center()
            found |= {} if values is None else dict(zip(points.names, values, strict=True))
        return found or None
