"""Ways to evaluate points, all with the same values up to rounding; which one is fastest is found by timing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.problem.batches import Batch

Values = dict[str, NDArray[np.float64]]
Parts = Mapping[str, Sequence[Batch]]  # the batches of every loader, by the prefix of its quantities
# What moves on a plane: {name: (theta, delta, eta)}. What is missing stays where it is at the center.
Moving = Mapping[str, tuple[Tensor, Tensor, Tensor]]
Tick = Callable[[], None]
Evaluation = Literal["fastest", "plain", "folded", "stacked", "graphs"]


class Wanted:
    """A ``tick`` that remembers what it raised to give the points up, to tell that from a failure.

    Attributes:
        given_up: What it raised, or None.
    """

    def __init__(self, tick: Tick) -> None:
        self._tick = tick
        self.given_up: BaseException | None = None

    def __call__(self) -> None:
        """Calls it."""
        try:
            self._tick()
        except BaseException as error:
            self.given_up = error
            raise


class Path(Protocol):
    """One way to evaluate points of a plane.

    Attributes:
        label: What it is called in a result.
        reduced: Whether it computes in less than the model's own precision.
        group: How many points it takes at once; fewer leave it idle in part.
    """

    label: str
    reduced: bool
    group: int

    def set_plane(self, moving: Moving) -> None:
        """Chooses the plane that the next points belong to."""

    def evaluate(self, points: NDArray[np.float64], tick: Tick) -> Values:
        """Measures points, see ``Evaluator.evaluate``; an error need not name its point."""

    def halve(self) -> bool:
        """Takes half as much memory from now on; says whether that was possible."""
