"""The work of a session in small pieces: each task is a frozen record, and running one twice does no harm."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lljupyter.evaluate.failures import PointsFailed
from lljupyter.geometry.checkpoint import Checkpoint
from lljupyter.session.engine import Engine, Floats, Sums, Tick, Values
from lljupyter.session.request import Cell, Request
from lljupyter.session.sources.rounds import Round, next_round


class Interrupted(Exception):
    """The task that is running is not wanted any more."""


class Task(Protocol):
    """A piece of work.

    Attributes:
        request: The surface that it belongs to.
        urgent: Whether it interrupts other tasks, and also runs after a pause or a stop.
    """

    urgent: ClassVar[bool]

    @property
    def request(self) -> Request:
        """The surface that it belongs to."""

    def run(self, engine: Engine, tick: Tick) -> Any:
        """Do the work and return its result."""


class StrategyUsed(NamedTuple):
    """How points were evaluated.

    Attributes:
        label: The strategy.
        reduced: Whether it computes in less than the model's own precision.
        attributes: The strategy and the reasons for it, for the Dataset.
    """

    label: str
    reduced: bool
    attributes: Mapping[str, Any]


class PointValues(NamedTuple):
    """The values of points.

    Attributes:
        values: ``{name: array}``, each of shape (k,).
        seconds: How long they took, without pauses.
        strategy: How they were evaluated, None if there is only one way.
        reasons: ``{index of the point: the error}`` of those at which model or loss raised.
    """

    values: Values
    seconds: float
    strategy: StrategyUsed | None
    reasons: Mapping[int, str] = MappingProxyType({})


class CheckpointValues(NamedTuple):
    """The values of a checkpoint.

    Attributes:
        values: ``{name: array}``, each of shape (1,).
        reason: The error, if model or loss raised there.
    """

    values: Values
    reason: str = ""


class PreviewValues(NamedTuple):
    """The value of a point on some of the samples.

    Attributes:
        sums: Sums over all samples so far, by quantity.
        values: Their means and standard errors by name, each of shape (1,).
        n_added: How many samples were added.
        seconds: How long it took, without pauses.
    """

    sums: Mapping[str, Sums]
    values: Values
    n_added: int
    seconds: float


class Tuned(NamedTuple):
    """What became of an attempt to find a faster strategy.

    Attributes:
        settled: Whether no other strategy will be tried on this surface for now.
        strategy: The strategy in use from now on.
    """

    settled: bool
    strategy: StrategyUsed


@dataclass(frozen=True, eq=False)
class EvaluatePoints:
    """Evaluates some points of a surface, with the evaluator of a stage; NaN where model or loss raise."""

    urgent: ClassVar[bool] = False
    request: Request
    cells: Sequence[Cell]
    stage: int = 0

    def run(self, engine: Engine, tick: Tick) -> PointValues:
        """Return the values of the points."""
        if engine.preview is not None:
            engine.preview.forget()
        evaluator = engine.on_plane(engine.evaluators[self.stage], self.request.seed)
        began = _clock(tick)
        reasons: Mapping[int, str] = {}
        try:
            values = evaluator.evaluate(self.request.points(self.cells), tick)
        except PointsFailed as failed:
            values, reasons = failed.values, failed.reasons
        seconds = _clock(tick) - began
        tuned = self.stage == 0 and engine.autotuner is not None
        return PointValues(values, seconds, _strategy_in_use(engine) if tuned else None, reasons)


@dataclass(frozen=True, eq=False)
class EvaluateCheckpoint:
    """Evaluates a checkpoint of a training run at its own weights, off the plane; as ``EvaluatePoints``."""

    urgent: ClassVar[bool] = False
    request: Request
    index: int
    checkpoint: Checkpoint

    def run(self, engine: Engine, tick: Tick) -> CheckpointValues:
        """Return the values of the checkpoint."""
        evaluator = engine.evaluators[0]
        try:
            states = self.checkpoint.tensors(evaluator.states)
            return CheckpointValues(evaluator.evaluate_states(states, f"checkpoint {self.checkpoint.label}", tick))
        except PointsFailed as failed:
            return CheckpointValues(failed.values, failed.reasons[0])
        finally:
            self.checkpoint.close()


@dataclass(frozen=True, eq=False)
class EvaluatePreview:
    """Evaluates one point on the samples of the share ``high`` that are not in the share ``low``."""

    urgent: ClassVar[bool] = False
    request: Request
    cell: Cell
    low: float
    high: float
    before: Mapping[str, Sums]

    def run(self, engine: Engine, tick: Tick) -> PreviewValues | None:
        """Return the value of the point, or None if the model fails; evaluating the points will report the error."""
        assert engine.preview is not None
        engine.on_plane(engine.evaluators[0], self.request.seed)
        began = _clock(tick)
        try:
            point = self.request.points([self.cell])
            found = engine.preview.measure(point, self.low, self.high, self.before, tick)
        except Interrupted:
            raise
        except Exception:
            return None
        return PreviewValues(*found, seconds=_clock(tick) - began)


@dataclass(frozen=True, eq=False)
class Refine:
    """Predicts the surface from the points that are known, and chooses the points to evaluate next."""

    urgent: ClassVar[bool] = False
    request: Request
    tolerance: float
    values: Mapping[str, Floats]
    evaluated: NDArray[np.bool_]
    held: Sequence[Cell]
    generator: Mapping[str, Any]

    def run(self, engine: Engine, tick: Tick) -> Round:
        """Return the prediction and the cells of the next round."""
        return next_round(self.request, self.values, self.evaluated, self.tolerance, self.held, self.generator)


@dataclass(frozen=True, eq=False)
class TryStrategy:
    """Tries a strategy that may be faster, on points with known values."""

    urgent: ClassVar[bool] = False
    request: Request
    points: Floats
    values: Values
    remaining: float | None
    coarse: bool

    def run(self, engine: Engine, tick: Tick) -> Tuned:
        """Try one strategy if that pays now."""
        engine.on_plane(engine.evaluators[0], self.request.seed)
        autotuner = engine.autotuner
        assert autotuner is not None
        if ready := autotuner.is_ready(self.remaining, self.coarse):
            autotuner.tune(self.points, self.values, tick)
        settled = not ready and not autotuner.is_pending(self.remaining)
        return Tuned(settled, _strategy_in_use(engine))


@dataclass(frozen=True, eq=False)
class InspectPoint:
    """Looks closely at one point of the plane, on the grid or between."""

    urgent: ClassVar[bool] = True
    request: Request
    alpha: float
    beta: float

    def run(self, engine: Engine, tick: Tick) -> dict[str, Any]:
        """Return the coordinates, the quantities, gradient and Hessian there, or why something is missing."""
        return engine.inspect(self.request.seed, self.alpha, self.beta, tick)


def _strategy_in_use(engine: Engine) -> StrategyUsed:
    assert engine.autotuner is not None
    return StrategyUsed(engine.autotuner.label, engine.autotuner.reduced, engine.autotuner.report())


def _clock(tick: Tick) -> float:
    """Seconds of computing: the time that was spent waiting is left out."""
    return time.monotonic() - tick.waited
