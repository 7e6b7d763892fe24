"""What to do next: the order in which tasks are claimed, and what becomes of their results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.session.engine import Floats
from lljupyter.session.ledger import EarlierPoints, Ledger
from lljupyter.session.request import Request
from lljupyter.session.sources.checkpoint_losses import CheckpointLosses, TrajectoryLosses
from lljupyter.session.sources.preview import Preview, PreviewMeans, Samples
from lljupyter.session.sources.refinement import Refinement
from lljupyter.session.sources.rounds import Round
from lljupyter.session.sources.tuning import Tuning
from lljupyter.session.tasks import (
    CheckpointValues,
    EvaluateCheckpoint,
    EvaluatePoints,
    EvaluatePreview,
    PointValues,
    PreviewValues,
    Refine,
    Task,
    TryStrategy,
    Tuned,
)

# What a result adds to the picture: the end of a pass or a preview of one, something, or nothing.
News = Literal["pass", "some"] | None


class Claim(NamedTuple):
    """What to do with a claimed task: ``keep(task, result)`` or ``release(task)``."""

    keep: Callable[[Any, Any], News]
    release: Callable[[Any], None]


class Schedule:
    """The points of a surface coarse to fine, its checkpoints after the coarsest pass, and more. Not thread-safe.

    Any number of tasks may be claimed at a time. The priorities are: a faster strategy, after each chunk of points;
    checkpoints, after the coarsest pass; a preview, before that pass; the points; with a tolerance, more points where
    they are needed; and once all of that is complete, the further stages, point by point.

    Args:
        names: The values of a point or a checkpoint, in this order everywhere.
        quantities: Those of them that are predicted with a tolerance; the first one decides where to refine.
        request: The first surface.
        checkpoint_losses: The checkpoints, or None.
        further: The values of each of the stages after the first.
        tolerance: See ``Refinement``; None evaluates every point.
        tunes: Whether there are strategies to choose from.

    Attributes:
        points: The points of the first stage.
        refinement: Decides where the present surface needs more points, with a tolerance.
        preview_samples: What the coarsest pass is previewed from if it takes long; None leaves that out.
        attributes: The strategy in use and the reasons for it.
    """

    def __init__(
        self,
        names: Sequence[str],
        quantities: Sequence[str],
        request: Request,
        checkpoint_losses: CheckpointLosses | None = None,
        further: Sequence[Sequence[str]] = (),
        tolerance: float | None = None,
        tunes: bool = False,
    ) -> None:
        self.points = Ledger(names, request, coarse_only=tolerance is not None)
        self._stages = [self.points, *(Ledger(part, request, stage=k + 1) for k, part in enumerate(further))]
        self._quantities = list(quantities)
        self._checkpoint_losses, self._projected = checkpoint_losses, request.seed
        self._tolerance = tolerance
        self.refinement = None if tolerance is None else Refinement(tolerance)
        self._tuning = Tuning() if tunes else None
        self.preview_samples: Samples | None = None
        self._preview: Preview | None = None
        self._preview_seconds = 0.0
        self._paces = [(0.0, 0)] * len(self._stages)  # seconds, points
        self._usual_pace: float | None = None
        self.attributes: dict[str, Any] = {}
        self._is_hopeless = False  # whether it was reported that most points have no value
        self._claims: dict[Task, Claim] = {}

    def begin(self, request: Request, passes: list[NDArray[np.int64]]) -> None:
        """Turn to another surface, see ``Ledger.begin``."""
        self._usual_pace = self._pace(0) or self._usual_pace
        self._preview, self._preview_seconds, self._is_hopeless = None, 0.0, False
        for ledger in self._stages:
            ledger.begin(request, [cells.copy() for cells in passes])
        self._paces = [(0.0, 0)] * len(self._stages)
        self.refinement = None if self._tolerance is None else Refinement(self._tolerance)

    @property
    def is_idle(self) -> bool:
        """Whether no task is claimed."""
        return not self._claims

    def claim(self, chunk: Callable[[float | None], int]) -> Task | None:
        """Return what to do next, or None if nothing is left that is not claimed already.

        Args:
            chunk: Returns how many points to evaluate in one task, from the seconds per point.
        """
        for task, claim in self._tasks(chunk):
            if task is not None:
                self._claims[task] = claim
                return task
        return None

    def complete(self, task: Task, result: Any) -> News:
        """Keep the result of a claimed task; that of a claim that is over changes nothing.

        Raises:
            RuntimeError: If model or loss raise at more than half of the points of the coarsest pass; only once for a
                surface, so that it can be resumed.
        """
        claim = self._claims.pop(task, None)
        return None if claim is None else claim.keep(task, result)

    def release(self, task: Task) -> None:
        """Give a claim back, so that the task is claimed again; one that is over is left alone."""
        claim = self._claims.pop(task, None)
        if claim is not None:
            claim.release(task)

    def _tasks(self, chunk: Callable[[float | None], int]) -> Iterator[tuple[Task | None, Claim]]:
        points, request, coarse = self.points, self.points.request, self.points.coarse_is_done()
        if (tuning := self._tuning) is not None:
            yield tuning.claim(request, self._time_left(0), coarse), Claim(self._keep_tuned, tuning.release)
        if (losses := self._checkpoint_losses) is not None and coarse:
            yield losses.claim(request), Claim(self._keep_checkpoint, losses.release)
        if self.preview_samples is not None:
            preview = self._preview or Preview(self.preview_samples, points.coarse_left(), self._usual_pace)
            self._preview = preview
            yield preview.claim(request), Claim(partial(self._keep_preview, preview), preview.release)
        yield points.claim(chunk(self._pace(0))), Claim(self._keep_points, points.release)
        if not points.is_complete:
            return
        if (refinement := self.refinement) is not None and not refinement.done:
            values = {name: points.values[name] for name in self._quantities}
            task = refinement.claim(request, values, points.evaluated)
            yield task, Claim(partial(self._keep_round, refinement), refinement.release)
            return
        for ledger in self._stages[1:]:
            yield ledger.claim(1), Claim(self._keep_points, ledger.release)

    def _keep_points(self, task: EvaluatePoints, result: PointValues) -> News:
        if task.request is self.points.request:
            seconds, n_evaluated = self._paces[task.stage]
            self._paces[task.stage] = seconds + result.seconds, n_evaluated + len(task.cells)
            if self._tuning is not None and result.strategy is not None:
                self._tuning.record(task, result.values, result.strategy, result.reasons)
                self.attributes = dict(result.strategy.attributes)
        ledger = self._stages[task.stage]
        ends = ledger.complete(task, result.values, result.reasons)
        # Of a further stage, all holes are told at the end: what the first one found is not lost by them.
        if result.reasons and ledger is self.points and not self._is_hopeless:
            self._give_up_on(ledger)
        return "pass" if ends else "some"

    def _give_up_on(self, ledger: Ledger) -> None:
        n_failed, n = ledger.coarse_failed()
        if 2 * n_failed <= n:
            return
        self._is_hopeless = True
        request = ledger.request
        axes = {"alpha": request.alpha, "beta": request.beta}
        smaller = [f"{name}=({axis[0] / 2:g}, {axis[-1] / 2:g})" for name, axis in axes.items() if len(axis) > 1]
        raise RuntimeError(
            f"expected a model and a loss with a value at most points, got an error at {n_failed} of the {n} points of "
            f"the coarsest pass, at first {ledger.reason()}; try a smaller range"
            + (f", such as {', '.join(smaller)}" if smaller else "")
        )

    def _keep_checkpoint(self, task: EvaluateCheckpoint, result: CheckpointValues) -> News:
        assert self._checkpoint_losses is not None
        self._checkpoint_losses.complete(task, result)
        return "some"

    def _keep_preview(self, preview: Preview, task: EvaluatePreview, result: PreviewValues | None) -> News:
        if result is not None and task.request is self.points.request:
            self._preview_seconds += result.seconds
        return "pass" if preview.complete(task, result) else "some"

    def _keep_round(self, refinement: Refinement, task: Refine, result: Round) -> News:
        cells = refinement.complete(task, result)
        if task.request is self.points.request:
            self.points.extend(cells)
        return None

    def _keep_tuned(self, task: TryStrategy, result: Tuned) -> News:
        assert self._tuning is not None
        again = self._tuning.complete(task, result)
        self.attributes = dict(result.strategy.attributes)
        if task.request is self.points.request:
            self.points.requeue(again)
        return None

    # How far it is, and what is known.

    @property
    def seconds(self) -> float:
        """Seconds of computing spent on the present surface, its preview included."""
        return self._preview_seconds + sum(seconds for seconds, _ in self._paces)

    def remaining(self) -> float | None:
        """Return the seconds left of all stages, or None while that is not known."""
        left = [self._time_left(stage) for stage in range(len(self._stages))]
        known = [seconds for seconds in left if seconds is not None]
        return sum(known) if len(known) == len(left) else None

    def may_end_early(self) -> bool:
        """Return True if a tolerance may leave out points that are not evaluated yet."""
        return self.refinement is not None and not self.refinement.done

    def counts(self) -> tuple[int, int]:
        """Return how many points are known, and how many there are, of all stages together."""
        return (
            sum(int(ledger.evaluated.sum()) for ledger in self._stages),
            sum(ledger.evaluated.size for ledger in self._stages),
        )

    def values(self) -> dict[str, Floats]:
        """Return what is known of the surface, ``{name: array}``; not copies."""
        return {name: array for ledger in self._stages for name, array in ledger.values.items()}

    def center(self) -> dict[str, float] | None:
        """Return the values at (0, 0), or None while they are not known."""
        values: dict[str, float] = {}
        for ledger in self._stages:
            row = ledger.center()
            values |= {} if row is None else dict(zip(ledger.names, row, strict=True))
        return values or None

    def preview(self) -> PreviewMeans | None:
        """Return the preview of the present surface, or None."""
        return None if self._preview is None else self._preview.means()

    def trajectory(self) -> TrajectoryLosses | None:
        """Return what is known of the checkpoints; None if there are none or they belong to another plane."""
        if self._checkpoint_losses is None or self.points.request.seed != self._projected:
            return None
        return self._checkpoint_losses.known()

    def failures(self) -> tuple[NDArray[np.bool_], str]:
        """Return at which points of the surface model or loss raised, in any stage, and the first error."""
        failed: NDArray[np.bool_] = np.any([ledger.failed for ledger in self._stages], axis=0)
        return failed, next((reason for ledger in self._stages if (reason := ledger.reason())), "")

    def restore(self, stages: Sequence[EarlierPoints]) -> None:
        """Take over points that were evaluated earlier, those of each stage."""
        for ledger, points in zip(self._stages, stages, strict=True):
            ledger.restore(points)
            n_failed, n = ledger.coarse_failed()
            self._is_hopeless |= 2 * n_failed > n

    def _pace(self, stage: int) -> float | None:
        """Return the seconds per point, or None while they are not known."""
        seconds, n_evaluated = self._paces[stage]
        return seconds / n_evaluated if n_evaluated else None

    def _time_left(self, stage: int) -> float | None:
        """Return the seconds left of a stage; with a tolerance those of all points, until it is met."""
        if stage == 0 and self.refinement is not None and self.refinement.done:
            return 0.0
        evaluated, pace = self._stages[stage].evaluated, self._pace(stage)
        n_left = evaluated.size - int(evaluated.sum())
        if pace is None:
            return None if n_left or stage == 0 else 0.0
        return pace * n_left
