"""Run tasks: hold the evaluators and set the plane that a task asks for. Lives with the model and the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane

Floats = NDArray[np.float64]
Values = dict[str, Floats]
# The summed values and weights of one quantity at one point, a pair per batch, see ``problem.averages``.
Sums = list[tuple[Tensor, Tensor]]


class Tick(Protocol):
    """Called before every batch: waits while the session is paused, raises ``Interrupted`` to abandon the task."""

    @property
    def waited(self) -> float:
        """Seconds spent waiting so far."""

    def __call__(self) -> None:
        """Wait or raise."""


class OnPlane(Protocol):
    """An evaluator that is set to one plane at a time."""

    def leave_plane(self) -> None:
        """Free the directions."""

    def set_plane(self, plane: Plane) -> None:
        """Choose the plane that the next points belong to."""


class PointEvaluator(OnPlane, Protocol):
    """Evaluates points of a plane, and checkpoints."""

    @property
    def quantities(self) -> Sequence[str]:
        """The names of what is evaluated, without standard errors."""

    @property
    def names(self) -> Sequence[str]:
        """The values of a point, in the order of the Dataset."""

    @property
    def states(self) -> Parameters:
        """The parameters and floating-point buffers of the center."""

    @property
    def group(self) -> int:
        """How many points it evaluates at once."""

    def evaluate(self, points: Floats, tick: Callable[[], None]) -> Values:
        """Return ``{name: values}`` of points, shape (k, 2), each of shape (k,)."""

    def evaluate_states(self, states: Parameters, label: str, tick: Callable[[], None]) -> Values:
        """Return ``{name: values}`` of a checkpoint, each of shape (1,)."""


class Autotuner(Protocol):
    """Finds the fastest strategy on the current plane, one candidate at a time."""

    @property
    def label(self) -> str:
        """The strategy in use."""

    @property
    def reduced(self) -> bool:
        """Whether that strategy computes in less than the model's own precision."""

    def is_ready(self, remaining: float | None, coarse: bool) -> bool:
        """Return True if a candidate should be tried now.

        Args:
            remaining: Seconds left of the surface with the strategy in use.
            coarse: Whether the coarsest pass is complete.
        """

    def is_pending(self, remaining: float | None) -> bool:
        """Return True if a candidate will be tried once the coarsest pass is complete."""

    def tune(self, points: Floats, values: Values, tick: Callable[[], None]) -> None:
        """Try the next candidate on points with known values, and use it from now on if it is faster."""

    def report(self) -> dict[str, Any]:
        """Return the strategy in use and the reasons for it, as attributes of a result."""


class PreviewSource(Protocol):
    """Evaluates points on some of the samples.

    Attributes:
        n_samples: How many samples there are.
        smallest: The smallest share of them that is useful.
    """

    n_samples: int
    smallest: float

    @property
    def useful(self) -> bool:
        """Whether a preview can be faster than the points themselves."""

    def measure(
        self, point: Floats, low: float, high: float, before: Mapping[str, Sums], tick: Callable[[], None]
    ) -> tuple[dict[str, Sums], Values, int]:
        """Evaluate one point, shape (1, 2), on the samples of the share ``high`` that are not in the share ``low``.

        Args:
            point: Alpha and beta.
            low: The share of the samples that ``before`` belongs to.
            high: The share of the samples that the result belongs to.
            before: The sums over the samples of the share ``low``; not changed.
            tick: Called before every batch.

        Returns:
            The sums over all samples of the share ``high``, their means with standard errors, each of shape (1,), and
            how many samples were added.
        """

    def forget(self) -> None:
        """Free the samples that were used last."""


# Looks closely at one point of a plane: (function that puts an evaluator on the plane, alpha, beta, tick) -> answer.
Inspect = Callable[[Callable[[OnPlane], None], float, float, Callable[[], None]], dict[str, Any]]
E = TypeVar("E", bound=OnPlane)


class Engine:
    """Evaluators, and the planes they are on. Used by one thread.

    Args:
        evaluators: The evaluator of each stage.
        plane_for: Returns the plane of a seed.
        autotuner: Chooses the strategy of the first evaluator, or None.
        preview: Evaluates points of the first stage on some of the samples, or None.
        inspect: Looks closely at a point, or None.
    """

    def __init__(
        self,
        evaluators: Sequence[PointEvaluator],
        plane_for: Callable[[int | None], Plane],
        autotuner: Autotuner | None = None,
        preview: PreviewSource | None = None,
        inspect: Inspect | None = None,
    ) -> None:
        self.evaluators = tuple(evaluators)
        self.autotuner = autotuner
        self.preview = preview
        self._plane_for, self._inspect = plane_for, inspect
        self._seeds: dict[OnPlane, int | None] = {}

    def on_plane(self, evaluator: E, seed: int | None) -> E:
        """Return an evaluator after it was set to the plane of a seed; the plane it is on already is kept."""
        if evaluator not in self._seeds or self._seeds[evaluator] != seed:
            self._seeds.pop(evaluator, None)  # an error below leaves the evaluator without a plane
            evaluator.leave_plane()
            evaluator.set_plane(self._plane_for(seed))
            self._seeds[evaluator] = seed
        return evaluator

    def inspect(self, seed: int | None, alpha: float, beta: float, tick: Callable[[], None]) -> dict[str, Any]:
        """Look closely at one point of the plane of a seed."""
        if self._inspect is None:
            raise RuntimeError("expected a session that can inspect points, got one without; pass inspect=...")
        return self._inspect(partial(self.on_plane, seed=seed), alpha, beta, tick)
