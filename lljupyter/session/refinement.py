"""Spends points where a surface can't be predicted yet, and measures on points held back how far off it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lljupyter.session.request import Cell, Request
from lljupyter.session.surrogate import predict, relative_errors

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

# The share of predictions that may be off by more than the tolerance.
SHARE_BEYOND = 0.1
# Each round adds this share of the points that are known, and holds back one for so many of them.
ROUND_SHARE, HELD_BACK = 1 / 8, 4
# No error is believed that was measured on fewer points.
FEWEST_HELD_BACK = 24
# Points of one round keep about this distance, in steps of the grid.
SPREAD = 2.5
N_NEIGHBORS = 6


def check_tolerance(tolerance: float | None) -> None:
    """Checks the error that is allowed for points that are predicted.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not between 0 and 1.
    """
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float, np.floating, np.integer)):
        raise TypeError(f"expected tolerance as a number or None, got {tolerance!r}; try tolerance=0.01")
    if not 0 < tolerance < 1:
        raise ValueError(f"expected a tolerance between 0 and 1, got {tolerance}; 0.01 allows an error of one percent")


class Refinement:
    """Refines one surface, round after round.

    Args:
        tolerance: Nine of ten predictions are to be off by less than this, as a share of the value.

    Attributes:
        predicted: ``{quantity: array}``, each of shape (n_beta, n_alpha), measured values where there are some; empty
            before the first round, and all quantities are there only when it is done.
        told: Attributes for the Dataset.
        done: Whether the surface is predicted well enough.
    """

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._held: list[Cell] = []
        self._generator = np.random.default_rng(0)
        self.predicted: dict[str, Floats] = {}
        self.told: dict[str, Any] = {"tolerance": tolerance}
        self.done = False

    def next(self, request: Request, values: Mapping[str, Floats], evaluated: NDArray[np.bool_]) -> list[Cell]:
        """Predicts the surface from what is known, and returns the cells to measure next; none when it is done.

        Args:
            request: The surface.
            values: ``{quantity: array}``, each of shape (n_beta, n_alpha); the first one says where it is refined.
            evaluated: Shape (n_beta, n_alpha).
        """
        main = next(iter(values))
        axes = request.alpha, request.beta
        fitted = evaluated.copy()
        if self._held:
            fitted[tuple(np.transpose(self._held))] = False
        prediction = predict(values[main], fitted, *axes)
        errors = np.empty(0)
        if self._held:
            at = tuple(np.transpose(self._held))
            errors = relative_errors(prediction.values[at], values[main][at])
        good = len(errors) >= FEWEST_HELD_BACK and _quantile(errors, 1 - SHARE_BEYOND) <= self._tolerance
        self.done = bool(good) or bool(evaluated.all())
        if self.done:
            self.predicted = {name: predict(part, evaluated, *axes).values for name, part in values.items()}
        else:
            self.predicted = {main: np.where(evaluated, values[main], prediction.values)}
        if len(errors):
            self.told["predicted_error_median"] = _quantile(errors, 0.5)
            self.told["predicted_error_p95"] = _quantile(errors, 0.95)
        self.told |= {"n_evaluated": int(evaluated.sum()), "n_held_back": len(self._held)}
        if self.done:
            return []
        n = max(int(fitted.sum() * ROUND_SHARE), HELD_BACK)
        chosen = _chosen(_expected_errors(prediction.errors, fitted), ~evaluated, n)
        free = ~evaluated
        free[tuple(chosen.T)] = False
        left = np.argwhere(free)
        held = self._generator.permutation(len(left))[: max(len(chosen) // HELD_BACK, 1)]
        self._held += [(int(row), int(column)) for row, column in left[held]]
        return [(int(row), int(column)) for row, column in np.concatenate([chosen, left[held]])]


def _quantile(errors: Floats, share: float) -> float:
    """Returns a quantile of errors, inf where it lies between infinite ones, which have nothing between them."""
    with np.errstate(invalid="ignore"):
        found = float(np.quantile(errors, share))
    return np.inf if np.isnan(found) else found


def _expected_errors(errors: Floats, fitted: NDArray[np.bool_]) -> Floats:
    """Estimates how far off each prediction is: the errors of the nearest known points, times the squared distance."""
    index = np.argwhere(fitted & np.isfinite(errors))
    cells = np.argwhere(np.ones_like(fitted))
    known = errors[tuple(index.T)]
    expected = np.empty(len(cells))
    for start in range(0, len(cells), 512):
        distances = np.sqrt(((cells[start : start + 512, None] - index[None]) ** 2).sum(-1))
        near = np.argpartition(distances, min(N_NEIGHBORS, len(index)) - 1, axis=1)[:, :N_NEIGHBORS]
        reach = np.maximum(np.take_along_axis(distances, near, axis=1), 0.3)
        mean = (known[near] / reach**2).sum(1) / (1 / reach**2).sum(1)
        expected[start : start + 512] = mean * distances.min(1) ** 2
    return expected.reshape(errors.shape)


def _chosen(expected: Floats, free: NDArray[np.bool_], n: int) -> Cells:
    """Returns the cells where most is to be expected, keeping their distance from each other; shape (k, 2)."""
    scores = np.where(free, expected, -1.0)
    rows, columns = np.indices(expected.shape)
    chosen = []
    for _ in range(min(n, int(free.sum()))):
        row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
        chosen.append((row, column))
        squared = ((rows - row) ** 2 + (columns - column) ** 2) / SPREAD**2
        scores *= np.where(scores > 0, np.minimum(squared, 1.0), 1.0)
        scores[row, column] = -1.0
    return np.array(chosen, dtype=np.int64).reshape(-1, 2)
