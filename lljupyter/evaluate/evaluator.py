"""What a session drives: a problem, the strategy in use, and the plane that points belong to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.autotune import Autotuner
from lljupyter.evaluate.failures import PointsFailed, replaced
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import (
    Evaluation,
    Interruptible,
    Moving,
    Strategy,
    Tick,
    Values,
    check_evaluation,
    evaluate_with,
    moving_on,
)
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane
from lljupyter.problem.problem import Problem
from lljupyter.process.precision import Precision, check_precision


class Evaluator:
    """Evaluates points of one plane after another with the fastest strategy known.

    Args:
        problem: What is evaluated.
        precision: "float32" computes in the model's own precision, "auto" in a lower one where it pays.
        evaluation: "fastest", or the strategy to use if it fits the problem.

    Attributes:
        problem: As given.
        plain: The plain strategy. It evaluates checkpoints and previews, and points if another strategy fails.
        strategy: The strategy in use; the plain one until ``tune`` finds a faster one.
        moving: What moves on the current plane.
        fallback: Which strategy failed and why, if one did; the plain one is in use since.
        n_halved: How often there was too little memory, so that half as much was computed at once from then on.

    Raises:
        ValueError: If an option is unknown.
    """

    def __init__(
        self, problem: Problem, *, precision: Precision = "float32", evaluation: Evaluation = "fastest"
    ) -> None:
        check_precision(precision)
        check_evaluation(evaluation)
        self.problem = problem
        self.plain = Plain(problem)
        self.strategy: Strategy = self.plain
        self.moving: Moving = {}
        self.fallback = ""
        self.n_halved = 0
        self._options = evaluation, precision
        self._autotuner: Autotuner | None = None

    @property
    def quantities(self) -> list[str]:
        """The names of what is measured."""
        return self.problem.quantities

    @property
    def names(self) -> list[str]:
        """The names of the values of a point: every quantity, followed by its standard error."""
        return self.problem.names

    @property
    def states(self) -> Mapping[str, Tensor]:
        """The parameters and floating-point buffers at the center."""
        return self.problem.states

    @property
    def group(self) -> int:
        """The number of points that the strategy in use takes at once."""
        return self.strategy.group

    @property
    def label(self) -> str:
        """The name of the strategy in use."""
        return self.strategy.label

    @property
    def reduced(self) -> bool:
        """Whether the strategy in use computes in less than the model's own precision."""
        return self.strategy.reduced

    def leave_plane(self) -> None:
        """Free the directions, so that those of the next plane find room."""
        self._set_moving({})

    def set_plane(self, plane: Plane) -> None:
        """Choose the plane that the next points belong to; its center is that of the problem."""
        if self.moving:
            self.leave_plane()
        if self._autotuner is not None:
            self.strategy = self._autotuner.new_plane(self.strategy)
        self._set_moving(moving_on(plane, self.problem))

    def evaluate(self, points: NDArray[np.float64], tick: Tick = lambda: None) -> Values:
        """Measure every quantity at some points of the plane.

        Args:
            points: Shape (k, 2), float64, columns alpha and beta.
            tick: Called before every batch; may wait, or raise to give the points up.

        Returns:
            ``{quantity: values}`` with values of shape (k,), float64; each quantity is followed by its standard
            error under ``<quantity>_stderr``. What is not finite is returned as such.

        Raises:
            PointsFailed: If the model or the loss raises at some points; has the values of the others.
            RuntimeError: If they raise at the center, or something else fails.

        Both name the point and have the error as their cause.
        """
        interruptible = Interruptible(tick)
        if isinstance(self.strategy, Plain):
            return self._evaluate(self.strategy, points, interruptible)
        try:
            return self._evaluate(self.strategy, points, interruptible)
        except Exception as error:
            if interruptible.interruption:
                raise
            fallback = f"{self.strategy.label}: {type(error).__name__}: {error}"[:300]
        # The plain strategy has the last word: it finds what is wrong with the model, and where.
        is_at_fault = True
        try:
            return self._evaluate(self.plain, points, interruptible)
        except PointsFailed as failed:
            is_at_fault = not self._leave_out(points, failed, interruptible)
            raise
        finally:
            if is_at_fault and not interruptible.interruption:
                self.fallback, self.strategy = fallback, self.plain

    def _leave_out(self, points: NDArray[np.float64], failed: PointsFailed, tick: Interruptible) -> bool:
        """Give ``failed`` the values of the strategy in use at the points that are good; return False if it fails."""
        if len(failed.reasons) == len(points):
            return True
        try:
            values = self._evaluate(self.strategy, replaced(points, list(failed.reasons)), tick)
        except Exception:
            if tick.interruption:
                raise
            return False
        good = [i for i in range(len(points)) if i not in failed.reasons]
        for name, column in failed.values.items():
            column[good] = values[name][good]
        return True

    def evaluate_states(self, states: Parameters, label: str = "a checkpoint", tick: Tick = lambda: None) -> Values:
        """Measure every quantity for given parameters (and buffers), see ``Plain.evaluate_states``."""
        return self.plain.evaluate_states(states, label, tick)

    def is_ready(self, remaining: float | None, coarse: bool) -> bool:
        """Return True if it is time to try another strategy, see ``Autotuner.is_ready``."""
        return self._tuner().is_ready(remaining, coarse)

    def is_pending(self, remaining: float | None) -> bool:
        """Return True if another strategy will be tried later on this surface, see ``Autotuner.is_pending``."""
        return self._tuner().is_pending(remaining)

    def tune(self, points: NDArray[np.float64], values: Values, tick: Tick) -> None:
        """Try another strategy, and use it from now on if it is the fastest so far, see ``Autotuner.step``.

        Args:
            points: Shape (k, 2), some that are known.
            values: Their values, from an exact strategy.
            tick: See ``evaluate``; what it raises leaves the strategy to be tried again.
        """
        strategy = self._tuner().step(self.moving, points, values, tick)
        if strategy is not None and strategy is not self.strategy:
            if self.strategy is not self.plain:
                self.strategy.set_plane({})  # free the directions
            self.strategy = strategy

    def report(self) -> dict[str, Any]:
        """Return how points are evaluated, and why, as attributes of a result."""
        attributes = self._tuner().report(self.strategy)
        if self.fallback:
            attributes["evaluation_fallback"] = self.fallback
        if self.n_halved:
            attributes["evaluation_halved"] = self.n_halved
        return attributes

    def _tuner(self) -> Autotuner:
        # Made in the thread that evaluates: which strategies are worth a try depends on its number of cores.
        if self._autotuner is None:
            self._autotuner = Autotuner(self.problem, self.plain, *self._options)
        return self._autotuner

    def _set_moving(self, moving: Moving) -> None:
        self.moving = moving
        self.plain.set_plane(moving)
        if self.strategy is not self.plain:
            self.strategy.set_plane(moving)

    def _evaluate(self, strategy: Strategy, points: NDArray[np.float64], tick: Tick) -> Values:
        values, n_halved = evaluate_with(strategy, points, tick)
        self.n_halved += n_halved
        return values
