"""Choose points where a surface cannot be predicted yet, and measure the error on held-out points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.session.request import Cell, Request
from lljupyter.session.sources.surrogate import predict, relative_errors

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]

# The share of predictions that may be off by more than the tolerance.
SHARE_BEYOND = 0.1
# Each round adds this share of the known points, and holds back one for so many of them.
ROUND_SHARE, HELD_BACK = 1 / 8, 4
# An error measured on fewer points is not trusted.
FEWEST_HELD_BACK = 24
# Points of one round keep about this distance, in steps of the grid.
SPREAD = 2.5
N_NEIGHBORS = 6


class Round(NamedTuple):
    """One round of a refinement.

    Attributes:
        done: Whether the surface is predicted well enough.
        predicted: ``{quantity: array}``, each of shape (n_beta, n_alpha), evaluated values where there are some; only
            the first quantity unless it is done.
        attributes: The errors measured, for the Dataset.
        cells: The cells to evaluate next, none if it is done.
        held: The cells that are held back from the fit, those of earlier rounds included.
        generator: The state of the random generator after this round.
    """

    done: bool
    predicted: dict[str, Floats]
    attributes: dict[str, Any]
    cells: list[Cell]
    held: list[Cell]
    generator: Mapping[str, Any]


def first_generator() -> Mapping[str, Any]:
    """Return the state of the random generator before the first round: the same for every surface."""
    return np.random.default_rng(0).bit_generator.state


def next_round(
    request: Request,
    values: Mapping[str, Floats],
    evaluated: NDArray[np.bool_],
    tolerance: float,
    held: Sequence[Cell],
    generator: Mapping[str, Any],
) -> Round:
    """Predict the surface from what is known, and choose the cells to evaluate next.

    Args:
        request: The surface.
        values: ``{quantity: array}``, each of shape (n_beta, n_alpha); the first one decides where to refine.
        evaluated: Shape (n_beta, n_alpha).
        tolerance: 90 % of the predictions should be off by less than this, relative to the value.
        held: The cells that are held back from the fit.
        generator: The state of the random generator, as the round before left it.
    """
    main = next(iter(values))
    axes = request.alpha, request.beta
    fitted = evaluated.copy()
    errors = np.empty(0)
    at = tuple(np.transpose(held)) if held else ()
    if held:
        fitted[at] = False
    prediction = predict(values[main], fitted, *axes)
    if held:
        errors = relative_errors(prediction.values[at], values[main][at])
    good = len(errors) >= FEWEST_HELD_BACK and _quantile(errors, 1 - SHARE_BEYOND) <= tolerance
    attributes: dict[str, Any] = {}
    if len(errors):
        attributes["predicted_error_median"] = _quantile(errors, 0.5)
        attributes["predicted_error_p95"] = _quantile(errors, 0.95)
    attributes |= {"n_evaluated": int(evaluated.sum()), "n_held_back": len(held)}
    if good or evaluated.all():
        predicted = {name: predict(part, evaluated, *axes).values for name, part in values.items()}
        return Round(True, predicted, attributes, [], list(held), generator)
    predicted = {main: np.where(evaluated, values[main], prediction.values)}
    n = max(int(fitted.sum() * ROUND_SHARE), HELD_BACK)
    chosen = _chosen(_expected_errors(prediction.errors, fitted), ~evaluated, n)
    free = ~evaluated
    free[tuple(chosen.T)] = False
    left = np.argwhere(free)
    random = np.random.default_rng()
    random.bit_generator.state = generator
    some = random.permutation(len(left))[: max(len(chosen) // HELD_BACK, 1)]
    cells = _as_cells(np.concatenate([chosen, left[some]]))
    return Round(False, predicted, attributes, cells, [*held, *_as_cells(left[some])], random.bit_generator.state)


def _as_cells(rows: Cells) -> list[Cell]:
    return [(int(row), int(column)) for row, column in rows]


def _quantile(errors: Floats, share: float) -> float:
    """Return a quantile of errors, inf if it lies between infinite ones."""
    with np.errstate(invalid="ignore"):
        quantile = float(np.quantile(errors, share))
    return np.inf if np.isnan(quantile) else quantile


def _expected_errors(errors: Floats, fitted: NDArray[np.bool_]) -> Floats:
    """Estimate the error of each prediction: that of the nearest known points, times the squared distance."""
    index = np.argwhere(fitted & np.isfinite(errors))
    cells = np.argwhere(np.ones_like(fitted))
    known = errors[tuple(index.T)]
    if not len(index):  # as where hardly any value is finite: what is farthest from the known points comes first
        index, known = np.argwhere(fitted), np.ones(int(fitted.sum()))
    expected = np.empty(len(cells))
    for start in range(0, len(cells), 512):
        distances = np.sqrt(((cells[start : start + 512, None] - index[None]) ** 2).sum(-1))
        near = np.argpartition(distances, min(N_NEIGHBORS, len(index)) - 1, axis=1)[:, :N_NEIGHBORS]
        reach = np.maximum(np.take_along_axis(distances, near, axis=1), 0.3)
        mean = (known[near] / reach**2).sum(1) / (1 / reach**2).sum(1)
        expected[start : start + 512] = mean * distances.min(1) ** 2
    return expected.reshape(errors.shape)


def _chosen(expected: Floats, free: NDArray[np.bool_], n: int) -> Cells:
    """Return the cells with the largest expected errors, keeping a distance from each other; shape (k, 2)."""
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
