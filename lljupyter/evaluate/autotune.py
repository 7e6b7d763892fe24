"""Chooses how points are evaluated, by timing the ways there are between the first points of a surface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from lljupyter.evaluate.fast.cuda_graph import Graphs
from lljupyter.evaluate.fast.folded import Folded
from lljupyter.evaluate.fast.stacked import Stacked
from lljupyter.evaluate.plain import Plain
from lljupyter.evaluate.strategy import Evaluation, Path, Tick, Values, Wanted
from lljupyter.process.precision import has_bfloat16

if TYPE_CHECKING:
    from lljupyter.evaluate.evaluator import Evaluator

# The other ways keep up to seven copies of the parameters, the plain one four; larger models are evaluated plainly.
PARAMETER_BYTES = 256 << 20
# With less than this left to compute, in seconds, choosing would not pay.
PAYS_SECONDS = 2.0
# Where a point takes longer than this, in seconds, several threads share its work well.
SMALL_SECONDS = 0.1
# A candidate is timed over as many rounds as take this long.
TIMED_SECONDS = 0.03
# The first rounds of a fast candidate, which set up what depends on how many points there are, are not the last.
WARM_ROUNDS, WARM_SECONDS = 2, 0.3
# A reduced precision whose loss is further off than this share is not used.
LARGEST_ERROR = 0.01
# Exact paths round in another order; more than this many times the precision of a number is no rounding.
ROUNDINGS = 1e3
# Another path has to be better by this factor, since a short time is not measured more exactly.
MARGIN = 1.05


class Candidate(NamedTuple):
    """A way to evaluate points that may be tried.

    Attributes:
        name: One of ``Evaluation``.
        build: Makes it; raises where it does not fit the model.
        reduced: Whether it computes in a lower precision.
        small: Whether it pays at most where a point takes no longer than ``SMALL_SECONDS``.
    """

    name: str
    build: Callable[[], Path]
    reduced: bool = False
    small: bool = False


def check_evaluation(evaluation: str) -> None:
    """Checks the option that says how points are evaluated.

    Raises:
        ValueError: If it is none of the known values.
    """
    if evaluation not in get_args(Evaluation):
        raise ValueError(
            f"expected evaluation as one of {list(get_args(Evaluation))}, got {evaluation!r}; "
            "'fastest' chooses by timing"
        )


def candidates(evaluator: Evaluator) -> Iterator[Candidate]:
    """Yields the ways that are worth a try with a model on its device, the exact ones first."""
    cores = torch.get_num_threads() if evaluator.device.type == "cpu" else 1
    kinds = [torch.bfloat16] if evaluator.precision == "auto" and _reducible(evaluator) else []
    yield Candidate("plain", partial(Plain, evaluator))
    if cores > 1 and threading.current_thread() is not threading.main_thread():
        yield Candidate("plain", partial(Plain, evaluator, 1), small=True)
    if sum(tensor.nbytes for tensor in evaluator.states.values()) > PARAMETER_BYTES:
        return
    for grouped in (False, True):
        yield Candidate("stacked", partial(Stacked, evaluator, grouped=grouped))
    for dtype in (None, *kinds):
        for n_workers, sideways in dict.fromkeys(((cores, False), (1, False), (cores, True))):
            build = partial(Folded, evaluator, dtype=dtype, n_workers=n_workers, sideways=sideways)
            yield Candidate("folded", build, dtype is not None)
        if evaluator.device.type == "cuda":
            yield Candidate("graphs", partial(Graphs, evaluator, dtype=dtype), dtype is not None)


def _reducible(evaluator: Evaluator) -> bool:
    if {tensor.dtype for tensor in evaluator.states.values()} != {torch.float32}:
        return False
    return has_bfloat16(evaluator.device)


class Choice:
    """Tries the candidates on points whose values are known, one at a time, and keeps the fastest that agrees.

    Whatever was measured by another path before the choice is made has to be measured again, so that a surface is
    of one piece.

    Args:
        evaluator: What is evaluated; uses the best path so far.

    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._left = list(candidates(evaluator))
        if evaluator.evaluation != "fastest":
            self._left = [candidate for candidate in self._left if candidate.name == evaluator.evaluation]
        self._built: Path | None = None
        self._best = np.inf
        self._seconds: dict[str, float | str] = {}
        self._error = 0.0
        self._exact: tuple[Path, float] = evaluator.path, np.inf

    def turn(self) -> None:
        """Prepares for another plane, on which the error of a reduced precision has to be measured again."""
        path = self._evaluator.path
        if path.reduced:
            self._evaluator.path, self._best = self._exact
            self._evaluator.path.set_plane(self._evaluator.moving)
            self._left.insert(0, Candidate("folded", lambda: path, True))

    def due(self, remaining: float | None, coarse: bool) -> bool:
        """Says whether it is time to try the next candidate.

        Args:
            remaining: Seconds that the rest of the surface will take as it is evaluated now.
            coarse: Whether the coarsest pass is complete: an error of precision is measured all over the plane.
        """
        forced = self._evaluator.evaluation != "fastest"
        pays = forced or (remaining is not None and remaining > PAYS_SECONDS)
        return bool(self._left) and pays and (coarse or not self._left[0].reduced)

    def waits(self, remaining: float | None) -> bool:
        """Says whether a candidate will be due later on this surface, once its coarsest pass is complete."""
        return self.due(remaining, True)

    def step(self, points: NDArray[np.float64], values: Values, tick: Tick) -> None:
        """Tries the next candidate, and uses it from now on if it is the fastest so far.

        Args:
            points: Shape (k, 2), some that are known.
            values: Their values, from an exact path.
            tick: See ``Evaluator.evaluate``; what it raises leaves the candidate to be tried again.
        """
        candidate = self._left[0]
        if candidate.small and SMALL_SECONDS < self._best < np.inf:
            del self._left[0]
            return
        wanted = Wanted(tick)
        try:
            seconds = self._timed(candidate, points, values, wanted)
        except Exception as error:
            if wanted.given_up:
                raise
            label = candidate.name if self._built is None else self._built.label
            self._seconds[label] = f"{type(error).__name__}: {error}"[:200]
            seconds = np.inf
        path, self._built = self._built, None
        del self._left[0]
        if path is None or seconds * MARGIN >= self._best:
            return
        self._best = seconds
        self._evaluator.path = path
        if not path.reduced:
            self._exact = path, seconds

    def told(self) -> dict[str, Any]:
        """Returns what was chosen, and why, as attributes of a result."""
        path = self._evaluator.path
        kinds = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in self._evaluator.states.values()})
        told: dict[str, Any] = {
            "evaluation": path.label,
            "precision": "bfloat16" if path.reduced else ", ".join(kinds),
        }
        if self._seconds:
            told["evaluation_seconds"] = json.dumps(self._seconds)
        if path.reduced:
            told["precision_error"] = self._error
        if self._evaluator.fallback:
            told["evaluation_fallback"] = self._evaluator.fallback
        if self._evaluator.n_halved:
            told["evaluation_halved"] = self._evaluator.n_halved
        return told

    def _timed(self, candidate: Candidate, points: NDArray[np.float64], values: Values, tick: Tick) -> float:
        if self._built is None:
            self._built = candidate.build()
            self._built.set_plane(self._evaluator.moving)
        path = self._built
        if not candidate.reduced:
            # The first point is the center, where it does not show how directions are folded.
            first = slice(min(1, len(points) - 1), 2)
            points, values = points[first], {name: column[first] for name, column in values.items()}
        many = np.resize(points, (max(path.group, 1), 2))
        measured = path.evaluate(many if candidate.reduced else points, tick)  # this sets up what is set up lazily
        if not candidate.reduced:
            self._check(candidate, measured, values)
        rounds: list[float] = []
        while not rounds or sum(rounds) < (TIMED_SECONDS if len(rounds) > WARM_ROUNDS else WARM_SECONDS):
            began = time.perf_counter()
            path.evaluate(many, tick)
            rounds.append(time.perf_counter() - began)
        seconds = min(rounds) / len(many)
        self._seconds[path.label] = float(f"{seconds:.3g}")
        if candidate.reduced and seconds * MARGIN < self._best:  # its error takes long to measure
            self._error = self._check(candidate, path.evaluate(points, tick), values)
        return seconds

    def _check(self, candidate: Candidate, measured: Values, values: Values) -> float:
        """Returns by how much the losses differ, if that is little enough; raises if not."""
        error = _difference(measured, values)
        # Of half precision, a thousand roundings are as much as the loss.
        largest = min(ROUNDINGS * torch.finfo(self._evaluator.dtype()).eps, LARGEST_ERROR)
        if candidate.reduced and not error <= LARGEST_ERROR:
            raise ValueError(f"the loss is off by {error:.2%}")
        if not candidate.reduced and not error <= largest:
            raise ValueError(f"the loss differs by {error:.2g}")
        return error


def _difference(measured: Values, values: Values) -> float:
    """Returns by how much the losses differ at most, relatively; inf where only one is finite."""
    worst = 0.0
    for name in measured:
        if name.endswith("loss"):
            ours, theirs = measured[name], values[name]
            same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
            with np.errstate(invalid="ignore", divide="ignore"):
                off = np.where(same, 0.0, np.abs(ours - theirs) / np.abs(theirs))
            worst = max(worst, float(np.nan_to_num(off, nan=np.inf).max(initial=0.0)))
    return worst
