"""Both ends of the spectrum of a symmetric linear map, by one Lanczos run, and by a rough map put right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.hessian.unseen import needed, reach, squares

Product = Callable[[Tensor], Tensor]

# The paper calls a region convex where abs(lambda_min / lambda_max) is below about this: a smallest eigenvalue need not
# be known to a share of itself where it is smaller.
CONVEX = 0.01
# A further eigenvalue of which the start vector holds little comes out of the next one, whose residual is large
# meanwhile: an end is believed once that of the next is below this share of it.
SETTLED = 0.1
# Exact products put the eigenvectors of a rough map right, so that they need not be found as exactly as is wanted in
# the end; with so many of them it was too rough.
LOOSER, CORRECTIONS = 1.5, 12
# So many times the products that both ends took may be spent to confirm that nothing lies beyond them, see ``unseen``.
# What is not confirmed by then widens the bound: to 5 % of the eigenvalue, in the median over a map of 3,784 numbers.
# CHANCE is how often a random start may hold too little of an eigenvector. That this hides one is much rarer: its
# eigenvalue would have to lie just beyond the bound as well (2 of 800 random networks with 0.1, none with 0.01).
# Beside a point where that was done, less will do.
CONFIRMING, CONFIRMING_NEAR = 1.5, 1.25
CHANCE, CHANCE_NEAR = 0.01, 0.03
# Rounding leaves this many units in the last place, of the largest eigenvalue, in every residual.
ROUNDING = 8


class Ends(NamedTuple):
    """The smallest and the largest eigenvalue, as Ritz values.

    Attributes:
        lambda_min: The smallest.
        lambda_max: The largest.
        residual_min: ``||H v - lambda_min v||``: an eigenvalue is no further away than that.
        residual_max: The same for the largest.
        bound_min: The smallest eigenvalue is between ``lambda_min - bound_min`` and ``lambda_min``, unless the start
            vector is one of the few random ones that hold too little of its eigenvector, see ``unseen``. Not below
            the residual.
        bound_max: The same for the largest, from ``lambda_max`` up.
        vector_min: Shape (N,), of length 1.
        vector_max: Shape (N,), of length 1.
        n_products: How many products it took.
    """

    lambda_min: float
    lambda_max: float
    residual_min: float
    residual_max: float
    bound_min: float
    bound_max: float
    vector_min: Tensor
    vector_max: Tensor
    n_products: int

    def separated(self) -> bool:
        """Return True if the smallest eigenvalue can be told from zero."""
        return self.lambda_min < -self.residual_min or self.lambda_min > self.bound_min


class Krylov(NamedTuple):
    """The eigenpairs of a map within the space of a Lanczos run.

    Attributes:
        vectors: The Ritz vectors, one a row, shape (k, N).
        values: The Ritz values, ascending, shape (k,).
        residuals: Theirs, shape (k,).
        unseen: How far below and above them an eigenvalue may lie of which the run has seen nothing.
    """

    vectors: Tensor
    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    unseen: tuple[float, float]


def extreme_eigenvalues(
    product: Product,
    start: Tensor,
    *,
    share: float = 1.0,
    tol: float = 0.01,
    max_products: int = 100,
    rough: Product | None = None,
) -> Ends:
    """Return both ends of the spectrum, found with one run, every vector orthogonalized against all others, twice.

    It stops when both residuals are below ``tol * abs(eigenvalue)``, that of the smallest also when it is below
    ``tol * CONVEX * abs(lambda_max)``. The error of an eigenvalue is at most its residual, and about the residual
    squared by the distance to the next eigenvalue (Kato, Temple): some per mille of it where those are far. That it is
    an error of the *extreme* eigenvalue is then confirmed: the run goes on, for at most half as many products more,
    until any eigenvalue further out than that would have been seen. What was confirmed is stated.

    Args:
        product: Returns ``H v`` for v of shape (N,).
        start: Shape (N,), not zero. Needs a part along both eigenvectors, as a random vector has.
        share: The length of the random part of ``start``, relative to its own.
        tol: Relative residual.
        max_products: Stop after that many, whatever the residuals are.
        rough: A cheaper map that differs little. The run is over that one, and exact products put its eigenvectors
            right, so that values and residuals are those of ``product``.

    Raises:
        ValueError: If the start vector is zero.
        FloatingPointError: If a product is not finite.

    Source:
        Lanczos 1950; Parlett, The Symmetric Eigenvalue Problem, 1980, chapter 13; with ``rough``, the correction of
        Davidson 1975 and of Sleijpen and van der Vorst 1996.
    """
    first, looser = (product, tol) if rough is None else (rough, LOOSER * tol)
    krylov = lanczos(first, start, share, looser, max_products)
    n_products = len(krylov.values)
    if rough is None:
        at_min, at_max = (krylov.vectors[k] / _norm(krylov.vectors[k]) for k in (0, -1))
        low, high = (float(krylov.residuals[k]) for k in (0, -1))
        below, above = max(low, krylov.unseen[0]), max(high, krylov.unseen[1])
        lowest, highest = float(krylov.values[0]), float(krylov.values[-1])
        return Ends(lowest, highest, low, high, below, above, at_min, at_max, n_products)
    ends = _corrected(product, krylov, tol)
    if done(ends, tol):
        return ends._replace(n_products=ends.n_products + n_products)
    near = ends.vector_min + ends.vector_max + start / _norm(start)
    again = extreme_eigenvalues(product, near, share=share / _norm(near), tol=tol, max_products=max_products)
    return again._replace(n_products=again.n_products + ends.n_products + n_products)


def done(ends: Ends, tol: float) -> bool:
    """Return True if both residuals are as small as is wanted."""
    return _low_is_done(ends.residual_min, ends.lambda_min, ends.lambda_max, tol) and (
        ends.residual_max <= tol * abs(ends.lambda_max)
    )


def lanczos(product: Product, start: Tensor, share: float, tol: float, max_products: int) -> Krylov:
    """Run until both ends are found, see ``extreme_eigenvalues``."""
    n, eps = len(start), float(torch.finfo(start.dtype).eps)
    norm = _norm(start)
    if not norm > 0:
        raise ValueError("expected a start vector that is not zero, got zeros; draw a random one")
    basis = torch.empty(min(max_products, n) + 1, n, dtype=start.dtype, device=start.device)
    torch.div(start, norm, out=basis[0])
    small = np.zeros([len(basis)] * 2)  # tridiagonal: the map within the basis
    confirming, chance = (CONFIRMING, CHANCE) if share >= 1 else (CONFIRMING_NEAR, CHANCE_NEAR)
    enough, n_found = needed(n, share, chance), 0
    for k in range(len(basis) - 1):
        known = basis[: k + 1]
        image = product(basis[k])
        small[k, k] = float(torch.dot(basis[k].double(), image.double()))
        for _ in range(2):
            image = image - known.T @ (known @ image)
        small[k, k + 1] = small[k + 1, k] = beside = _norm(image)
        if not math.isfinite(small[k, k] + beside):
            raise FloatingPointError(f"expected finite products, got {small[k, k]} and {beside}")
        values, vectors = _eigh(small[: k + 1, : k + 1])
        rounding = ROUNDING * eps * float(np.abs(values).max())
        left = np.abs(beside * vectors[-1])
        residuals = np.hypot(left, rounding)
        if beside <= rounding:
            break
        lowest, highest = float(values[0]), float(values[-1])
        if _low_is_done(residuals[0], lowest, highest, tol) and residuals[-1] <= tol * abs(highest):
            if not n_found and _settled(left, lowest, highest):
                n_found = k + 1
            below, above = lowest - _wanted(lowest, highest, tol), highest + tol * abs(highest)
            within = small[: k + 1, : k + 1]
            if n_found and (
                k + 1 >= confirming * n_found or min(squares(within, beside, x) for x in (below, above)) >= enough
            ):
                break
        else:  # another eigenvalue has come in
            n_found = 0
        torch.div(image, beside, out=basis[k + 1])
    unseen = (rounding, rounding)
    if beside > rounding and k + 1 < n:
        within, tiny = small[: k + 1, : k + 1], float(np.finfo(np.float64).tiny)
        below, above = (
            reach(within, beside, float(values[end]), outwards, enough, max(float(residuals[end]), tiny))
            for end, outwards in ((0, -1), (-1, 1))
        )
        unseen = (below + rounding, above + rounding)
    weights = torch.from_numpy(np.ascontiguousarray(vectors.T)).to(basis)
    return Krylov(weights @ basis[: len(values)], values, residuals, unseen)


def _corrected(product: Product, krylov: Krylov, tol: float) -> Ends:
    """Return both ends within the span of a few vectors with exact images, at first the end vectors of another map."""
    basis, images = krylov.vectors[:0], krylov.vectors[:0]
    added = [krylov.vectors[0], krylov.vectors[-1]] if len(krylov.values) > 1 else [krylov.vectors[0]]
    while True:
        for vector in added:
            for _ in range(2):
                vector = vector - basis.T @ (basis @ vector)
            if not (norm := _norm(vector)) > 0:
                continue
            basis = torch.cat([basis, vector[None] / norm])
            images = torch.cat([images, product(basis[-1])[None]])
        small = (basis.double() @ images.double().T).cpu().numpy()
        if not np.isfinite(small).all():
            raise FloatingPointError("expected finite products, got others")
        values, vectors = _eigh((small + small.T) / 2)
        found = []
        for k in (0, -1):
            weights = torch.from_numpy(np.ascontiguousarray(vectors[:, k])).to(basis)
            u = weights @ basis
            found.append((float(values[k]), u, weights @ images - float(values[k]) * u))
        (low, at_min, off_min), (high, at_max, off_max) = found
        off_low, off_high = _norm(off_min), _norm(off_max)
        # What the rough map hides is taken to be as far off as its own ends are.
        below = max(off_low, krylov.unseen[0] + abs(low - float(krylov.values[0])))
        above = max(off_high, krylov.unseen[1] + abs(high - float(krylov.values[-1])))
        ends = Ends(low, high, off_low, off_high, below, above, at_min, at_max, len(basis))
        if done(ends, tol) or len(basis) >= min(CORRECTIONS, basis.shape[1]):
            return ends
        low_done = _low_is_done(ends.residual_min, low, high, tol)
        added = [] if low_done else [_correction(krylov, low, off_min, 0)]
        if ends.residual_max > tol * abs(high):
            added.append(_correction(krylov, high, off_max, -1))


def _correction(krylov: Krylov, value: float, residual: Tensor, end: int) -> Tensor:
    """Return about ``(value - H)^-1 residual``: the rough map for H where it is known, zero where it is not."""
    within = krylov.vectors @ residual
    gaps = value - krylov.values
    smallest = 1e-3 * abs(value) + np.finfo(np.float64).tiny
    gaps = np.where(np.abs(gaps) < smallest, smallest, gaps)
    factors = 1 / gaps
    factors[end] = 0.0  # the eigenvector itself is known already
    outside = residual - krylov.vectors.T @ within
    return krylov.vectors.T @ (within * torch.from_numpy(factors).to(within)) + outside / (value or 1.0)


def _eigh(small: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # By torch: NumPy's threads would go on to wait for work on the cores that the next product needs.
    values, vectors = torch.linalg.eigh(torch.from_numpy(small))
    return values.numpy(), vectors.numpy()


def _low_is_done(residual: float, low: float, high: float, tol: float) -> bool:
    return bool(residual <= _wanted(low, high, tol))


def _settled(left: NDArray[np.float64], low: float, high: float) -> bool:
    """Return True if the eigenvalues next to both ends are known somewhat, too."""
    k = len(left) - 1
    settled_low = left[min(1, k)] <= SETTLED * max(abs(low), CONVEX * abs(high))
    return bool(settled_low and left[max(k - 1, 0)] <= SETTLED * abs(high))


def _wanted(low: float, high: float, tol: float) -> float:
    return tol * max(abs(low), CONVEX * abs(high))


def _norm(vector: Tensor) -> float:
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))
