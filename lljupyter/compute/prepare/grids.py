"""The grid: seed, resolution and ranges, checked and laid out."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import axis, fitted_range, resolution_pair
from lljupyter.geometry.projection import ProjectedTrajectory
from lljupyter.session.request import Request

if TYPE_CHECKING:
    import xarray

    from lljupyter.compute.options import Range, SurfaceOptions

# The range along an axis that is neither asked for nor fitted.
USUAL = (-1.0, 1.0)


def lay_out(
    chosen: SurfaceOptions,
    seed: int | None,
    path: ProjectedTrajectory | None,
    marks: Sequence[Range],
    earlier: xarray.Dataset | None,
) -> tuple[Request, dict[str, Range]]:
    """Lay out the grid of a surface.

    Args:
        chosen: All options.
        seed: Seed of random directions, or None.
        path: The checkpoints on the plane, or None.
        marks: The points that the plane names.
        earlier: The surface to resume, whose grid is used, or None.

    Returns:
        The request, and the ranges that were not asked for, by the name of their axis: those of the surface to resume,
        and those that are fitted to ``path`` and ``marks``.
    """
    if earlier is not None:
        request = Request(seed, earlier["alpha"].values.copy(), earlier["beta"].values.copy())
        return request, {"alpha": _ends(request.alpha), "beta": _ends(request.beta)}
    alpha, beta, resolution = chosen["alpha"], chosen["beta"], chosen["resolution"]
    if path is None and not marks:
        return make_request(seed, resolution, USUAL if alpha is None else alpha, USUAL if beta is None else beta), {}
    fitted_alpha, fitted_beta = _fitted_ranges(path, marks, resolution)
    request = make_request(
        seed, resolution, fitted_alpha if alpha is None else alpha, fitted_beta if beta is None else beta
    )
    fitted = [name for name, asked in (("alpha", alpha), ("beta", beta)) if asked is None]
    return request, {name: _ends(getattr(request, name)) for name in fitted}


def check_grid(chosen: SurfaceOptions) -> None:
    """Check resolution and ranges before anything is read or computed; raises what ``make_request`` raises."""
    alpha, beta = chosen["alpha"], chosen["beta"]
    make_request(None, chosen["resolution"], USUAL if alpha is None else alpha, USUAL if beta is None else beta)


def make_request(seed: int | None, resolution: int | Sequence[int], alpha: Range, beta: Range) -> Request:
    """Check resolution and ranges and lay out the grid; ``axis`` lists what is refused."""
    n_alpha, n_beta = resolution_pair(resolution)
    return Request(seed, axis(alpha, n_alpha, "alpha"), axis(beta, n_beta, "beta"))


def check_seed(seed: int) -> int:
    """Check the seed of random directions.

    Raises:
        TypeError: If it is not a whole number.
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


def _fitted_ranges(
    path: ProjectedTrajectory | None, marks: Sequence[Range], resolution: int | Sequence[int]
) -> tuple[Range, Range]:
    """Return the ranges that hold a training run and the points that a plane names, with a margin."""
    n_alpha, n_beta = resolution_pair(resolution)
    x = [*(path.alpha if path else ()), *(a for a, _ in marks)]
    y = [*(path.beta if path else ()), *(b for _, b in marks)]
    return fitted_range(x, n_alpha), fitted_range(y, n_beta)


def _ends(values: NDArray[np.float64]) -> Range:
    return float(values[0]), float(values[-1])
