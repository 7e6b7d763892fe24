"""How far beyond the ends of a Lanczos run an eigenvalue may lie of which the run has seen nothing.

The start vector ``s``, of length 1, holds ``w = q . s`` of a unit eigenvector ``q`` with eigenvalue ``x``. The
coordinates of ``q`` in the basis of the run are ``w p_j(x)``, with the polynomials ``p_j`` that the tridiagonal matrix
of the run defines. As ``q`` has length 1, ``abs(w) <= sum_j(p_j(x)**2) ** -0.5``. The sum grows with the distance of
``x`` from all Ritz values: an eigenvalue far out that was not seen needs a start vector that holds next to nothing of
it. A random direction ``u`` of N numbers has ``abs(q . u) <= y`` with a probability below ``y * sqrt(2 N / pi)``. Both
together give the distance beyond which an eigenvalue lies with at most a chosen probability, whenever the run stops.

Source:
    The first is the bound of Chebyshev, Markov and Stieltjes on the mass of a measure with given moments, see Golub and
    Meurant, Matrices, Moments and Quadrature, 2010, chapter 2. Random starts: Kuczynski and Wozniakowski, 1992, whose
    bound holds for all matrices, while this one uses what the run has shown of the spectrum.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# The stated distance is found to so many halvings of its logarithm.
HALVINGS = 12


def needed(n: int, share: float, chance: float) -> float:
    """Return the sum of squares at which an eigenvalue would have been seen.

    Args:
        n: The length of the start vector.
        share: The length of its random part, relative to its own.
        chance: The probability that it holds too little of an eigenvector.
    """
    return 2 * n / (math.pi * (chance * share) ** 2)


def squares(small: NDArray[np.float64], beside: float, x: float) -> float:
    """Return ``sum_j p_j(x)**2``, j from 0 to k, for ``x`` outside the Ritz values.

    Args:
        small: The tridiagonal matrix, shape (k, k).
        beside: What would stand beside its last number; positive.
        x: Where.
    """
    diagonal, beyond = np.diag(small), [*np.diag(small, 1), beside]
    before, last, total, previous = 0.0, 1.0, 1.0, 0.0
    for a, b in zip(diagonal.tolist(), beyond, strict=True):
        before, last = last, ((x - a) * last - previous * before) / b
        previous = b
        total += last * last
        if not total < 1e200:
            return math.inf
    return total


def reach(small: NDArray[np.float64], beside: float, end: float, outwards: int, enough: float, known: float) -> float:
    """Return the distance from an end beyond which an eigenvalue would have been seen.

    Args:
        small: The tridiagonal matrix, shape (k, k).
        beside: What would stand beside its last number; positive.
        end: The Ritz value at this end.
        outwards: -1 for the lower end, 1 for the upper one.
        enough: See ``needed``.
        known: A smaller distance is of no use; positive.
    """

    def is_seen(distance: float) -> bool:
        return squares(small, beside, end + outwards * distance) >= enough

    if is_seen(known):
        return known
    low = high = known
    while not is_seen(high):
        low, high = high, 4 * high
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if is_seen(middle) else (middle, high)
    return high
