from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.hessians import eigenvalues, small_network
from support.problems import make_problem
from support.reference import NIGHTLY

from lljupyter.hessian.evaluator import HessianEvaluator
from lljupyter.hessian.unseen import needed, reach, squares

FIRST = 10_000  # other seeds than those that the constants were chosen with


def bounds_of(seed):
    """How far both ends are off, their bounds, and the bounds relative to what is wanted of them."""
    model, x, y, loss_fn = small_network(seed)
    expected = eigenvalues(model, x, y, loss_fn)
    evaluator = HessianEvaluator(make_problem(model, [(x, y)], loss_fn=loss_fn))
    with evaluator.hessian_at(None) as hessian:
        ends = evaluator.ends(hessian)
    low, high = float(expected[0]), float(expected[-1])
    slack = 1e-12 * max(abs(low), abs(high))
    wanted = 0.01 * max(abs(low), 0.01 * abs(high)) + slack + 1e-30  # not zero
    return (
        abs(ends.lambda_min - low) <= ends.bound_min + slack,
        abs(ends.lambda_max - high) <= ends.bound_max + slack,
        ends.bound_min / wanted,
    )


@pytest.mark.parametrize(("first", "n"), [(FIRST, 30), (FIRST + 30, 300)] if NIGHTLY else [(FIRST, 30)])
def test_no_end_of_random_small_networks_is_off_by_more_than_its_bound(first, n):
    rows = [bounds_of(seed) for seed in range(first, first + n)]
    assert [first + k for k, (low, high, _) in enumerate(rows) if not (low and high)] == []
    widths = [width for _, _, width in rows]
    assert np.median(widths) <= 1  # an honest bound, and no wide one
    assert max(widths) <= 10  # a tenth of the eigenvalue, at worst


def run(values, start, k):
    """The tridiagonal matrix of k steps for a diagonal map, and the number beside its last one."""
    basis, small = [start / np.linalg.norm(start)], np.zeros((k + 1, k + 1))
    for j in range(k):
        image = values * basis[j]
        small[j, j] = basis[j] @ image
        for _ in range(2):
            image = image - np.stack(basis).T @ (np.stack(basis) @ image)
        small[j, j + 1] = small[j + 1, j] = np.linalg.norm(image)
        basis.append(image / np.linalg.norm(image))
    return small[:k, :k], float(small[k - 1, k]), np.stack(basis)


def test_an_eigenvector_has_the_coordinates_of_the_polynomials():
    values = np.array([-2.0, *np.linspace(-0.5, 1, 20), 3.0])
    small, beside, basis = run(values, np.random.default_rng(0).standard_normal(22), 7)
    weight = basis[0][0]
    expected = float((basis[:, 0] ** 2).sum()) / weight**2
    assert squares(small, beside, -2.0) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("k", [3, 6, 10])
def test_the_reach_is_where_the_squares_are_enough(k):
    values = np.linspace(-1, 1, 40)
    small, beside, _ = run(values, np.random.default_rng(1).standard_normal(40), k)
    low = float(np.linalg.eigvalsh(small)[0])
    enough = needed(40, 1.0, 0.01)
    distance = reach(small, beside, low, -1, enough, 1e-6)
    assert squares(small, beside, low - distance) >= enough
    assert squares(small, beside, low - 0.99 * distance) < enough
    assert low - distance <= -1


def test_a_random_vector_holds_too_little_as_seldom_as_stated():
    n, chance = 50, 0.1
    u = torch.randn(20_000, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    held = (u[:, 0] / u.norm(dim=1)).abs()
    share = float((held < needed(n, 1.0, chance) ** -0.5).double().mean())
    assert 0.9 * chance < share < 1.02 * chance + 3 * math.sqrt(chance / 20_000)
