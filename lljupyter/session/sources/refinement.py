"""Evaluates only as many points as a surface needs to be predicted within a tolerance, round after round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.session.engine import Floats
from lljupyter.session.request import Cell, Request
from lljupyter.session.sources.rounds import Round, first_generator
from lljupyter.session.tasks import Refine


def check_tolerance(tolerance: float | None) -> None:
    """Check the error that is allowed for predicted points.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is not between 0 and 1.
    """
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, np.floating, np.integer)):
        raise TypeError(f"expected tolerance as a number or None, got {tolerance!r}; try tolerance=0.01")
    if not 0 < tolerance < 1:
        raise ValueError(f"expected a tolerance between 0 and 1, got {tolerance}; 0.01 allows an error of one percent")


class Refinement:
    """The rounds of one surface. Not thread-safe.

    Args:
        tolerance: 90 % of the predictions should be off by less than this, relative to the value.

    Attributes:
        predicted: ``{quantity: array}`` of the last round, empty before the first one.
        attributes: Facts for the Dataset.
        done: Whether the surface is predicted well enough.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._held: list[Cell] = []
        self._generator = first_generator()
        self._claimed: Refine | None = None
        self.predicted: dict[str, Floats] = {}
        self.attributes: dict[str, Any] = {"tolerance": tolerance}
        self.done = False

    def claim(self, request: Request, values: Mapping[str, Floats], evaluated: NDArray[np.bool_]) -> Refine | None:
        """Return the next round, or None if it is claimed already or nothing is left to do.

        Args:
            request: The surface.
            values: ``{quantity: array}``, each of shape (n_beta, n_alpha); copied.
            evaluated: Shape (n_beta, n_alpha); copied.
        """
        if self.done or self._claimed is not None:
            return None
        copies = {name: array.copy() for name, array in values.items()}
        self._claimed = Refine(request, self._tolerance, copies, evaluated.copy(), tuple(self._held), self._generator)
        return self._claimed

    def complete(self, task: Refine, result: Round) -> list[Cell]:
        """Keep a round, and return the cells to evaluate next, none if the claim is over."""
        if task is not self._claimed:
            return []
        self._claimed = None
        self.done, self._held, self._generator = result.done, result.held, result.generator
        self.predicted = result.predicted
        self.attributes |= result.attributes
        return result.cells

    def release(self, task: Refine) -> None:
        """Give a claim back."""
        if task is self._claimed:
            self._claimed = None
