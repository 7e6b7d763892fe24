"""Sharpness and the share of non-convex points, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import xarray

from lljupyter import nonconvex_share, sharpness

ALPHA, BETA = np.linspace(-1, 1, 21), np.linspace(-2, 2, 17)


def surface(f) -> xarray.Dataset:
    a, b = np.meshgrid(ALPHA, BETA)
    return xarray.Dataset({"loss": (("beta", "alpha"), f(a, b))}, coords={"alpha": ALPHA, "beta": BETA})


def test_sharpness_is_the_mean_rise_within_the_radius():
    a, b = np.meshgrid(ALPHA, BETA)
    near = (np.hypot(a, b) <= 0.5 + 1e-9) & (np.hypot(a, b) > 0)
    assert sharpness(surface(lambda a, b: 7 + a**2 + 3 * b)) == pytest.approx((a**2 + 3 * b)[near].mean())
    assert sharpness(surface(lambda a, b: 7 + a**2), radius=0.1) == pytest.approx(0.01)


def test_sharpness_of_a_line_and_of_holes():
    line = surface(lambda a, b: a**2).isel(beta=8, drop=True)
    assert sharpness(line, radius=0.2) == pytest.approx((0.1**2 + 0.2**2) / 2)
    line.loss[11] = np.nan
    assert sharpness(line, radius=0.2) == pytest.approx((0.1**2 + 2 * 0.2**2) / 3)
    line.loss[12] = np.inf
    assert sharpness(line, radius=0.2) == np.inf


@pytest.mark.parametrize(
    ("f", "share"),
    [
        (lambda a, b: 3 * a**2 + a * b + b**2, 0),
        (lambda a, b: a**2 + 3 * a * b + b**2, 1),  # both axes curve upwards, a diagonal downwards
        (lambda a, b: a**2 - b**2, 1),
        (lambda a, b: a**4 - 0.06 * a**2 + b**2, 1 / 19),  # concave only at the center: 12 a^2 < 0.12 - 2 h^2
        (lambda a, b: a**2 + 1e-9 * np.sin(1e3 * a * b), 0),  # rounding in a valley
    ],
)
def test_nonconvex_share(f, share):
    assert nonconvex_share(surface(f)) == pytest.approx(share)


def test_points_beside_holes_are_left_out():
    holed = surface(lambda a, b: np.where(a < 0, a**2 - b**2, a**2 + b**2))
    holed.loss[:, :10] = np.inf
    assert nonconvex_share(holed.isel(alpha=slice(9, None))) == 0
    holed.loss[:] = np.nan
    assert np.isnan(nonconvex_share(holed))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: sharpness(s, quantity="accuracy"), r"expected quantity as one of \['loss'\], got 'accuracy'; try"),
        (lambda s: sharpness(s, radius=0.01), r"expected the center and points within 0.01 of it on the grid, got"),
        (lambda s: sharpness(s.isel(alpha=slice(0, 5))), r"expected the center .* take an odd resolution"),
        (lambda s: nonconvex_share(s.isel(alpha=[0, 1])), r"expected a surface of at least 3 x 3 points, got .*alpha"),
        (lambda s: nonconvex_share(s.isel(beta=0)), r"expected a surface of at least 3 x 3 points, got .*alpha"),
        (lambda s: sharpness(s.expand_dims(seed=2)), r"expected loss on \(beta, alpha\), got .*seed.*; take one with"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(surface(lambda a, b: a**2 + b**2))
