"""Tries faster strategies between chunks of points, and has a surface evaluated by one strategy throughout."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lljupyter.session.engine import Floats, Values
from lljupyter.session.request import Cell, Request
from lljupyter.session.tasks import EvaluatePoints, StrategyUsed, TryStrategy, Tuned

# Strategies are tried on so many points with known values.
N_KNOWN = 12


class Tuning:
    """Points with known values to try strategies on, and points to evaluate again. Not thread-safe."""

    def __init__(self) -> None:
        self._seed: int | None = None
        self._known: list[tuple[Floats, Values]] = []
        # What was evaluated while it is not settled which strategy is used, and by which one.
        self._provisional: list[tuple[str, EvaluatePoints]] = []
        self._ready = False
        self._claimed: TryStrategy | None = None

    def record(
        self, task: EvaluatePoints, values: Values, strategy: StrategyUsed, failed: Collection[int] = ()
    ) -> None:
        """Keep points of the present surface that were just evaluated.

        Args:
            task: Where they are.
            values: ``{name: array}``, each of shape (k,).
            strategy: How they were evaluated.
            failed: The indices of those that have no value; strategies are not tried on them.
        """
        if task.request.seed != self._seed:
            self._seed, self._known, self._provisional = task.request.seed, [], []
        self._provisional.append((strategy.label, task))
        good = [i for i in range(len(task.cells)) if i not in failed]
        if good and not strategy.reduced and sum(len(points) for points, _ in self._known) < N_KNOWN:
            points = task.request.points(task.cells)[good]
            self._known.append((points, {name: column[good] for name, column in values.items()}))
        self._ready = True

    def claim(self, request: Request, remaining: float | None, coarse: bool) -> TryStrategy | None:
        """Return an attempt to find a faster strategy: one for each chunk of points on the plane of the request.

        Args:
            request: The surface.
            remaining: Seconds left of it.
            coarse: Whether its coarsest pass is complete.
        """
        if not self._ready or self._claimed is not None or not self._known or request.seed != self._seed:
            return None
        points = np.concatenate([points for points, _ in self._known])
        names = self._known[0][1]
        values = {name: np.concatenate([values[name] for _, values in self._known]) for name in names}
        self._claimed, self._ready = TryStrategy(request, points, values, remaining, coarse), False
        return self._claimed

    def complete(self, task: TryStrategy, result: Tuned) -> list[Cell]:
        """Return the cells of the surface to evaluate again, once it is settled which strategy is used."""
        if task is not self._claimed:
            return []
        self._claimed = None
        if not result.settled:
            return []
        others = [points for label, points in self._provisional if label != result.strategy.label]
        self._provisional = []
        return [cell for points in others if points.request is task.request for cell in points.cells]

    def release(self, task: TryStrategy) -> None:
        """Give a claim back."""
        if task is self._claimed:
            self._claimed, self._ready = None, True
