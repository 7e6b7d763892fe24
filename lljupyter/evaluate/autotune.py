"""The autotuner: finds the fastest strategy by timing the candidates between the first points of a surface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.evaluate.failures import PointsFailed
from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import Evaluation, Interruptible, Moving, Strategy, Tick, Values, evaluate_with
from lljupyter.problem.problem import Problem
from lljupyter.process.precision import Precision, has_bfloat16

# The other strategies keep up to seven copies of the parameters, the plain one four; larger models are evaluated
# plainly.
PARAMETER_BYTES = 256 << 20
# With less than this left to compute, in seconds, tuning would not pay.
PAYS_SECONDS = 2.0
# If a point takes longer than this, in seconds, several threads share its work well.
SMALL_SECONDS = 0.1
# A candidate is timed over as many rounds as take this long.
TIMED_SECONDS = 0.03
# The first rounds of a fast candidate, which set up what depends on the number of points, are not the last.
WARM_ROUNDS, WARM_SECONDS = 2, 0.3
# A reduced precision whose loss is further off than this share is not used.
LARGEST_ERROR = 0.01
# Where another strategy is compared while only the center is known, which does not show how it moves.
ELSEWHERE = (0.4, -0.3)
# If model or loss raise there, it is looked for so much nearer to the center.
ELSEWHERE_STEPS = (1.0, 0.3, 0.1, 0.03, 0.01)
# Exact strategies round in another order; more than this many times the precision of a number is no rounding.
ROUNDINGS = 1e3
# Another strategy has to be better by this factor, since a short time is not measured more exactly.
MARGIN = 1.05


class Candidate(NamedTuple):
    """A strategy that may be tried.

    Attributes:
        name: One of ``Evaluation``.
        build: Makes it; raises if it does not fit the problem.
        reduced: Whether it computes in a lower precision.
        small: Whether it pays at most where a point takes no longer than ``SMALL_SECONDS``.
    """

    name: str
    build: Callable[[], Strategy]
    reduced: bool = False
    small: bool = False


def candidates(problem: Problem, plain: Plain, precision: Precision) -> Iterator[Candidate]:
    """Yield the strategies that are worth a try with a model on its device, the exact ones first."""
    cores = torch.get_num_threads() if problem.device.type == "cpu" else 1
    yield Candidate("plain", lambda: plain)
    if sum(tensor.nbytes for tensor in problem.states.values()) > PARAMETER_BYTES:
        return
    if cores > 1 and threading.current_thread() is not threading.main_thread():
        yield Candidate("plain", partial(Plain, problem, 1), small=True)
    yield Candidate("stacked", partial(Stacked, problem))
    single = {tensor.dtype for tensor in problem.states.values()} == {torch.float32}
    reduced = [torch.bfloat16] if precision == "auto" and single and has_bfloat16(problem.device) else []
    for dtype in (None, *reduced):
        for n_workers, sideways in dict.fromkeys(((cores, False), (1, False), (cores, True))):
            build = partial(Folded, problem, dtype=dtype, n_workers=n_workers, sideways=sideways)
            yield Candidate("folded", build, dtype is not None)


class Autotuner:
    """Tries the candidates on points whose values are known, one at a time, and returns those worth using.

    It changes nothing but itself: the caller uses the strategies that ``step`` and ``new_plane`` return. Whatever was
    measured by another strategy before the tuning ends has to be measured again, so that a surface is of one piece.

    Args:
        problem: What is evaluated.
        plain: The plain strategy, which is in use.
        evaluation: "fastest", or the only strategy that is to be tried.
        precision: "auto" also tries strategies in a lower precision.
    """

    def __init__(
        self, problem: Problem, plain: Plain, evaluation: Evaluation = "fastest", precision: Precision = "float32"
    ) -> None:
        self._problem, self._forced = problem, evaluation != "fastest"
        self._left = list(candidates(problem, plain, precision))
        if self._forced:
            self._left = [candidate for candidate in self._left if candidate.name == evaluation]
        self._built: Strategy | None = None
        self._best_seconds = np.inf
        self._seconds: dict[str, float | str] = {}
        self._error = 0.0
        self._plain = plain
        self._exact: tuple[Strategy, float] = plain, np.inf

    def new_plane(self, strategy: Strategy) -> Strategy:
        """Return the strategy to start another plane with.

        On another plane the error of a reduced precision has to be measured again, on points from an exact strategy.

        Args:
            strategy: The one in use.
        """
        if not strategy.reduced:
            return strategy
        exact, self._best_seconds = self._exact
        self._left.insert(0, Candidate("folded", lambda: strategy, True))
        return exact

    def is_ready(self, remaining: float | None, coarse: bool) -> bool:
        """Return True if it is time to try the next candidate.

        Args:
            remaining: Seconds that the rest of the surface will take with the strategy in use.
            coarse: Whether the coarsest pass is complete: an error of precision is measured all over the plane.
        """
        pays = self._forced or (remaining is not None and remaining > PAYS_SECONDS)
        return bool(self._left) and pays and (coarse or not self._left[0].reduced)

    def is_pending(self, remaining: float | None) -> bool:
        """Return True if a candidate will be ready later on this surface, once its coarsest pass is complete."""
        return self.is_ready(remaining, True)

    def step(self, moving: Moving, points: NDArray[np.float64], values: Values, tick: Tick) -> Strategy | None:
        """Try the next candidate; return it if it is the fastest so far.

        Args:
            moving: What moves on the plane of the points.
            points: Shape (k, 2), some that are known.
            values: Their values, from an exact strategy.
            tick: See ``Strategy.evaluate``; what it raises leaves the candidate to be tried again.
        """
        candidate = self._left[0]
        if candidate.small and SMALL_SECONDS < self._best_seconds < np.inf:
            del self._left[0]
            return None
        interruptible = Interruptible(tick)
        try:
            if self._built is None:
                self._built = candidate.build()
                self._built.set_plane(moving)
            seconds = self._timed(self._built, points, values, interruptible)
        except Exception as error:
            if interruptible.interruption:
                raise
            label = candidate.name if self._built is None else self._built.label
            self._seconds[label] = f"{type(error).__name__}: {error}"[:200]
            seconds = np.inf
        strategy, self._built = self._built, None
        del self._left[0]
        if strategy is None or seconds * MARGIN >= self._best_seconds:
            return None
        self._best_seconds = seconds
        if not strategy.reduced:
            self._exact = strategy, seconds
        return strategy

    def report(self, strategy: Strategy) -> dict[str, Any]:
        """Return the strategy in use and the times of all that were tried, as attributes of a result."""
        dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in self._problem.states.values()})
        attributes: dict[str, Any] = {
            "evaluation": strategy.label,
            "precision": "bfloat16" if strategy.reduced else ", ".join(dtypes),
        }
        if self._seconds:
            attributes["evaluation_seconds"] = json.dumps(self._seconds)
        if strategy.reduced:
            attributes["precision_error"] = self._error
        return attributes

    def _timed(self, strategy: Strategy, points: NDArray[np.float64], values: Values, tick: Tick) -> float:
        """Return the seconds per point of a strategy, after checking its values."""
        if not strategy.reduced:
            # The first point is the center, where it does not show how directions are folded.
            points, values = points[1:2], {name: column[1:2] for name, column in values.items()}
            if not len(points):
                points, values = self._elsewhere(tick)
        many = np.resize(points, (max(strategy.group, 1), 2))
        # This also sets up what is set up lazily.
        measured, _ = evaluate_with(strategy, many if strategy.reduced else points, tick)
        if not strategy.reduced:
            # Of half precision, a thousand roundings are as much as the loss.
            limit = min(ROUNDINGS * torch.finfo(self._problem.dtype()).eps, LARGEST_ERROR)
            error = largest_difference(measured, values)
            if not error <= limit:
                raise ValueError(f"the loss differs by {error:.2g}")
        rounds: list[float] = []
        while not rounds or sum(rounds) < (TIMED_SECONDS if len(rounds) > WARM_ROUNDS else WARM_SECONDS):
            began = time.perf_counter()
            evaluate_with(strategy, many, tick)
            rounds.append(time.perf_counter() - began)
        seconds = min(rounds) / len(many)
        self._seconds[strategy.label] = float(f"{seconds:.3g}")
        if strategy.reduced and seconds * MARGIN < self._best_seconds:  # its error takes long to measure
            error = largest_difference(evaluate_with(strategy, points, tick)[0], values)
            if not error <= LARGEST_ERROR:
                raise ValueError(f"the loss is off by {error:.2%}")
            self._error = error
        return seconds

    def _elsewhere(self, tick: Tick) -> tuple[NDArray[np.float64], Values]:
        """Return a point away from the center at which neither model nor loss raise, shape (1, 2), and its values."""
        for step in ELSEWHERE_STEPS:
            points = step * np.array([ELSEWHERE])
            try:
                return points, evaluate_with(self._plain, points, tick)[0]
            except PointsFailed:
                continue
        raise ValueError("model or loss raise near the center")


def largest_difference(measured: Values, values: Values) -> float:
    """Return by how much the losses differ at most, as a share of ``values``; inf where only one is finite."""
    worst = 0.0
    for name in measured:
        if name.endswith("loss"):
            ours, theirs = measured[name], values[name]
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
            with np.errstate(invalid="ignore", divide="ignore"):
                off = np.where(same, 0.0, np.abs(ours - theirs) / np.abs(theirs))
            worst = max(worst, float(np.nan_to_num(off, nan=np.inf).max(initial=0.0)))
    return worst
