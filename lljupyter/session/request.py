"""What to compute: the plane of a seed on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Cell = tuple[int, int]  # row (beta), column (alpha)


class Request(NamedTuple):
    """The surface to compute.

    Attributes:
        seed: Seed of the random directions, or None for the given ones.
        alpha: Shape (n_alpha,), coordinates of the columns.
        beta: Shape (n_beta,), coordinates of the rows.
    """

    seed: int | None
    alpha: NDArray[np.float64]
    beta: NDArray[np.float64]

    @property
    def has_center(self) -> bool:
        """Whether the center, (0, 0), is a point of the grid."""
        return bool((self.alpha == 0).any() and (self.beta == 0).any())

    def points(self, cells: Sequence[Cell]) -> NDArray[np.float64]:
        """Return the coordinates (alpha, beta) of k cells, shape (k, 2)."""
        return np.array([(self.alpha[column], self.beta[row]) for row, column in cells])

    def same_as(self, other: Request) -> bool:
        """Return True if both requests are for the same surface."""
        same_grid = np.array_equal(self.alpha, other.alpha) and np.array_equal(self.beta, other.beta)
        return self.seed == other.seed and same_grid
