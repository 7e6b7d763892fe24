"""The points of a surface: which are known, which are left, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.session.request import Cell, Request

# With a tolerance, the grid is measured coarse to fine until this share of it is known, and so many points; from there
# on it is refined.
COARSE_SHARE, COARSE_POINTS = 1 / 40, 49


def coarse_passes(passes: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Returns the first passes over a grid, those that are measured before it is refined."""
    total = sum(len(cells) for cells in passes)
    known = np.cumsum([len(cells) for cells in passes])
    enough = known >= max(COARSE_SHARE * total, COARSE_POINTS)
    return passes[: int(np.argmax(enough)) + 1] if enough.any() else passes


class Points:
    """All points that were evaluated, of every plane, and the surface at hand. Not thread-safe.

    Args:
        names: The values of a point, in this order everywhere.
        request: The first surface.
        coarse_only: Whether only the first passes are laid out, and ``extend`` adds to them.

    Attributes:
        request: The surface at hand.
        values: ``{name: array}`` of it, each of shape (n_beta, n_alpha), NaN where not evaluated.
        evaluated: Shape (n_beta, n_alpha), bool.
    """

    def __init__(self, names: Sequence[str], request: Request, coarse_only: bool = False) -> None:
        self.names = list(names)
        self._coarse_only = coarse_only
        self._known: dict[int | None, dict[tuple[float, float], list[float]]] = {}
        self.begin(request)

    def begin(self, request: Request, passes: list[NDArray[np.int64]] | None = None) -> None:
        """Turns to another surface, in the passes of ``coarse_to_fine``; points that are known are taken over."""
        shape = (len(request.beta), len(request.alpha))
        self.request = request
        self.values = {name: np.full(shape, np.nan) for name in self.names}
        self.evaluated = np.zeros(shape, dtype=bool)
        known = self._known.setdefault(request.seed, {})
        if (center := self.center()) is not None:
            known[0.0, 0.0] = center
        alpha, beta = request.alpha.tolist(), request.beta.tolist()
        self._passes: list[list[Cell]] = []
        passes = passes or coarse_to_fine(request.alpha, request.beta)
        if self._coarse_only:
            passes = coarse_passes(passes)
        self._coarsest = passes[0]
        for cells in passes:
            left = []
            for row, column in cells.tolist():
                values = known.get((alpha[column], beta[row]))
                if values is None:
                    left.append((row, column))
                else:
                    self._store(row, column, values)
            if left:
                self._passes.append(left)

    def center(self) -> list[float] | None:
        """Returns the values at (0, 0), which belongs to every plane, or None while they are not known."""
        return next((known[0.0, 0.0] for known in self._known.values() if (0.0, 0.0) in known), None)

    def restore(self, values: Mapping[str, NDArray[np.float64]], evaluated: NDArray[np.bool_]) -> None:
        """Takes over points of the surface at hand that were evaluated earlier.

        Args:
            values: ``{name: array}``, each of shape (n_beta, n_alpha).
            evaluated: Which of them count, shape (n_beta, n_alpha).
        """
        known = self._known[self.request.seed]
        for row, column in np.argwhere(evaluated).tolist():
            at = float(self.request.alpha[column]), float(self.request.beta[row])
            known[at] = [float(values[name][row, column]) for name in self.names]
        self.begin(self.request)

    def coarse_is_done(self) -> bool:
        """Says whether the first, coarsest pass is complete."""
        return not self.coarse_left()

    def coarse_left(self) -> list[Cell]:
        """Returns the cells of the first, coarsest pass that are not evaluated yet, center first."""
        return [(row, column) for row, column in self._coarsest.tolist() if not self.evaluated[row, column]]

    def next(self, n: int) -> list[Cell]:
        """Returns the next cells of the pass at hand, at most ``n``; none when the surface is complete."""
        return self._passes[0][:n] if self._passes else []

    def take(self, request: Request, cells: list[Cell], table: list[list[float]]) -> bool:
        """Keeps the values of the cells that ``next`` returned last.

        Args:
            request: The surface that they belong to; if it is not at hand any more, the points are kept for later.
            cells: Their rows and columns.
            table: Their values, in the order of ``names``.

        Returns:
            Whether this completed a pass.
        """
        known = self._known[request.seed]
        for (row, column), values in zip(cells, table, strict=True):
            known[float(request.alpha[column]), float(request.beta[row])] = values
            if request is self.request:
                self._store(row, column, values)
        if request is not self.request:
            return False
        del self._passes[0][: len(cells)]
        if not self._passes[0]:
            del self._passes[0]
            return True
        return False

    def extend(self, cells: Sequence[Cell]) -> None:
        """Adds a pass."""
        if cells:
            self._passes.append(list(cells))

    def again(self, cells: Sequence[Cell]) -> None:
        """Puts cells that are known before all others that ``next`` returns."""
        if cells:
            self._passes.insert(0, list(cells))

    def _store(self, row: int, column: int, values: list[float]) -> None:
        for name, value in zip(self.names, values, strict=True):
            self.values[name][row, column] = value
        self.evaluated[row, column] = True
