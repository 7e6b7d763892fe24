from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from lljupyter.geometry.grid import axis, coarse_to_fine, fill, lattices, resolution_pair

GRIDS = [
    ((-1, 1), 1, (-1, 1), 1),
    ((-1, 1), 1, (-1, 1), 9),
    ((-1, 1), 9, (-1, 1), 1),
    ((-1, 1), 2, (-1, 1), 2),
    ((-1, 1), 6, (-1, 1), 10),
    ((-1, 1), 13, (-1, 1), 17),
    ((-1, 1), 5, (-1, 1), 31),
    ((1, 2), 7, (-3, -1), 5),
    ((0, 1), 7, (-1, 0), 6),
    ((-0.1, 2), 8, (-5, 0.01), 9),
    ((-1, 1), 51, (-1, 1), 51),
]


@pytest.fixture(params=GRIDS, ids=lambda g: f"{g[1]}x{g[3]}-{g[0][0]}..{g[0][1]}")
def grid(request):
    alpha, n_alpha, beta, n_beta = request.param
    return axis(alpha, n_alpha), axis(beta, n_beta, "beta")


def test_axis_includes_its_ends_and_the_center():
    values = axis((-1, 1), 51)
    assert values.dtype == np.float64
    assert len(values) == 51
    assert (values[0], values[25], values[-1]) == (-1, 0, 1)
    assert values[12] == -0.52  # exactly the decimal number
    np.testing.assert_allclose(np.diff(values), 0.04, rtol=1e-12)


def test_axis_of_one_point():
    assert axis((0.3, 0.3), 1).tolist() == [0.3]
    assert axis((-1, 2), 1).tolist() == [0.5]
    assert axis((0, 0), 1).tolist() == [0]


def test_zero_is_never_negative():
    for values in (axis((-1, 1), 3), axis((-1, 0), 3), axis((-0.0, 0.0), 1)):
        assert not np.signbit(values[values == 0]).any()


@pytest.mark.parametrize(("wide", "n_wide"), [((-2, 2), 101), ((-1.4, 1.4), 71), ((-1, 3), 101), ((-10, 10), 501)])
def test_points_of_two_ranges_coincide_exactly(wide, n_wide):
    assert set(axis((-1, 1), 51).tolist()) <= set(axis(wide, n_wide).tolist())


@pytest.mark.parametrize(("n", "wide", "n_wide"), [(25, (-2, 2), 49), (7, (-2, 2), 13), (13, (-1, 11), 73)])
def test_points_that_are_not_short_decimals_coincide_as_well(n, wide, n_wide):
    assert set(axis((-1, 1), n).tolist()) <= set(axis(wide, n_wide).tolist())


@pytest.mark.parametrize("scale", [1e-310, 1e-300, 1e-30, 1e-6, 1e6, 1e30, 1e300, 1.7e308])
def test_axis_of_tiny_and_huge_ranges(scale):
    values = axis((-scale, scale), 5)
    np.testing.assert_allclose(values, scale * np.array([-1, -0.5, 0, 0.5, 1]), rtol=1e-10)
    assert values[2] == 0


@pytest.mark.parametrize("limits", [(1, 1 + 1e-14), (1e15, 1e15 + 1), (0, 1e-323)])
def test_ranges_whose_points_cannot_be_told_apart_are_refused(limits):
    with pytest.raises(ValueError, match="alpha"):
        axis(limits, 51)


@pytest.mark.parametrize(
    ("limits", "n", "kind", "message"),
    [
        ((1, -1), 5, ValueError, r"expected beta as \(low, high\), got the reversed range \(1.0, -1.0\)"),
        ((0.3, 0.3), 2, ValueError, "expected beta .* with low < high for 2 points, got the single value 0.3"),
        ((0, float("inf")), 5, ValueError, r"expected a finite beta range, got \(0.0, inf\)"),
        ((float("nan"), 1), 5, ValueError, r"expected a finite beta range, got \(nan, 1.0\)"),
        ((-1, 1), 0, ValueError, "expected a resolution of at least 1 along beta, got 0"),
        ((-1, 1), -3, ValueError, "expected a resolution of at least 1 along beta, got -3"),
        ((-1, 1), 5.0, TypeError, "expected a whole number of points along beta, got 5.0"),
        ((-1, 1), True, TypeError, "expected a whole number of points along beta, got True"),
        (1.0, 5, TypeError, r"expected beta as a pair \(low, high\) of numbers, got 1.0"),
        ((1, 2, 3), 5, TypeError, r"expected beta as a pair \(low, high\) of numbers"),
        ((None, 1), 5, TypeError, r"expected beta as a pair \(low, high\) of numbers"),
        ("ab", 5, TypeError, r"expected beta as a pair \(low, high\) of numbers, got 'ab'"),
        ("12", 5, TypeError, r"expected beta as a pair \(low, high\) of numbers, got '12'"),
    ],
)
def test_bad_axes_are_refused(limits, n, kind, message):
    with pytest.raises(kind, match=message):
        axis(limits, n, "beta")


def test_resolution_pair():
    assert resolution_pair(5) == (5, 5)
    assert resolution_pair((5, 3)) == (5, 3)
    assert resolution_pair([np.int64(5), 3]) == (5, 3)


@pytest.mark.parametrize("resolution", [5.0, "51", (1, 2, 3), None, True])
def test_bad_resolutions_are_refused(resolution):
    with pytest.raises(TypeError, match=r"expected resolution as a whole number or a pair \(n_alpha, n_beta\)"):
        resolution_pair(resolution)


def test_lattices_are_nested_and_complete(grid):
    for values in grid:
        levels = lattices(values)
        for coarse, fine in pairwise(levels):
            assert set(coarse) < set(fine)
        assert all((np.diff(level) > 0).all() for level in levels)
        assert levels[-1].tolist() == list(range(len(values)))
        assert {0, len(values) - 1} <= set(levels[0].tolist())


def test_passes_are_a_permutation_of_the_grid(grid):
    alpha, beta = grid
    points = np.concatenate(coarse_to_fine(alpha, beta))
    assert len(points) == len(alpha) * len(beta)
    assert {tuple(p) for p in points.tolist()} == {(r, c) for r in range(len(beta)) for c in range(len(alpha))}


def test_the_first_pass_is_small_and_starts_at_the_center(grid):
    alpha, beta = grid
    first = coarse_to_fine(alpha, beta)[0]
    assert len(first) <= 9
    row, column = first[0]
    if 0 in alpha and 0 in beta:
        assert (beta[row], alpha[column]) == (0, 0)


def test_within_a_pass_points_go_outwards():
    alpha, beta = axis((-1, 1), 9), axis((-1, 1), 9)
    for points in coarse_to_fine(alpha, beta):
        distance = np.hypot(alpha[points[:, 1]], beta[points[:, 0]])
        assert (np.diff(distance) >= -1e-12).all()


def bilinear(alpha, beta):
    a, b = np.meshgrid(alpha, beta)
    return 2 + 3 * a - 5 * b + 7 * a * b


def test_fill_is_exact_for_a_bilinear_function_after_every_pass(grid):
    alpha, beta = grid
    values, evaluated = bilinear(alpha, beta), np.zeros((len(beta), len(alpha)), dtype=bool)
    for points in coarse_to_fine(alpha, beta):
        evaluated[tuple(points.T)] = True
        masked = np.where(evaluated, values, -1e9)  # what is not evaluated must not be read
        np.testing.assert_allclose(fill(masked, evaluated, alpha, beta), values, rtol=1e-12, atol=1e-9)


def test_fill_knows_rows_from_columns():
    alpha, beta = axis((-2, 2), 5), axis((-1, 1), 3, "beta")
    values = np.arange(15.0).reshape(3, 5)
    evaluated = np.zeros((3, 5), dtype=bool)
    evaluated[:, ::2] = True
    filled = fill(values, evaluated, alpha, beta)
    np.testing.assert_array_equal(filled, values)
    values[0, 0] = 100.0
    assert fill(values, evaluated, alpha, beta)[0, 1] == 51.0
    assert fill(values, evaluated, alpha, beta)[1, 0] == 5.0


def test_fill_keeps_evaluated_values_and_changes_no_argument(grid):
    alpha, beta = grid
    generator = np.random.default_rng(0)
    values = generator.normal(size=(len(beta), len(alpha)))
    evaluated = generator.random(values.shape) < 0.4
    before = values.copy()
    filled = fill(values, evaluated, alpha, beta)
    np.testing.assert_array_equal(filled[evaluated], before[evaluated])
    np.testing.assert_array_equal(values, before)
    assert not np.shares_memory(filled, values)


def test_fill_of_nothing_is_nan_and_of_everything_is_the_same(grid):
    alpha, beta = grid
    values = bilinear(alpha, beta)
    assert np.isnan(fill(values, np.zeros(values.shape, dtype=bool), alpha, beta)).all()
    np.testing.assert_array_equal(fill(values, np.ones(values.shape, dtype=bool), alpha, beta), values)


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("error")
def test_nothing_finite_is_drawn_beside_a_hole(hole):
    alpha, beta = axis((-1, 1), 9), axis((-1, 1), 9)
    evaluated = np.zeros((9, 9), dtype=bool)
    evaluated[::4, ::4] = True
    values = np.ones((9, 9))
    values[4, 4] = hole
    filled = fill(values, evaluated, alpha, beta)
    np.testing.assert_array_equal(filled[4, 4], hole)
    assert not np.isfinite(filled[1:8, 1:8]).any()
    assert (filled[0] == 1).all()
    assert (filled[:, 8] == 1).all()


@pytest.mark.parametrize("resolution", [1001, (200_000, 200_000), (10, 100_001)])
def test_grids_that_no_screen_shows_are_refused(resolution):
    with pytest.raises(ValueError, match=r"expected at most 1,000,000 points, got .*; the default resolution is 51"):
        resolution_pair(resolution)
