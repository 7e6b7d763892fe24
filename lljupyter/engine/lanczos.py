"""Both ends of the spectrum of a symmetric linear map, by one Lanczos run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# The paper calls a region convex where abs(lambda_min / lambda_max) is below about this: a smallest eigenvalue need not
# be known to a share of itself where it is smaller.
CONVEX = 0.01
# A smaller eigenvalue of which the start vector holds little comes down from the next one, whose residual is large
# meanwhile: the smallest is believed once that of the next is below this share of it.
SETTLED = 0.1
# Rounding leaves this many units in the last place, of the largest eigenvalue, in every residual.
ROUNDING = 8


class Ends(NamedTuple):
    """The smallest and the largest eigenvalue, as Ritz values.

    Attributes:
        lambda_min: The smallest.
        lambda_max: The largest.
        residual_min: ``||H v - lambda_min v||``: an eigenvalue is no further away than that.
        residual_max: The same for the largest.
        vector_min: Shape (N,), of length 1.
        vector_max: Shape (N,), of length 1.
        n_products: How many products it took.
    """

    lambda_min: float
    lambda_max: float
    residual_min: float
    residual_max: float
    vector_min: Tensor
    vector_max: Tensor
    n_products: int

    def separated(self) -> bool:
        """Says whether the smallest eigenvalue can be told from zero."""
        return abs(self.lambda_min) > self.residual_min


def extreme_eigenvalues(
    product: Callable[[Tensor], Tensor], start: Tensor, *, tol: float = 0.01, max_products: int = 100
) -> Ends:
    """Finds both ends of the spectrum with one run, every vector orthogonalized against all others, twice.

    It stops when both residuals are below ``tol * abs(eigenvalue)``, that of the smallest also when it is below
    ``tol * CONVEX * abs(lambda_max)``. The error of an eigenvalue is at most its residual, and about the residual
    squared by the distance to the next eigenvalue (Kato, Temple): some per mille of it where those are far.

    Args:
        product: Returns ``H v`` for v of shape (N,).
        start: Shape (N,), not zero. Needs a part along both eigenvectors, as a random vector has.
        tol: Relative residual.
        max_products: Stop after that many, whatever the residuals are.

    Raises:
        ValueError: If the start vector is zero.
        FloatingPointError: If a product is not finite.

    Source:
        Lanczos 1950; Parlett, The Symmetric Eigenvalue Problem, 1980, chapter 13.
    """
    n, eps = len(start), float(torch.finfo(start.dtype).eps)
    norm = _norm(start)
    if not norm > 0:
        raise ValueError("expected a start vector that is not zero, got zeros; draw a random one")
    basis = torch.empty(min(max_products, n) + 1, n, dtype=start.dtype, device=start.device)
    torch.div(start, norm, out=basis[0])
    diagonal: list[float] = []
    beside: list[float] = []
    for k in range(len(basis) - 1):
        known = basis[: k + 1]
        image = product(basis[k])
        diagonal.append(float(torch.dot(basis[k].double(), image.double())))
        if not np.isfinite(diagonal[-1]):
            raise FloatingPointError(f"expected finite products, got {diagonal[-1]}")
        for _ in range(2):
            image = image - known.T @ (known @ image)
        beside.append(_norm(image))
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1))
        largest = float(np.abs(values).max())
        rounding = ROUNDING * eps * largest
        low, high = (float(np.hypot(beside[-1] * vectors[-1, end], rounding)) for end in (0, -1))
        smallest = max(abs(values[0]), CONVEX * abs(values[-1]))
        next_low = abs(beside[-1] * vectors[-1, min(1, k)])
        done_low = low <= tol * smallest and next_low <= SETTLED * smallest
        if (done_low and high <= tol * abs(values[-1])) or beside[-1] <= rounding:
            break
        torch.div(image, beside[-1], out=basis[k + 1])
    weights = torch.from_numpy(np.ascontiguousarray(vectors[:, [0, -1]].T)).to(basis)
    at_min, at_max = (vector / _norm(vector) for vector in weights @ basis[: len(diagonal)])
    return Ends(float(values[0]), float(values[-1]), low, high, at_min, at_max, len(diagonal))


def _norm(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
