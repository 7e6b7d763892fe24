"""Numbers that summarize what a picture of a landscape shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lljupyter.surface.checks import check_axis

if TYPE_CHECKING:
    import xarray

# A curvature below this fraction of the other one counts as flat (Li et al. 2018, section 6: about 1 %).
TOLERANCE = 0.01


def sharpness(dataset: xarray.Dataset, *, radius: float = 0.5, quantity: str = "loss") -> float:
    """Return how far the loss rises around the center: the mean of ``f(alpha, beta) - f(0, 0)`` within a radius.

    Comparable between networks if the directions are filter-normalized.

    Args:
        dataset: A surface or a line, with the center on its grid.
        radius: In multiples of the directions.
        quantity: The quantity.

    Returns:
        The mean over the points of the grid within the radius that were evaluated; inf where one is infinite.

    Raises:
        ValueError: If there is no such quantity, or no center or no other point within the radius on the grid.
    """
    values, axes = _values(dataset, quantity)
    squares = sum((dataset[axis] ** 2 for axis in axes), start=dataset[axes[0]] * 0)
    center, near = squares < 1e-18, (squares > 1e-18) & (squares <= radius**2 * (1 + 1e-9))
    if not bool(center.any()) or not bool(near.any()):
        raise ValueError(
            f"expected the center and points within {radius:g} of it on the grid, got {dict(dataset.sizes)} points; "
            "take an odd resolution and ranges around 0, or a larger radius"
        )
    return float((values.where(near) - float(values.where(center).max())).mean())


def nonconvex_share(dataset: xarray.Dataset, *, quantity: str = "loss", tolerance: float = TOLERANCE) -> float:
    """Return the fraction of the plane where the surface curves downwards in some direction of the plane.

    The 2 x 2 Hessian of the surface is computed by central differences at every point inside the grid. If its smaller
    eigenvalue is negative, so is one of the Hessian of the whole network; the reverse does not hold.

    Args:
        dataset: A surface of at least 3 x 3 points, evenly spaced.
        quantity: The quantity whose curvature is taken.
        tolerance: An eigenvalue counts as negative below minus this fraction of the larger absolute one, so that
            rounding in flat parts does not count.

    Returns:
        From 0 to 1, over the points whose neighbors are all finite; NaN if there are none.

    Raises:
        ValueError: If there is no such quantity or the grid has fewer points.

    Source:
        Li et al. 2018, section 6: what negative curvature in a random plane says about the whole.
    """
    values, axes = _values(dataset, quantity)
    if len(axes) < 2 or min(dataset.sizes[axis] for axis in axes) < 3:
        raise ValueError(
            f"expected a surface of at least 3 x 3 points, got {dict(dataset.sizes)}; take a larger resolution"
        )
    f = values.transpose("beta", "alpha").values
    step = {axis: float(dataset[axis][1] - dataset[axis][0]) for axis in axes}
    with np.errstate(invalid="ignore", over="ignore"):
        inner = f[1:-1, 1:-1]
        aa = (f[1:-1, 2:] - 2 * inner + f[1:-1, :-2]) / step["alpha"] ** 2
        bb = (f[2:, 1:-1] - 2 * inner + f[:-2, 1:-1]) / step["beta"] ** 2
        ab = (f[2:, 2:] - f[2:, :-2] - f[:-2, 2:] + f[:-2, :-2]) / (4 * step["alpha"] * step["beta"])
        spread = np.sqrt((aa - bb) ** 2 / 4 + ab**2)
        low, high = (aa + bb) / 2 - spread, (aa + bb) / 2 + spread
        known = np.isfinite(low) & np.isfinite(high)
        negative = low < -tolerance * np.maximum(np.abs(low), np.abs(high))
    return float(negative[known].mean()) if known.any() else float("nan")


def _values(dataset: xarray.Dataset, quantity: str) -> tuple[xarray.DataArray, list[str]]:
    if quantity not in dataset.data_vars:
        raise ValueError(f"expected quantity as one of {list(dataset.data_vars)}, got {quantity!r}; try 'loss'")
    values = dataset[quantity]
    if values.dtype.kind not in "biuf":
        raise ValueError(f"expected numbers {quantity!r}, got {values.dtype}; convert them, or name another quantity")
    axes: list[str] = [axis for axis in ("beta", "alpha") if axis in values.dims]
    if not axes or len(axes) < len(values.dims):
        raise ValueError(f"expected {quantity} on (beta, alpha), got {values.dims}; take one with .isel(seed=0), say")
    for axis in axes:
        check_axis(dataset, axis)
    return values.astype(np.float64), axes
