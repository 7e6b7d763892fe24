from __future__ import annotations

import numpy as np
import pytest
import torch

from lljupyter.hessian.lanczos import extreme_eigenvalues


def random_map(eigenvalues, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n = len(eigenvalues)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = q @ torch.diag(torch.tensor(eigenvalues, dtype=torch.float64)) @ q.T
    return matrix, torch.randn(n, generator=generator, dtype=torch.float64)


SPECTRUM = [-3.0, -1.0, *np.linspace(-0.5, 0.5, 60), 4.0, 10.0]


@pytest.mark.parametrize("tol", [0.05, 1e-4])
def test_both_ends_are_met_within_their_residuals(tol):
    matrix, start = random_map(SPECTRUM)
    ends = extreme_eigenvalues(lambda v: matrix @ v, start, tol=tol)
    assert abs(ends.lambda_min + 3) <= ends.residual_min <= tol * 3.1
    assert abs(ends.lambda_max - 10) <= ends.residual_max <= tol * 10.1
    for value, vector, residual in (
        (ends.lambda_min, ends.vector_min, ends.residual_min),
        (ends.lambda_max, ends.vector_max, ends.residual_max),
    ):
        assert float(vector.norm()) == pytest.approx(1)
        assert float((matrix @ vector - value * vector).norm()) == pytest.approx(residual, rel=1e-6, abs=1e-12)


def test_eigenvectors_of_a_neighbor_save_products():
    matrix, start = random_map(SPECTRUM)
    cold = extreme_eigenvalues(lambda v: matrix @ v, start, tol=1e-3)
    near = cold.vector_min + cold.vector_max + 1e-3 * start / start.norm()
    warm = extreme_eigenvalues(lambda v: matrix @ v, near, share=1e-3 / float(near.norm()), tol=1e-3)
    assert warm.n_products < cold.n_products / 2
    assert warm.lambda_min == pytest.approx(-3, abs=3e-3)


def test_a_smallest_eigenvalue_within_rounding_of_zero_is_not_separated():
    matrix, start = random_map([0.0] * 30 + [1.0, 2.0, 5.0])
    ends = extreme_eigenvalues(lambda v: matrix @ v, start)
    assert not ends.separated()
    assert ends.lambda_max == pytest.approx(5)


def test_a_map_with_few_distinct_eigenvalues_ends_early():
    matrix, start = random_map([-1.0] * 20 + [2.0] * 20)
    ends = extreme_eigenvalues(lambda v: matrix @ v, start, tol=1e-8)
    assert ends.n_products <= 3
    assert (ends.lambda_min, ends.lambda_max) == (pytest.approx(-1), pytest.approx(2))


def test_one_number_and_the_zero_map():
    ends = extreme_eigenvalues(lambda v: -3 * v, torch.ones(1, dtype=torch.float64))
    assert (ends.lambda_min, ends.lambda_max, ends.n_products) == (-3, -3, 1)
    ends = extreme_eigenvalues(torch.zeros_like, torch.ones(4))
    assert (ends.lambda_min, ends.lambda_max) == (0, 0)


def test_it_stops_at_the_most_products_and_says_how_far_off_it_is():
    matrix, start = random_map(SPECTRUM)
    ends = extreme_eigenvalues(lambda v: matrix @ v, start, tol=1e-9, max_products=6)
    assert ends.n_products == 6
    assert ends.residual_min > 1e-3


def test_what_can_not_be_used_is_refused():
    with pytest.raises(ValueError, match="start vector that is not zero"):
        extreme_eigenvalues(lambda v: v, torch.zeros(3))
    with pytest.raises(FloatingPointError, match="finite products, got nan"):
        extreme_eigenvalues(lambda v: v * float("nan"), torch.ones(3))


def test_a_larger_eigenvalue_that_the_start_vector_hardly_holds_is_found():
    # The 4 next to it has a small residual after 8 products, when nothing is seen of the 5 yet.
    values = torch.tensor([-2.0, *np.linspace(-0.5, 3, 80), 4.0, 5.0], dtype=torch.float64)
    start = torch.randn(len(values), dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    start /= start.norm()
    start[0], start[-2], start[-1] = start[0] + 1, start[-2] + 1, 1e-3
    assert extreme_eigenvalues(lambda v: values * v, start, tol=0.05).lambda_max == pytest.approx(5, rel=0.01)


@pytest.mark.parametrize(("size", "more"), [(0.01, 8), (0.1, 20), (3.0, 200)])
def test_a_rough_map_gives_the_ends_of_the_exact_one(size, more):
    matrix, start = random_map(SPECTRUM)
    noise, _ = random_map(list(np.linspace(-1, 1, len(SPECTRUM))), seed=5)
    exact: list[int] = []
    ends = extreme_eigenvalues(
        lambda v: exact.append(1) or matrix @ v, start, tol=1e-3, rough=lambda v: (matrix + size * noise) @ v
    )
    assert abs(ends.lambda_min + 3) <= ends.residual_min <= 1e-3 * 3.1
    assert abs(ends.lambda_max - 10) <= ends.residual_max <= 1e-3 * 10.1
    assert len(exact) <= more
    assert ends.n_products > len(exact)
    off = matrix @ ends.vector_min - ends.lambda_min * ends.vector_min
    assert float(off.norm()) == pytest.approx(ends.residual_min, rel=1e-6)


def test_a_rough_map_of_one_number():
    ends = extreme_eigenvalues(lambda v: -3 * v, torch.ones(1), rough=lambda v: -2.9 * v)
    assert (ends.lambda_min, ends.lambda_max) == (-3, -3)
