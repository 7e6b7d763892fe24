"""The grid that is asked for: seed, resolution and ranges, checked and laid out."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from lljupyter.compute.options import Range
from lljupyter.geometry.grid import axis, fitted_range, resolution_pair
from lljupyter.geometry.trajectory import ProjectedPath
from lljupyter.session.request import Request


def fitted_ranges(
    path: ProjectedPath | None, marks: Sequence[Range], resolution: int | Sequence[int]
) -> tuple[Range, Range]:
    """Returns the ranges that hold a training run and the points that a plane names, with a margin."""
    n_alpha, n_beta = resolution_pair(resolution)
    x = [*(path.alpha if path else ()), *(a for a, _ in marks)]
    y = [*(path.beta if path else ()), *(b for _, b in marks)]
    return fitted_range(x, n_alpha), fitted_range(y, n_beta)


def make_request(seed: int | None, resolution: int | Sequence[int], alpha: Range, beta: Range) -> Request:
    """Checks resolution and ranges and lays out the grid; see ``axis`` for what is refused."""
    n_alpha, n_beta = resolution_pair(resolution)
    return Request(seed, axis(alpha, n_alpha, "alpha"), axis(beta, n_beta, "beta"))


def check_seed(seed: int) -> int:
    """Checks the seed of random directions.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is negative or above 2**53, the largest that a browser can hold exactly.
    """
    try:
        value = operator.index(seed)
    except TypeError:
        value = None
    if value is None or isinstance(seed, bool):
        raise TypeError(f"expected seed as a whole number, got {seed!r}; try seed=0")
    if not 0 <= value <= 2**53:
        raise ValueError(f"expected a seed from 0 to 2**53, got {value}; try seed=0")
    return value
