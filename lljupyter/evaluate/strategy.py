"""The protocol of all strategies: ways to evaluate points, with the same values up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.geometry.plane import Plane
from lljupyter.problem.batches import Batch
from lljupyter.problem.model import plain_evaluation
from lljupyter.problem.problem import Problem
from lljupyter.process.memory import out_of_memory
from lljupyter.process.precision import exact_products

Values = dict[str, NDArray[np.float64]]
BatchesByLoader = Mapping[str, Sequence[Batch]]  # by the prefix of the loader's quantities
# What moves on a plane: {name: (theta, delta, eta)}. What is missing stays where it is at the center.
Moving = Mapping[str, tuple[Tensor, Tensor, Tensor]]
Tick = Callable[[], None]
Evaluation = Literal["fastest", "plain", "folded", "stacked"]


class Strategy(Protocol):
    """A way to evaluate points of a plane.

    Attributes:
        label: What it is called in a result.
        reduced: Whether it computes in less than the model's own precision.
        group: The number of points that it takes at once; fewer leave it idle in part.
    """

    label: str
    reduced: bool
    group: int

    def set_plane(self, moving: Moving) -> None:
        """Choose the plane that the next points belong to; ``{}`` leaves the plane and frees its directions."""

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measure every quantity at some points of the plane.

        Args:
            points: Shape (k, 2), float64, columns alpha and beta.
            tick: Called before every batch; may wait, or raise to give the points up.

        Returns:
            ``{name: values}`` with values of shape (k,), float64, for all names of the problem.

        Raises:
            Exception: What ``tick``, the model or the loss raises; it need not name its point.
        """

    def halve_batches(self) -> bool:
        """Take half as much memory from now on; return False if that is not possible."""


class Interruptible:
    """A ``tick`` that remembers what it raised, to tell an interruption from a failure.

    Attributes:
        interruption: What ``tick`` raised, or None.
    """

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self.interruption: BaseException | None = None

    def __call__(self) -> None:
        """Call ``tick``."""
        try:
            self._tick()
        except BaseException as error:
            self.interruption = error
            raise


def moving_on(plane: Plane, problem: Problem) -> Moving:
    """Return what moves on a plane around the center of a problem."""
    moving = {}
    with plain_evaluation(problem.device):
        for name, delta in plane.delta.items():
            theta, eta = problem.states[name], plane.eta[name]
            if bool(delta.any()) or bool(eta.any()):
                moving[name] = theta, delta.to(theta), eta.to(theta)
    return moving


def evaluate_with(strategy: Strategy, points: NDArray[np.float64], tick: Tick) -> tuple[Values, int]:
    """Measure points with a strategy, with half as much at once whenever there is too little memory.

    Unless the strategy computes in reduced precision, products are exact (TF32 is off).

    Returns:
        The values, see ``Strategy.evaluate``, and how often the batches were halved.
    """
    n_halved = 0
    with nullcontext() if strategy.reduced else exact_products():
        while True:
            try:
                return strategy.evaluate(points, tick), n_halved
            except RuntimeError as error:
                if not out_of_memory(error) or not strategy.halve_batches():
                    raise
                n_halved += 1


def check_evaluation(evaluation: str) -> None:
    """Check the option ``evaluation``.

    Raises:
        ValueError: If it is none of the known values.
    """
    if evaluation == "graphs":
        raise ValueError(
            f"expected evaluation as one of {list(get_args(Evaluation))}, got 'graphs': points are no longer replayed "
            "as CUDA graphs; pass evaluation='folded' for the same arithmetic, or 'fastest'"
        )
    if evaluation not in get_args(Evaluation):
        raise ValueError(
            f"expected evaluation as one of {list(get_args(Evaluation))}, got {evaluation!r}; "
            "'fastest' chooses by timing"
        )
