"""A training run over a surface: where its checkpoints fall, how far off they lie, and their real losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lljupyter.geometry.checkpoints import Checkpoint
from lljupyter.geometry.trajectory import ProjectedPath

Floats = NDArray[np.float64]


class Overlay:
    """The checkpoints of a training run, projected onto a plane; each is measured where it really is. Not thread-safe.

    Args:
        checkpoints: n of them; read again one by one when they are measured.
        path: Where they fall on the plane.
        names: The values that are measured.

    Attributes:
        labels: n strings.
        path: As given.
        values: ``{name: array}``, each of shape (n,), NaN where not measured yet.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], path: ProjectedPath, names: Sequence[str]) -> None:
        about = [checkpoint.metadata() for checkpoint in checkpoints]
        self.checkpoints = list(checkpoints)
        self.labels = [told.get("label", c.label) for told, c in zip(about, checkpoints, strict=True)]
        self.path = path
        self.values = {name: np.full(len(checkpoints), np.nan) for name in names}
        self._rates = np.array([float(told.get("learning_rate", math.nan)) for told in about])
        self._measured = np.zeros(len(checkpoints), dtype=bool)

    def next(self) -> int | None:
        """Returns the index of the next checkpoint to measure: the ends of the run first; None when all are."""
        left = np.flatnonzero(~self._measured)
        if not len(left):
            return None
        return int(left[-1] if not self._measured[-1] else left[0])

    def take(self, index: int, values: Sequence[float]) -> None:
        """Keeps the values of a checkpoint, in the order of the names."""
        for array, value in zip(self.values.values(), values, strict=True):
            array[index] = value
        self._measured[index] = True

    def variables(self) -> dict[str, Floats]:
        """Returns copies of all that is known, ``{name: array}``, each of shape (n,)."""
        found = {"alpha": self.path.alpha, "beta": self.path.beta, "outside": self.path.outside, **self.values}
        if np.isfinite(self._rates).any():
            found["learning_rate"] = self._rates
        return {name: array.copy() for name, array in found.items()}
