"""The points of a surface: which are known, which are claimed, which are left, in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.grid import coarse_to_fine
from lljupyter.session.engine import Floats
from lljupyter.session.request import Cell, Request
from lljupyter.session.tasks import EvaluatePoints

# With a tolerance, the grid is evaluated coarse to fine until this share of it is known, and so many points; from there
# on it is refined.
COARSE_SHARE, COARSE_POINTS = 1 / 40, 49


def coarse_passes(passes: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Return the first passes over a grid, those that are evaluated before it is refined."""
    total = sum(len(cells) for cells in passes)
    known = np.cumsum([len(cells) for cells in passes])
    enough = known >= max(COARSE_SHARE * total, COARSE_POINTS)
    return passes[: int(np.argmax(enough)) + 1] if enough.any() else passes


class _Pass:
    """The cells of one pass: ``waiting`` to be claimed, in order, and ``open`` until their values are known."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.waiting = deque(cells)
        self.open = set(cells)


class EarlierPoints(NamedTuple):
    """Points of a surface that were evaluated earlier.

    Attributes:
        values: ``{name: array}``, each of shape (n_beta, n_alpha).
        evaluated: Which of them count, shape (n_beta, n_alpha), bool.
        failed: At which of these model or loss raised, shape (n_beta, n_alpha), bool.
        reason: The first error, "" if there is none.
    """

    values: Mapping[str, Floats]
    evaluated: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    reason: str = ""


class Ledger:
    """All points that were evaluated, of every plane, and what is left of the present surface. Not thread-safe.

    Any number of tasks may be claimed at a time; they never overlap. They may be completed in any order. A claim that
    is completed or released is over: completing or releasing it again changes nothing.

    Args:
        names: The values of a point, in this order everywhere.
        request: The first surface.
        stage: Which evaluator its tasks need.
        coarse_only: Whether only the first passes are laid out, and ``extend`` adds to them.

    Attributes:
        request: The present surface.
        values: ``{name: array}`` of it, each of shape (n_beta, n_alpha), NaN where not evaluated.
        evaluated: Shape (n_beta, n_alpha), bool.
        failed: Shape (n_beta, n_alpha), bool: the evaluated points at which model or loss raised.
    """

    def __init__(self, names: Sequence[str], request: Request, stage: int = 0, coarse_only: bool = False) -> None:
        self.names = list(names)
        self._stage, self._coarse_only = stage, coarse_only
        self._known: dict[int | None, dict[tuple[float, float], list[float]]] = {}
        self._reasons: dict[int | None, dict[tuple[float, float], str]] = {}
        self._claims: dict[EvaluatePoints, _Pass] = {}
        self.begin(request)

    def begin(self, request: Request, passes: list[NDArray[np.int64]] | None = None) -> None:
        """Turn to another surface, in the passes of ``coarse_to_fine``; known points are taken over.

        Claims of the former surface may still be completed: their values are kept for later.
        """
        shape = (len(request.beta), len(request.alpha))
        self.request = request
        self.values = {name: np.full(shape, np.nan) for name in self.names}
        self.evaluated, self.failed = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        known, reasons = self._known.setdefault(request.seed, {}), self._reasons.setdefault(request.seed, {})
        if (center := self.center()) is not None:
            known[0.0, 0.0] = center
        alpha, beta = request.alpha.tolist(), request.beta.tolist()
        self._passes: list[_Pass] = []
        passes = passes or coarse_to_fine(request.alpha, request.beta)
        if self._coarse_only:
            passes = coarse_passes(passes)
        self._coarsest = passes[0]
        for cells in passes:
            left = []
            for row, column in cells.tolist():
                at = alpha[column], beta[row]
                if at in known:
                    self._store((row, column), known[at], at in reasons)
                else:
                    left.append((row, column))
            self.extend(left)

    def claim(self, n: int) -> EvaluatePoints | None:
        """Return the next cells of one pass, at most ``n``, or None if all are known or claimed."""
        for part in self._passes:
            if part.waiting:
                cells = tuple(part.waiting.popleft() for _ in range(min(n, len(part.waiting))))
                task = EvaluatePoints(self.request, cells, self._stage)
                self._claims[task] = part
                return task
        return None

    def complete(
        self, task: EvaluatePoints, values: Mapping[str, Floats], reasons: Mapping[int, str] = MappingProxyType({})
    ) -> bool:
        """Keep the values of a claim, also if the surface has changed since.

        Args:
            task: The claim.
            values: ``{name: array}``, each of shape (k,), in the order of its cells.
            reasons: ``{index: the error}`` of those at which model or loss raised.

        Returns:
            Whether this completed a pass.
        """
        part = self._claims.pop(task, None)
        if part is None:
            return False
        table = np.stack([values[name] for name in self.names], axis=1).tolist()
        known, failed = self._known[task.request.seed], self._reasons[task.request.seed]
        for i, (alpha, beta) in enumerate(task.request.points(task.cells).tolist()):
            known[alpha, beta] = table[i]
            failed.pop((alpha, beta), None)
            if i in reasons:
                failed[alpha, beta] = reasons[i]
        if part not in self._passes:
            return False
        for i, cell in enumerate(task.cells):
            self._store(cell, table[i], i in reasons)
        part.open.difference_update(task.cells)
        if not part.open:
            self._passes.remove(part)
        return not part.open

    def release(self, task: EvaluatePoints) -> None:
        """Give a claim back: its cells are claimed again before the others of their pass."""
        part = self._claims.pop(task, None)
        if part is not None:
            part.waiting.extendleft(reversed(task.cells))

    @property
    def is_complete(self) -> bool:
        """Whether no cell is left, not even a claimed one."""
        return not self._passes

    def extend(self, cells: Sequence[Cell]) -> None:
        """Add a pass."""
        if cells:
            self._passes.append(_Pass(cells))

    def requeue(self, cells: Sequence[Cell]) -> None:
        """Add a pass of known cells before all others; their values stay until they are evaluated again."""
        if not cells:
            return
        still_open = set(chain.from_iterable(part.open for part in self._passes))
        if again := [cell for cell in dict.fromkeys(cells) if cell not in still_open]:
            self._passes.insert(0, _Pass(again))

    def center(self) -> list[float] | None:
        """Return the values at (0, 0), which belongs to every plane, or None while they are not known."""
        return next((known[0.0, 0.0] for known in self._known.values() if (0.0, 0.0) in known), None)

    def restore(self, earlier: EarlierPoints) -> None:
        """Take over points of the present surface that were evaluated earlier."""
        values, evaluated, failed, reason = earlier
        known, reasons = self._known[self.request.seed], self._reasons[self.request.seed]
        for row, column in np.argwhere(evaluated).tolist():
            at = float(self.request.alpha[column]), float(self.request.beta[row])
            known[at] = [float(values[name][row, column]) for name in self.names]
            if failed[row, column]:
                reasons[at] = reason
        self.begin(self.request)

    def reason(self) -> str:
        """Return the error at the first point of the present surface at which model or loss raised, else ""."""
        if not self.failed.any():
            return ""
        alpha, beta = self.request.alpha.tolist(), self.request.beta.tolist()
        cells = [(alpha[column], beta[row]) for row, column in np.argwhere(self.failed).tolist()]
        reasons, there = self._reasons[self.request.seed], set(cells)
        return next(reason for at, reason in reasons.items() if at in there)

    def coarse_failed(self) -> tuple[int, int]:
        """Return how many points of the first, coarsest pass raised, and how many it has."""
        return int(self.failed[tuple(self._coarsest.T)].sum()), len(self._coarsest)

    def coarse_is_done(self) -> bool:
        """Return True if the first, coarsest pass is complete."""
        return not self.coarse_left()

    def coarse_left(self) -> list[Cell]:
        """Return the cells of the first, coarsest pass that are not evaluated yet, center first."""
        return [(row, column) for row, column in self._coarsest.tolist() if not self.evaluated[row, column]]

    def _store(self, cell: Cell, values: list[float], failed: bool) -> None:
        for name, value in zip(self.names, values, strict=True):
            self.values[name][cell] = value
        self.evaluated[cell], self.failed[cell] = True, failed
