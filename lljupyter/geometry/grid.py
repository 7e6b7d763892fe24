"""The grid of a plane: its axes, the order from coarse to fine, and interpolation between evaluated points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# More points take seconds to order, and no screen can show them.
MAX_POINTS = 1_000_000


def axis(limits: Sequence[float], n: int, label: str = "alpha") -> Floats:
    """Return the coordinates of one axis of the grid.

    Coordinates are exact fractions of the decimal numbers that were passed, rounded once: coinciding points of two
    ranges are equal floats, and zero is exactly zero.

    Args:
        limits: ``(low, high)``, ends included. ``(x, x)`` with ``n == 1`` is the single point ``x``.
        n: Number of points, at least 1. The single point of a wider range is its middle.
        label: Name of the axis in messages.

    Returns:
        Shape (n,), float64, ascending.

    Raises:
        TypeError: If ``limits`` is not a pair of numbers, or ``n`` is not a whole number.
        ValueError: If ``n`` is below 1, or the range is reversed, not finite, or a single value with ``n > 1``.
    """
    try:
        low, high = map(float, () if isinstance(limits, str) else limits)  # type: ignore[unreachable]
    except (TypeError, ValueError):
        raise TypeError(f"expected {label} as a pair (low, high) of numbers, got {limits!r}; try (-1, 1)") from None
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"expected a whole number of points along {label}, got {n!r}; try resolution=51")
    if n < 1:
        raise ValueError(f"expected a resolution of at least 1 along {label}, got {n}; try resolution=51")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"expected a finite {label} range, got ({low}, {high}); try (-1, 1)")
    if low > high:
        raise ValueError(f"expected {label} as (low, high), got the reversed range ({low}, {high}); swap the ends")
    if low == high and n > 1:
        raise ValueError(
            f"expected {label} as (low, high) with low < high for {n} points, got the single value {low}; "
            f"widen the range, or pass a resolution of 1 along {label} for that one point"
        )
    start, span = Fraction(repr(low)), Fraction(repr(high)) - Fraction(repr(low))
    steps = [Fraction(i, n - 1) for i in range(n)] if n > 1 else [Fraction(1, 2)]
    values = np.array([float(start + span * step) for step in steps])
    if len(np.unique(values)) < n:
        raise ValueError(
            f"expected {label} wide enough for {n} points, got ({low}, {high}), where some are the same number; "
            "widen the range or lower the resolution"
        )
    return values


def fitted_range(coordinates: Sequence[float], n: int) -> tuple[float, float]:
    """Return a range around zero and some coordinates, with a margin and with zero as a point of the grid.

    Args:
        coordinates: The coordinates to include; those that are not finite are ignored.
        n: Number of points of the axis.

    Returns:
        ``(low, high)``.
    """
    finite = [0.0, *(float(value) for value in coordinates if math.isfinite(value))]
    margin = 0.15 * (max(finite) - min(finite)) or 1.0
    low, high = min(finite) - margin, max(finite) + margin
    if n < 3:
        return low, high
    step = Fraction(f"{(high - low) / (n - 2):.2e}")  # a short decimal number, so that zero is met exactly
    below = math.ceil(-low / step)
    return float(-below * step), float((n - 1 - below) * step)


def resolution_pair(resolution: int | Sequence[int]) -> tuple[int, int]:
    """Return a resolution, one number or a pair, as ``(n_alpha, n_beta)``.

    Raises:
        TypeError: If it is neither. ``axis`` checks the counts.
        ValueError: If it asks for more than ``MAX_POINTS`` points.
    """
    if isinstance(resolution, (int, np.integer)) and not isinstance(resolution, bool):
        resolution = int(resolution), int(resolution)
    if isinstance(resolution, (tuple, list)) and len(resolution) == 2:
        n_alpha, n_beta = resolution
        whole = all(isinstance(n, (int, np.integer)) for n in (n_alpha, n_beta))
        if whole and n_alpha * n_beta > MAX_POINTS:
            raise ValueError(
                f"expected at most {MAX_POINTS:,} points, got {n_alpha:,} x {n_beta:,}; the default resolution is 51"
            )
        return n_alpha, n_beta
    raise TypeError(
        f"expected resolution as a whole number or a pair (n_alpha, n_beta), got {resolution!r}; try resolution=51"
    )


def lattices(values: Floats) -> list[Ints]:
    """Return the nested lattices of an axis: first its ends and its center, then finer ones by halving.

    Args:
        values: Shape (n,), the coordinates of the axis. The center is the coordinate nearest to zero if the
            range includes zero, else the middle one.

    Returns:
        Index arrays, each ascending and a subset of the next; the last is ``arange(n)``.
    """
    n = len(values)
    levels = [np.unique(np.array([0, _center(values), n - 1]))]
    while len(levels[-1]) < n:
        last = levels[-1]
        levels.append(np.unique(np.concatenate([last, (last[:-1] + last[1:]) // 2])))
    return levels


def _center(values: Floats) -> int:
    within = values[0] <= 0 <= values[-1]
    return int(np.argmin(np.abs(values))) if within else (len(values) - 1) // 2


def _paired(alpha: Floats, beta: Floats) -> list[tuple[Ints, Ints]]:
    """Return the lattices of both axes by level, ``(rows, columns)``; the shorter list repeats its last one."""
    columns, rows = lattices(alpha), lattices(beta)
    depth = max(len(columns), len(rows))
    return [(rows[min(k, len(rows) - 1)], columns[min(k, len(columns) - 1)]) for k in range(depth)]


def coarse_to_fine(alpha: Floats, beta: Floats) -> list[Ints]:
    """Order the points of a grid in passes; each pass completes a lattice twice as fine as the one before.

    Args:
        alpha: Shape (n_alpha,), coordinates of the columns.
        beta: Shape (n_beta,), coordinates of the rows.

    Returns:
        One int64 array per pass, shape (k, 2), of ``(row, column)``, ordered from the center outwards. Every point is
        in exactly one pass.
    """
    done = np.zeros((len(beta), len(alpha)), dtype=bool)
    center = [_center(beta), _center(alpha)]
    passes = []
    for rows, columns in _paired(alpha, beta):
        due = np.zeros_like(done)
        due[np.ix_(rows, columns)] = True
        points = np.argwhere(due & ~done)
        offsets = (points - center) / [len(beta), len(alpha)]
        passes.append(points[np.argsort((offsets**2).sum(1), kind="stable")])
        done |= due
    return passes


def fill(
    values: Floats, evaluated: NDArray[np.bool_], alpha: Floats, beta: Floats, predicted: Floats | None = None
) -> Floats:
    """Interpolate the points that are not evaluated yet bilinearly between those of the last complete lattice.

    For drawing only: a result never holds interpolated values. Points without evaluated, finite neighbors stay NaN.

    Args:
        values: Shape (n_beta, n_alpha); entries that are not evaluated are ignored. Not changed.
        evaluated: Shape (n_beta, n_alpha), bool.
        alpha: Shape (n_alpha,), coordinates of the columns.
        beta: Shape (n_beta,), coordinates of the rows.
        predicted: Shape (n_beta, n_alpha), a better prediction, used at the points at which it is finite, or None.

    Returns:
        Shape (n_beta, n_alpha), float64, a new array; evaluated entries are those of ``values``.
    """
    if evaluated.all():
        return np.array(values)
    if predicted is not None:
        return np.where(evaluated | ~np.isfinite(predicted), fill(values, evaluated, alpha, beta), predicted)
    filled: Floats | None = None
    known = np.where(evaluated, values, np.nan)
    rows0 = columns0 = np.empty(0, dtype=np.int64)
    for rows, columns in _paired(alpha, beta):
        lattice = np.ix_(rows, columns)
        level = known[lattice]
        if filled is not None:
            guess = _between(_between(filled, rows0, rows).T, columns0, columns).T
            level = np.where(evaluated[lattice], level, guess)
        filled, rows0, columns0 = level, rows, columns
    assert filled is not None
    return filled


def _between(values: Floats, old: Ints, new: Ints) -> Floats:
    """Interpolate along the first axis from the lattice ``old`` to the lattice ``new`` that contains it."""
    upper = np.searchsorted(old, new)
    lower = np.where(old[upper] == new, upper, upper - 1)
    weight = (new - old[lower]) / np.maximum(old[upper] - old[lower], 1)
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    with np.errstate(invalid="ignore"):
        blended = values[lower] * (1 - weight) + values[upper] * weight
    exact: Floats = np.where((lower == upper).reshape(weight.shape), values[lower], blended)
    return exact
